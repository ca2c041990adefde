//! Drops the rights of root that a service doesn't need.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, fchown, lchown};
use std::path::Path;

use crate::connector::{Failure, Reason};
use crate::kernel::user_namespace;
use crate::kernel::{UserIds, capabilities, run_as};
use crate::policy::{Audit, Destination, Enforcement};
use crate::quota::cgroups::ServiceCgroup;
use crate::service::config::{Settings, Users, wrong};

/// Mode of the directories above the tenants' own, which tenants' users may only traverse.
const PASSAGE_MODE: u32 = 0o711;

/// Gives up every right that the service doesn't need, because it parses input of clients and of
/// rclone.
///
/// # Errors
///
/// `[users]` is set and the process isn't root, the service's own user can't be given the
/// files that it needs, or the kernel refuses.
pub fn give_up(
    settings: &Settings,
    file: &Path,
    cgroup: Option<&ServiceCgroup>,
) -> Result<(), Failure> {
    let is_root = rustix::process::geteuid().is_root();
    let Some(users) = settings.users else {
        // A service of another user has that one's rights alone.
        if is_root {
            check_owner(settings, 0)?;
        }
        return keep_only(capabilities::SERVICE_WITHOUT_USERS);
    };
    if !is_root {
        return Err(wrong("only root can let tenants' processes run as users of their own")
            .with_help("remove [users], or start the service as root"));
    }
    // A thread that accesses files as a tenant's user must not have root's groups.
    rustix::thread::set_thread_groups(&[])
        .map_err(|error| Failure::internal(format!("root's groups can't be given up: {error}")))?;
    if has_namespace(users)? {
        let user = UserIds { uid: users.service(), gid: users.service() };
        assign_ownership(settings, user, cgroup)?;
        check_owner(settings, user.uid)?;
        check_file(file, user)?;
        check_readable(settings, file, user)?;
        user_namespace::enter(range(users)).map_err(|error| unavailable(&error))?;
    } else {
        check_owner(settings, 0)?;
    }
    keep_only(capabilities::SERVICE_WITH_USERS)
}

fn keep_only(kept: rustix::thread::CapabilitySet) -> Result<(), Failure> {
    capabilities::keep_only(kept)
        .and_then(|()| Ok(rustix::thread::set_no_new_privs(true)?))
        .map_err(|error| {
            Failure::internal(format!("capabilities that aren't needed can't be dropped: {error}"))
        })
}

fn range(users: Users) -> user_namespace::Users {
    let Users { first, count, .. } = users;
    user_namespace::Users { own: users.service(), first, count }
}

fn unavailable(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Reason::Unavailable, format!("user namespaces are unavailable: {error}"))
        .with_help(
            "enable them (docs/operations.md, \"The rights of the service\"), or set `namespace = \
             \"preferred\"` in [users]",
        )
}

/// Finds out whether the service can have a user namespace.
fn has_namespace(users: Users) -> Result<bool, Failure> {
    match user_namespace::probe(range(users)) {
        Ok(()) => Ok(true),
        Err(error) if users.namespace == Enforcement::Preferred => {
            tracing::warn!(
                "the service keeps rights over the files and processes of all users, as user \
                 namespaces are unavailable: {error}; help: enable them (docs/operations.md, \"The \
                 rights of the service\")"
            );
            Ok(false)
        }
        Err(error) => Err(unavailable(&error)),
    }
}

/// Checks that a state directory that is there belongs to the user that the service runs as. What
/// a different user put into it could lead anywhere.
fn check_owner(settings: &Settings, uid: u32) -> Result<(), Failure> {
    let tenants = settings.state.join("tenants");
    let found = [
        (&settings.state, fs::metadata(&settings.state)),
        (&tenants, fs::symlink_metadata(&tenants)),
    ];
    for (directory, meta) in found {
        let Ok(meta) = meta else { continue };
        if meta.uid() != uid || meta.is_symlink() {
            let shown = directory.display();
            return Err(wrong(format!(
                "`{shown}` belongs to the user {} or is a link, and the service runs as the user \
                 {uid}",
                meta.uid()
            ))
            .with_help("give it to that user with all that is in it, or set a different `state`"));
        }
    }
    Ok(())
}

/// Checks that the service's own user can't change the file that root obeys at a start.
fn check_file(file: &Path, user: UserIds) -> Result<(), Failure> {
    let directory = file.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    for path in [file, directory] {
        let meta = fs::metadata(path).map_err(|error| {
            wrong(format!("`{}` can't be read: {error}", path.display()))
                .with_help("correct its path")
        })?;
        let is_theirs = meta.uid() == user.uid
            || meta.gid() == user.gid && meta.mode() & 0o020 != 0
            || meta.mode() & 0o1002 == 0o002;
        if is_theirs {
            return Err(wrong(format!(
                "the user {}, which the service runs as, may change `{}`",
                user.uid,
                path.display()
            ))
            .with_help("let only root write it"));
        }
    }
    Ok(())
}

/// Gives the service's own user the state directory, the audit log and the control group.
fn assign_ownership(
    settings: &Settings,
    user: UserIds,
    cgroup: Option<&ServiceCgroup>,
) -> Result<(), Failure> {
    let unusable = |path: &Path, error: io::Error, help: &str| {
        let message = format!("`{}` can't be used: {error}", path.display());
        Failure::new(Reason::Unavailable, message).with_help(help)
    };
    let state = &settings.state;
    let created = DirBuilder::new().recursive(true).mode(PASSAGE_MODE).create(state);
    created
        .and_then(|()| adopt(&fs::canonicalize(state)?, user))
        .map_err(|error| unusable(state, error, "make it writable, or set a different `state`"))?;
    if let Some(Destination::File(path)) = settings.audit.as_ref().and_then(Audit::destination) {
        open_log(&path, user).map_err(|error| {
            unusable(&path, error, "make it writable, or set a different `file`")
        })?;
    }
    if let Some(cgroup) = cgroup {
        cgroup.chown(user.uid, user.gid).map_err(|error| {
            Failure::internal(format!("the owner of the control group can't be changed: {error}"))
        })?;
    }
    Ok(())
}

/// Gives a directory that belongs to root to a user, with everything in it that belongs to root.
/// Doesn't enter directories of tenants' users and follows no link. Only root and the service's
/// user can change the directories above these.
fn adopt(path: &Path, user: UserIds) -> io::Result<()> {
    let meta = fs::symlink_metadata(path)?;
    if meta.uid() != 0 {
        return Ok(());
    }
    if meta.is_dir() {
        for entry in fs::read_dir(path)? {
            adopt(&entry?.path(), user)?;
        }
    }
    // A directory keeps its tenant's group.
    let group = (meta.gid() == 0).then_some(user.gid);
    lchown(path, Some(user.uid), group)
}

/// Makes an audit log that a user can append to. What the user can do itself is done with its
/// rights. Root helps only where all directories above the log are root's, so that neither links
/// nor names in them are anyone else's.
fn open_log(path: &Path, user: UserIds) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let refused = match run_as(Some(user), || options.open(path)) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => error,
        opened => return opened.map(drop),
    };
    for directory in path.ancestors().skip(1) {
        if fs::symlink_metadata(directory)?.uid() != 0 {
            return Err(refused);
        }
    }
    let log = options.open(path)?;
    let meta = log.metadata()?;
    if meta.is_file() && meta.uid() == 0 && meta.nlink() == 1 {
        fchown(&log, Some(user.uid), Some(user.gid))?;
    }
    Ok(())
}

/// Checks that the service's own user can read the files that a reload reads.
fn check_readable(settings: &Settings, file: &Path, user: UserIds) -> Result<(), Failure> {
    let UserIds { uid, .. } = user;
    let tls = settings.listen.tls.iter().flat_map(|tls| tls.paths());
    for path in [file, &*settings.tenants].into_iter().chain(tls) {
        run_as(Some(user), || File::open(path)).map_err(|error| {
            wrong(format!(
                "`{}` can't be read by the user {uid}, which the service runs as: {error}",
                path.display()
            ))
            .with_help("let that user or its group read it")
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn files_of_root_are_given_away_and_those_of_others_are_kept() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join("state").join(name);
        fs::create_dir_all(path("tenants/a/own/kept")).unwrap();
        fs::write(path("tenants/a/lock"), "").unwrap();
        let other = directory.path().join("other");
        fs::write(&other, "").unwrap();
        symlink(&other, path("link")).unwrap();
        lchown(path("tenants/a"), None, Some(71_000)).unwrap();
        lchown(path("tenants/a/own"), Some(71_000), Some(71_000)).unwrap();
        let user = UserIds { uid: 70_999, gid: 70_999 };
        adopt(&path(""), user).unwrap();
        let owner =
            |path: &Path| fs::symlink_metadata(path).map(|it| (it.uid(), it.gid())).unwrap();
        for name in ["", "tenants", "tenants/a/lock", "link"] {
            assert_eq!(owner(&path(name)), (70_999, 70_999), "{name}");
        }
        assert_eq!(owner(&path("tenants/a")), (70_999, 71_000));
        assert_eq!(owner(&path("tenants/a/own")), (71_000, 71_000));
        assert_eq!(owner(&path("tenants/a/own/kept")), (0, 0), "the directory isn't entered");
        assert_eq!(owner(&other), (0, 0), "no link is followed");
    }

    #[test]
    fn a_file_that_a_reload_could_not_read_is_named() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let file = directory.path().join("service.toml");
        let tenants = directory.path().join("tenants.toml");
        let text = "version = 1\nstate = \"state\"\ntenants = \"tenants.toml\"\n[listen]\n\
                    socket = \"s\"\n";
        fs::write(&file, text).unwrap();
        fs::write(&tenants, "").unwrap();
        fs::set_permissions(&tenants, fs::Permissions::from_mode(0o600)).unwrap();
        let settings = Settings::read(&file).unwrap();
        let user = UserIds { uid: 70_999, gid: 70_999 };
        let message = check_readable(&settings, &file, user).unwrap_err().message;
        assert!(message.contains("tenants.toml` can't be read by the user 70999"), "{message}");
        fs::set_permissions(&tenants, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(check_readable(&settings, &file, user).is_ok());
    }
}
