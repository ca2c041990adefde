//! Acting as the user that a tenant's processes run as, where the service is root: what lies
//! at paths that a tenant controls is made, opened and looked at with the tenant's rights.

use std::io;

/// As whom the processes of a tenant run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    pub uid: u32,
    pub gid: u32,
}

/// Does something with files as `owner`, if there is one, on this thread alone. Other
/// processes of that user can send no signal to it meanwhile (setfsuid(2)).
///
/// # Errors
///
/// The user can't be taken on, and nothing was done; or what was done has failed.
#[cfg(target_os = "linux")]
pub fn as_owner<T>(owner: Option<Owner>, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    /// Ends it, also where the work panics.
    struct Back;

    impl Drop for Back {
        fn drop(&mut self) {
            be(rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        }
    }

    let Some(Owner { uid, gid }) = owner else { return act() };
    let _back = Back;
    if !be(uid, gid) {
        let message = format!("the user {uid} can't be taken on: start the service as root");
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
    }
    act()
}

#[cfg(not(target_os = "linux"))]
pub fn as_owner<T>(_: Option<Owner>, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    act()
}

/// Lets this thread reach files as this user and group; says whether it does.
#[cfg(target_os = "linux")]
fn be(uid: u32, gid: u32) -> bool {
    const NONE: u32 = u32::MAX;
    // SAFETY: they take numbers and change nothing of this process's memory.
    unsafe {
        libc::setfsgid(gid);
        libc::setfsuid(uid);
        // What isn't a user changes nothing, and tells who it is now.
        (libc::setfsuid(NONE), libc::setfsgid(NONE)) == (uid.cast_signed(), gid.cast_signed())
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    #[test]
    fn what_is_made_is_the_owners_and_only_what_the_owner_may_make() {
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
        let owner = Some(Owner { uid: 71_000, gid: 71_001 });
        as_owner(owner, || fs::create_dir(all.join("x"))).unwrap();
        let meta = fs::metadata(all.join("x")).unwrap();
        assert_eq!((meta.uid(), meta.gid()), (71_000, 71_001));
        let refused = as_owner(owner, || fs::create_dir(ours.join("x"))).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
        fs::create_dir(ours.join("y")).unwrap();
        assert_eq!(fs::metadata(ours.join("y")).unwrap().uid(), 0, "it is us again");
    }
}
