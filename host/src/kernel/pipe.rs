//! Makes pipes hold more, so that few system calls and switches move much.

use std::os::fd::AsFd;

/// What a pipe may hold, in bytes: the most that Linux grants to anybody.
#[cfg(target_os = "linux")]
const CAPACITY: usize = 1 << 20;

/// Makes a pipe hold more; where that isn't possible it stays as it is.
pub fn widen(pipe: impl AsFd) {
    #[cfg(target_os = "linux")]
    let _ = rustix::pipe::fcntl_setpipe_size(pipe, CAPACITY);
    #[cfg(not(target_os = "linux"))]
    let _ = pipe;
}
