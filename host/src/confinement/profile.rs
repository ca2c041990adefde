//! The files of this machine that a session's remote needs, as far as its policy grants them.

use std::collections::BTreeSet;
use std::env;
#[cfg(target_os = "linux")]
use std::io;
#[cfg(target_os = "linux")]
use std::os::fd::OwnedFd;
#[cfg(target_os = "linux")]
use std::path::Path;
use std::path::{Component, PathBuf};

use crate::kernel::UserIds;
#[cfg(target_os = "linux")]
use crate::kernel::run_as;
use crate::policy::{Enforcement, Grant, Limits, LocalAccess, Ports};

/// The files and resources that one process may use, in addition to those that every rclone needs.
#[derive(Debug, Default)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "only Linux can withhold it"))]
pub struct Profile {
    /// Files and directories that it may read.
    pub read: BTreeSet<PathBuf>,
    /// Files that the configuration names, which may be paths of a tenant's. What is at a path when
    /// it is granted, if it is a file.
    pub named: BTreeSet<PathBuf>,
    /// The private directories, in which the process creates files and directories and nothing
    /// else.
    pub own: BTreeSet<PathBuf>,
    /// The directories of the remote itself that a policy grants: real paths without links.
    pub directories: BTreeSet<PathBuf>,
    /// Whether it may write to `directories`.
    pub write: bool,
    /// TCP ports that it may connect to. It never listens on any.
    pub ports: Ports,
    pub limits: Limits,
    /// Whether files of any size may be written.
    pub large_files: bool,
    /// Whether it may connect to Unix sockets: all that its user may.
    pub unix_sockets: bool,
    pub level: Enforcement,
    /// The user that it runs as, if that isn't this process's.
    pub owner: Option<UserIds>,
    /// Number of processes that this user may have, if it is known.
    pub owner_processes: Option<u64>,
}

impl Profile {
    /// The profile of a session's processes: `own` are its private directories, `input` has batches
    /// and path lists, `files` are named by the options of its configuration, and `environment` are
    /// the variables that it inherits.
    pub fn for_session(
        grant: &Grant,
        own: impl IntoIterator<Item = PathBuf>,
        input: PathBuf,
        files: impl IntoIterator<Item = LocalAccess>,
        environment: &[&str],
        owner: Option<UserIds>,
    ) -> Self {
        let (sockets, files): (Vec<_>, Vec<_>) =
            files.into_iter().partition(|read| matches!(read, LocalAccess::Socket));
        let expanded = |value: &str| expand(value, environment);
        let (mut named, mut usual) = (BTreeSet::new(), Vec::new());
        for file in files {
            match file {
                LocalAccess::Path(value) => named.extend(expanded(&value)),
                LocalAccess::DefaultPath(value) => usual.extend(expanded(&value)),
                LocalAccess::Socket => {}
            }
        }
        let trusted =
            ["SSL_CERT_FILE", "SSL_CERT_DIR"].into_iter().filter(|it| environment.contains(it));
        let trusted = trusted
            .filter_map(env::var_os)
            .flat_map(|paths| env::split_paths(&paths).collect::<Vec<_>>());
        Self {
            own: own.into_iter().collect(),
            read: usual.into_iter().chain(trusted).chain([input]).collect(),
            named,
            directories: grant.directories.iter().cloned().collect(),
            write: grant.write,
            owner,
            owner_processes: None,
            ports: grant.ports.clone(),
            limits: grant.limits.clone(),
            unix_sockets: !sockets.is_empty(),
            large_files: grant.write && !grant.directories.is_empty(),
            level: grant.enforcement,
        }
    }
}

/// Opens the files that the configuration names, as the user that will read them, each once: the
/// files that are checked here are granted, whatever is at their paths later. A value can name a
/// file, and not a directory with everything in it.
///
/// # Errors
///
/// This process can't act as that user.
#[cfg(target_os = "linux")]
pub fn open_named_files(profile: &Profile) -> io::Result<Vec<OwnedFd>> {
    run_as(profile.owner, || Ok(profile.named.iter().filter_map(|path| open_file(path)).collect()))
}

/// Opens a path if it is a regular file.
#[cfg(target_os = "linux")]
fn open_file(path: &Path) -> Option<OwnedFd> {
    use rustix::fs::{FileType, Mode, OFlags, fstat};
    let opened = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let meta = fstat(&opened).ok()?;
    FileType::from_raw_mode(meta.st_mode).is_file().then_some(opened)
}

/// The path in the value of an option, with `~` and variables expanded as rclone does. `None`
/// unless it is absolute and has no `..`.
///
/// Source: `ShellExpand` in rclone's lib/env/env.go.
fn expand(value: &str, environment: &[&str]) -> Option<PathBuf> {
    let home = || env::var("HOME").ok().filter(|_| environment.contains(&"HOME"));
    let variable = |name: &str| environment.contains(&name).then(|| env::var(name).ok()).flatten();
    let expanded = shellexpand::full_with_context_no_errors(value, home, variable).into_owned();
    let path = PathBuf::from(expanded);
    let leads_back = path.components().any(|part| part == Component::ParentDir);
    Some(path).filter(|path| path.is_absolute() && !leads_back)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_name_files_below_home_only_where_there_is_one() {
        let home = env::var("HOME").unwrap();
        let key = PathBuf::from(home).join(".ssh/id");
        assert_eq!(expand("~/.ssh/id", &["HOME"]), Some(key.clone()));
        assert_eq!(expand("$HOME/.ssh/id", &["HOME"]), Some(key));
        assert_eq!(expand("~/.ssh/id", &[]), None);
        assert_eq!(expand("relative", &["HOME"]), None);
        assert_eq!(expand("/etc/../key", &[]), None);
        assert_eq!(expand("/etc/key", &[]), Some("/etc/key".into()));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_value_names_a_file_and_never_a_directory() {
        let directory = tempfile::tempdir().unwrap();
        let key = directory.path().join("key");
        std::fs::write(&key, "key").unwrap();
        std::os::unix::fs::symlink("/", directory.path().join("link")).unwrap();
        assert!(open_file(&key).is_some());
        for path in [directory.path(), &directory.path().join("link")] {
            assert!(open_file(path).is_none(), "{}", path.display());
        }
        for path in ["/..", "/", "/dev/null", "/missing"] {
            assert!(open_file(Path::new(path)).is_none(), "{path}");
        }
    }
}
