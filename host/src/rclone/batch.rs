//! The verb `batch`: many small files, collected in a private directory and
//! uploaded by one `rclone copy`.

use cap_std::fs::{Dir, File, OpenOptions};
use rustix::fs::{AtFlags, Timespec, Timestamps};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, oneshot};

use super::log::{Line, SAID};
use super::told::Told;
use super::{Rclone, photos, reason, sound};
use crate::account::Count;
use crate::contract::{Content, Entry, Failure, Kind, Outcome, Reason, Timestamp};

/// How many bytes one batch may hold: whatever the guest wants, the disk is ours.
const BUDGET: u64 = 256 << 20;

/// How many files are uploaded at once. Where a backend is far away each takes
/// long and costs nothing.
const TRANSFERS: &str = "64";

/// The same for Google Photos, which takes this many with one call (rclone's
/// `batch_size` there).
const PHOTOS: &str = "50";

/// How often rclone tries to upload a photo, and each time to add it: it waits up to eight
/// seconds between, so this outlasts a quota of calls in a minute.
const TRIES: &str = "4";

/// How many albums without photos a batch may hold, and how long their paths may be:
/// Google takes titles of 500 characters.
const ALBUMS: usize = 1000;
const LONGEST_TITLE: usize = 4096;

/// A batch on its way out.
pub struct Sending {
    pub outcomes: mpsc::Receiver<Outcome>,
    pub end: oneshot::Receiver<Result<(), Failure>>,
}

/// A batch that takes entries. Cheap to clone; its directory goes with the last clone.
#[derive(Clone)]
pub struct Batch {
    inner: Arc<Inner>,
}

struct Inner {
    rclone: Rclone,
    directory: Dir,
    path: PathBuf,
    bytes: AtomicU64,
    /// Albums of Google Photos that nothing needs to go into.
    albums: Mutex<Vec<String>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
        self.rclone.inner.usage.give_back_disk(self.bytes.load(Ordering::Relaxed));
    }
}

impl Batch {
    pub fn create(rclone: Rclone, (directory, path): (Dir, PathBuf)) -> Result<Self, Failure> {
        let (bytes, albums) = (AtomicU64::default(), Mutex::default());
        let inner = Inner { rclone, directory, path, bytes, albums };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Puts an entry into the batch.
    pub async fn add(&self, entry: Entry, content: Option<Content>) -> Result<(), Failure> {
        let path = sound(&entry.path)?;
        self.inner.rclone.claim(&path).await?;
        let modified = entry.metadata.modified;
        let failed = |error: std::io::Error| not_collected(&path, &error);
        match (entry.metadata.kind, content) {
            (Kind::Directory, None) if photos::is(&self.inner.rclone.inner.remote) => {
                self.add_album(path)
            }
            (Kind::Directory, None) => {
                self.inner.directory.create_dir_all(&path).map_err(failed)?;
                let directory = self.inner.directory.open_dir(&path).map_err(failed)?;
                let times = times(modified);
                rustix::fs::utimensat(&directory, ".", &times, AtFlags::empty())
                    .map_err(|errno| failed(errno.into()))
            }
            (Kind::File, Some(content)) => {
                if let Some(parent) = Path::new(&path).parent() {
                    self.inner.directory.create_dir_all(parent).map_err(failed)?;
                }
                let mut options = OpenOptions::new();
                options.write(true).create_new(true);
                let file = self.inner.directory.open_with(&path, &options).map_err(failed)?;
                let filled = self.fill(&path, file, content, entry.metadata.size, modified).await;
                if filled.is_err() {
                    let _ = self.inner.directory.remove_file(&path);
                }
                filled
            }
            _ => Err(Failure::new(
                Reason::Unsupported,
                format!("`{path}` is neither a file with content nor a directory without"),
            )),
        }
    }

    async fn fill(
        &self,
        path: &str,
        mut file: File,
        mut content: Content,
        size: Option<u64>,
        modified: Timestamp,
    ) -> Result<(), Failure> {
        use std::io::Write;
        let failed = |error: std::io::Error| not_collected(path, &error);
        let mut count = 0;
        while let Some(piece) = content.bytes.recv().await {
            count += piece.len() as u64;
            let length = piece.len() as u64;
            let held = self.inner.bytes.fetch_add(length, Ordering::Relaxed) + length;
            self.inner.rclone.inner.usage.take_disk(length)?;
            let usage = &self.inner.rclone.inner.usage;
            usage.account.add(Count::BytesIn, length);
            usage.pace(piece.len()).await;
            if held > BUDGET {
                return Err(Failure::new(
                    Reason::RateLimited,
                    format!("a batch may hold {BUDGET} bytes at most"),
                ));
            }
            file.write_all(&piece).map_err(failed)?;
        }
        Content::ended(content.end).await?;
        super::reader::counted(count, size)?;
        rustix::fs::futimens(&file, &times(modified)).map_err(|errno| failed(errno.into()))
    }

    /// The path of the batch that rclone means: while it uploads `a` it calls it
    /// `a.1f2e3d4c.partial` on some backends.
    fn named(&self, object: String) -> String {
        let partial = object.strip_suffix(".partial").and_then(|rest| rest.rsplit_once('.'));
        match partial {
            Some((path, _)) if !self.inner.directory.exists(&object) => path.to_owned(),
            _ => object,
        }
    }

    /// The directory as rclone takes it: its names are as in rclone's paths already,
    /// where rclone otherwise writes control characters and some others differently
    /// than a disk does (rclone's lib/encoder, `Standard`).
    fn source(&self) -> String {
        format!(":local,encoding=\"Slash,Ctl,Del,Dot\":{}", self.inner.path.display())
    }

    fn albums(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.inner.albums.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add_album(&self, path: String) -> Result<(), Failure> {
        let mut albums = self.albums();
        if albums.len() == ALBUMS || path.len() > LONGEST_TITLE {
            return Err(Failure::new(
                Reason::RateLimited,
                format!("a batch may hold {ALBUMS} albums, with paths of {LONGEST_TITLE} bytes"),
            ));
        }
        albums.push(path);
        Ok(())
    }

    /// Makes the albums that were added, and tells of those that fail. `copy` would make
    /// the directories that they lie in, too, and Google Photos has none.
    async fn make_albums(&self, outcomes: &mpsc::Sender<Outcome>) {
        let rclone = &self.inner.rclone;
        let albums = std::mem::take(&mut *self.albums());
        for path in albums {
            if let Err(failure) = rclone.run("mkdir", &[&rclone.target(&path)]).await {
                let message = format!("the album `{path}` can't be made: {}", failure.message);
                let outcome = Err(Failure { message, ..failure });
                // Nobody listening is told by the end.
                let _ = outcomes.send(Outcome { path, outcome }).await;
            }
        }
    }

    /// Uploads it.
    pub async fn send(self) -> Result<Sending, Failure> {
        let (sink, said) = mpsc::channel(SAID);
        let rclone = &self.inner.rclone;
        let verb = if photos::is(&rclone.inner.remote) {
            // A photo under a name that an album has already may be another photo, and
            // Google knows its bytes: it is for Google to tell.
            let verb = rclone.verb("copy").args(["--no-check-dest", "--transfers", PHOTOS]);
            verb.args(["--low-level-retries", TRIES])
        } else {
            let verb = rclone.verb("copy").args(["--ignore-times", "--transfers", TRANSFERS]);
            verb.arg("--create-empty-src-dirs")
        };
        // Two spellings of a name in Unicode are two files.
        let verb = verb.arg("--no-unicode-normalization");
        let verb = verb.args(["--checkers", TRANSFERS]).arg(self.source()).arg(rclone.target(""));
        let process = verb.start(false, Some(sink)).await?;
        let (outcomes_in, outcomes) = mpsc::channel(64);
        let (end_in, end) = oneshot::channel();
        tokio::spawn(async move {
            let telling = tokio::spawn(tell(self.clone(), said, outcomes_in.clone()));
            let result = process.end_told(async { telling.await.unwrap_or_default() }).await;
            if result.is_ok() {
                self.make_albums(&outcomes_in).await;
            }
            drop(outcomes_in);
            drop(self);
            let _ = end_in.send(result);
        });
        Ok(Sending { outcomes, end })
    }
}

/// Passes on what rclone says of single files; returns what it says of those that failed.
async fn tell(
    batch: Batch,
    mut said: mpsc::Receiver<Line>,
    outcomes: mpsc::Sender<Outcome>,
) -> Told {
    let mut told = Told::default();
    while let Some(Line { level, message, object, .. }) = said.recv().await {
        let outcome = match () {
            () if level.is_error() => Err(reason::understand(&message)),
            () if message.starts_with("Copied (")
                || message.starts_with("Multi-thread Copied (") =>
            {
                Ok(())
            }
            () => continue,
        };
        let Some(path) = object.filter(|path| !path.is_empty()) else { continue };
        let path = batch.named(path);
        let watchdog = &batch.inner.rclone.inner.watchdog;
        match &outcome {
            Ok(()) => watchdog.answered(),
            Err(failure) => {
                told.note(&message);
                watchdog.failed(failure);
            }
        }
        // Nobody listening is told by the end.
        let _ = outcomes.send(Outcome { path, outcome }).await;
    }
    told
}

fn not_collected(path: &str, error: &std::io::Error) -> Failure {
    let reason = match error.kind() {
        std::io::ErrorKind::StorageFull => Reason::Unavailable,
        _ => Reason::Internal,
    };
    Failure::new(reason, format!("`{path}` can't be collected for its upload: {error}"))
}

fn times(modified: Timestamp) -> Timestamps {
    let time = Timespec { tv_sec: modified.seconds, tv_nsec: i64::from(modified.nanoseconds) };
    Timestamps { last_access: time, last_modification: time }
}
