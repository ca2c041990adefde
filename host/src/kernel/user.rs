//! Looking at files as the user whose they are.

use crate::rclone::state::Owner;

/// Does something with files as `owner`, on this thread alone: where that isn't allowed, and
/// where there is none, as us.
#[cfg(target_os = "linux")]
pub fn as_owner<T>(owner: Option<Owner>, work: impl FnOnce() -> T) -> T {
    /// Ends it, also where the work panics.
    struct Back;

    impl Drop for Back {
        fn drop(&mut self) {
            be(rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        }
    }

    let _back = owner.map(|Owner { uid, gid }| {
        be(uid, gid);
        Back
    });
    work()
}

#[cfg(not(target_os = "linux"))]
pub fn as_owner<T>(_: Option<Owner>, work: impl FnOnce() -> T) -> T {
    work()
}

/// Lets this thread reach files as this user and group (setfsuid(2)).
#[cfg(target_os = "linux")]
fn be(uid: u32, gid: u32) {
    // SAFETY: they take numbers and change nothing of this process's memory.
    unsafe {
        libc::setfsgid(gid);
        libc::setfsuid(uid);
    }
}
