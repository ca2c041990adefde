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

use crate::bindings::plakar::connector::rclone::{self, Batch};
use crate::bindings::plakar::connector::types::{Content, Entry, Failure, Kind, Reason};
use crate::path::{RemotePath, SnapshotRoot};

/// A batch is sent when it holds this many entries...
const ENTRIES: usize = 1000;
/// ...or this many bytes. Two exist at most, one filling and one being sent.
const BYTES: u64 = 128 << 20;
/// Files above this size aren't collected but uploaded as they come.
const LARGE: u64 = 32 << 20;

/// The longest name that file systems take, in bytes.
const LONGEST_NAME: usize = 255;

type Fate = Result<(), Failure>;

/// The state of a restore.
#[derive(Default)]
pub struct Restore {
    /// Writes take turns in the order in which they were called, `finish` last: this
    /// lock is a queue.
    collecting: Mutex<Collecting>,
}

#[derive(Default)]
struct Collecting {
    batch: Option<Filling>,
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
    bytes: u64,
    waiting: HashMap<String, Waiting>,
}

/// One entry of a batch whose fate isn't known yet.
struct Waiting {
    kind: Kind,
    fate: oneshot::Sender<Fate>,
}

/// Writes one entry; returns when its fate is known.
pub async fn write(restore: &Restore, entry: Entry, content: Option<Content>) -> Fate {
    let Some(path) = SnapshotRoot::of("").relative(&entry.path)? else {
        // The destination's own root: rclone makes it with whatever comes first.
        return Ok(());
    };
    match (entry.metadata.kind, content) {
        (Kind::Directory, None) => {
            let (fate, told) = oneshot::channel();
            let mut collecting = restore.collecting.lock().await;
            leave(&mut collecting, Some(path.as_str())).await?;
            collecting.open.push(Directory { entry, path, fate });
            drop(collecting);
            told.await.unwrap_or_else(|_| Err(given_up()))
        }
        (Kind::File, Some(content)) => match entry.metadata.size {
            Some(size) if size <= LARGE && fits(&path) => {
                small(restore, path, entry, size, content).await
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
fn fits(path: &RemotePath) -> bool {
    path.as_str().split('/').all(|name| name.len() <= LONGEST_NAME)
}

/// Sends what is held back; returns when every entry has its fate.
pub async fn finish(restore: &Restore) -> Fate {
    let mut collecting = restore.collecting.lock().await;
    leave(&mut collecting, None).await?;
    seal(&mut collecting).await;
    sent(&mut collecting).await;
    Ok(())
}

async fn small(
    restore: &Restore,
    path: RemotePath,
    entry: Entry,
    size: u64,
    content: Content,
) -> Fate {
    let mut collecting = restore.collecting.lock().await;
    leave(&mut collecting, Some(path.as_str())).await?;
    let told = add(&mut collecting, path, entry, size, Some(content)).await?;
    drop(collecting);
    told.await.unwrap_or_else(|_| Err(given_up()))
}

async fn large(
    restore: &Restore,
    path: &RemotePath,
    entry: &Entry,
    size: u64,
    content: Content,
) -> Fate {
    let mut collecting = restore.collecting.lock().await;
    leave(&mut collecting, Some(path.as_str())).await?;
    collecting.receiving.retain_mut(|receiving| matches!(receiving.try_recv(), Ok(None)));
    let (_done, receiving) = oneshot::channel();
    collecting.receiving.push(receiving);
    drop(collecting);
    rclone::receive(path.to_string(), size, entry.metadata.modified, content).await
}

/// Puts an entry into the open batch, making room first.
async fn add(
    collecting: &mut Collecting,
    path: RemotePath,
    entry: Entry,
    size: u64,
    content: Option<Content>,
) -> Result<oneshot::Receiver<Fate>, Failure> {
    if collecting
        .batch
        .as_ref()
        .is_some_and(|filling| filling.waiting.len() >= ENTRIES || filling.bytes + size > BYTES)
    {
        seal(collecting).await;
    }
    let filling = match &mut collecting.batch {
        Some(filling) => filling,
        none => none.insert(Filling {
            batch: Batch::create().await?,
            bytes: 0,
            waiting: HashMap::new(),
        }),
    };
    let kind = entry.metadata.kind;
    let entry = Entry { path: path.to_string(), ..entry };
    filling.batch.add(entry, content).await?;
    filling.bytes += size;
    let (fate, told) = oneshot::channel();
    filling.waiting.insert(path.to_string(), Waiting { kind, fate });
    Ok(told)
}

/// Puts the directories that the walk has left into the batch: all that don't
/// hold `next`.
async fn leave(collecting: &mut Collecting, next: Option<&str>) -> Fate {
    let holds = |directory: &Directory| {
        next.is_some_and(|next| {
            next.strip_prefix(directory.path.as_str()).is_some_and(|rest| rest.starts_with('/'))
        })
    };
    while let Some(Directory { entry, path, fate }) =
        collecting.open.pop_if(|innermost| !holds(innermost))
    {
        match add(collecting, path, entry, 0, None).await {
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
    let Some(filling) = collecting.batch.take() else { return };
    // A directory of this batch may hold a file that is still on its way.
    join_all(collecting.receiving.drain(..)).await;
    let (done, sending) = oneshot::channel();
    collecting.sending = Some(sending.shared());
    spawn_local(async move {
        send(filling).await;
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

fn given_up() -> Failure {
    Failure::new(Reason::Cancelled, "the restore was given up")
}
