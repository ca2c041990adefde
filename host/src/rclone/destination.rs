//! The local directories that a restore writes to. Missing ones are created before rclone starts,
//! since only existing directories can be granted.

use rustix::fs::{Mode, OFlags, mkdirat, open, openat};
use rustix::io::Errno;
use std::io;
use std::path::{Component, Path};

use crate::connector::Failure;
use crate::kernel::UserIds;
use crate::kernel::run_as;
use crate::policy::Grant;

/// Flags to open a directory in order to continue from it. It may be one that can't be listed.
#[cfg(target_os = "linux")]
const TRAVERSE_FLAGS: OFlags = OFlags::PATH.union(DIRECTORY_FLAGS);
#[cfg(not(target_os = "linux"))]
const TRAVERSE_FLAGS: OFlags = DIRECTORY_FLAGS;

const DIRECTORY_FLAGS: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The mode of a new directory, before the umask.
const DIRECTORY_MODE: Mode = Mode::from_raw_mode(0o777);

/// Creates the missing local directories of a grant, as the user that rclone runs as.
///
/// # Errors
///
/// A directory can't be created.
pub fn create_missing(grant: &Grant, owner: Option<UserIds>) -> Result<(), Failure> {
    let mut missing = grant.directories.iter().filter(|it| grant.write && !it.exists());
    missing.try_for_each(|directory| {
        run_as(owner, || create_one(directory)).map_err(|error| {
            let whose = owner.map_or(String::new(), |owner| {
                format!(", as the user {} that the tenant's processes run as", owner.uid)
            });
            let directory = directory.display();
            Failure::denied(format!("the directory `{directory}` can't be made{whose}: {error}"))
                .with_help("make it, or let that user")
        })
    })
}

/// Creates a directory and its parents. The policy has found no links in the path: a link that
/// replaced a directory since then isn't followed.
fn create_one(directory: &Path) -> io::Result<()> {
    let mut here = open("/", TRAVERSE_FLAGS, Mode::empty())?;
    for part in directory.components() {
        let name = match part {
            Component::RootDir => continue,
            Component::Normal(name) => name,
            _ => return Err(io::ErrorKind::InvalidInput.into()),
        };
        here = match openat(&here, name, TRAVERSE_FLAGS, Mode::empty()) {
            Err(Errno::NOENT) => {
                match mkdirat(&here, name, DIRECTORY_MODE) {
                    // Another session may create it at the same moment.
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(error) => return Err(error.into()),
                }
                openat(&here, name, TRAVERSE_FLAGS, Mode::empty())?
            }
            opened => opened?,
        };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn directories_are_made_and_links_are_not_followed() {
        let place = tempfile::tempdir().unwrap();
        let place = place.path().canonicalize().unwrap();
        create_one(&place.join("a/b/c")).unwrap();
        create_one(&place.join("a/b/c")).unwrap();
        assert!(place.join("a/b/c").is_dir());
        std::fs::create_dir(place.join("other")).unwrap();
        symlink("../other", place.join("a/link")).unwrap();
        symlink("/", place.join("root")).unwrap();
        for path in ["a/link/new", "a/link", "root/tmp/new", "a/../new"] {
            assert!(create_one(&place.join(path)).is_err(), "{path}");
        }
        assert_eq!(std::fs::read_dir(place.join("other")).unwrap().count(), 0);
    }
}
