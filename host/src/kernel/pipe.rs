//! Pipe capacity. A larger pipe needs fewer system calls and context switches.

use std::os::fd::AsFd;

/// Capacity of a widened pipe, in bytes: the maximum that Linux grants to an unprivileged
/// process.
#[cfg(target_os = "linux")]
const PIPE_CAPACITY_BYTES: usize = 1 << 20;

/// Increases the capacity of a pipe, if the system allows that.
pub fn widen(pipe: impl AsFd) {
    #[cfg(target_os = "linux")]
    let _ = rustix::pipe::fcntl_setpipe_size(pipe, PIPE_CAPACITY_BYTES);
    #[cfg(not(target_os = "linux"))]
    let _ = pipe;
}
