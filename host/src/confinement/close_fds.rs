//! Inherited descriptors: rclone gets its three pipes and nothing else, even if the process that
//! started this program left something open.

use std::io;

/// The first descriptor after the three.
const FIRST_CLOSED_FD: libc::c_uint = 3;

/// Marks all other descriptors of the calling process to be closed when it executes a program.
/// Allocates nothing.
///
/// # Errors
///
/// The kernel refuses it.
pub fn close_other_descriptors() -> io::Result<()> {
    let flags = libc::CLOSE_RANGE_CLOEXEC;
    // SAFETY: the kernel takes numbers, and marks open descriptors; nothing is closed yet.
    let done =
        unsafe { libc::syscall(libc::SYS_close_range, FIRST_CLOSED_FD, libc::c_uint::MAX, flags) };
    match io::Error::last_os_error() {
        _ if done == 0 => Ok(()),
        // A kernel before 5.11 doesn't have it, and can confine little else.
        error if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EINVAL)) => Ok(()),
        error => Err(error),
    }
}
