//! Stands in rclone's place and tries what its remote's options say: `try_read = /path`
//! and so on. What `lsjson` would list are the attempts and how they went.

use fastrand::Rng;
use plakbox_tests::tree;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if args.get(1).is_some_and(|verb| verb == "version") {
        println!("{}", version());
        return;
    }
    let config = fs::read_to_string(configuration()).expect("the configuration");
    let told = |option: &str| config.lines().find_map(|line| line.strip_prefix(option));
    if let Some(seed) = told("try_replies = ") {
        return replies(&args[1], seed.parse().expect("a seed"));
    }
    if let Some(count) = told("try_entries = ") {
        return entries(count.parse().expect("a number")).expect("the listing");
    }
    println!("[");
    let mut lines = Vec::new();
    for (what, value) in
        config.lines().filter_map(|line| line.strip_prefix("try_")?.split_once(" = "))
    {
        let said = match attempt(what, value) {
            Ok(said) => format!("done {said}"),
            Err(error) => format!("refused {}", error.raw_os_error().unwrap_or_default()),
        };
        let path = format!("{what} {said}").replace('/', "!");
        lines.push(serde_json::json!({
            "Path": path, "Name": path, "Size": 0, "ModTime": "2001-09-09T01:46:40Z", "IsDir": false
        }).to_string());
    }
    println!("{}\n]", lines.join(",\n"));
}

/// Lists so many files, as fast as it can.
fn entries(count: u64) -> io::Result<()> {
    let mut out = io::BufWriter::with_capacity(1 << 16, io::stdout().lock());
    writeln!(out, "[")?;
    for at in 0..count {
        let (directory, nested) = (at / 10_000, at / 100);
        let end = if at + 1 < count { ",\n" } else { "\n" };
        write!(
            out,
            "{{\"Path\":\"dir{directory}/sub{nested}/file-{at:07}.bin\",\"Name\":\"file-{at:07}.bin\",\
             \"Size\":{at},\"ModTime\":\"2024-01-02T03:04:05.{at:09}Z\",\"IsDir\":false,\
             \"ID\":\"abcdefghijklmnop{at}\"}}{end}"
        )?;
    }
    writeln!(out, "]")?;
    out.flush()
}

/// Lists four files, and then serves them by nonsense: frames of HTTP/2 and what isn't.
fn replies(verb: &str, seed: u64) {
    let mut random = Rng::with_seed(seed);
    let mut out = io::stdout().lock();
    if verb == "lsjson" {
        let file = |name: &str, size: i64| {
            format!(
                "{{\"Path\":\"{name}\",\"Size\":{size},\"ModTime\":\"2001-09-09T01:46:40Z\",\"IsDir\":false}}"
            )
        };
        let files = [file("a", -1), file("b", 5), file("c", 70_000), file("d", 0)];
        let _ = write!(out, "[\n{}\n]\n", files.join(",\n"));
        return;
    }
    // An empty list of settings, which every connection begins with.
    let mut bytes = vec![0, 0, 0, 4, 0, 0, 0, 0, 0];
    for _ in 0..random.u64(..40) {
        let length = random.usize(..200);
        let kind = random.u8(..11);
        let flags = random.u8(..);
        let stream = [0, 0, 0, [0, 1, 3, 5, 7, 255][random.usize(..6)]];
        let told = if random.u64(..8) == 0 { 0xff_ffff } else { length };
        bytes.extend_from_slice(&u32::try_from(told).unwrap().to_be_bytes()[1..]);
        bytes.extend([kind, flags]);
        bytes.extend(stream);
        // `:status: 200`, at times.
        let status = kind == 1 && random.bool();
        bytes.extend(if status {
            vec![0x88; length.min(1)]
        } else {
            tree::random_bytes(&mut random, length)
        });
    }
    for piece in bytes.chunks(1 + random.usize(..300)) {
        if out.write_all(piece).and_then(|()| out.flush()).is_err() {
            return;
        }
    }
    if random.u64(..4) == 0 {
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// The version that it prints: the name of its directory after `says `, if there is one.
fn version() -> String {
    let path = std::env::args().next().unwrap_or_default();
    let directory = std::path::Path::new(&path).parent().and_then(|path| path.file_name());
    let said = directory.and_then(|name| name.to_str()?.strip_prefix("says "));
    said.unwrap_or("rclone v1.75.1").to_owned()
}

/// Gives the loop-back interface another address (rtnetlink(7)), or says why it may not.
fn netlink_address() -> io::Result<String> {
    const NEW_ADDRESS: u16 = 20;
    const REQUEST_AND_ACKNOWLEDGE: u16 = 1 | 4;
    // The header, the kind of address with its length and interface, and the address twice.
    let mut message = Vec::new();
    message.extend(40_u32.to_ne_bytes());
    message.extend(NEW_ADDRESS.to_ne_bytes());
    message.extend(REQUEST_AND_ACKNOWLEDGE.to_ne_bytes());
    message.extend([0; 8]);
    message.extend([libc::AF_INET as u8, 32, 0, 0]);
    message.extend(1_u32.to_ne_bytes());
    for kind in [1_u16, 2] {
        message.extend(8_u16.to_ne_bytes());
        message.extend(kind.to_ne_bytes());
        message.extend([10, 66, 66, 66]);
    }
    let mut reply = [0_u8; 64];
    call(|| unsafe {
        let socket = libc::socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE);
        if libc::send(socket, message.as_ptr().cast(), message.len(), 0) < 0 {
            return -1;
        }
        libc::recv(socket, reply.as_mut_ptr().cast(), reply.len(), 0) as i32
    })?;
    let error = i32::from_ne_bytes(reply[16..20].try_into().map_err(io::Error::other)?);
    if error == 0 { Ok(String::new()) } else { Err(io::Error::from_raw_os_error(-error)) }
}

/// The configuration that it was given.
fn configuration() -> std::path::PathBuf {
    let mut args = std::env::args().skip_while(|arg| arg != "--config");
    args.nth(1).expect("--config").into()
}

/// Tries something; says what came of it.
fn attempt(what: &str, value: &str) -> io::Result<String> {
    let nothing = |_| String::new();
    match what {
        "read" => File::open(value)?.read(&mut [0; 16]).map(nothing),
        "list" => fs::read_dir(value).map(|entries| entries.count().to_string()),
        "write" => fs::write(value, "probe").map(|()| String::new()),
        // Files that lie beside the directory of the configuration, and that itself.
        "beside" => fs::write(configuration().with_file_name("..").join(value), "{}")
            .map(|()| String::new()),
        "grow" => {
            let file = File::options().write(true).truncate(true).open(configuration())?;
            file.set_len(value.parse().map_err(io::Error::other)?).map(|()| String::new())
        }
        "make" => fs::create_dir(value).map(|()| String::new()),
        "remove" => fs::remove_file(value).map(|()| String::new()),
        "link" => std::os::unix::fs::symlink("/etc/passwd", "link")
            .and_then(|()| File::open("link")?.read(&mut [0; 16]))
            .map(nothing),
        "connect" => TcpStream::connect(value).map(|_| String::new()),
        "listen" => TcpListener::bind("127.0.0.1:0").map(|_| String::new()),
        "udp" => UdpSocket::bind("127.0.0.1:0").map(|_| String::new()),
        "abstract" => abstract_socket(value),
        "unix" => UnixStream::connect(value).map(|_| String::new()),
        "unix_pair" => std::os::unix::net::UnixDatagram::pair().map(|_| String::new()),
        "socket" => {
            let [family, kind, protocol] = numbers(value)?;
            call(|| unsafe { libc::socket(family, kind, protocol) })
        }
        "shared_memory" => call(|| unsafe { libc::shmget(libc::IPC_PRIVATE, 1, 0o600) }),
        "semaphore" => call(|| unsafe { libc::semget(libc::IPC_PRIVATE, 1, 0o600) }),
        "queued_sessions" => call(|| unsafe { libc::msgget(libc::IPC_PRIVATE, 0o600) }),
        "named_queue" => call(|| unsafe {
            libc::mq_open(
                c"/probe".as_ptr(),
                libc::O_RDWR | libc::O_CREAT,
                0o600,
                std::ptr::null::<u8>(),
            )
        }),
        "mode" => {
            fs::set_permissions(value, fs::Permissions::from_mode(0o777)).map(|()| String::new())
        }
        "owner" | "link_owner" | "times" | "attribute" => of_file(what, value),
        "descriptor" => {
            let number = value.parse().map_err(io::Error::other)?;
            call(|| unsafe { libc::read(number, [0_u8; 1].as_mut_ptr().cast(), 1) as i32 })
        }
        "address" => netlink_address(),
        "clock" => call(|| unsafe {
            let mut change: libc::timex = std::mem::zeroed();
            change.modes = libc::ADJ_TICK;
            change.tick = 10_000;
            libc::clock_adjtime(libc::CLOCK_REALTIME, &raw mut change)
        }),
        // A call by its number, and its arguments.
        "call" => {
            let [number, a, b, c] = numbers(value)?;
            call(|| unsafe { libc::syscall(number.into(), a, b, c, 0, 0) as i32 })
        }
        // `getpid` of the set of calls for 32 bits.
        #[cfg(target_arch = "x86_64")]
        "call_of_32_bits" => call(|| {
            let mut result: u64 = 20;
            // SAFETY: the kernel takes a number and gives one back.
            unsafe { std::arch::asm!("int 0x80", inout("rax") result) };
            result as i32
        }),
        "hard_link" => fs::hard_link(value, "hard").map(|()| String::new()),
        "pipe" => call(|| unsafe { libc::mkfifo(c"pipe".as_ptr(), 0o600) }),
        "rename" => {
            let (from, to) = value.split_once(' ').unwrap_or_default();
            fs::rename(from, to).map(|()| String::new())
        }
        // A directory where its configuration was.
        "replace" => fs::remove_file(configuration())
            .and_then(|()| fs::create_dir(configuration()))
            .map(|()| String::new()),
        "user" => call(|| unsafe { libc::setresuid(12345, 12345, 12345) }),
        "watch" => call(|| unsafe {
            let path = std::ffi::CString::new(value).unwrap();
            let watch = libc::inotify_init1(0);
            libc::inotify_add_watch(watch, path.as_ptr(), libc::IN_ALL_EVENTS)
        }),
        "see_attribute" => call(|| unsafe {
            let path = std::ffi::CString::new(value).unwrap();
            let mut bytes = [0_u8; 64];
            libc::getxattr(path.as_ptr(), c"user.secret".as_ptr(), bytes.as_mut_ptr().cast(), 64)
                as i32
        }),
        "see_attributes" => call(|| unsafe {
            let path = std::ffi::CString::new(value).unwrap();
            libc::listxattr(path.as_ptr(), std::ptr::null_mut(), 0) as i32
        }),
        "see_link" => fs::read_link(value).map(|_| String::new()),
        "spin" => loop {
            std::hint::spin_loop();
        },
        "exec" => Err(Command::new(value).arg("-c").arg("exit").exec()),
        "exec_own" => {
            let bytes = fs::read("/proc/self/exe").unwrap_or_else(|_| b"#!/bin/sh\n".to_vec());
            let mut copy = File::options();
            copy.write(true).create(true).mode(0o700).open("copy")?.write_all(&bytes)?;
            Err(Command::new("./copy").exec())
        }
        "exec_memory" => call(|| unsafe { libc::memfd_create(c"x".as_ptr(), 0) }),
        "fork" => fork(),
        "spawn" => Command::new(value).spawn().map(|_| String::new()),
        "thread" => std::thread::Builder::new().spawn(|| ()).map(|_| String::new()),
        "setsid" => call(|| unsafe { libc::setsid() }),
        "setpgid" => call(|| unsafe { libc::setpgid(0, libc::getppid()) }),
        "outlive" => call(|| unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, 0) }),
        "hide" => call(|| unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0) }),
        "ptrace" => {
            call(|| unsafe { libc::ptrace(libc::PTRACE_ATTACH, libc::getppid(), 0, 0) as i32 })
        }
        "kill_us" => call(|| unsafe { libc::kill(libc::getppid(), 0) }),
        "mount" => call(|| unsafe {
            libc::mount(c"none".as_ptr(), c"/tmp".as_ptr(), c"tmpfs".as_ptr(), 0, std::ptr::null())
        }),
        "unshare" => call(|| unsafe { libc::unshare(libc::CLONE_NEWUSER) }),
        "chroot" => call(|| unsafe { libc::chroot(c"/".as_ptr()) }),
        "raw_socket" => call(|| unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW, 0) }),
        "io_uring" => call(|| unsafe {
            libc::syscall(libc::SYS_io_uring_setup, 1, std::ptr::null::<u8>()) as i32
        }),
        "keys" => call(|| unsafe { libc::syscall(libc::SYS_keyctl, 0, -1, 0) as i32 }),
        "bpf" => call(|| unsafe { libc::syscall(libc::SYS_bpf, 0, 0, 0) as i32 }),
        "listen_abstract" => {
            use std::os::linux::net::SocketAddrExt;
            let name = format!("probe-{}", std::process::id());
            let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
            std::os::unix::net::UnixListener::bind_addr(&address).map(|_| String::new())
        }
        "mptcp" => call(|| unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM, 262) }),
        "fast_open" | "fast_message" | "fast_option" => fast_open(what, value),
        "limits_of_others" => call(|| unsafe {
            let mut limit = std::mem::zeroed();
            libc::prlimit(libc::getppid(), libc::RLIMIT_NOFILE, std::ptr::null(), &raw mut limit)
        }),
        "priority" => call(|| unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 19) }),
        "affinity" => call(|| unsafe {
            let set: libc::cpu_set_t = std::mem::zeroed();
            libc::sched_setaffinity(0, size_of_val(&set), &raw const set)
        }),
        "scheduler" => call(|| unsafe {
            let parameters: libc::sched_param = std::mem::zeroed();
            libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const parameters)
        }),
        "files" => files(),
        "shared" | "shared_released" => shared(what, value.parse().map_err(io::Error::other)?),
        "page_tables" => page_tables(value.parse().map_err(io::Error::other)?),
        "threads" => threads(value.parse().map_err(io::Error::other)?),
        "disk" | "disk_removed" | "disk_mapped" => {
            disk(what, value.parse().map_err(io::Error::other)?)
        }
        "inodes" => inodes(value.parse().map_err(io::Error::other)?),
        "unreadable" => call(|| unsafe { libc::mkdir(c"unreadable".as_ptr(), 0o300) }),
        "wait" => {
            std::thread::sleep(Duration::from_secs(value.parse().map_err(io::Error::other)?));
            Ok(String::new())
        }
        "memory" => memory(value.parse().map_err(io::Error::other)?),
        "large_file" => large_file(value.parse().map_err(io::Error::other)?),
        "environment" => {
            let mut names: Vec<_> =
                std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned()).collect();
            names.sort();
            Ok(names.join(","))
        }
        "argv" => Ok(std::env::args().skip(1).collect::<Vec<_>>().join(" ")),
        "config" => {
            use base64::Engine;
            let args: Vec<_> = std::env::args().collect();
            let at = args.iter().position(|arg| arg == "--config").unwrap_or_default();
            Ok(base64::engine::general_purpose::URL_SAFE.encode(fs::read(&args[at + 1])?))
        }
        "stay" => stay(value),
        _ => Err(io::Error::other("it is not known what to try")),
    }
}

fn call(call: impl FnOnce() -> i32) -> io::Result<String> {
    match call() {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(String::new()),
    }
}

fn numbers<const N: usize>(text: &str) -> io::Result<[i32; N]> {
    let numbers: Result<Vec<i32>, _> = text.split(',').map(str::parse).collect();
    numbers.map_err(io::Error::other)?.try_into().map_err(|_| io::Error::other("how many?"))
}

/// Changes what Landlock has no right for.
fn of_file(what: &str, path: &str) -> io::Result<String> {
    let path = std::ffi::CString::new(path)?;
    let us = unsafe { libc::getuid() };
    call(|| unsafe {
        match what {
            "owner" => libc::chown(path.as_ptr(), us, libc::gid_t::MAX),
            "link_owner" => libc::lchown(path.as_ptr(), us, libc::gid_t::MAX),
            "times" => libc::utimensat(libc::AT_FDCWD, path.as_ptr(), std::ptr::null(), 0),
            _ => {
                let (name, value) = (c"user.probe".as_ptr(), c"x".as_ptr().cast());
                libc::setxattr(path.as_ptr(), name, value, 1, 0)
            }
        }
    })
}

/// Reaches a port without `connect`, in one of the ways that TCP Fast Open has.
fn fast_open(how: &str, port: &str) -> io::Result<String> {
    let address = libc::sockaddr_in {
        sin_family: libc::AF_INET as u16,
        sin_port: port.parse::<u16>().map_err(io::Error::other)?.to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes([127, 0, 0, 1]) },
        sin_zero: [0; 8],
    };
    let length = size_of_val(&address) as u32;
    call(|| unsafe {
        let socket = libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0);
        let to = (&raw const address).cast::<libc::sockaddr>();
        match how {
            "fast_open" => {
                let bytes = c"x".as_ptr().cast();
                libc::sendto(socket, bytes, 1, libc::MSG_FASTOPEN, to, length) as i32
            }
            "fast_message" => {
                let mut bytes = libc::iovec { iov_base: c"x".as_ptr() as *mut _, iov_len: 1 };
                let mut message: libc::msghdr = std::mem::zeroed();
                message.msg_name = to.cast_mut().cast();
                message.msg_namelen = length;
                message.msg_iov = &raw mut bytes;
                message.msg_iovlen = 1;
                libc::sendmsg(socket, &raw const message, libc::MSG_FASTOPEN) as i32
            }
            _ => {
                let on = 1;
                let option = (&raw const on).cast();
                let (level, name) = (libc::IPPROTO_TCP, libc::TCP_FASTOPEN_CONNECT);
                libc::setsockopt(socket, level, name, option, size_of_val(&on) as u32)
            }
        }
    })
}

fn fork() -> io::Result<String> {
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => loop {
            std::thread::sleep(Duration::from_secs(1));
        },
        _ => Ok(String::new()),
    }
}

fn abstract_socket(name: &str) -> io::Result<String> {
    use std::os::linux::net::SocketAddrExt;
    let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
    UnixStream::connect_addr(&address).map(|_| String::new())
}

/// Opens files until there can be no more.
fn files() -> io::Result<String> {
    let mut held = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        held.push(file);
        if held.len() > 100_000 {
            break;
        }
    }
    Ok(held.len().to_string())
}

/// Takes so many MiB, if they can be had.
fn memory(mebibytes: usize) -> io::Result<String> {
    let mut held: Vec<u8> = Vec::new();
    held.try_reserve_exact(mebibytes << 20)
        .map_err(|_| io::Error::from_raw_os_error(libc::ENOMEM))?;
    Ok(held.capacity().to_string())
}

/// Maps so many MiB, and never unmaps them.
fn map(mebibytes: usize, protection: i32, flags: i32, file: i32) -> io::Result<*mut u8> {
    match unsafe { libc::mmap(std::ptr::null_mut(), mebibytes << 20, protection, flags, file, 0) } {
        libc::MAP_FAILED => Err(io::Error::last_os_error()),
        mapped => Ok(mapped.cast()),
    }
}

/// Takes so many MiB that others could share; released, they are mapped nowhere and there.
fn shared(what: &str, mebibytes: usize) -> io::Result<String> {
    let (protection, flags) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
    let mapped = map(mebibytes, protection, flags, -1)?;
    unsafe {
        std::ptr::write_bytes(mapped, 7, mebibytes << 20);
        if what == "shared_released" {
            libc::madvise(mapped.cast(), mebibytes << 20, libc::MADV_DONTNEED);
        }
    }
    Ok(String::new())
}

/// Lets the kernel keep so many MiB to map nothing at all.
fn page_tables(mebibytes: usize) -> io::Result<String> {
    // A page of a table maps 2 MiB, and takes 4 KiB.
    const MAPS: usize = 2 << 20;
    let pages = (mebibytes << 20) / 4096;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let mapped = map(pages * (MAPS >> 20), libc::PROT_READ, flags, -1)?;
    unsafe { libc::madvise(mapped.cast(), pages * MAPS, libc::MADV_NOHUGEPAGE) };
    (0..pages).for_each(|at| {
        std::hint::black_box(unsafe { mapped.add(at * MAPS).read_volatile() });
    });
    Ok(String::new())
}

/// Starts so many threads, or as many as there can be.
fn threads(count: usize) -> io::Result<String> {
    for at in 0..count {
        let thread = std::thread::Builder::new().stack_size(64 << 10);
        if thread.spawn(|| std::thread::sleep(Duration::from_secs(1000))).is_err() {
            return Ok(at.to_string());
        }
    }
    Ok(count.to_string())
}

/// Makes so many files of 600 MiB, in turn in its directory and beside its configuration.
/// They may be removed, and held open or mapped.
fn disk(what: &str, count: usize) -> io::Result<String> {
    use std::os::fd::AsRawFd;
    let args: Vec<_> = std::env::args().collect();
    let at = args.iter().position(|arg| arg == "--config").unwrap_or_default();
    let kept = std::path::Path::new(&args[at + 1]).parent().unwrap_or(std::path::Path::new(""));
    for at in 0..count {
        let path = [std::path::Path::new(""), kept][at % 2].join(format!("large{at}"));
        let file =
            File::options().read(true).write(true).create(true).truncate(true).open(&path)?;
        call(|| unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, 600 << 20) })?;
        if what != "disk" {
            fs::remove_file(&path)?;
        }
        if what == "disk_mapped" {
            map(1, libc::PROT_READ, libc::MAP_SHARED, file.as_raw_fd())?;
        } else {
            std::mem::forget(file);
        }
    }
    Ok(String::new())
}

/// Makes so many empty files.
fn inodes(count: usize) -> io::Result<String> {
    fs::create_dir("many")?;
    for at in 0..count {
        File::create(format!("many/{at}"))?;
    }
    Ok(String::new())
}

/// Writes a file of so many MiB.
fn large_file(mebibytes: usize) -> io::Result<String> {
    // Told by an error instead.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    let mut file = File::create("large")?;
    for _ in 0..mebibytes {
        file.write_all(&vec![0; 1 << 20])?;
    }
    Ok(String::new())
}

/// Doesn't end, whatever it is told, or ends by what its value says.
fn stay(how: &str) -> io::Result<String> {
    match how {
        "deaf" => unsafe {
            libc::signal(libc::SIGTERM, libc::SIG_IGN);
            libc::signal(libc::SIGHUP, libc::SIG_IGN);
            libc::signal(libc::SIGINT, libc::SIG_IGN);
        },
        "noisy" => loop {
            println!("nonsense, and more of it");
            eprintln!("nonsense, and more of it");
        },
        "line" => loop {
            print!("a line without an end ");
        },
        "nonsense" => {
            println!("\u{0}{{\"Path\":3}}\n}}{{[[[");
            return Ok(String::new());
        }
        "early" => std::process::exit(7),
        _ => {}
    }
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}
