//! One download for all paths of a photo: the bytes that the first reader gets are cached for
//! the others, as far as memory allows. The others download a photo again that is too large.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use tokio::sync::oneshot;
use wit_bindgen::{StreamResult, StreamWriter, spawn_local};

use crate::bindings::plakar::connector::types::{Content, Failure};
use crate::bindings::{wit_future, wit_stream};

/// Maximum number of bytes of all cached photos.
const MAX_CACHED_BYTES: u64 = 64 << 20;

/// Number of bytes that are passed on at once.
const CHUNK_BYTES: usize = 256 << 10;

/// Number of cached bytes, counted for all photos of a library.
#[derive(Clone, Default)]
pub struct CacheBudget(Rc<Cell<u64>>);

/// Photo with one or more paths.
pub struct Photo {
    id: String,
    path_count: usize,
    /// Whether one of its paths was found.
    is_found: Cell<bool>,
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
    Cached(Rc<CachedPhoto>),
}

/// Bytes of a photo, which count towards the budget until they are dropped.
pub struct CachedPhoto {
    budget: CacheBudget,
    bytes: Vec<u8>,
}

/// Way to read a photo at one of its paths.
pub enum ReadPlan {
    /// Download it for all paths.
    Download(ReadClaim),
    /// Take the cached bytes.
    Cached(Rc<CachedPhoto>),
}

/// Claim to download a photo for all its paths. Dropping it lets another reader try.
pub struct ReadClaim {
    photo: Rc<Photo>,
}

impl Photo {
    /// Creates a photo with this number of paths.
    pub fn new(id: &str, path_count: usize, budget: CacheBudget) -> Self {
        Self {
            id: id.to_owned(),
            path_count,
            is_found: Cell::new(false),
            unacknowledged: Cell::new(path_count),
            state: RefCell::new(DownloadState::NotCached),
            budget,
        }
    }

    /// Returns Google's ID of it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Notes that one of its paths was found. Returns whether it is the first one.
    pub fn mark_found(&self) -> bool {
        !self.is_found.replace(true)
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

    /// Decides how to read it, after a download in progress has ended.
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
                    return ReadPlan::Download(ReadClaim { photo: self.clone() });
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
        let is_downloading = matches!(&*self.photo.state.borrow(), DownloadState::Downloading(_));
        if is_downloading {
            self.photo.set_state(DownloadState::NotCached);
        }
    }
}

impl ReadClaim {
    /// Passes a content on, and caches its bytes for the other paths.
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

/// Passes on a content. Returns how it ended, or `None` if its reader dropped it before.
async fn pass_on(
    (mut input, end): Content,
    mut output: StreamWriter<u8>,
    claim: ReadClaim,
) -> Option<Result<(), Failure>> {
    let photo = &claim.photo;
    let mut cached = Some(CachedPhoto { budget: photo.budget.clone(), bytes: Vec::new() });
    let mut buffer = Vec::with_capacity(CHUNK_BYTES);
    loop {
        let (result, chunk) = input.read(buffer).await;
        if cached.as_mut().is_some_and(|cached| !cached.add(&chunk)) {
            cached = None;
        }
        buffer = output.write_all(chunk).await;
        if !buffer.is_empty() {
            return None;
        }
        if buffer.capacity() == 0 {
            buffer = Vec::with_capacity(CHUNK_BYTES);
        }
        if !matches!(result, StreamResult::Complete(_)) {
            let end = end.await;
            if let (Ok(()), Some(cached)) = (&end, cached)
                && photo.unacknowledged.get() > 0
            {
                photo.set_state(DownloadState::Cached(Rc::new(cached)));
            }
            return Some(end);
        }
    }
}

impl CachedPhoto {
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

impl Drop for CachedPhoto {
    fn drop(&mut self) {
        self.budget.0.set(self.budget.0.get() - self.bytes.len() as u64);
    }
}

fn read_dropped() -> Result<(), Failure> {
    Err(Failure::internal("a read was dropped"))
}
