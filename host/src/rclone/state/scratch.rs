//! The directory of one session, removed with it.

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::UNIX_EPOCH;

use super::State;
use super::files::{
    IoResultExt, chown_to, create_listable_dir, create_private_dir, create_traversable_dir,
    write_private_file,
};
use super::layout::{INPUT_DIR, SESSIONS_DIR, WRITABLE_DIR};
use super::lock::try_lock_dir;
use crate::connector::Failure;
use crate::kernel::UserIds;

/// The directory of one session.
pub struct Scratch {
    path: PathBuf,
    state_root: PathBuf,
    owner: Option<UserIds>,
    _lock: File,
}

impl Scratch {
    /// Creates the directory of a session.
    ///
    /// # Errors
    ///
    /// The state directory can't be written.
    pub fn create(state: &State) -> Result<Self, Failure> {
        // Without the lock of the state, a session that starts meanwhile would sweep a
        // directory that isn't locked yet.
        let _state_lock = state.lock()?;
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let nanoseconds = UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos();
        let name = format!("{}-{count}-{nanoseconds:x}", std::process::id());
        let path = state.root().join(SESSIONS_DIR).join(name);
        let owner = state.owner();
        create_traversable_dir(&path, owner).at_path(&path)?;
        let lock = try_lock_dir(&path)
            .and_then(|lock| lock.ok_or_else(|| io::ErrorKind::NotFound.into()))
            .at_path(&path)?;
        let state_root = state.root().to_owned();
        let scratch = Self { path, state_root, owner, _lock: lock };
        create_traversable_dir(&scratch.input_dir(), owner).at_path(&scratch.path)?;
        create_private_dir(&scratch.writable_dir()).at_path(&scratch.path)?;
        chown_to(&scratch.writable_dir(), owner).at_path(&scratch.path)?;
        Ok(scratch)
    }

    /// The state directory, which this one is in.
    pub fn state_root(&self) -> &Path {
        &self.state_root
    }

    /// Creates a file without a name, which only this program can reach.
    ///
    /// # Errors
    ///
    /// The file can't be created.
    pub fn unnamed_file(&self) -> Result<File, Failure> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = self.path.join(format!("unnamed-{count}"));
        let created = || {
            let mut options = OpenOptions::new();
            let file = options.read(true).write(true).create_new(true).mode(0o600).open(&path)?;
            fs::remove_file(&path)?;
            Ok::<_, io::Error>(file)
        };
        created().at_path(&path)
    }

    /// The directory that rclone may write to: its cache and temporary files.
    pub fn writable_dir(&self) -> PathBuf {
        self.path.join(WRITABLE_DIR)
    }

    /// The directory that rclone reads batches and path lists from.
    pub fn input_dir(&self) -> PathBuf {
        self.path.join(INPUT_DIR)
    }

    /// Writes a new file for rclone to read. `kind` begins its name.
    ///
    /// # Errors
    ///
    /// The file can't be written.
    pub fn write_file(&self, kind: &str, bytes: &[u8]) -> Result<PathBuf, Failure> {
        let path = self.new_path(kind);
        write_private_file(&path, bytes, self.owner).at_path(&path)?;
        Ok(path)
    }

    /// Creates a new directory for rclone to read. `kind` begins its name.
    ///
    /// # Errors
    ///
    /// The directory can't be created.
    pub fn create_dir(&self, kind: &str) -> Result<(Dir, PathBuf), Failure> {
        let path = self.new_path(kind);
        create_listable_dir(&path, self.owner).at_path(&path)?;
        let directory = Dir::open_ambient_dir(&path, ambient_authority()).at_path(&path)?;
        Ok((directory, path))
    }

    fn new_path(&self, kind: &str) -> PathBuf {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        self.input_dir().join(format!("{kind}-{}", COUNT.fetch_add(1, Ordering::Relaxed)))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Removes the directories of killed sessions below `root`, as far as that is possible. The
/// caller holds the lock of the state.
pub fn sweep(root: &Path) {
    let sessions = fs::read_dir(root.join(SESSIONS_DIR)).into_iter().flatten().flatten();
    for session in sessions {
        if let Ok(Some(_lock)) = try_lock_dir(&session.path()) {
            let _ = fs::remove_dir_all(session.path());
        }
    }
}
