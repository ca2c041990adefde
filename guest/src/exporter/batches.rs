//! Batches of small files: one is filled while the one before it is sent.
//!
//! Plakar walks the snapshot depth first, a directory before its contents, and sends one file
//! after the other. The result of a file is known when its batch was sent, so a write returns
//! late. A directory is added to the batch that is open when the walk leaves it: its contents
//! are in this batch or an earlier one, so that nothing changes its time afterwards.

use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::{Shared, join_all};
use tokio::sync::Mutex;
use wit_bindgen::spawn_local;

use super::batch::{OpenBatch, WriteResult, cancelled};
use crate::bindings::plakar::connector::types::{Content, Entry, Failure};
use crate::path::RemotePath;

/// Limits at which a batch is sent.
#[derive(Clone, Copy, Debug)]
pub struct BatchLimits {
    pub entries: usize,
    pub bytes: u64,
}

/// Batches of one restore.
pub struct Batches {
    /// The lock is a queue: writes are served in the order in which they were called, `finish`
    /// last.
    state: Mutex<BatchState>,
    limits: BatchLimits,
}

#[derive(Default)]
struct BatchState {
    next: PendingBatches,
    /// Directories that the walk is in, outermost first.
    open_directories: Vec<OpenDirectory>,
    /// Uploads of large files that may be in progress: each closes at its end.
    uploads: Vec<oneshot::Receiver<()>>,
    /// End of the batches that are being sent.
    sending: Option<Shared<oneshot::Receiver<()>>>,
}

struct OpenDirectory {
    entry: Entry,
    path: RemotePath,
    result: oneshot::Sender<WriteResult>,
}

/// Batches that are sent next: one, and others after it if paths are repeated.
#[derive(Default)]
struct PendingBatches {
    batches: Vec<OpenBatch>,
    entries: usize,
    bytes: u64,
}

/// Guard of an upload. Dropping it ends the upload.
pub struct UploadGuard {
    _end: oneshot::Sender<()>,
}

impl Batches {
    /// Creates batches with these limits.
    pub fn new(limits: BatchLimits) -> Self {
        Self { state: Mutex::default(), limits }
    }

    /// Adds a directory when the walk leaves it, and returns when its result is known.
    ///
    /// # Errors
    ///
    /// The directory was not written.
    pub async fn add_directory(&self, path: RemotePath, entry: Entry) -> WriteResult {
        let (result, receiver) = oneshot::channel();
        let mut state = self.state.lock().await;
        self.flush_left_directories(&mut state, Some(&path)).await;
        state.open_directories.push(OpenDirectory { entry, path, result });
        drop(state);
        receiver.await.unwrap_or_else(|_| Err(cancelled()))
    }

    /// Adds an entry. Returns the future of its result.
    ///
    /// # Errors
    ///
    /// The entry could not be added.
    pub async fn add(
        &self,
        path: RemotePath,
        entry: Entry,
        size: u64,
        content: Option<Content>,
    ) -> Result<impl Future<Output = WriteResult> + use<>, Failure> {
        let mut state = self.state.lock().await;
        self.flush_left_directories(&mut state, Some(&path)).await;
        let result = self.add_to_batch(&mut state, path, entry, size, content).await?;
        Ok(result.map(|result| result.unwrap_or_else(|_| Err(cancelled()))))
    }

    /// Begins an upload without a batch. The batches wait for its end before they are sent,
    /// because they may contain a directory above it.
    pub async fn begin_upload(&self, path: &RemotePath) -> UploadGuard {
        let mut state = self.state.lock().await;
        self.flush_left_directories(&mut state, Some(path)).await;
        state.uploads.retain_mut(|upload| matches!(upload.try_recv(), Ok(None)));
        let (end, upload) = oneshot::channel();
        state.uploads.push(upload);
        UploadGuard { _end: end }
    }

    /// Waits until nothing is being sent. Nothing is sent until the guard is dropped.
    pub async fn exclusive(&self) -> impl Drop + '_ {
        let mut state = self.state.lock().await;
        state.wait_sent().await;
        state
    }

    /// Sends what is still held, and waits until every entry has its result.
    pub async fn finish(&self) {
        let mut state = self.state.lock().await;
        self.flush_left_directories(&mut state, None).await;
        state.dispatch().await;
        state.wait_sent().await;
    }

    /// Adds an entry to a batch, after sending the batches if they are full.
    async fn add_to_batch(
        &self,
        state: &mut BatchState,
        path: RemotePath,
        entry: Entry,
        size: u64,
        content: Option<Content>,
    ) -> Result<oneshot::Receiver<WriteResult>, Failure> {
        if state.next.is_full(size, self.limits) {
            state.dispatch().await;
        }
        state.next.add(path, entry, size, content).await
    }

    /// Adds the directories that the walk has left, which are those that don't contain `next`.
    async fn flush_left_directories(&self, state: &mut BatchState, next: Option<&RemotePath>) {
        while let Some(OpenDirectory { entry, path, result }) =
            state.open_directories.pop_if(|innermost| !innermost.contains(next))
        {
            match self.add_to_batch(state, path, entry, 0, None).await {
                Ok(receiver) => spawn_local(async move {
                    let _ = result.send(receiver.await.unwrap_or_else(|_| Err(cancelled())));
                }),
                Err(failure) => {
                    let _ = result.send(Err(failure));
                }
            }
        }
    }
}

impl BatchState {
    /// Starts to send the open batches after the ones before them, while the next are filled.
    async fn dispatch(&mut self) {
        self.wait_sent().await;
        let PendingBatches { batches, .. } = std::mem::take(&mut self.next);
        if batches.is_empty() {
            return;
        }
        // A directory of these batches may contain a file whose upload is in progress.
        join_all(self.uploads.drain(..)).await;
        let (end, sending) = oneshot::channel();
        self.sending = Some(sending.shared());
        spawn_local(async move {
            for batch in batches {
                batch.send().await;
            }
            let _ = end.send(());
        });
    }

    /// Waits for the batches that are being sent.
    async fn wait_sent(&mut self) {
        if let Some(sending) = self.sending.take() {
            // An error means that the sender was dropped, so that nothing is sent any more.
            let _ = sending.await;
        }
    }
}

impl OpenDirectory {
    fn contains(&self, path: Option<&RemotePath>) -> bool {
        path.and_then(|path| path.as_str().strip_prefix(self.path.as_str()))
            .is_some_and(|rest| rest.starts_with('/'))
    }
}

impl PendingBatches {
    /// Reports whether the batches have to be sent before an entry of this size is added.
    fn is_full(&self, size: u64, limits: BatchLimits) -> bool {
        self.entries >= limits.entries || self.entries > 0 && self.bytes + size > limits.bytes
    }

    /// Adds an entry to the first batch without its path, which is created if necessary.
    async fn add(
        &mut self,
        path: RemotePath,
        entry: Entry,
        size: u64,
        content: Option<Content>,
    ) -> Result<oneshot::Receiver<WriteResult>, Failure> {
        let index = match self.batches.iter().position(|batch| !batch.contains(&path)) {
            Some(index) => index,
            None => {
                self.batches.push(OpenBatch::create().await?);
                self.batches.len() - 1
            }
        };
        let result = self.batches[index].add(&path, entry, content).await?;
        self.entries += 1;
        self.bytes += size;
        Ok(result)
    }
}
