//! Cache of blocks: parts of objects that the host holds in memory, so that many small reads need
//! few calls. Reads that need one block share its fetch. The bytes never pass through the
//! component's memory.
//!
//! - [`blocks`]: the blocks that are held or being fetched
//! - [`read_ahead`]: what is fetched ahead of the reads of an object
//! - [`lookup_ahead`]: lookups of objects before they are read

mod blocks;
mod lookup_ahead;
mod read_ahead;

pub use lookup_ahead::LookupAhead;

use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::{Shared, join_all};
use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;
use tokio::sync::Semaphore;
use wit_bindgen::spawn_local;

use super::layout::Layouts;
use super::names::{ObjectName, to_hex};
use super::retry::{Backoff, READ_RETRY_MS, is_final, retry};
use crate::bindings::plakar::connector::objects::{self, Extent};
use crate::bindings::plakar::connector::types::{Content, Failure, Reason};
use crate::bindings::{wit_future, wit_stream};
use crate::contents;
use blocks::{BlockId, Blocks, Evict};
use read_ahead::MAX_BLOCK_BYTES;

/// Maximum number of bytes of an object that is fetched at once: what an extent can have.
pub const MAX_EXTENT_BYTES: u64 = 8 << 20;

/// Number of bytes of a range from which it is read in parts of this size.
const PART_BYTES: u64 = 16 << 20;

/// Fetch of a block, which several reads may wait for.
type Fetch = Shared<oneshot::Receiver<Result<Rc<Extent>, Failure>>>;

/// Cache of the blocks of one store.
pub struct ReadCache {
    layouts: Rc<Layouts>,
    /// Permits of the reads that may be under way.
    streams: Semaphore,
    blocks: RefCell<Blocks<Fetch>>,
    lookups: LookupAhead,
}

/// Limits of reads.
#[derive(Clone, Copy)]
pub struct ReadLimits {
    /// Maximum number of bytes held.
    pub bytes: u64,
    /// Maximum number of reads at the same time.
    pub streams: usize,
}

/// Guard of a fetch, which removes the block when it is dropped, unless the fetch succeeded.
struct FetchGuard {
    cache: Rc<ReadCache>,
    block: BlockId,
    is_fetched: bool,
}

impl Drop for FetchGuard {
    fn drop(&mut self) {
        if !self.is_fetched {
            self.cache.blocks.borrow_mut().remove(self.block);
        }
    }
}

impl ReadCache {
    /// Creates an empty cache.
    pub fn new(layouts: Rc<Layouts>, limits: ReadLimits, lookups: LookupAhead) -> Self {
        let blocks = RefCell::new(Blocks::new(limits.bytes));
        Self { layouts, streams: Semaphore::new(limits.streams), blocks, lookups }
    }

    /// Reads a whole object without the cache.
    ///
    /// # Errors
    ///
    /// The object doesn't exist, or can't be read.
    pub async fn read_whole(
        &self,
        object: ObjectName,
        size: Option<u64>,
    ) -> Result<Content, Failure> {
        let read = async || self.layouts.locate(object, |path| objects::read(path, size)).await;
        let (_, content) = retry(READ_RETRY_MS, is_final, read).await?;
        Ok(content)
    }

    /// Reads a range of an object, and fetches ahead what may be read next.
    ///
    /// # Errors
    ///
    /// The object doesn't exist, doesn't have all of the range, or can't be read.
    pub async fn read(
        self: &Rc<Self>,
        object: ObjectName,
        range: Range<u64>,
    ) -> Result<Content, Failure> {
        if range.end - range.start > PART_BYTES {
            return Ok(self.read_in_parts(object, range));
        }
        let fetches = self.blocks.borrow_mut().plan(object, range.clone());
        if self.blocks.borrow_mut().wants_size(object, &fetches) {
            let cache = self.clone();
            spawn_local(async move {
                if let Ok(size) = cache.look_up_size(object).await {
                    cache.blocks.borrow_mut().set_size(object, size);
                }
            });
        }
        for fetch in fetches {
            self.fetch_all(object, fetch);
        }
        if self.lookups.note(object) {
            let cache = self.clone();
            spawn_local(async move { cache.lookups.go_on().await });
        }
        self.read_blocks(object, range).await
    }

    /// Reads a range of an object. Fetches only what isn't there.
    ///
    /// # Errors
    ///
    /// As for [`Self::read`].
    pub async fn read_blocks(
        self: &Rc<Self>,
        object: ObjectName,
        range: Range<u64>,
    ) -> Result<Content, Failure> {
        let mut backoff = Backoff::new(READ_RETRY_MS);
        loop {
            let failure = match self.try_read(object, &range).await {
                Ok(Some(content)) => return Ok(content),
                Ok(None) => self.check_size(object, &range).await?,
                // The host has no room: what may be read next has to wait.
                Err(failure)
                    if failure.reason == Reason::RateLimited
                        && self.blocks.borrow_mut().clear() =>
                {
                    continue;
                }
                Err(failure) => failure,
            };
            if is_final(&failure) || !backoff.wait().await {
                return Err(failure);
            }
        }
    }

    /// Starts to look up objects that may be read soon.
    pub fn look_up_ahead(self: &Rc<Self>) {
        let cache = self.clone();
        spawn_local(async move { cache.lookups.begin().await });
    }

    /// Fetches a range ahead, if it isn't there and there is room. Returns false if there is none.
    pub fn fetch_ahead(self: &Rc<Self>, object: ObjectName, range: Range<u64>) -> bool {
        let gaps = self.blocks.borrow().gaps(object, range);
        gaps.into_iter().all(|gap| {
            let fits = self.blocks.borrow_mut().make_room(gap.end - gap.start, Evict::Read);
            if fits {
                self.fetch(object, gap);
            }
            fits
        })
    }

    /// Drops what is held of an object.
    pub fn forget(&self, object: ObjectName) {
        self.blocks.borrow_mut().forget(object);
    }

    /// Reads a range once. Returns `None` if the object seems to end before the range does.
    async fn try_read(
        self: &Rc<Self>,
        object: ObjectName,
        range: &Range<u64>,
    ) -> Result<Option<Content>, Failure> {
        // What is there is taken before room is made for the rest.
        let mut blocks = self.blocks.borrow_mut().take(object, range);
        let gaps = self.blocks.borrow().gaps(object, range.clone());
        for gap in gaps {
            self.blocks.borrow_mut().make_room(gap.end - gap.start, Evict::Any);
            self.fetch_all(object, gap.clone());
            blocks.extend(self.blocks.borrow_mut().take(object, &gap));
        }
        blocks.sort_unstable_by_key(|(begin, _)| *begin);
        let (begins, fetches): (Vec<_>, Vec<_>) = blocks.into_iter().unzip();
        let mut extents = Vec::new();
        for (begin, fetched) in begins.into_iter().zip(join_all(fetches).await) {
            let cancelled = |_| Failure::new(Reason::Cancelled, "the read was cancelled");
            extents.push((begin, fetched.map_err(cancelled)??));
        }
        let mut parts = Vec::new();
        let mut from = range.start;
        for (begin, extent) in &extents {
            let to = range.end.min(begin + extent.size());
            if *begin <= from && from < to {
                parts.push((&**extent, from - begin, to - from));
                from = to;
            }
        }
        let content = (from == range.end).then(|| Extent::join(&parts)).transpose();
        self.blocks.borrow_mut().trim();
        content
    }

    /// Starts to fetch a range in blocks that are not too large.
    fn fetch_all(self: &Rc<Self>, object: ObjectName, range: Range<u64>) {
        let mut from = range.start;
        while from < range.end {
            let rest = range.end - from;
            let block_bytes = if rest <= MAX_EXTENT_BYTES { rest } else { MAX_BLOCK_BYTES };
            self.fetch(object, from..from + block_bytes);
            from += block_bytes;
        }
    }

    /// Starts to fetch a block.
    fn fetch(self: &Rc<Self>, object: ObjectName, range: Range<u64>) {
        let (sender, receiver) = oneshot::channel();
        let block = self.blocks.borrow_mut().insert(object, range.clone(), receiver.shared());
        let mut guard = FetchGuard { cache: self.clone(), block, is_fetched: false };
        spawn_local(async move {
            let fetched = guard.cache.fetch_extent(object, range).await.map(Rc::new);
            if let Ok(extent) = &fetched {
                guard.cache.blocks.borrow_mut().complete(block, extent.size());
                guard.is_fetched = true;
            }
            // The block of a failed fetch goes before those that wait for it continue.
            drop(guard);
            let _ = sender.send(fetched);
        });
    }

    async fn fetch_extent(&self, object: ObjectName, range: Range<u64>) -> Result<Extent, Failure> {
        let _permit = self.streams.acquire().await;
        let length = range.end - range.start;
        let fetch = |path| Extent::fetch(path, range.start, length);
        let (_, extent) = self.layouts.locate(object, fetch).await?;
        Ok(extent)
    }

    /// Asks the backend for the size of an object that seems to end before a range does, and
    /// forgets what is known of the object. Returns the failure of a read that was too short.
    ///
    /// # Errors
    ///
    /// The object does end there, or its size can't be found out.
    async fn check_size(&self, object: ObjectName, range: &Range<u64>) -> Result<Failure, Failure> {
        let look_up = async || self.look_up_size(object).await;
        let size = retry(READ_RETRY_MS, is_final, look_up).await?;
        self.forget(object);
        let (kind, name) = (object.0.noun(), to_hex(object.1));
        if size >= range.end {
            let message = format!("the {kind} `{name}` was read as shorter than it is");
            return Ok(Failure::new(Reason::Unavailable, message));
        }
        let (begin, length) = (range.start, range.end - range.start);
        let message = format!(
            "the {kind} `{name}` has only {size} bytes: {length} bytes from {begin} on are not \
             completely in it"
        );
        let help = "run `plakar check` to find the files that it is needed for";
        Err(Failure::new(Reason::Corrupted, message).with_help(help))
    }

    async fn look_up_size(&self, object: ObjectName) -> Result<u64, Failure> {
        let stat = async |path| {
            let missing = || Failure::new(Reason::NotFound, "the object doesn't exist");
            objects::stat(path).await?.ok_or_else(missing)
        };
        let (_, size) = self.layouts.locate(object, stat).await?;
        Ok(size)
    }

    /// Reads a range that is too large to be held.
    fn read_in_parts(self: &Rc<Self>, object: ObjectName, range: Range<u64>) -> Content {
        let (mut output, stream) = wit_stream::new();
        let (end_writer, end) = wit_future::new(contents::dropped);
        let cache = self.clone();
        spawn_local(async move {
            let mut result = Ok(());
            let mut from = range.start;
            while from < range.end && result.is_ok() {
                let to = range.end.min(from + PART_BYTES);
                result = match cache.read_blocks(object, from..to).await {
                    Ok(part) => contents::copy(part, &mut output).await,
                    Err(failure) => Err(failure),
                };
                from = to;
            }
            drop(output);
            // The host may have dropped the future.
            let _ = end_writer.write(result).await;
        });
        (stream, end)
    }
}
