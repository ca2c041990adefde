//! What was open in this process before: rclone gets its three pipes and nothing else, even
//! if whoever started us left something open.

use std::io;

/// The first that isn't one of the three.
const FIRST: libc::c_uint = 3;

/// Lets all other descriptors of the calling process be closed when it executes a program.
/// Allocates nothing.
pub fn keep_the_first_three() -> io::Result<()> {
    let flags = libc::CLOSE_RANGE_CLOEXEC;
    // SAFETY: the kernel takes numbers, and marks what is open; nothing is closed yet.
    let done = unsafe { libc::syscall(libc::SYS_close_range, FIRST, libc::c_uint::MAX, flags) };
    match io::Error::last_os_error() {
        _ if done == 0 => Ok(()),
        // A kernel before 5.11 doesn't know it, and confines little else.
        error if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EINVAL)) => Ok(()),
        error => Err(error),
    }
}
