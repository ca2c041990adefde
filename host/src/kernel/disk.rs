//! Disk usage of the directories that a session may write.

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

/// Size of the blocks that stat(2) counts, in bytes.
const BLOCK_BYTES: u64 = 512;

/// Maximum duration of one scan. Directories that take longer were made for that.
const SCAN_TIMEOUT: Duration = Duration::from_secs(5);

/// Disk usage of some directories.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DiskUsage {
    /// Size of all blocks, in bytes.
    pub bytes: u64,
    /// Number of files, directories and everything else that has a name.
    pub files: u64,
    /// Whether the process that created them made something that can't be counted.
    pub is_hidden: bool,
    /// Whether this scan failed, for example because the machine has no descriptors left.
    pub is_unknown: bool,
}

/// State of a scan.
#[derive(Default)]
struct Scan {
    disk: DiskUsage,
    /// Files that have several names, or none: device and inode.
    seen: HashSet<(u64, u64)>,
}

/// A directory that is still to be scanned.
struct PendingDirectory {
    parent: Rc<PathBuf>,
    name: OsString,
}

/// Measures these directories, with the removed files that these processes still have open or
/// mapped. Stops above `max_files` files.
pub fn measure(directories: &[PathBuf], pids: &[i32], max_files: u64) -> DiskUsage {
    let mut scan = Scan::default();
    let start = Instant::now();
    for directory in directories {
        // A directory that was removed has no contents.
        let Ok(root) = rustix::fs::open(directory, DIRECTORY_FLAGS, Mode::empty()) else {
            continue;
        };
        let top = PendingDirectory { parent: Rc::default(), name: OsString::from(".") };
        let mut pending = vec![top];
        while let Some(next) = pending.pop() {
            let path = Rc::new(next.parent.join(&next.name));
            match open_below(root.as_fd(), &path) {
                Ok(opened) => scan.add_directory(&opened, &path, &mut pending, max_files),
                Err(error) => scan.record_error(error),
            }
            scan.disk.is_unknown |= start.elapsed() > SCAN_TIMEOUT;
            if scan.disk.files > max_files || scan.disk.is_hidden || scan.disk.is_unknown {
                return scan.disk;
            }
        }
    }
    for pid in pids {
        scan.add_removed_files(*pid, directories);
    }
    scan.disk
}

/// Flags for opening a directory.
const DIRECTORY_FLAGS: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Opens a directory below `root` without following links: a process that writes there may
/// replace a directory with a link meanwhile.
#[cfg(target_os = "linux")]
fn open_below(root: BorrowedFd<'_>, path: &Path) -> rustix::io::Result<OwnedFd> {
    use rustix::fs::{ResolveFlags, openat2};
    let how = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    match openat2(root, path, DIRECTORY_FLAGS, Mode::empty(), how) {
        // An older kernel, or a container that forbids the call. Only the last name is checked.
        Err(Errno::NOSYS | Errno::PERM) => openat(root, path, DIRECTORY_FLAGS, Mode::empty()),
        opened => opened,
    }
}

#[cfg(not(target_os = "linux"))]
fn open_below(root: BorrowedFd<'_>, path: &Path) -> rustix::io::Result<OwnedFd> {
    openat(root, path, DIRECTORY_FLAGS, Mode::empty())
}

/// Whether a directory was removed or replaced meanwhile.
fn is_gone(error: Errno) -> bool {
    matches!(error, Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::AGAIN | Errno::XDEV)
}

impl Scan {
    /// Records that a directory couldn't be read.
    fn record_error(&mut self, error: Errno) {
        match error {
            error if is_gone(error) => {}
            // Its own user has no access, or its path is too long.
            Errno::ACCESS | Errno::NAMETOOLONG => self.disk.is_hidden = true,
            _ => self.disk.is_unknown = true,
        }
    }

    /// Adds a directory's own blocks and its entries; its directories go to `pending`.
    fn add_directory(
        &mut self,
        directory: &OwnedFd,
        path: &Rc<PathBuf>,
        pending: &mut Vec<PendingDirectory>,
        max_files: u64,
    ) {
        if let Ok(stat) = fstat(directory) {
            self.disk.bytes += block_bytes(stat.st_blocks);
        }
        let entries = match rustix::fs::Dir::read_from(directory) {
            Ok(entries) => entries,
            Err(error) => return self.record_error(error),
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let Ok(stat) = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            self.disk.files += 1;
            if self.disk.files > max_files {
                return;
            }
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                let name = OsString::from_vec(name.to_bytes().to_vec());
                pending.push(PendingDirectory { parent: path.clone(), name });
            } else if stat.st_nlink < 2 || self.seen.insert(key(stat.st_dev, stat.st_ino)) {
                self.disk.bytes += block_bytes(stat.st_blocks);
            }
        }
    }

    /// Adds the removed files that a process still has open.
    fn add_removed_files(&mut self, pid: i32, directories: &[PathBuf]) {
        // The mappings are read first: a file that is closed after that is still among them.
        let mapped = process::mappings(pid).unwrap_or_default();
        let mut open = HashSet::new();
        for entry in fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten() {
            let Ok(meta) = fs::metadata(entry.path()) else { continue };
            if meta.is_file() && meta.nlink() == 0 {
                open.insert(meta.ino());
                if self.seen.insert((meta.dev(), meta.ino())) {
                    self.disk.files += 1;
                    self.disk.bytes += meta.blocks().saturating_mul(BLOCK_BYTES);
                }
            }
        }
        let removed = mapped.lines().filter_map(Mapping::parse).filter(|it| {
            let path = it.path.strip_suffix(" (deleted)");
            path.is_some_and(|path| directories.iter().any(|own| Path::new(path).starts_with(own)))
        });
        // The size of a removed file that is only mapped can't be determined.
        self.disk.is_hidden |= removed.into_iter().any(|it| !open.contains(&it.inode));
    }
}

/// Size of `number` blocks, in bytes. The number's type depends on the system.
fn block_bytes(number: impl TryInto<u64>) -> u64 {
    number.try_into().unwrap_or_default().saturating_mul(BLOCK_BYTES)
}

/// Key of a file in [`Scan::seen`].
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
        let disk = measure(&own, &[], 100);
        assert_eq!((disk.files, disk.is_hidden), (5, false));
        assert!((100_000..200_000).contains(&disk.bytes), "{disk:?}");
        assert_eq!(measure(&own, &[], 2).files, 3, "it stops");
    }

    #[test]
    fn what_can_t_be_looked_into_is_hidden() {
        let directory = tempfile::tempdir().unwrap();
        let closed = directory.path().join("closed");
        fs::create_dir(&closed).unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o300)).unwrap();
        let owner = rustix::process::geteuid()
            .is_root()
            .then_some(crate::kernel::UserIds { uid: 71_000, gid: 71_000 });
        if let Some(owner) = owner {
            for path in [directory.path(), &closed] {
                std::os::unix::fs::chown(path, Some(owner.uid), Some(owner.gid)).unwrap();
            }
        }
        let own = [directory.path().to_owned()];
        let disk = super::super::run_as(owner, || Ok(measure(&own, &[], 100))).unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
        assert!(disk.is_hidden || !cfg!(target_os = "linux"), "{disk:?}");
        assert!(fs::read_dir("/root").is_ok() || owner.is_none(), "the rights are restored");
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
        assert!(measure(&own, &[self::own()], 100).bytes >= 1 << 20);
        assert!(measure(&own, &[], 100).bytes < 1 << 20);
        drop(open);
    }
}
