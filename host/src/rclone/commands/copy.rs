//! The verb `batch`: many small files, collected in a private directory and
//! uploaded by one `rclone copy`.

use cap_std::fs::{Dir, File, OpenOptions};
use rustix::fs::{AtFlags, Timespec, Timestamps};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, oneshot};

use super::concurrency::{self, TRIES};
use super::obstacles::{self, Obstacle, Planned};
use crate::connector::{Content, Entry, Failure, Kind, Outcome, Reason, Timestamp};
use crate::quota::counters::Count;
use crate::rclone::process::Verb;
use crate::rclone::process::errors;
use crate::rclone::process::quota::Descriptor;
use crate::rclone::process::reported::Told;
use crate::rclone::process::stderr_log::{Line, SAID};
use crate::rclone::{Rclone, google_photos, sound};

/// How many bytes one batch may hold: whatever the guest wants, the disk is ours.
const BUDGET: u64 = 256 << 20;

/// How many photos are uploaded at once: Google Photos takes this many with one call
/// (rclone's `batch_size` there).
const PHOTOS: &str = "50";

/// How often rclone tries to upload a photo, and each time to add it: it waits up to eight
/// seconds between, so this outlasts a quota of calls in a minute.
const TRIES_OF_PHOTOS: &str = "4";

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
    /// That of the directory, which stays open: what has its name later may be another one.
    _descriptor: Descriptor,
    bytes: AtomicU64,
    files: AtomicU64,
    /// What was added and goes by a copy.
    planned: Mutex<Planned>,
    /// Albums of Google Photos that nothing needs to go into.
    albums: Mutex<Vec<String>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
        let [bytes, files] = [&self.bytes, &self.files].map(|it| it.load(Ordering::Relaxed));
        self.rclone.inner.usage.give_back_disk(bytes, files);
    }
}

impl Batch {
    pub fn create(rclone: Rclone) -> Result<Self, Failure> {
        let descriptor = rclone.inner.usage.batch()?;
        let (directory, path) = rclone.inner.scratch.directory("batch")?;
        let inner = Inner {
            rclone,
            directory,
            path,
            _descriptor: descriptor,
            bytes: AtomicU64::default(),
            files: AtomicU64::default(),
            planned: Mutex::default(),
            albums: Mutex::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Puts an entry into the batch.
    pub async fn add(&self, entry: Entry, content: Option<Content>) -> Result<(), Failure> {
        let path = sound(&entry.path)?;
        self.inner.rclone.claim(&path).await?;
        self.inner.files.fetch_add(1, Ordering::Relaxed);
        self.inner.rclone.inner.usage.take_file()?;
        let modified = entry.metadata.modified;
        let failed = |error: std::io::Error| not_collected(&path, &error);
        match (entry.metadata.kind, content) {
            (Kind::Directory, None) if google_photos::is(&self.inner.rclone.inner.remote) => {
                self.add_album(path)
            }
            (Kind::Directory, None) => {
                self.inner.directory.create_dir_all(&path).map_err(failed)?;
                let directory = self.inner.directory.open_dir(&path).map_err(failed)?;
                let times = times(modified);
                rustix::fs::utimensat(&directory, ".", &times, AtFlags::empty())
                    .map_err(|errno| failed(errno.into()))?;
                self.planned().directories.insert(path);
                Ok(())
            }
            (Kind::File, Some(content)) => {
                let _descriptor = self.inner.rclone.inner.usage.filled().await?;
                if let Some(parent) = Path::new(&path).parent() {
                    self.inner.directory.create_dir_all(parent).map_err(failed)?;
                }
                let mut options = OpenOptions::new();
                options.write(true).create_new(true);
                let file = self.inner.directory.open_with(&path, &options).map_err(failed)?;
                let filled = self.fill(&path, file, content, entry.metadata.size, modified).await;
                match filled {
                    Ok(()) => drop(self.planned().files.insert(path)),
                    Err(_) => drop(self.inner.directory.remove_file(&path)),
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
        content.join().await?;
        super::serve_restic::counted(count, size)?;
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

    fn planned(&self) -> std::sync::MutexGuard<'_, Planned> {
        self.inner.planned.lock().unwrap_or_else(PoisonError::into_inner)
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
    pub fn send(self) -> Sending {
        let (outcomes_in, outcomes) = mpsc::channel(64);
        let (end_in, end) = oneshot::channel();
        tokio::spawn(async move {
            let result = self.upload(&outcomes_in).await;
            if result.is_ok() {
                self.make_albums(&outcomes_in).await;
            }
            drop(outcomes_in);
            drop(self);
            let _ = end_in.send(result);
        });
        Sending { outcomes, end }
    }

    /// Copies all of it, and again what failed because it was too much at once.
    async fn upload(&self, outcomes: &mpsc::Sender<Outcome>) -> Result<(), Failure> {
        let concurrency = &self.inner.rclone.inner.concurrency;
        let planned = self.planned().clone();
        for Obstacle { path, place, failure } in
            obstacles::find(&self.inner.rclone, &planned).await?
        {
            self.forget(&place);
            // Nobody listening is told by the end.
            let _ = outcomes.send(Outcome { path, outcome: Err(failure) }).await;
        }
        let mut tries = 0;
        loop {
            let transfers = concurrency.now();
            // A photo that was sent twice may be there twice.
            let last = tries == TRIES || google_photos::is(&self.inner.rclone.inner.remote);
            let (sink, said) = mpsc::channel(SAID);
            let process = self.copy(transfers).start(false, Some(sink)).await?;
            let telling = tokio::spawn(tell(self.clone(), said, outcomes.clone(), last));
            let (mut paths, mut too_much) = (Vec::new(), 0);
            let told = async {
                let copied = telling.await.unwrap_or_default();
                (paths, too_much) = (copied.paths, copied.too_much);
                copied.told
            };
            let result = process.end_told(told).await;
            let none_began = result.as_ref().is_err_and(concurrency::is_too_much);
            if last || too_much == 0 && !none_began {
                return result;
            }
            concurrency.halve(transfers);
            tracing::info!(
                "the server refuses {transfers} files at once: trying again with {}",
                concurrency.now()
            );
            paths.iter().for_each(|path| self.forget(path));
            tokio::time::sleep(concurrency::pause(tries)).await;
            tries += 1;
        }
    }

    /// The process that copies what the batch holds.
    fn copy(&self, transfers: usize) -> Verb<'_> {
        let rclone = &self.inner.rclone;
        let verb = rclone.verb("copy");
        let verb = if google_photos::is(&rclone.inner.remote) {
            // A photo under a name that an album has already may be another photo, and
            // Google knows its bytes: it is for Google to tell.
            let verb = verb.args(["--no-check-dest", "--transfers", PHOTOS]);
            verb.args(["--checkers", PHOTOS, "--low-level-retries", TRIES_OF_PHOTOS])
        } else {
            let transfers = transfers.to_string();
            let verb = verb.args(["--ignore-times", "--create-empty-src-dirs"]);
            let verb = match rclone.waits_for_connections() {
                true => verb.args(["--low-level-retries", "2"]),
                false => verb,
            };
            verb.args(["--transfers", &transfers, "--checkers", &transfers])
        };
        // Two spellings of a name in Unicode are two files.
        let verb = verb.arg("--no-unicode-normalization");
        verb.arg(self.source()).arg(rclone.target(""))
    }

    /// Removes what isn't to be copied, or not again, and leaves the directory above its time.
    fn forget(&self, path: &str) {
        let directory = &self.inner.directory;
        let above = Path::new(path).parent().filter(|above| !above.as_os_str().is_empty());
        let Ok(above) = directory.open_dir(above.unwrap_or(Path::new("."))) else { return };
        let before = rustix::fs::fstat(&above);
        let removed = directory.remove_file(path).or_else(|_| directory.remove_dir_all(path));
        if let (Ok(before), Ok(())) = (before, removed) {
            let nanoseconds = i64::try_from(before.st_mtime_nsec).unwrap_or_default();
            let time = Timespec { tv_sec: before.st_mtime, tv_nsec: nanoseconds };
            let times = Timestamps { last_access: time, last_modification: time };
            // rclone at worst gives it another time.
            let _ = rustix::fs::utimensat(&above, ".", &times, AtFlags::empty());
        }
    }
}

/// What came of one copy.
#[derive(Default)]
struct Copied {
    /// The errors that were told of single paths.
    told: Told,
    /// Whose outcomes were passed on.
    paths: Vec<String>,
    /// How many failed because it was too much at once, which isn't passed on.
    too_much: usize,
}

/// Passes on what rclone says of single files. What was too much at once has no outcome
/// yet, unless this try was the `last`.
async fn tell(
    batch: Batch,
    mut said: mpsc::Receiver<Line>,
    outcomes: mpsc::Sender<Outcome>,
    last: bool,
) -> Copied {
    let mut copied = Copied::default();
    while let Some(Line { level, message, object, .. }) = said.recv().await {
        let outcome = match () {
            () if level.is_error() => Err(errors::understand(&message)),
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
                copied.told.note(&message);
                watchdog.failed(failure);
            }
        }
        if !last && outcome.as_ref().is_err_and(concurrency::is_too_much) {
            copied.too_much += 1;
            continue;
        }
        copied.paths.push(path.clone());
        // Nobody listening is told by the end.
        let _ = outcomes.send(Outcome { path, outcome }).await;
    }
    copied
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
