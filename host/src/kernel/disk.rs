//! How much of the disk lies in directories that a session may write.

use rustix::fs::{AtFlags, FileType, Mode, OFlags, fstat, openat, statat};
use rustix::io::Errno;
use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::process::{self, Mapping};

/// In what a file's blocks are counted (stat(2)).
const BLOCK: u64 = 512;

/// How long it may take to look through everything: what takes longer is there for that.
const LONGEST: Duration = Duration::from_secs(5);

/// What is on the disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Disk {
    /// Bytes of all blocks.
    pub bytes: u64,
    /// Files, directories, and whatever else has a name.
    pub files: u64,
    /// Whether there is something that can't be counted, by who put it there.
    pub is_hidden: bool,
    /// Whether it couldn't be looked at this time: the machine has no descriptors left, say.
    pub is_unknown: bool,
}

/// What has been counted so far.
#[derive(Default)]
struct Count {
    disk: Disk,
    /// Files with more than one name, or none, by their device and number.
    seen: HashSet<(u64, u64)>,
}

/// A directory that is still to be looked through: its name in another.
struct Waiting {
    above: Rc<PathBuf>,
    name: OsString,
}

/// Counts what is in these directories, and what these processes have open or mapped that was
/// in them. It stops above `most` files.
pub fn of(directories: &[PathBuf], pids: &[i32], most: u64) -> Disk {
    let mut count = Count::default();
    let start = Instant::now();
    for directory in directories {
        // One that isn't there any more has nothing.
        let Ok(root) = rustix::fs::open(directory, OPEN, Mode::empty()) else { continue };
        let top = Waiting { above: Rc::default(), name: OsString::from(".") };
        let mut waiting = vec![top];
        while let Some(next) = waiting.pop() {
            let path = Rc::new(next.above.join(&next.name));
            match open_below(root.as_fd(), &path) {
                Ok(opened) => count.directory(&opened, &path, &mut waiting, most),
                Err(error) => count.not_seen(error),
            }
            count.disk.is_unknown |= start.elapsed() > LONGEST;
            if count.disk.files > most || count.disk.is_hidden || count.disk.is_unknown {
                return count.disk;
            }
        }
    }
    pids.iter().for_each(|pid| count.without_a_name(*pid, directories));
    count.disk
}

const OPEN: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Opens a directory that is really below another one: a process that writes there may put a link
/// in its place meanwhile.
#[cfg(target_os = "linux")]
fn open_below(root: BorrowedFd<'_>, path: &Path) -> rustix::io::Result<OwnedFd> {
    use rustix::fs::{ResolveFlags, openat2};
    let how = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    match openat2(root, path, OPEN, Mode::empty(), how) {
        // An older kernel, or a container that forbids it: the last name is no link, at least.
        Err(Errno::NOSYS | Errno::PERM) => openat(root, path, OPEN, Mode::empty()),
        opened => opened,
    }
}

#[cfg(not(target_os = "linux"))]
fn open_below(root: BorrowedFd<'_>, path: &Path) -> rustix::io::Result<OwnedFd> {
    openat(root, path, OPEN, Mode::empty())
}

/// Whether something was removed, or replaced, meanwhile.
fn is_gone(error: Errno) -> bool {
    matches!(error, Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::AGAIN | Errno::XDEV)
}

impl Count {
    /// Notes that a directory couldn't be looked into.
    fn not_seen(&mut self, error: Errno) {
        match error {
            error if is_gone(error) => {}
            // It was closed to its own user, or lies too deep.
            Errno::ACCESS | Errno::NAMETOOLONG => self.disk.is_hidden = true,
            _ => self.disk.is_unknown = true,
        }
    }

    fn directory(
        &mut self,
        directory: &OwnedFd,
        path: &Rc<PathBuf>,
        waiting: &mut Vec<Waiting>,
        most: u64,
    ) {
        if let Ok(stat) = fstat(directory) {
            self.disk.bytes += blocks(stat.st_blocks);
        }
        let entries = match rustix::fs::Dir::read_from(directory) {
            Ok(entries) => entries,
            Err(error) => return self.not_seen(error),
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let Ok(stat) = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            self.disk.files += 1;
            if self.disk.files > most {
                return;
            }
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                let name = OsString::from_vec(name.to_bytes().to_vec());
                waiting.push(Waiting { above: path.clone(), name });
            } else if stat.st_nlink < 2 || self.seen.insert(key(stat.st_dev, stat.st_ino)) {
                self.disk.bytes += blocks(stat.st_blocks);
            }
        }
    }

    /// Counts what a process has open, or mapped, of files that have no name any more.
    fn without_a_name(&mut self, pid: i32, directories: &[PathBuf]) {
        // First what is mapped: what is closed by then is still mapped, not the other way.
        let mapped = process::mappings(pid).unwrap_or_default();
        let mut open = HashSet::new();
        for entry in fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten() {
            let Ok(meta) = fs::metadata(entry.path()) else { continue };
            if meta.is_file() && meta.nlink() == 0 {
                open.insert(meta.ino());
                if self.seen.insert((meta.dev(), meta.ino())) {
                    self.disk.files += 1;
                    self.disk.bytes += meta.blocks().saturating_mul(BLOCK);
                }
            }
        }
        let removed = mapped.lines().filter_map(Mapping::of).filter(|it| {
            let path = it.path.strip_suffix(" (deleted)");
            path.is_some_and(|path| directories.iter().any(|own| Path::new(path).starts_with(own)))
        });
        // How large it is can't be seen.
        self.disk.is_hidden |= removed.into_iter().any(|it| !open.contains(&it.inode));
    }
}

/// How many bytes so many blocks have; the type of their number is the system's.
fn blocks(number: impl TryInto<u64>) -> u64 {
    number.try_into().unwrap_or_default().saturating_mul(BLOCK)
}

fn key(device: impl TryInto<u64>, inode: impl TryInto<u64>) -> (u64, u64) {
    (device.try_into().unwrap_or_default(), inode.try_into().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn own() -> i32 {
        i32::try_from(std::process::id()).unwrap()
    }

    #[test]
    fn blocks_are_counted_and_not_lengths_and_a_file_of_two_names_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::create_dir(path("a")).unwrap();
        fs::File::create(path("a/sparse")).unwrap().set_len(1 << 40).unwrap();
        fs::write(path("full"), vec![1; 100_000]).unwrap();
        fs::hard_link(path("full"), path("a/again")).unwrap();
        symlink("/", path("link")).unwrap();
        let own = [directory.path().to_owned(), path("gone")];
        let disk = of(&own, &[], 100);
        assert_eq!((disk.files, disk.is_hidden), (5, false));
        assert!((100_000..200_000).contains(&disk.bytes), "{disk:?}");
        assert_eq!(of(&own, &[], 2).files, 3, "it stops");
    }

    #[test]
    fn what_can_t_be_looked_into_is_hidden() {
        let directory = tempfile::tempdir().unwrap();
        let closed = directory.path().join("closed");
        fs::create_dir(&closed).unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o300)).unwrap();
        let owner = rustix::process::geteuid()
            .is_root()
            .then_some(crate::kernel::Owner { uid: 71_000, gid: 71_000 });
        if let Some(owner) = owner {
            for path in [directory.path(), &closed] {
                std::os::unix::fs::chown(path, Some(owner.uid), Some(owner.gid)).unwrap();
            }
        }
        let own = [directory.path().to_owned()];
        let disk = super::super::as_owner(owner, || Ok(of(&own, &[], 100))).unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
        assert!(disk.is_hidden || !cfg!(target_os = "linux"), "{disk:?}");
        assert!(fs::read_dir("/root").is_ok() || owner.is_none(), "we are ourselves again");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_that_was_removed_counts_for_as_long_as_it_is_open() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, vec![1; 1 << 20]).unwrap();
        let open = fs::File::open(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let own = [directory.path().to_owned()];
        assert!(of(&own, &[self::own()], 100).bytes >= 1 << 20);
        assert!(of(&own, &[], 100).bytes < 1 << 20);
        drop(open);
    }
}
