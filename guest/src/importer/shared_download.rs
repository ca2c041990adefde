//! One download for all paths of a file: the bytes that the first reader gets are cached for the
//! others, as far as memory allows. The others download a file again that is too large.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use tokio::sync::oneshot;
use wit_bindgen::{StreamResult, StreamWriter, spawn_local};

use crate::bindings::plakar::connector::types::{Content, Failure};
use crate::bindings::{wit_future, wit_stream};

/// Maximum number of bytes of all cached files.
const MAX_CACHED_BYTES: u64 = 64 << 20;

/// Number of bytes that are passed on at once.
const CHUNK_BYTES: usize = 256 << 10;

/// Number of cached bytes, counted for all files of a library.
#[derive(Clone, Default)]
pub struct CacheBudget(Rc<Cell<u64>>);

/// Download of a file with one or more paths.
pub struct SharedDownload {
    path_count: usize,
    /// Number of its paths that Plakar hasn't acknowledged.
    unacknowledged: Cell<usize>,
    state: RefCell<DownloadState>,
    budget: CacheBudget,
}

enum DownloadState {
    /// Nothing is cached, and no download is in progress.
    NotCached,
    /// A download is in progress. The senders wake the readers that wait for its end.
    Downloading(Vec<oneshot::Sender<()>>),
    Cached(Rc<CachedFile>),
}

/// Bytes of a file, which count towards the budget until they are dropped.
pub struct CachedFile {
    budget: CacheBudget,
    bytes: Vec<u8>,
}

/// Way to read a file at one of its paths.
pub enum ReadPlan {
    /// Download it for all paths.
    Download(ReadClaim),
    /// Take the cached bytes.
    Cached(Rc<CachedFile>),
}

/// Claim to download a file for all its paths. Dropping it lets another reader try.
pub struct ReadClaim {
    download: Rc<SharedDownload>,
}

impl SharedDownload {
    /// Creates the download of a file with this number of paths.
    pub fn new(path_count: usize, budget: CacheBudget) -> Self {
        Self {
            path_count,
            unacknowledged: Cell::new(path_count),
            state: RefCell::new(DownloadState::NotCached),
            budget,
        }
    }

    /// Reports whether it has more than one path.
    pub fn is_shared(&self) -> bool {
        self.path_count > 1
    }

    /// Notes that Plakar is done with one of its paths.
    pub fn acknowledge(&self) {
        self.unacknowledged.set(self.unacknowledged.get().saturating_sub(1));
        if self.unacknowledged.get() == 0 {
            self.set_state(DownloadState::NotCached);
        }
    }

    /// Decides how to read the file, after a download in progress has ended.
    pub async fn plan_read(self: &Rc<Self>) -> ReadPlan {
        loop {
            let end = match &mut *self.state.borrow_mut() {
                DownloadState::Cached(cached) => return ReadPlan::Cached(cached.clone()),
                DownloadState::Downloading(waiting) => {
                    let (sender, end) = oneshot::channel();
                    waiting.push(sender);
                    end
                }
                state @ DownloadState::NotCached => {
                    *state = DownloadState::Downloading(Vec::new());
                    return ReadPlan::Download(ReadClaim { download: self.clone() });
                }
            };
            let _ = end.await;
        }
    }

    /// Sets the state and wakes the readers that wait for it.
    fn set_state(&self, state: DownloadState) {
        if let DownloadState::Downloading(waiting) = self.state.replace(state) {
            for sender in waiting {
                let _ = sender.send(());
            }
        }
    }
}

impl Drop for ReadClaim {
    fn drop(&mut self) {
        let is_downloading =
            matches!(&*self.download.state.borrow(), DownloadState::Downloading(_));
        if is_downloading {
            self.download.set_state(DownloadState::NotCached);
        }
    }
}

impl ReadClaim {
    /// Passes a content of the host on, and caches its bytes for the other paths. A content that
    /// the component made can't be read in it.
    pub fn tee(self, content: Content) -> Content {
        let (output, stream) = wit_stream::new();
        let (end_writer, end) = wit_future::new(read_dropped);
        spawn_local(async move {
            if let Some(result) = pass_on(content, output, self).await {
                let _ = end_writer.write(result).await;
            }
        });
        (stream, end)
    }
}

/// Bytes of a download on their way into the cache. If it is dropped before the last one, another
/// reader downloads the file.
pub struct CacheWriter {
    claim: ReadClaim,
    /// The bytes so far, if there is room for them.
    cached: Option<CachedFile>,
}

impl CacheWriter {
    /// Creates a writer of a download.
    pub fn new(claim: ReadClaim) -> Self {
        let budget = claim.download.budget.clone();
        Self { claim, cached: Some(CachedFile { budget, bytes: Vec::new() }) }
    }

    /// Adds the next bytes.
    pub fn add(&mut self, chunk: &[u8]) {
        if self.cached.as_mut().is_some_and(|cached| !cached.add(chunk)) {
            self.cached = None;
        }
    }

    /// Caches the file, of which all bytes were added, for its other paths.
    pub fn complete(self) {
        let Self { claim, cached } = self;
        if let Some(cached) = cached.filter(|_| claim.download.unacknowledged.get() > 0) {
            claim.download.set_state(DownloadState::Cached(Rc::new(cached)));
        }
    }
}

/// Passes on a content. Returns how it ended, or `None` if its reader dropped it before.
async fn pass_on(
    (mut input, end): Content,
    mut output: StreamWriter<u8>,
    claim: ReadClaim,
) -> Option<Result<(), Failure>> {
    let mut cache = CacheWriter::new(claim);
    let mut buffer = Vec::with_capacity(CHUNK_BYTES);
    loop {
        let (result, chunk) = input.read(buffer).await;
        cache.add(&chunk);
        buffer = output.write_all(chunk).await;
        if !buffer.is_empty() {
            return None;
        }
        if buffer.capacity() == 0 {
            buffer = Vec::with_capacity(CHUNK_BYTES);
        }
        if !matches!(result, StreamResult::Complete(_)) {
            let end = end.await;
            if end.is_ok() {
                cache.complete();
            }
            return Some(end);
        }
    }
}

impl CachedFile {
    /// Adds a chunk. Returns false if the budget is exhausted.
    fn add(&mut self, chunk: &[u8]) -> bool {
        let total = self.budget.0.get() + chunk.len() as u64;
        if total > MAX_CACHED_BYTES {
            return false;
        }
        self.budget.0.set(total);
        self.bytes.extend_from_slice(chunk);
        true
    }

    /// Returns the bytes as a content.
    pub fn content(self: Rc<Self>) -> Content {
        let (mut output, stream) = wit_stream::new();
        let (end_writer, end) = wit_future::new(read_dropped);
        spawn_local(async move {
            for chunk in self.bytes.chunks(CHUNK_BYTES) {
                if !output.write_all(chunk.to_vec()).await.is_empty() {
                    return;
                }
            }
            drop(output);
            // The host may have dropped the future.
            let _ = end_writer.write(Ok(())).await;
        });
        (stream, end)
    }
}

impl Drop for CachedFile {
    fn drop(&mut self) {
        self.budget.0.set(self.budget.0.get() - self.bytes.len() as u64);
    }
}

fn read_dropped() -> Result<(), Failure> {
    Err(Failure::internal("a read was dropped"))
}
