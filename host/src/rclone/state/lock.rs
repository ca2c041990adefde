//! Locks of directories and files, and the session slots that are made of them.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use super::State;
use super::files::{IoResultExt, create_private_dir};
use super::layout::{LOCK_FILE, SLOTS_DIR};
use crate::connector::{Failure, Reason};

/// Waits for the exclusive lock of a directory.
///
/// # Errors
///
/// The lock file can't be opened, or the directory was removed meanwhile (`NotFound`).
pub fn lock_dir(directory: &Path) -> io::Result<File> {
    let path = directory.join(LOCK_FILE);
    let file = open_lock_file(&path)?;
    file.lock()?;
    check_linked(file, &path)
}

/// Waits for the shared lock of a directory.
///
/// # Errors
///
/// The same as for [`lock_dir`].
pub fn lock_dir_shared(directory: &Path) -> io::Result<File> {
    let path = directory.join(LOCK_FILE);
    let file = open_lock_file(&path)?;
    file.lock_shared()?;
    check_linked(file, &path)
}

/// Takes the exclusive lock of a directory. `None` if it is held elsewhere or the directory
/// was removed.
///
/// # Errors
///
/// The lock file can't be opened.
pub fn try_lock_dir(directory: &Path) -> io::Result<Option<File>> {
    try_lock_file(&directory.join(LOCK_FILE))
}

/// Takes the exclusive lock of a file. `None` if it is held elsewhere or the file was removed.
///
/// # Errors
///
/// The file can't be opened.
pub fn try_lock_file(path: &Path) -> io::Result<Option<File>> {
    let file = match open_lock_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error),
        Ok(()) => {}
    }
    Ok(is_linked(&file, path)?.then_some(file))
}

fn open_lock_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)
}

/// Whether a path still leads to the open file.
fn is_linked(file: &File, path: &Path) -> io::Result<bool> {
    let inode = file.metadata()?.ino();
    Ok(fs::metadata(path).is_ok_and(|meta| meta.ino() == inode))
}

fn check_linked(file: File, path: &Path) -> io::Result<File> {
    if is_linked(&file, path)? { Ok(file) } else { Err(io::ErrorKind::NotFound.into()) }
}

/// One of a user's session slots, until it is dropped.
pub struct Slot(#[expect(dead_code, reason = "it is held, not read")] File);

impl Slot {
    /// Takes one of `sessions` slots.
    ///
    /// # Errors
    ///
    /// All slots are taken, or the state directory can't be written.
    pub fn acquire(state: &State, sessions: u32) -> Result<Self, Failure> {
        let directory = state.root().join(SLOTS_DIR);
        create_private_dir(&directory).at_path(&directory)?;
        for number in 0..sessions {
            let slot = directory.join(number.to_string());
            create_private_dir(&slot).at_path(&slot)?;
            if let Some(lock) = try_lock_dir(&slot).at_path(&slot)? {
                return Ok(Self(lock));
            }
        }
        Err(Failure::new(
            Reason::RateLimited,
            format!("{sessions} sessions are running, which is all that the policy allows"),
        )
        .with_help("run it again when one has ended"))
    }
}
