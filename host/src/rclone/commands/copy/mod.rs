//! `rclone copy`: uploads a batch of many small files, which are staged in a private directory.

mod upload;

use cap_std::fs::{Dir, File, OpenOptions};
use rustix::fs::{AtFlags, Timespec, Timestamps};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{mpsc, oneshot};

use super::obstacles::BatchPaths;
use super::{collision, transfer};
use crate::connector::{self, Content, Entry, Failure, Kind, Outcome, Reason, Timestamp};
use crate::quota::counters::Count;
use crate::rclone::process::quota::DescriptorPermit;
use crate::rclone::remote_path::RemotePath;
use crate::rclone::session::RcloneSession;

/// Number of bytes that one batch may hold, whatever the component wants.
const MAX_BATCH_BYTES: u64 = 256 << 20;

/// Number of albums without photos that a batch may hold.
const MAX_ALBUMS: usize = 1000;

/// Length of an album's path: Google takes titles of 500 characters.
const MAX_ALBUM_PATH_BYTES: usize = 4096;

/// Number of outcomes that may wait for the component.
const MAX_QUEUED_OUTCOMES: usize = 64;

/// The upload of a batch.
pub struct BatchUpload {
    pub outcomes: mpsc::Receiver<Outcome>,
    pub end: oneshot::Receiver<Result<(), Failure>>,
}

/// A batch that takes entries. Cheap to clone; its directory is removed with the last clone.
#[derive(Clone)]
pub struct Batch {
    shared: Arc<Shared>,
}

struct Shared {
    session: RcloneSession,
    directory: Dir,
    path: PathBuf,
    /// The permit for `directory`, which stays open since its path may lead elsewhere later.
    _descriptor: DescriptorPermit,
    bytes: AtomicU64,
    files: AtomicU64,
    /// The entries that a copy uploads.
    planned: Mutex<BatchPaths>,
    /// Albums of Google Photos, which may stay empty.
    albums: Mutex<Vec<String>>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
        let [bytes, files] = [&self.bytes, &self.files].map(|it| it.load(Ordering::Relaxed));
        self.session.quota().release_disk(bytes, files);
    }
}

impl Batch {
    /// Creates an empty batch.
    ///
    /// # Errors
    ///
    /// The session has too many batches, or its directory can't be created.
    pub fn create(session: RcloneSession) -> Result<Self, Failure> {
        let descriptor = session.quota().acquire_batch()?;
        let (directory, path) = session.scratch().create_dir("batch")?;
        let shared = Shared {
            session,
            directory,
            path,
            _descriptor: descriptor,
            bytes: AtomicU64::default(),
            files: AtomicU64::default(),
            planned: Mutex::default(),
            albums: Mutex::default(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Adds an entry to the batch.
    ///
    /// # Errors
    ///
    /// The path isn't below the root or belongs to another entry, the batch or the session has
    /// too many files or bytes, or the content isn't complete.
    pub async fn add(&self, entry: Entry, content: Option<Content>) -> Result<(), Failure> {
        let path = RemotePath::parse(&entry.path)?;
        collision::claim(self.session(), &path).await?;
        self.shared.files.fetch_add(1, Ordering::Relaxed);
        self.session().quota().take_file()?;
        let path = path.into_string();
        match (entry.metadata.kind, content) {
            (Kind::Directory, None) if self.session().remote().is_google_photos() => {
                self.add_album(path)
            }
            (Kind::Directory, None) => self.add_directory(path, entry.metadata.modified),
            (Kind::File, Some(content)) => {
                self.add_file(path, content, entry.metadata.size, entry.metadata.modified).await
            }
            _ => Err(Failure::new(
                Reason::Unsupported,
                format!("`{path}` is neither a file with content nor a directory without"),
            )),
        }
    }

    fn add_directory(&self, path: String, modified: Timestamp) -> Result<(), Failure> {
        let failed = |error: std::io::Error| staging_failure(&path, &error);
        self.shared.directory.create_dir_all(&path).map_err(failed)?;
        let directory = self.shared.directory.open_dir(&path).map_err(failed)?;
        rustix::fs::utimensat(&directory, ".", &timestamps(modified), AtFlags::empty())
            .map_err(|errno| failed(errno.into()))?;
        self.planned().directories.insert(path);
        Ok(())
    }

    async fn add_file(
        &self,
        path: String,
        content: Content,
        size: Option<u64>,
        modified: Timestamp,
    ) -> Result<(), Failure> {
        let failed = |error: std::io::Error| staging_failure(&path, &error);
        let directory = &self.shared.directory;
        let _descriptor = self.session().quota().acquire_open_file().await?;
        if let Some(parent) = Path::new(&path).parent() {
            directory.create_dir_all(parent).map_err(failed)?;
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        let file = directory.open_with(&path, &options).map_err(failed)?;
        let written = self.write_file(&path, file, content, size, modified).await;
        match written {
            Ok(()) => drop(self.planned().files.insert(path)),
            Err(_) => drop(directory.remove_file(&path)),
        }
        written
    }

    async fn write_file(
        &self,
        path: &str,
        mut file: File,
        mut content: Content,
        size: Option<u64>,
        modified: Timestamp,
    ) -> Result<(), Failure> {
        let failed = |error: std::io::Error| staging_failure(path, &error);
        let quota = self.session().quota();
        let mut count = 0;
        while let Some(chunk) = content.bytes.recv().await {
            let length = chunk.len() as u64;
            count += length;
            let batch_bytes = self.shared.bytes.fetch_add(length, Ordering::Relaxed) + length;
            quota.take_disk(length)?;
            quota.account.add(Count::BytesIn, length);
            quota.throttle(chunk.len()).await;
            if batch_bytes > MAX_BATCH_BYTES {
                return Err(Failure::new(
                    Reason::RateLimited,
                    format!("a batch may hold {MAX_BATCH_BYTES} bytes at most"),
                ));
            }
            file.write_all(&chunk).map_err(failed)?;
        }
        connector::wait_end(content.end).await?;
        transfer::check_length(count, size)?;
        rustix::fs::futimens(&file, &timestamps(modified)).map_err(|errno| failed(errno.into()))
    }

    fn add_album(&self, path: String) -> Result<(), Failure> {
        let mut albums = self.albums();
        if albums.len() == MAX_ALBUMS || path.len() > MAX_ALBUM_PATH_BYTES {
            return Err(Failure::new(
                Reason::RateLimited,
                format!(
                    "a batch may hold {MAX_ALBUMS} albums, with paths of {MAX_ALBUM_PATH_BYTES} \
                     bytes"
                ),
            ));
        }
        albums.push(path);
        Ok(())
    }

    /// Starts the upload of the batch.
    pub fn send(self) -> BatchUpload {
        let (outcomes_in, outcomes) = mpsc::channel(MAX_QUEUED_OUTCOMES);
        let (end_in, end) = oneshot::channel();
        tokio::spawn(async move {
            let result = upload::copy(&self, &outcomes_in).await;
            if result.is_ok() {
                upload::create_albums(&self, &outcomes_in).await;
            }
            drop(outcomes_in);
            drop(self);
            let _ = end_in.send(result);
        });
        BatchUpload { outcomes, end }
    }

    /// The staging directory as rclone takes it. Its names are encoded as in rclone's paths
    /// already, where rclone would by default encode control characters and some others
    /// (rclone's lib/encoder, `Standard`).
    fn source(&self) -> String {
        format!(":local,encoding=\"Slash,Ctl,Del,Dot\":{}", self.shared.path.display())
    }

    /// Removes an entry that isn't to be copied (again), and keeps the time of its directory.
    fn exclude(&self, path: &str) {
        let directory = &self.shared.directory;
        let above = Path::new(path).parent().filter(|above| !above.as_os_str().is_empty());
        let Ok(above) = directory.open_dir(above.unwrap_or(Path::new("."))) else { return };
        let before = rustix::fs::fstat(&above);
        let removed = directory.remove_file(path).or_else(|_| directory.remove_dir_all(path));
        if let (Ok(before), Ok(())) = (before, removed) {
            let nanoseconds = i64::try_from(before.st_mtime_nsec).unwrap_or_default();
            let time = Timespec { tv_sec: before.st_mtime, tv_nsec: nanoseconds };
            let times = Timestamps { last_access: time, last_modification: time };
            // At worst the directory is restored with a different time.
            let _ = rustix::fs::utimensat(&above, ".", &times, AtFlags::empty());
        }
    }

    /// The path of the entry that rclone logs. While it uploads `a`, it calls it
    /// `a.1f2e3d4c.partial` on some backends.
    fn batch_path(&self, object: String) -> String {
        let partial = object.strip_suffix(".partial").and_then(|rest| rest.rsplit_once('.'));
        match partial {
            Some((path, _)) if !self.shared.directory.exists(&object) => path.to_owned(),
            _ => object,
        }
    }

    fn session(&self) -> &RcloneSession {
        &self.shared.session
    }

    fn planned(&self) -> MutexGuard<'_, BatchPaths> {
        self.shared.planned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn albums(&self) -> MutexGuard<'_, Vec<String>> {
        self.shared.albums.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn staging_failure(path: &str, error: &std::io::Error) -> Failure {
    let reason = match error.kind() {
        std::io::ErrorKind::StorageFull => Reason::Unavailable,
        _ => Reason::Internal,
    };
    Failure::new(reason, format!("`{path}` can't be collected for its upload: {error}"))
}

fn timestamps(modified: Timestamp) -> Timestamps {
    let time = Timespec { tv_sec: modified.seconds, tv_nsec: i64::from(modified.nanoseconds) };
    Timestamps { last_access: time, last_modification: time }
}
