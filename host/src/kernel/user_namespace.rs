//! A user namespace (user_namespaces(7)) in which this process has rights over a range of users
//! and, even when compromised, over nothing else on this machine.
//!
//! The kernel shows all users outside the namespace as one (65534). So a second process stays
//! outside, without any rights, and answers two questions: which user is at the other end of a
//! socket, and which user owns a file.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recv, recvmsg, sendmsg, socketpair,
    sockopt,
};
use rustix::process::{Gid, Pid, Uid, WaitOptions};
use rustix::thread::{CapabilitySet, UnshareFlags};
use std::fs;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use super::capabilities;
use super::ids::UserIds;

/// Time limit for an answer of the process outside.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Length of a question: its number.
const QUESTION_BYTES: usize = 4;

/// Length of an answer: the number of its question, an error number, a user and a group.
const ANSWER_BYTES: usize = 16;

/// The process outside, once this one is in a namespace.
static OUTSIDE: OnceLock<Outside> = OnceLock::new();

/// The users of a namespace, each with the group of the same number.
#[derive(Debug, Clone, Copy)]
pub struct Users {
    /// User outside the namespace that is root inside.
    pub own: u32,
    /// First of the users that keep their numbers.
    pub first: u32,
    /// Number of the users that keep their numbers.
    pub count: u32,
}

impl Users {
    /// Formats the mapping for the kernel: number inside, number outside, length.
    fn mapping(self) -> String {
        let Self { own, first, count } = self;
        format!("0 {own} 1\n{first} {first} {count}\n")
    }
}

/// Tries in a copy of this process whether it could enter a namespace of these users.
///
/// # Errors
///
/// It could not, and the copy doesn't tell why.
pub fn probe(users: Users) -> io::Result<()> {
    // SAFETY: the caller has one thread, so its copy may do whatever the caller may; the copy
    // ends at once, without running the caller's exit handlers.
    let copy = match unsafe { libc::fork() } {
        -1 => return Err(io::Error::last_os_error()),
        0 => {
            let status = i32::from(enter(users).is_err());
            // SAFETY: as above.
            unsafe { libc::_exit(status) }
        }
        copy => Pid::from_raw(copy),
    };
    let ended = rustix::process::waitpid(copy, WaitOptions::empty())?;
    match ended.and_then(|(_, status)| status.exit_status()) {
        Some(0) => Ok(()),
        _ => Err(io::Error::new(io::ErrorKind::PermissionDenied, "the system refuses them")),
    }
}

/// Moves this process into a new user namespace, as its root.
///
/// # Errors
///
/// The kernel or a security module refuses, or this process has more than one thread. It may have
/// neither its old rights nor new ones then, and has to end.
pub fn enter(users: Users) -> io::Result<()> {
    let (family, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
    let (ours, theirs) = socketpair(family, kind, SocketFlags::CLOEXEC, None)?;
    for way in [sockopt::Timeout::Recv, sockopt::Timeout::Send] {
        sockopt::set_socket_timeout(&ours, way, Some(ANSWER_TIMEOUT))?;
    }
    let inside = rustix::process::getpid();
    // SAFETY: the caller has one thread, so its copy may do whatever the caller may; it never
    // returns from `stay_outside`, so no destructor of the caller runs twice.
    let copy = match unsafe { libc::fork() } {
        -1 => return Err(io::Error::last_os_error()),
        0 => stay_outside(theirs, inside, users),
        copy => Pid::from_raw(copy),
    };
    drop(theirs);
    // SAFETY: a new user namespace changes no memory and no descriptor of this process.
    if let Err(error) = unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWUSER) } {
        drop(ours);
        // It ends by that, and isn't left as a zombie.
        let _ = rustix::process::waitpid(copy, WaitOptions::empty());
        return Err(error.into());
    }
    let outside = Outside { socket: ours, exchanges: Mutex::default() };
    become_root(&outside)?;
    // `OUTSIDE` is empty, because the kernel would have refused a second namespace.
    let _ = OUTSIDE.set(outside);
    Ok(())
}

fn become_root(outside: &Outside) -> io::Result<()> {
    outside.ask(None)?;
    rustix::thread::set_thread_groups(&[])?;
    let (user, group) = (Uid::ROOT, Gid::ROOT);
    rustix::thread::set_thread_res_gid(group, group, group)?;
    rustix::thread::set_thread_res_uid(user, user, user)?;
    // The namespaces that an attacker could nest in this one have rights of their own. Where
    // /proc doesn't show the setting, the unit's `RestrictNamespaces=` refuses them.
    let _ = fs::write("/proc/sys/user/max_user_namespaces", "0");
    Ok(())
}

/// Asks the process outside which user is at the other end of a socket or owns a file. Returns
/// `None` if this process isn't in a namespace of its own.
pub fn ask(about: BorrowedFd<'_>) -> Option<io::Result<UserIds>> {
    OUTSIDE.get().map(|outside| outside.ask(Some(about)))
}

/// Whether users can no longer be looked up, because the process outside has ended.
pub fn is_lost() -> bool {
    OUTSIDE.get().is_some_and(Outside::is_lost)
}

fn peer_ids(socket: BorrowedFd<'_>) -> io::Result<UserIds> {
    // A type that can have 0 as the process, which a peer in another namespace of processes has.
    let mut peer = libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
    let mut length = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes to `peer`, any of which are valid.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut peer).cast(),
            &raw mut length,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    if peer.uid == u32::MAX || peer.gid == u32::MAX {
        return Err(io::Error::from_raw_os_error(libc::ENOTCONN));
    }
    Ok(UserIds { uid: peer.uid, gid: peer.gid })
}

fn owner_ids(file: BorrowedFd<'_>) -> io::Result<UserIds> {
    let stat = rustix::fs::fstat(file)?;
    Ok(UserIds { uid: stat.st_uid, gid: stat.st_gid })
}

/// The process outside, seen from inside.
struct Outside {
    /// A socket that keeps messages apart.
    socket: OwnedFd,
    exchanges: Mutex<Exchanges>,
}

#[derive(Default)]
struct Exchanges {
    /// Number of the last question.
    number: u32,
    is_lost: bool,
}

impl Outside {
    /// Asks about a descriptor. The first question has none, and requests the mapping of users.
    /// A question without an answer in time fails alone.
    fn ask(&self, about: Option<BorrowedFd<'_>>) -> io::Result<UserIds> {
        let mut exchanges = self.exchanges.lock().unwrap_or_else(PoisonError::into_inner);
        if exchanges.is_lost {
            return Err(io::Error::other("the process that tells users apart has ended"));
        }
        exchanges.number = exchanges.number.wrapping_add(1);
        match exchange(&self.socket, exchanges.number, about) {
            Ok(answer) => answer,
            Err(Errno::AGAIN) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "its user could not be determined in time",
            )),
            Err(error) => {
                exchanges.is_lost = true;
                Err(error.into())
            }
        }
    }

    fn is_lost(&self) -> bool {
        // An exchange that is going on will tell.
        let Ok(exchanges) = self.exchanges.try_lock() else { return false };
        let peek = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        exchanges.is_lost || matches!(recv(&self.socket, &mut [0; 1], peek), Ok((0, _)))
    }
}

/// Asks one question and receives its answer. Answers to earlier questions are discarded.
fn exchange(
    socket: &OwnedFd,
    question: u32,
    about: Option<BorrowedFd<'_>>,
) -> rustix::io::Result<io::Result<UserIds>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if let Some(about) = &about {
        ancillary.push(SendAncillaryMessage::ScmRights(std::slice::from_ref(about)));
    }
    let bytes = question.to_ne_bytes();
    sendmsg(socket, &[IoSlice::new(&bytes)], &mut ancillary, SendFlags::NOSIGNAL)?;
    loop {
        let mut answer = [0; ANSWER_BYTES];
        match rustix::io::read(socket, &mut answer) {
            Err(Errno::INTR) => continue,
            Ok(ANSWER_BYTES) => {}
            Ok(_) => return Err(Errno::CONNRESET),
            Err(error) => return Err(error),
        }
        let [number, error, uid, gid] = numbers(&answer);
        if number == question {
            let error = i32::try_from(error).unwrap_or(libc::EIO);
            return Ok(match error {
                0 => Ok(UserIds { uid, gid }),
                error => Err(io::Error::from_raw_os_error(error)),
            });
        }
    }
}

fn numbers(answer: &[u8; ANSWER_BYTES]) -> [u32; 4] {
    let mut numbers = [0; 4];
    for (number, bytes) in numbers.iter_mut().zip(answer.as_chunks().0) {
        *number = u32::from_ne_bytes(*bytes);
    }
    numbers
}

/// Runs the process outside until it ends.
fn stay_outside(socket: OwnedFd, inside: Pid, users: Users) -> ! {
    let status = i32::from(serve(socket, inside, users).is_err());
    // SAFETY: this ends the copy of the process at once, without running the caller's exit
    // handlers.
    unsafe { libc::_exit(status) }
}

fn serve(socket: OwnedFd, inside: Pid, users: Users) -> io::Result<()> {
    // A signal of the terminal, or to all processes of the service, must not end this process
    // before the service. It ends when the service's end of the socket is closed.
    rustix::process::setsid()?;
    let signals = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGUSR1];
    for signal in signals.into_iter().chain([libc::SIGUSR2, libc::SIGALRM]) {
        // SAFETY: ignoring a signal runs no code of this process.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
    // This process must not keep the service's other files open.
    rustix::stdio::dup2_stdin(&socket)?;
    drop(socket);
    // SAFETY: nothing in this process uses a descriptor above the first three from here on.
    if unsafe { libc::close_range(3, libc::c_uint::MAX, 0) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let socket = rustix::stdio::stdin();
    // The service ends without a question if it could not create the namespace.
    let Some((number, _)) = receive(socket)? else { return Ok(()) };
    let mapped = map(inside, users).and_then(|()| give_up(users.own));
    answer(socket, number, mapped.as_ref().map(|()| UserIds { uid: 0, gid: 0 }))?;
    mapped?;
    while let Some((number, about)) = receive(socket)? {
        let about = about.ok_or(io::ErrorKind::InvalidData)?;
        let is_socket = rustix::fs::fstat(&about).is_ok_and(|stat| {
            rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Socket
        });
        let ids = if is_socket { peer_ids(about.as_fd()) } else { owner_ids(about.as_fd()) };
        answer(socket, number, ids.as_ref().map(|ids| *ids))?;
    }
    Ok(())
}

fn map(inside: Pid, users: Users) -> io::Result<()> {
    for kind in ["uid_map", "gid_map"] {
        fs::write(format!("/proc/{inside}/{kind}"), users.mapping())?;
    }
    Ok(())
}

/// Becomes a user without any rights, irrevocably.
fn give_up(own: u32) -> io::Result<()> {
    rustix::thread::set_thread_groups(&[])?;
    let (user, group) = (Uid::from_raw(own), Gid::from_raw(own));
    rustix::thread::set_thread_res_gid(group, group, group)?;
    capabilities::keep_only(CapabilitySet::SETUID)?;
    // The change of the user drops the last capability.
    rustix::thread::set_thread_res_uid(user, user, user)?;
    Ok(rustix::thread::set_no_new_privs(true)?)
}

/// Receives the number of a question and the descriptor that it is about. Returns `None` at the
/// end.
fn receive(socket: BorrowedFd<'_>) -> io::Result<Option<(u32, Option<OwnedFd>)>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut number = [0; QUESTION_BYTES];
    let flags = RecvFlags::CMSG_CLOEXEC;
    let received = recvmsg(socket, &mut [IoSliceMut::new(&mut number)], &mut ancillary, flags)?;
    if received.bytes == 0 {
        return Ok(None);
    }
    let descriptors = ancillary.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
        _ => None,
    });
    Ok(Some((u32::from_ne_bytes(number), descriptors.flatten().next())))
}

fn answer(socket: BorrowedFd<'_>, number: u32, ids: Result<UserIds, &io::Error>) -> io::Result<()> {
    let rest = match ids {
        Ok(UserIds { uid, gid }) => [0, uid, gid],
        Err(error) => {
            [error.raw_os_error().unwrap_or(libc::EIO).cast_unsigned(), u32::MAX, u32::MAX]
        }
    };
    let numbers = [number, rest[0], rest[1], rest[2]];
    rustix::io::write(socket, numbers.map(u32::to_ne_bytes).as_flattened())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outside() -> (Outside, OwnedFd) {
        let (family, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
        let (ours, theirs) = socketpair(family, kind, SocketFlags::CLOEXEC, None).unwrap();
        let timeout = Some(Duration::from_millis(50));
        sockopt::set_socket_timeout(&ours, sockopt::Timeout::Recv, timeout).unwrap();
        (Outside { socket: ours, exchanges: Mutex::default() }, theirs)
    }

    #[test]
    fn without_the_process_outside_users_are_lost() {
        let (outside, theirs) = outside();
        assert!(!outside.is_lost());
        drop(theirs);
        assert!(outside.is_lost());
        assert!(outside.ask(None).is_err());
        let lost = outside.ask(None).unwrap_err();
        assert!(lost.to_string().contains("has ended"), "{lost}");
    }

    #[test]
    fn an_answer_that_is_late_is_no_answer_to_the_next_question() {
        let (outside, theirs) = outside();
        let late = outside.ask(None).unwrap_err();
        assert_eq!(late.kind(), io::ErrorKind::TimedOut);
        let ids = |number| UserIds { uid: number, gid: number };
        answer(theirs.as_fd(), 1, Ok(ids(1))).unwrap();
        answer(theirs.as_fd(), 2, Ok(ids(2))).unwrap();
        assert_eq!(outside.ask(None).unwrap(), ids(2));
        assert!(!outside.is_lost());
    }

    #[test]
    fn the_peer_of_a_socket_is_its_user() {
        let (ours, _theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let ids = peer_ids(ours.as_fd()).unwrap();
        assert_eq!(ids.uid, rustix::process::geteuid().as_raw());
        let unconnected = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(peer_ids(unconnected.as_fd()).is_err());
    }
}
