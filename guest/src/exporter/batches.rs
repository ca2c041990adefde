//! The exporter: small files in batches, large ones as they come.
//!
//! Plakar walks the snapshot depth first, a directory before what is in it, and
//! sends one file after the other. A file's fate is known when its batch was
//! sent, so `write` returns late. A directory goes into the batch that is open
//! when the walk leaves it: whatever is in it was put into this batch or an
//! earlier one, so nothing changes its time afterwards.

use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::{Shared, join_all};
use std::cell::RefCell;
use std::collections::HashMap;
use tokio::sync::Mutex;
use wit_bindgen::{StreamResult, spawn_local};

use super::google_photos;
use crate::bindings::plakar::connector::rclone::{self, Batch};
use crate::bindings::plakar::connector::types::{Content, Entry, Failure, Kind, Reason};
use crate::path::{RemotePath, SnapshotRoot};
use crate::session::Session;

/// When a batch is sent. Two exist at most, one filling and one being sent.
#[derive(Clone, Copy)]
pub struct Limits {
    pub entries: usize,
    pub bytes: u64,
    /// Files above this size aren't collected but uploaded as they come.
    pub large: u64,
}

const LIMITS: Limits = Limits { entries: 1000, bytes: 128 << 20, large: 32 << 20 };

/// The longest name that file systems take, in bytes.
const LONGEST_NAME: usize = 255;

pub type Fate = Result<(), Failure>;

/// The state of a restore.
pub struct Restore {
    /// Writes take turns in the order in which they were called, `finish` last: this
    /// lock is a queue.
    collecting: Mutex<Collecting>,
    limits: Limits,
}

impl Restore {
    pub fn with(limits: Limits) -> Self {
        Self { collecting: Mutex::default(), limits }
    }
}

impl Default for Restore {
    fn default() -> Self {
        Self::with(LIMITS)
    }
}

#[derive(Default)]
struct Collecting {
    next: Fillings,
    /// The directories that the walk is in, outermost first.
    open: Vec<Directory>,
    /// The uploads of large files that may still be going on.
    receiving: Vec<oneshot::Receiver<()>>,
    /// The batch that is being sent.
    sending: Option<Shared<oneshot::Receiver<()>>>,
}

struct Directory {
    entry: Entry,
    path: RemotePath,
    fate: oneshot::Sender<Fate>,
}

/// A batch that takes entries.
struct Filling {
    batch: Batch,
    waiting: HashMap<String, Waiting>,
}

/// What is sent next: one batch, and others after it where paths come twice.
#[derive(Default)]
struct Fillings {
    batches: Vec<Filling>,
    entries: usize,
    bytes: u64,
}

/// One entry of a batch whose fate isn't known yet.
struct Waiting {
    kind: Kind,
    fate: oneshot::Sender<Fate>,
}

/// Writes one entry; returns when its fate is known.
pub async fn write(session: &Session, entry: Entry, content: Option<Content>) -> Fate {
    let restore = &session.restore;
    let Some(path) = SnapshotRoot::of("").relative(&entry.path)? else {
        // The destination's own root: rclone makes it with whatever comes first.
        return Ok(());
    };
    if let Some(photos) = &session.photos {
        return google_photos::writer::write(session, photos, &path, entry, content).await;
    }
    match (entry.metadata.kind, content) {
        (Kind::Directory, None) => {
            let (fate, told) = oneshot::channel();
            let mut collecting = restore.collecting.lock().await;
            leave(restore, &mut collecting, Some(path.as_str())).await?;
            collecting.open.push(Directory { entry, path, fate });
            drop(collecting);
            told.await.unwrap_or_else(|_| Err(given_up()))
        }
        (Kind::File, Some(content)) => match entry.metadata.size {
            Some(size) if size <= restore.limits.large && fits(&path) => {
                collect(restore, path, entry, size, Some(content)).await?.await
            }
            Some(size) => large(restore, &path, &entry, size, content).await,
            None => Err(Failure::internal("a file of unknown size can't be restored")),
        },
        (Kind::Symlink, _) => Err(Failure::new(
            Reason::Unsupported,
            "rclone can't write symbolic links: restore them to a local directory (`fs://`)",
        )),
        _ => Err(Failure::new(Reason::Unsupported, "rclone can only write files and directories")),
    }
}

/// Whether the host's disk takes the path: rclone's own names can be longer than
/// those on a disk that they stand for.
pub fn fits(path: &RemotePath) -> bool {
    path.as_str().split('/').all(|name| name.len() <= LONGEST_NAME)
}

/// Sends what is held back; returns when every entry has its fate.
pub async fn finish(restore: &Restore) -> Fate {
    let mut collecting = restore.collecting.lock().await;
    leave(restore, &mut collecting, None).await?;
    seal(&mut collecting).await;
    sent(&mut collecting).await;
    Ok(())
}

/// Puts an entry into the open batch; gives its fate, which is known later.
pub async fn collect(
    restore: &Restore,
    path: RemotePath,
    entry: Entry,
    size: u64,
    content: Option<Content>,
) -> Result<impl Future<Output = Fate> + use<>, Failure> {
    let mut collecting = restore.collecting.lock().await;
    leave(restore, &mut collecting, Some(path.as_str())).await?;
    let told = add(restore, &mut collecting, path, entry, size, content).await?;
    Ok(told.map(|told| told.unwrap_or_else(|_| Err(given_up()))))
}

/// Waits until nothing is being sent, and lets nothing be sent meanwhile.
pub async fn alone(restore: &Restore) -> impl Drop + '_ {
    let mut collecting = restore.collecting.lock().await;
    sent(&mut collecting).await;
    collecting
}

async fn large(
    restore: &Restore,
    path: &RemotePath,
    entry: &Entry,
    size: u64,
    content: Content,
) -> Fate {
    let mut collecting = restore.collecting.lock().await;
    leave(restore, &mut collecting, Some(path.as_str())).await?;
    collecting.receiving.retain_mut(|receiving| matches!(receiving.try_recv(), Ok(None)));
    let (_done, receiving) = oneshot::channel();
    collecting.receiving.push(receiving);
    drop(collecting);
    rclone::receive(path.to_string(), size, entry.metadata.modified, content).await
}

/// Puts an entry into the open batch, making room first.
async fn add(
    restore: &Restore,
    collecting: &mut Collecting,
    path: RemotePath,
    entry: Entry,
    size: u64,
    content: Option<Content>,
) -> Result<oneshot::Receiver<Fate>, Failure> {
    let Limits { entries, bytes, .. } = restore.limits;
    let Fillings { entries: held, bytes: full, .. } = collecting.next;
    if held >= entries || held > 0 && full + size > bytes {
        seal(collecting).await;
    }
    let next = &mut collecting.next;
    let free = |filling: &Filling| !filling.waiting.contains_key(path.as_str());
    let at = match next.batches.iter().position(free) {
        Some(at) => at,
        None => {
            let batch = Batch::create().await?;
            next.batches.push(Filling { batch, waiting: HashMap::new() });
            next.batches.len() - 1
        }
    };
    let filling = &mut next.batches[at];
    let kind = entry.metadata.kind;
    let entry = Entry { path: path.to_string(), ..entry };
    filling.batch.add(entry, content).await?;
    next.entries += 1;
    next.bytes += size;
    let (fate, told) = oneshot::channel();
    filling.waiting.insert(path.to_string(), Waiting { kind, fate });
    Ok(told)
}

/// Puts the directories that the walk has left into the batch: all that don't
/// hold `next`.
async fn leave(restore: &Restore, collecting: &mut Collecting, next: Option<&str>) -> Fate {
    let holds = |directory: &Directory| {
        next.is_some_and(|next| {
            next.strip_prefix(directory.path.as_str()).is_some_and(|rest| rest.starts_with('/'))
        })
    };
    while let Some(Directory { entry, path, fate }) =
        collecting.open.pop_if(|innermost| !holds(innermost))
    {
        match add(restore, collecting, path, entry, 0, None).await {
            Ok(told) => spawn_local(async move {
                let _ = fate.send(told.await.unwrap_or_else(|_| Err(given_up())));
            }),
            Err(failure) => {
                let _ = fate.send(Err(failure));
            }
        }
    }
    Ok(())
}

/// Sends the open batch once the one before it is through, while the next fills.
async fn seal(collecting: &mut Collecting) {
    sent(collecting).await;
    let Fillings { batches, .. } = std::mem::take(&mut collecting.next);
    if batches.is_empty() {
        return;
    }
    // A directory of this batch may hold a file that is still on its way.
    join_all(collecting.receiving.drain(..)).await;
    let (done, sending) = oneshot::channel();
    collecting.sending = Some(sending.shared());
    spawn_local(async move {
        for filling in batches {
            send(filling).await;
        }
        let _ = done.send(());
    });
}

/// Waits for the batch that is being sent.
async fn sent(collecting: &mut Collecting) {
    if let Some(sending) = collecting.sending.take() {
        // A sender that went away has nothing to send any more.
        let _ = sending.await;
    }
}

/// Sends a batch and tells each of its entries its fate.
async fn send(filling: Filling) {
    let waiting = RefCell::new(filling.waiting);
    let (mut outcomes, end) = Batch::send(filling.batch).await;
    loop {
        let (result, some) = outcomes.read(Vec::with_capacity(64)).await;
        for outcome in some {
            // What isn't waited for, or was told already, concerns nobody.
            if let Some(Waiting { fate, .. }) = waiting.borrow_mut().remove(&outcome.path) {
                let _ = fate.send(outcome.outcome);
            }
        }
        if !matches!(result, StreamResult::Complete(_)) {
            break;
        }
    }
    let end = end.await;
    for (path, Waiting { kind, fate }) in waiting.into_inner() {
        let outcome = match (&end, kind) {
            (Err(failure), _) => Err(failure.clone()),
            // rclone only mentions directories that fail.
            (Ok(()), Kind::Directory) => Ok(()),
            (Ok(()), _) => Err(Failure::new(
                Reason::Internal,
                format!("rclone didn't say what became of `{path}`: restore it again"),
            )),
        };
        let _ = fate.send(outcome);
    }
}

/// Nobody will tell any more.
pub fn given_up() -> Failure {
    Failure::new(Reason::Cancelled, "the restore was given up")
}
