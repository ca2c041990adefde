//! What a session's remote needs of this machine's files, as far as its policy lets it.

use std::collections::BTreeSet;
use std::env;
use std::path::{Path, PathBuf};

use super::super::state::Owner;
use super::Granted;
use crate::policy::Grant;

/// What the processes of a session may have: `own` are its private directories, `files`
/// what its configuration names in options, and `environment` what they inherit.
pub fn of(
    grant: &Grant,
    own: impl IntoIterator<Item = PathBuf>,
    files: impl IntoIterator<Item = String>,
    environment: &[&str],
    owner: Option<Owner>,
) -> Granted {
    let named = files.into_iter().flat_map(|file| expand(&file, environment));
    let trusted =
        ["SSL_CERT_FILE", "SSL_CERT_DIR"].into_iter().filter(|it| environment.contains(it));
    let trusted = trusted
        .filter_map(env::var_os)
        .flat_map(|paths| env::split_paths(&paths).collect::<Vec<_>>());
    let mut read: BTreeSet<PathBuf> = named.chain(trusted).collect();
    let mut write = BTreeSet::new();
    let directories = grant.directories.iter().cloned();
    if grant.write {
        write.extend(directories);
    } else {
        read.extend(directories);
    }
    Granted {
        own: own.into_iter().collect(),
        read,
        write,
        owner,
        ports: grant.ports.clone(),
        limits: grant.limits.clone(),
        large_files: grant.write && !grant.directories.is_empty(),
        level: grant.level,
    }
}

/// The file that the value of an option names, with `~` and variables as rclone has them:
/// none unless it is an absolute path then.
///
/// Source: `ShellExpand` in rclone's lib/env/env.go.
fn expand(value: &str, environment: &[&str]) -> Option<PathBuf> {
    let home = || env::var("HOME").ok().filter(|_| environment.contains(&"HOME"));
    let variable = |name: &str| environment.contains(&name).then(|| env::var(name).ok()).flatten();
    let expanded = shellexpand::full_with_context_no_errors(value, home, variable).into_owned();
    Some(PathBuf::from(expanded)).filter(|path| path.is_absolute() && Path::new("/") != path)
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
        assert_eq!(expand("/", &[]), None);
        assert_eq!(expand("/etc/key", &[]), Some("/etc/key".into()));
    }
}
