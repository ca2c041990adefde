//! What a session's remote needs of this machine's files, as far as its policy lets it.

use std::env;
use std::path::{Component, PathBuf};

use super::super::state::Owner;
use super::Granted;
use crate::policy::{Grant, Read};

/// What the processes of a session may have: `own` are its private directories, `input` has
/// what they are given, `files`
/// what the options of its configuration make them read, and `environment` what they inherit.
pub fn of(
    grant: &Grant,
    own: impl IntoIterator<Item = PathBuf>,
    input: PathBuf,
    files: impl IntoIterator<Item = Read>,
    environment: &[&str],
    owner: Option<Owner>,
) -> Granted {
    let (sockets, files): (Vec<_>, Vec<_>) =
        files.into_iter().partition(|read| matches!(read, Read::Socket));
    let named = files.into_iter().flat_map(|file| place(file, environment));
    let trusted =
        ["SSL_CERT_FILE", "SSL_CERT_DIR"].into_iter().filter(|it| environment.contains(it));
    let trusted = trusted
        .filter_map(env::var_os)
        .flat_map(|paths| env::split_paths(&paths).collect::<Vec<_>>());
    Granted {
        own: own.into_iter().collect(),
        read: named.chain(trusted).chain([input]).collect(),
        directories: grant.directories.iter().cloned().collect(),
        write: grant.write,
        owner,
        ports: grant.ports.clone(),
        limits: grant.limits.clone(),
        times: !grant.directories.is_empty(),
        unix_sockets: !sockets.is_empty(),
        large_files: grant.write && !grant.directories.is_empty(),
        level: grant.level,
    }
}

/// Where something lies that an option makes rclone read. A value can name a file, and no
/// directory with all that is in it.
fn place(read: Read, environment: &[&str]) -> Option<PathBuf> {
    match read {
        Read::Named(value) => expand(&value, environment).filter(|path| path.is_file()),
        Read::Usual(value) => expand(&value, environment),
        Read::Socket => None,
    }
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
    use std::path::Path;

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

    #[test]
    fn a_value_names_a_file_and_never_a_directory() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("key");
        std::fs::write(&file, "key").unwrap();
        let shown = |path: &Path| path.display().to_string();
        assert_eq!(place(Read::Named(shown(&file)), &[]), Some(file));
        for value in [shown(directory.path()), "/..".into(), "/".into(), "/dev/null".into()] {
            assert_eq!(place(Read::Named(value.clone()), &[]), None, "{value}");
        }
        let usual = directory.path().to_owned();
        assert_eq!(place(Read::Usual(shown(&usual)), &[]), Some(usual));
    }
}
