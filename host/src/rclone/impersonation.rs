//! Acting as the user that a tenant's processes run as, where the service is root: what lies
//! at paths that a tenant controls is made and opened with the tenant's rights.

use std::io;

use super::state::Owner;

/// Does something as the owner, if there is one: on a thread of its own, since on Linux each
/// thread has its own user.
///
/// # Errors
///
/// The user can't be taken on. Nothing was done then.
#[cfg(target_os = "linux")]
pub fn as_owner<T: Send>(
    owner: Option<Owner>,
    act: impl FnOnce() -> io::Result<T> + Send,
) -> io::Result<T> {
    let Some(owner) = owner else { return act() };
    let acted = std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            take_on(owner)?;
            act()
        });
        thread.join()
    });
    acted.unwrap_or_else(|_| Err(io::Error::other("the thread that acts as a user has failed")))
}

/// The same where threads have no users of their own: it is done as us.
#[cfg(not(target_os = "linux"))]
pub fn as_owner<T: Send>(
    _: Option<Owner>,
    act: impl FnOnce() -> io::Result<T> + Send,
) -> io::Result<T> {
    act()
}

/// Makes the calling thread run as the owner, for good, without other groups.
#[cfg(target_os = "linux")]
fn take_on(Owner { uid, gid }: Owner) -> io::Result<()> {
    let done = |result: libc::c_long| match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    };
    // The C library's own functions change all threads of the process.
    // SAFETY: the kernel takes numbers; the pointer goes with a count of none.
    done(unsafe { libc::syscall(libc::SYS_setgroups, 0_usize, std::ptr::null::<libc::gid_t>()) })?;
    // SAFETY: the kernel takes numbers.
    done(unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) })?;
    // SAFETY: the kernel takes numbers.
    done(unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) })
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
        // Of root's group, of which the owner is no member.
        let (all, ours) = (open("all", 0o777), open("ours", 0o775));
        let owner = Some(Owner { uid: 71_000, gid: 71_001 });
        as_owner(owner, || fs::create_dir(all.join("x"))).unwrap();
        let meta = fs::metadata(all.join("x")).unwrap();
        assert_eq!((meta.uid(), meta.gid()), (71_000, 71_001));
        let refused = as_owner(owner, || fs::create_dir(ours.join("x"))).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
        assert!(rustix::process::geteuid().is_root(), "this thread has kept its user");
        fs::create_dir(ours.join("y")).unwrap();
    }
}
