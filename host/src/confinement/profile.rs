//! What a session's remote needs of this machine's files, as far as its policy lets it.

use std::collections::BTreeSet;
use std::env;
#[cfg(target_os = "linux")]
use std::io;
#[cfg(target_os = "linux")]
use std::os::fd::OwnedFd;
#[cfg(target_os = "linux")]
use std::path::Path;
use std::path::{Component, PathBuf};

use super::Granted;
use crate::kernel::RunAs;
#[cfg(target_os = "linux")]
use crate::kernel::run_as;
use crate::policy::{Grant, LocalAccess};

/// What the processes of a session may have: `own` are its private directories, `input` has
/// what they are given, `files`
/// what the options of its configuration make them read, and `environment` what they inherit.
pub fn of(
    grant: &Grant,
    own: impl IntoIterator<Item = PathBuf>,
    input: PathBuf,
    files: impl IntoIterator<Item = LocalAccess>,
    environment: &[&str],
    owner: Option<RunAs>,
) -> Granted {
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
    Granted {
        own: own.into_iter().collect(),
        read: usual.into_iter().chain(trusted).chain([input]).collect(),
        named,
        directories: grant.directories.iter().cloned().collect(),
        write: grant.write,
        owner,
        processes_of_owner: None,
        ports: grant.ports.clone(),
        limits: grant.limits.clone(),
        unix_sockets: !sockets.is_empty(),
        large_files: grant.write && !grant.directories.is_empty(),
        level: grant.enforcement,
    }
}

/// Opens the files that the configuration names, as the user that will read them, each once:
/// what is looked at here is what is granted, whatever is at its path later. A value can name
/// a file, and no directory with all that is in it.
#[cfg(target_os = "linux")]
pub fn open(granted: &Granted) -> io::Result<Vec<OwnedFd>> {
    run_as(granted.owner, || Ok(granted.named.iter().filter_map(|path| file(path)).collect()))
}

/// The file at a path, if it is one.
#[cfg(target_os = "linux")]
fn file(path: &Path) -> Option<OwnedFd> {
    use rustix::fs::{FileType, Mode, OFlags, fstat};
    let opened = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let meta = fstat(&opened).ok()?;
    FileType::from_raw_mode(meta.st_mode).is_file().then_some(opened)
}

/// The path that the value of an option names, with `~` and variables as rclone has them:
/// none unless it is an absolute one that leads straight there.
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
        assert!(file(&key).is_some());
        for path in [directory.path(), &directory.path().join("link")] {
            assert!(file(path).is_none(), "{}", path.display());
        }
        for path in ["/..", "/", "/dev/null", "/missing"] {
            assert!(file(Path::new(path)).is_none(), "{path}");
        }
    }
}
