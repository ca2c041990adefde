//! Attempts on what the kernel has for all processes, and system calls by their numbers.

use std::io;

use super::{call, numbers};

/// Tries something; returns `None` if it isn't of this kind.
pub fn attempt(what: &str, value: &str) -> io::Result<Option<String>> {
    let done = match what {
        "shared_memory" => call(|| unsafe { libc::shmget(libc::IPC_PRIVATE, 1, 0o600) }),
        "semaphore" => call(|| unsafe { libc::semget(libc::IPC_PRIVATE, 1, 0o600) }),
        "message_queue" => call(|| unsafe { libc::msgget(libc::IPC_PRIVATE, 0o600) }),
        "named_queue" => call(|| unsafe {
            libc::mq_open(
                c"/probe".as_ptr(),
                libc::O_RDWR | libc::O_CREAT,
                0o600,
                std::ptr::null::<u8>(),
            )
        }),
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
        "user" => call(|| unsafe { libc::setresuid(12345, 12345, 12345) }),
        "mount" => call(|| unsafe {
            libc::mount(c"none".as_ptr(), c"/tmp".as_ptr(), c"tmpfs".as_ptr(), 0, std::ptr::null())
        }),
        "unshare" => call(|| unsafe { libc::unshare(libc::CLONE_NEWUSER) }),
        "chroot" => call(|| unsafe { libc::chroot(c"/".as_ptr()) }),
        "io_uring" => call(|| unsafe {
            libc::syscall(libc::SYS_io_uring_setup, 1, std::ptr::null::<u8>()) as i32
        }),
        "keys" => call(|| unsafe { libc::syscall(libc::SYS_keyctl, 0, -1, 0) as i32 }),
        "bpf" => call(|| unsafe { libc::syscall(libc::SYS_bpf, 0, 0, 0) as i32 }),
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
        _ => return Ok(None),
    };
    done.map(Some)
}
