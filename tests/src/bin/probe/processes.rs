//! Attempts to start, change and reach processes.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use super::call;

/// Tries something; returns `None` if it isn't of this kind.
pub fn attempt(what: &str, value: &str) -> io::Result<Option<String>> {
    let done = match what {
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
        _ => return Ok(None),
    };
    done.map(Some)
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
