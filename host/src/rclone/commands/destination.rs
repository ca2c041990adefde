//! The local directories that a restore writes to. Those that aren't there are made before
//! rclone starts, since only what is there can be granted.

use rustix::fs::{Mode, OFlags, mkdirat, open, openat};
use rustix::io::Errno;
use std::io;
use std::path::{Component, Path};

use crate::connector::{Failure, Reason};
use crate::kernel::RunAs;
use crate::kernel::run_as;
use crate::policy::Grant;

/// How a directory is opened to go on from it: it may be one that can't be listed.
#[cfg(target_os = "linux")]
const PASSING: OFlags = OFlags::PATH.union(FLAGS);
#[cfg(not(target_os = "linux"))]
const PASSING: OFlags = FLAGS;

const FLAGS: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The mode of a new directory, as far as the process's mask leaves it.
const MODE: Mode = Mode::from_raw_mode(0o777);

/// Makes the local directories that are written, as the user that will write there.
pub fn make(grant: &Grant, owner: Option<RunAs>) -> Result<(), Failure> {
    let mut missing = grant.directories.iter().filter(|it| grant.write && !it.exists());
    missing.try_for_each(|directory| {
        run_as(owner, || make_one(directory)).map_err(|error| {
            let whose = owner.map_or(String::new(), |owner| {
                format!(", as the user {} that the tenant's processes run as", owner.uid)
            });
            let message = format!(
                "the directory `{}` can't be made{whose}: {error}: make it, or let that user",
                directory.display()
            );
            Failure::new(Reason::Denied, message)
        })
    })
}

/// Makes a directory and those above it. The path was looked at before and had no links: one
/// that took the place of a directory since then isn't followed.
fn make_one(directory: &Path) -> io::Result<()> {
    let mut here = open("/", PASSING, Mode::empty())?;
    for part in directory.components() {
        let name = match part {
            Component::RootDir => continue,
            Component::Normal(name) => name,
            _ => return Err(io::ErrorKind::InvalidInput.into()),
        };
        here = match openat(&here, name, PASSING, Mode::empty()) {
            Err(Errno::NOENT) => {
                match mkdirat(&here, name, MODE) {
                    // Another session may make it at the same moment.
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(error) => return Err(error.into()),
                }
                openat(&here, name, PASSING, Mode::empty())?
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
        make_one(&place.join("a/b/c")).unwrap();
        make_one(&place.join("a/b/c")).unwrap();
        assert!(place.join("a/b/c").is_dir());
        std::fs::create_dir(place.join("other")).unwrap();
        symlink("../other", place.join("a/link")).unwrap();
        symlink("/", place.join("root")).unwrap();
        for path in ["a/link/new", "a/link", "root/tmp/new", "a/../new"] {
            assert!(make_one(&place.join(path)).is_err(), "{path}");
        }
        assert_eq!(std::fs::read_dir(place.join("other")).unwrap().count(), 0);
    }
}
