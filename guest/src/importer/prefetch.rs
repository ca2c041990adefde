//! Read-ahead. Plakar opens one file at a time, in the order of the entries; the contents of
//! the next files are fetched before it asks for them, several at the same time.
//!
//! The window grows by one file with each file that Plakar opens, and closes when Plakar skips
//! one. So a first backup soon has all streams busy, and a backup with few changes fetches
//! nothing needlessly: the number of fetched files that are not wanted is never larger than the
//! number of those that were wanted before.

use futures::future::{Either, LocalBoxFuture, select};
use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::pin::pin;
use std::rc::Rc;
use tokio::sync::oneshot;
use wit_bindgen::spawn_local;

use crate::bindings::plakar::connector::types::{Content, Failure};

/// Number of bytes of one file that the host buffers; the rest of a larger file waits in rclone.
const HOST_BUFFER_BYTES: u64 = 1 << 20;

/// Number of bytes that are reserved for a file of unknown size.
const UNKNOWN_SIZE_BYTES: u64 = 256 << 10;

/// Part of the window, as a divisor, that has to be free before it is filled again.
const REFILL_DIVISOR: usize = 8;

/// Maximum number of large files in flight: each needs a process of its own.
const MAX_LARGE_IN_FLIGHT: usize = 2;

/// Minimum number of files opened in a row for a warm-up.
const MIN_WARM_UP_STREAK: usize = 4;

/// Minimum number of queued files for a warm-up.
const MIN_WARM_UP_QUEUE: usize = 32;

/// Maximum number of files for a warm-up: the reader remembers each, with some KiB.
const MAX_WARM_UP_FILES: usize = 20_000;

/// Limits of a prefetcher.
#[derive(Clone, Copy, Debug)]
pub struct PrefetchConfig {
    /// Maximum number of files in flight.
    pub max_in_flight: usize,
    /// Maximum number of bytes reserved for files in flight.
    pub max_bytes: u64,
    /// Number of files opened in a row before the window opens.
    pub min_streak: usize,
    /// Size from which a file is large.
    pub large_file_bytes: u64,
}

/// Function that opens a file, given its path and its size where that is known.
type Opener = dyn Fn(Rc<str>, Option<u64>) -> LocalBoxFuture<'static, Result<Content, Failure>>;

/// Result of a fetch. After a failure the file may be read again.
pub type Fetch = oneshot::Receiver<Result<Content, Failure>>;

/// Files that Plakar may open next, and their contents as far as they are fetched.
pub struct Prefetcher {
    config: PrefetchConfig,
    opener: Box<Opener>,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    /// Paths of the queued files, in the order of the entries.
    queue: VecDeque<Rc<str>>,
    /// All files that Plakar hasn't acknowledged.
    files: HashMap<Rc<str>, File>,
    /// Number of files that Plakar opened since it last skipped one.
    streak: usize,
    /// Number of files that are being fetched, or fetched and not opened.
    in_flight: usize,
    /// Number of bytes reserved for them.
    reserved_bytes: u64,
    /// Number of large files among them.
    large_in_flight: usize,
    /// Number of files queued so far.
    total: usize,
    /// Whether all files are queued.
    is_complete: bool,
}

struct File {
    size: Option<u64>,
    /// Whether it is never fetched ahead.
    is_skipped: bool,
    stage: Stage,
}

enum Stage {
    Queued,
    Fetching { reserved_bytes: u64, is_large: bool, fetch: Fetch },
    Opened,
}

/// File whose fetch is to be started. The sender closes when the content is no longer wanted.
struct NextFile {
    path: Rc<str>,
    size: Option<u64>,
    sender: oneshot::Sender<Result<Content, Failure>>,
}

impl Prefetcher {
    /// Creates a prefetcher that opens files with `opener`.
    pub fn new(
        config: PrefetchConfig,
        opener: impl Fn(Rc<str>, Option<u64>) -> LocalBoxFuture<'static, Result<Content, Failure>>
        + 'static,
    ) -> Self {
        Self { config, opener: Box::new(opener), state: RefCell::default() }
    }

    /// Queues a file whose entry is about to be sent. One that is skipped is never fetched
    /// ahead.
    pub fn queue(&self, path: &str, size: Option<u64>, is_skipped: bool) {
        let mut state = self.state.borrow_mut();
        let path: Rc<str> = path.into();
        state.total += 1;
        state.queue.push_back(path.clone());
        state.files.insert(path, File { size, is_skipped, stage: Stage::Queued });
    }

    /// Notes that all files are queued.
    pub fn mark_complete(&self) {
        self.state.borrow_mut().is_complete = true;
    }

    /// Reports whether a listing by the reader itself would save more calls than it costs, and
    /// fit in the reader's memory: many files are read in a row, and many are still queued.
    pub fn should_warm_up(&self) -> bool {
        let state = self.state.borrow();
        state.is_complete
            && state.total <= MAX_WARM_UP_FILES
            && state.streak >= MIN_WARM_UP_STREAK
            && state.queue.len() >= MIN_WARM_UP_QUEUE
    }

    /// Returns the size of a file that isn't acknowledged, where it is known.
    pub fn size(&self, path: &str) -> Option<u64> {
        self.state.borrow().files.get(path)?.size
    }

    /// Notes that Plakar is done with a file, and drops its content if it wasn't wanted.
    pub fn acknowledge(&self, path: &str) {
        let mut state = self.state.borrow_mut();
        let Some(file) = state.files.remove(path) else { return };
        if !matches!(file.stage, Stage::Opened) {
            state.streak = 0;
        }
        state.release(&file.stage);
        // Files are acknowledged roughly in the order in which they were queued.
        while state.queue.front().is_some_and(|path| !state.files.contains_key(path)) {
            state.queue.pop_front();
        }
    }

    /// Drops the contents that Plakar hasn't opened, which may use what the file needs that it
    /// opens now. They are read when they are opened. Returns whether there were any.
    pub fn drop_unopened(&self) -> bool {
        let mut state = self.state.borrow_mut();
        state.streak = 0;
        let mut dropped = Vec::new();
        for file in state.files.values_mut() {
            if matches!(file.stage, Stage::Fetching { .. }) {
                dropped.push(std::mem::replace(&mut file.stage, Stage::Queued));
            }
        }
        for stage in &dropped {
            state.release(stage);
        }
        !dropped.is_empty()
    }

    /// Takes the fetch of a file that Plakar opens. Returns `None` if there is none: the file
    /// is then read as if it had never been queued.
    pub fn take(&self, path: &str) -> Option<Fetch> {
        let mut state = self.state.borrow_mut();
        state.streak += 1;
        let file = state.files.get_mut(path)?;
        let stage = std::mem::replace(&mut file.stage, Stage::Opened);
        state.release(&stage);
        match stage {
            Stage::Fetching { fetch, .. } => Some(fetch),
            Stage::Queued | Stage::Opened => None,
        }
    }

    /// Starts fetches until the window is full, unless it is nearly full.
    pub fn fill(&self) {
        if !self.state.borrow().has_room(&self.config) {
            return;
        }
        loop {
            let next = self.state.borrow_mut().next(&self.config);
            let Some(NextFile { path, size, mut sender }) = next else { return };
            let opening = (self.opener)(path, size);
            spawn_local(async move {
                // Dropping the call ends it in rclone, too.
                let content = match select(opening, pin!(sender.closed())).await {
                    Either::Left((content, _)) => content,
                    Either::Right(_) => return,
                };
                let _ = sender.send(content);
            });
        }
    }
}

impl State {
    fn release(&mut self, stage: &Stage) {
        if let Stage::Fetching { reserved_bytes, is_large, .. } = stage {
            self.in_flight -= 1;
            self.reserved_bytes -= reserved_bytes;
            self.large_in_flight -= usize::from(*is_large);
        }
    }

    /// Maximum number of files in flight at present.
    fn window(&self, config: &PrefetchConfig) -> usize {
        self.streak.saturating_sub(config.min_streak).min(config.max_in_flight)
    }

    /// Reports whether there is room for several files: started together, they wake rclone, the
    /// host and the component less often than one by one.
    fn has_room(&self, config: &PrefetchConfig) -> bool {
        let window = self.window(config);
        window.saturating_sub(self.in_flight) > window / REFILL_DIVISOR
    }

    /// Takes the next file to fetch from the queue, if there is one and room for it.
    fn next(&mut self, config: &PrefetchConfig) -> Option<NextFile> {
        while self.in_flight < self.window(config) {
            let path = self.queue.front()?.clone();
            let file = self.files.get_mut(&path).filter(|file| file.needs_fetch());
            let Some(file) = file else {
                // Acknowledged or opened before its turn, or skipped.
                self.queue.pop_front();
                continue;
            };
            let size = file.size;
            let reserved_bytes = size.unwrap_or(UNKNOWN_SIZE_BYTES).min(HOST_BUFFER_BYTES);
            let is_large = size.is_some_and(|size| size >= config.large_file_bytes);
            if self.reserved_bytes + reserved_bytes > config.max_bytes
                || is_large && self.large_in_flight >= MAX_LARGE_IN_FLIGHT
            {
                return None;
            }
            let (sender, fetch) = oneshot::channel();
            file.stage = Stage::Fetching { reserved_bytes, is_large, fetch };
            self.queue.pop_front();
            self.in_flight += 1;
            self.reserved_bytes += reserved_bytes;
            self.large_in_flight += usize::from(is_large);
            return Some(NextFile { path, size, sender });
        }
        None
    }
}

impl File {
    fn needs_fetch(&self) -> bool {
        matches!(self.stage, Stage::Queued) && !self.is_skipped
    }
}
