//! One batch of entries that are uploaded together.

use futures::channel::oneshot;
use std::collections::HashMap;
use wit_bindgen::StreamResult;

use crate::bindings::plakar::connector::rclone::Batch;
use crate::bindings::plakar::connector::types::{Content, Entry, Failure, Kind, Reason};
use crate::path::RemotePath;

/// Maximum length of a name on most file systems.
const MAX_NAME_BYTES: usize = 255;

/// Number of outcomes that are read at once.
const READ_OUTCOMES: usize = 64;

/// Result of one entry.
pub type WriteResult = Result<(), Failure>;

/// Batch that accepts entries.
pub struct OpenBatch {
    batch: Batch,
    /// Entries without a result, by their paths.
    pending: HashMap<String, PendingEntry>,
}

struct PendingEntry {
    kind: Kind,
    result: oneshot::Sender<WriteResult>,
}

impl OpenBatch {
    /// Creates an empty batch.
    ///
    /// # Errors
    ///
    /// The host cannot create one.
    pub async fn create() -> Result<Self, Failure> {
        Ok(Self { batch: Batch::create().await?, pending: HashMap::new() })
    }

    /// Reports whether the batch has an entry at a path.
    pub fn contains(&self, path: &RemotePath) -> bool {
        self.pending.contains_key(path.as_str())
    }

    /// Adds an entry. Returns where its result arrives.
    ///
    /// # Errors
    ///
    /// The content is not complete, or the batch is full.
    pub async fn add(
        &mut self,
        path: &RemotePath,
        entry: Entry,
        content: Option<Content>,
    ) -> Result<oneshot::Receiver<WriteResult>, Failure> {
        let kind = entry.metadata.kind;
        let entry = Entry { path: path.to_string(), ..entry };
        self.batch.add(entry, content).await?;
        let (result, receiver) = oneshot::channel();
        self.pending.insert(path.to_string(), PendingEntry { kind, result });
        Ok(receiver)
    }

    /// Uploads the batch, and sends each entry its result.
    pub async fn send(self) {
        let Self { batch, mut pending } = self;
        let (mut outcomes, end) = Batch::send(batch).await;
        loop {
            let (result, read) = outcomes.read(Vec::with_capacity(READ_OUTCOMES)).await;
            for outcome in read {
                // The first outcome of a path counts. Other paths are ignored.
                if let Some(entry) = pending.remove(&outcome.path) {
                    let _ = entry.result.send(outcome.outcome);
                }
            }
            if !matches!(result, StreamResult::Complete(_)) {
                break;
            }
        }
        let end = end.await;
        for (path, PendingEntry { kind, result }) in pending {
            let outcome = match (&end, kind) {
                (Err(failure), _) => Err(failure.clone()),
                // rclone only mentions directories that fail.
                (Ok(()), Kind::Directory) => Ok(()),
                (Ok(()), _) => Err(Failure::new(
                    Reason::Internal,
                    format!("rclone reported no outcome of `{path}`"),
                )
                .with_help("restore it again")),
            };
            let _ = result.send(outcome);
        }
    }
}

/// Reports whether the host's disk can hold a path: names as rclone shows them may be longer
/// than those on a disk.
pub fn fits_on_disk(path: &RemotePath) -> bool {
    path.as_str().split('/').all(|name| name.len() <= MAX_NAME_BYTES)
}

/// Creates the failure of an entry whose result will never arrive.
pub fn cancelled() -> Failure {
    Failure::new(Reason::Cancelled, "the restore was cancelled")
}
