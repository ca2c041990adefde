//! File access with the rights of a tenant's user, and identification of users. A service that
//! is root uses the former for files at paths that a tenant controls.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use tokio::net::UnixStream;

use super::ids::UserIds;

/// Returns the user and the group at the other end of a Unix socket.
///
/// # Errors
///
/// The kernel refuses, or the process that tells users apart has ended.
pub fn peer(socket: &UnixStream) -> io::Result<UserIds> {
    if let Some(answer) = outside(socket.as_fd()) {
        return answer;
    }
    let peer = socket.peer_cred()?;
    Ok(UserIds { uid: peer.uid(), gid: peer.gid() })
}

/// Returns the user and the group that own an open file.
///
/// # Errors
///
/// The kernel refuses, or the process that tells users apart has ended.
pub fn owner(file: &File) -> io::Result<UserIds> {
    if let Some(answer) = outside(file.as_fd()) {
        return answer;
    }
    let meta = file.metadata()?;
    Ok(UserIds { uid: meta.uid(), gid: meta.gid() })
}

/// Checks that [`peer`] and [`owner`] still work.
///
/// # Errors
///
/// The process that tells users apart has ended.
pub fn check_users() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    if super::user_namespace::is_lost() {
        return Err(io::Error::other("the process that tells users apart has ended"));
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn outside(about: BorrowedFd<'_>) -> Option<io::Result<UserIds>> {
    super::user_namespace::ask(about)
}

#[cfg(not(target_os = "linux"))]
fn outside(_: BorrowedFd<'_>) -> Option<io::Result<UserIds>> {
    None
}

/// Calls `act` with the file access rights of `user`, if there is one, on this thread only.
/// Other processes of that user can't send signals to it meanwhile (setfsuid(2)).
///
/// # Errors
///
/// This process may not change to that user, and `act` wasn't called; or `act` failed.
#[cfg(target_os = "linux")]
pub fn run_as<T>(user: Option<UserIds>, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    /// Restores the rights of this process when it is dropped, also after a panic.
    struct Restore;

    impl Drop for Restore {
        fn drop(&mut self) {
            set_fs_ids(rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        }
    }

    let Some(UserIds { uid, gid }) = user else { return act() };
    let _restore = Restore;
    if !set_fs_ids(uid, gid) {
        let message =
            format!("files can't be accessed as the user {uid} without the rights of root");
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
    }
    act()
}

/// Calls `act`. Elsewhere, this thread has no file access rights of its own to change.
///
/// # Errors
///
/// `act` failed.
#[cfg(not(target_os = "linux"))]
pub fn run_as<T>(_: Option<UserIds>, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    act()
}

/// Sets the user and the group of this thread's file access; returns whether both are set.
#[cfg(target_os = "linux")]
fn set_fs_ids(uid: u32, gid: u32) -> bool {
    const INVALID_ID: u32 = u32::MAX;
    // SAFETY: these calls take numbers and don't change this process's memory.
    unsafe {
        libc::setfsgid(gid);
        libc::setfsuid(uid);
        // An invalid ID changes nothing, and the current one is returned.
        (libc::setfsuid(INVALID_ID), libc::setfsgid(INVALID_ID))
            == (uid.cast_signed(), gid.cast_signed())
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn files_are_created_with_the_rights_and_the_ownership_of_the_user() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let open = |name: &str, mode| {
            let path = directory.path().join(name);
            fs::create_dir(&path).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            path
        };
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let (all, ours) = (open("all", 0o777), open("ours", 0o755));
        let user = Some(UserIds { uid: 71_000, gid: 71_001 });
        run_as(user, || fs::create_dir(all.join("x"))).unwrap();
        let meta = fs::metadata(all.join("x")).unwrap();
        assert_eq!((meta.uid(), meta.gid()), (71_000, 71_001));
        let refused = run_as(user, || fs::create_dir(ours.join("x"))).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
        fs::create_dir(ours.join("y")).unwrap();
        assert_eq!(fs::metadata(ours.join("y")).unwrap().uid(), 0, "the rights are restored");
    }
}
