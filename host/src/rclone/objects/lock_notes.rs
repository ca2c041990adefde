//! Notes about the locks of running sessions, so that the next session on this machine removes
//! those of a session that was killed.

use rustix::fs::{FlockOperation, flock};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::connector::Failure;
use crate::rclone::remote::fingerprint::Fingerprint;
use crate::rclone::remote_path::RemotePath;
use crate::rclone::session::RcloneSession;
use crate::rclone::state::layout::STORE_LOCKS_DIR;
use crate::rclone::state::lock::try_lock_file;

/// The notes of a session: a file that is locked as long as it runs, with a line for each path.
pub struct LockNotes {
    directory: PathBuf,
    /// The beginning of the names of all notes of the same store.
    store: String,
    own: Mutex<Own>,
}

#[derive(Default)]
struct Own {
    paths: BTreeSet<String>,
    file: Option<(PathBuf, File)>,
}

/// The note of a session that has ended.
pub struct AbandonedNote {
    path: PathBuf,
    text: String,
    _lock: File,
}

impl AbandonedNote {
    /// The paths of the locks that it names.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.text.lines()
    }

    /// Removes the note.
    pub fn remove(self) {
        let _ = fs::remove_file(&self.path);
    }
}

impl LockNotes {
    /// Makes the notes of a session. Nothing is written yet.
    pub fn new(session: &RcloneSession) -> Self {
        let root = session.remote().path().trim_end_matches('/');
        Self::at(session.state_root(), &session.fingerprint(), root)
    }

    /// Makes the notes of a session on the store at `root` of a remote.
    fn at(state_root: &Path, remote: &Fingerprint, root: &str) -> Self {
        let directory = state_root.join(STORE_LOCKS_DIR);
        let store = format!("{:x}", Sha256::digest(format!("{}\0{root}", remote.to_hex())));
        Self { directory, store: format!("{store}-"), own: Mutex::default() }
    }

    /// Notes a lock that is about to be uploaded.
    ///
    /// # Errors
    ///
    /// The note can't be written.
    pub fn add(&self, path: &RemotePath) -> Result<(), Failure> {
        let mut own = self.own();
        own.paths.insert(path.to_string());
        self.write(&mut own).map_err(|error| self.failure(&error))
    }

    /// Forgets a lock that was removed.
    ///
    /// # Errors
    ///
    /// The note can't be written.
    pub fn remove(&self, path: &RemotePath) -> Result<(), Failure> {
        let mut own = self.own();
        if !own.paths.remove(&**path) {
            return Ok(());
        }
        self.write(&mut own).map_err(|error| self.failure(&error))
    }

    /// Takes the notes of sessions on the same store that have ended without removing their
    /// locks.
    pub fn abandoned(&self) -> Vec<AbandonedNote> {
        let entries = fs::read_dir(&self.directory).into_iter().flatten().flatten();
        let of_store = entries.filter(|entry| {
            entry.file_name().to_str().is_some_and(|name| name.starts_with(&self.store))
        });
        let abandoned = of_store.filter_map(|entry| {
            let path = entry.path();
            let lock = try_lock_file(&path).ok().flatten()?;
            let text = fs::read_to_string(&path).ok()?;
            Some(AbandonedNote { path, text, _lock: lock })
        });
        abandoned.collect()
    }

    fn own(&self) -> MutexGuard<'_, Own> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the file, or removes it if there is nothing to note.
    fn write(&self, own: &mut Own) -> io::Result<()> {
        if own.paths.is_empty() {
            if let Some((path, _lock)) = own.file.take() {
                fs::remove_file(path)?;
            }
            return Ok(());
        }
        if own.file.is_none() {
            own.file = Some(self.create()?);
        }
        if let Some((_, file)) = &mut own.file {
            // A line that is there twice, or too many, only costs a lookup.
            let text: String = own.paths.iter().map(|path| format!("{path}\n")).collect();
            file.write_all(text.as_bytes())?;
        }
        Ok(())
    }

    /// Creates the file, and locks it.
    fn create(&self) -> io::Result<(PathBuf, File)> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)?;
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let nanoseconds = std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos();
            let name = format!("{}{}-{count}-{nanoseconds:x}", self.store, std::process::id());
            let path = self.directory.join(name);
            let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&path)?;
            flock(&file, FlockOperation::LockExclusive)?;
            // Another session may have taken it for abandoned before it was locked.
            if file.metadata()?.nlink() > 0 {
                return Ok((path, file));
            }
        }
    }

    fn failure(&self, error: &io::Error) -> Failure {
        let directory = self.directory.display();
        Failure::internal(format!("`{directory}` can't be written: {error}"))
            .with_help("make it writable")
    }
}
