//! A user namespace (user_namespaces(7)) in which this process has rights over a range of users
//! and, even when compromised, over nothing else on this machine.
//!
//! The kernel shows all users outside the namespace as one (65534). So a second process stays
//! outside, without any rights, and answers two questions: which user is at the other end of a
//! socket, and which user owns a file.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg, sockopt,
};
use rustix::process::{Gid, Pid, Uid};
use rustix::thread::{CapabilitySet, UnshareFlags};
use std::fs;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use super::capabilities;
use super::ids::Ids;

/// Time limit for an answer of the process outside.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Length of an answer: an error number, a user and a group.
const ANSWER_BYTES: usize = 12;

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

/// Error of a process that could not enter its own namespace.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The process is unchanged.
    #[error("{0}")]
    Unavailable(io::Error),
    /// The process has neither its old rights nor new ones, and has to end.
    #[error("{0}")]
    HalfWay(io::Error),
}

/// Moves this process into a new user namespace, as its root.
///
/// # Errors
///
/// The kernel or a security module refuses, or this process has more than one thread.
pub fn enter(users: Users) -> Result<(), Refused> {
    let (ours, theirs) = UnixStream::pair().map_err(Refused::Unavailable)?;
    let inside = rustix::process::getpid();
    // SAFETY: the caller has one thread, so its copy may do whatever the caller may; it never
    // returns from `stay_outside`, so no destructor of the caller runs twice.
    match unsafe { libc::fork() } {
        -1 => return Err(Refused::Unavailable(io::Error::last_os_error())),
        0 => stay_outside(theirs, inside, users),
        _ => drop(theirs),
    }
    // SAFETY: a new user namespace changes no memory and no descriptor of this process.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWUSER) }
        .map_err(|error| Refused::Unavailable(error.into()))?;
    let outside = Outside { socket: Mutex::new(Some(ours)) };
    become_root(&outside).map_err(Refused::HalfWay)?;
    // `OUTSIDE` is empty, because the kernel would have refused a second namespace.
    let _ = OUTSIDE.set(outside);
    Ok(())
}

fn become_root(outside: &Outside) -> io::Result<()> {
    outside.ask(None)?;
    rustix::thread::set_thread_groups(&[])?;
    let (user, group) = (Uid::ROOT, Gid::ROOT);
    rustix::thread::set_thread_res_gid(group, group, group)?;
    Ok(rustix::thread::set_thread_res_uid(user, user, user)?)
}

/// Asks the process outside which user is at the other end of a socket or owns a file. Returns
/// `None` if this process isn't in a namespace of its own.
pub fn ask(about: BorrowedFd<'_>) -> Option<io::Result<Ids>> {
    OUTSIDE.get().map(|outside| outside.ask(Some(about)))
}

/// Whether users can no longer be looked up, because the process outside has ended.
pub fn is_lost() -> bool {
    let socket = OUTSIDE.get().map(|it| &it.socket);
    socket.is_some_and(|it| it.lock().unwrap_or_else(PoisonError::into_inner).is_none())
}

fn peer_ids(socket: BorrowedFd<'_>) -> io::Result<Ids> {
    let peer = sockopt::socket_peercred(socket)?;
    Ok(Ids { uid: peer.uid.as_raw(), gid: peer.gid.as_raw() })
}

fn owner_ids(file: BorrowedFd<'_>) -> io::Result<Ids> {
    let stat = rustix::fs::fstat(file)?;
    Ok(Ids { uid: stat.st_uid, gid: stat.st_gid })
}

/// The process outside, seen from inside.
struct Outside {
    /// `None` after a failed exchange, as the next message could be the answer to an older
    /// question.
    socket: Mutex<Option<UnixStream>>,
}

impl Outside {
    /// Asks about a descriptor. The first question has none, and requests the mapping of users.
    fn ask(&self, about: Option<BorrowedFd<'_>>) -> io::Result<Ids> {
        let mut held = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        let lost = || io::Error::other("the process that tells users apart has ended");
        let mut socket = held.take().ok_or_else(lost)?;
        let answer = exchange(&mut socket, about)?;
        *held = Some(socket);
        let number =
            |index: usize| answer[index * 4..].first_chunk().copied().map(u32::from_ne_bytes);
        match (number(0), number(1), number(2)) {
            (Some(0), Some(uid), Some(gid)) => Ok(Ids { uid, gid }),
            (error, ..) => Err(io::Error::from_raw_os_error(
                error.and_then(|error| error.try_into().ok()).unwrap_or(libc::EIO),
            )),
        }
    }
}

fn exchange(
    socket: &mut UnixStream,
    about: Option<BorrowedFd<'_>>,
) -> io::Result<[u8; ANSWER_BYTES]> {
    socket.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if let Some(about) = &about {
        ancillary.push(SendAncillaryMessage::ScmRights(std::slice::from_ref(about)));
    }
    sendmsg(&socket, &[IoSlice::new(&[0])], &mut ancillary, SendFlags::NOSIGNAL)?;
    let mut answer = [0; ANSWER_BYTES];
    socket.read_exact(&mut answer)?;
    Ok(answer)
}

/// Runs the process outside until it ends.
fn stay_outside(socket: UnixStream, inside: Pid, users: Users) -> ! {
    let status = i32::from(serve(socket, inside, users).is_err());
    // SAFETY: this ends the copy of the process at once, without running the caller's exit
    // handlers.
    unsafe { libc::_exit(status) }
}

fn serve(socket: UnixStream, inside: Pid, users: Users) -> io::Result<()> {
    // A signal of the terminal or to the service's process group must not end this process before
    // the service.
    rustix::process::setsid()?;
    // This process must not keep the service's other files open.
    rustix::stdio::dup2_stdin(&socket)?;
    drop(socket);
    // SAFETY: nothing in this process uses a descriptor above the first three from here on.
    if unsafe { libc::close_range(3, libc::c_uint::MAX, 0) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let socket = rustix::stdio::stdin();
    // The service ends without a question if it could not create the namespace.
    if receive(socket)?.is_none() {
        return Ok(());
    }
    let mapped = map(inside, users).and_then(|()| give_up(users.own));
    answer(socket, mapped.as_ref().map(|()| Ids { uid: 0, gid: 0 }))?;
    mapped?;
    while let Some(about) = receive(socket)? {
        let about = about.ok_or(io::ErrorKind::InvalidData)?;
        let is_socket = rustix::fs::fstat(&about).is_ok_and(|stat| {
            rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Socket
        });
        let ids = if is_socket { peer_ids(about.as_fd()) } else { owner_ids(about.as_fd()) };
        answer(socket, ids.as_ref().map(|ids| *ids))?;
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

/// Receives a question and the descriptor that it is about. Returns `None` at the end.
fn receive(socket: BorrowedFd<'_>) -> io::Result<Option<Option<OwnedFd>>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let flags = RecvFlags::CMSG_CLOEXEC;
    let received = recvmsg(socket, &mut [IoSliceMut::new(&mut byte)], &mut ancillary, flags)?;
    if received.bytes == 0 {
        return Ok(None);
    }
    let descriptors = ancillary.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
        _ => None,
    });
    Ok(Some(descriptors.flatten().next()))
}

fn answer(socket: BorrowedFd<'_>, ids: Result<Ids, &io::Error>) -> io::Result<()> {
    let numbers = match ids {
        Ok(Ids { uid, gid }) => [0, uid, gid],
        Err(error) => {
            [error.raw_os_error().unwrap_or(libc::EIO).cast_unsigned(), u32::MAX, u32::MAX]
        }
    };
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_ne_bytes()).collect();
    fs::File::from(socket.try_clone_to_owned()?).write_all(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_missing_answer_the_process_is_lost() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let outside = Outside { socket: Mutex::new(Some(ours)) };
        drop(theirs);
        assert!(outside.ask(None).is_err());
        let lost = outside.ask(None).unwrap_err();
        assert!(lost.to_string().contains("has ended"), "{lost}");
    }
}
