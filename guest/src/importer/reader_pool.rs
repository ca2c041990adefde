//! Pool of rclone processes that read files: small files through long-lived processes, each
//! large file through a process of its own.

use std::cell::Cell;
use std::rc::Rc;
use tokio::sync::Mutex;
use wit_bindgen::spawn_local;

use crate::bindings::plakar::connector::rclone::{self, Reader};
use crate::bindings::plakar::connector::types::{Content, Failure, Reason};
use crate::path::RemotePath;

/// Size from which a file is read by a process of its own, which resumes a transfer that breaks.
/// A long-lived process doesn't.
pub const LARGE_FILE_BYTES: u64 = 8 << 20;

/// Number of reads after which a reader is replaced: rclone's server never frees half a kilobyte
/// of each.
const MAX_READS: u32 = 50_000;

/// Number of times that a reader is started, before files are read without one.
const MAX_STARTS: u32 = 5;

/// Pool of readers.
pub struct ReaderPool {
    /// Readers of everything below the root, which take turns.
    slots: Vec<Slot>,
    next_slot: Cell<usize>,
    /// Reader of the files directly in one directory called `data`, the last that was read
    /// from: see [`is_redirected`].
    data: Mutex<DataReader>,
    is_warm: Cell<bool>,
}

#[derive(Default)]
struct DataReader {
    directory: String,
    slot: Slot,
}

/// Reader that is started when it is needed.
#[derive(Default)]
struct Slot {
    state: Mutex<SlotState>,
}

#[derive(Default)]
struct SlotState {
    reader: Option<Rc<Reader>>,
    starts: u32,
    /// Number of reads by the current reader.
    reads: u32,
}

impl ReaderPool {
    /// Creates a pool of at most `processes` readers for everything below the root.
    pub fn new(processes: usize) -> Self {
        Self {
            slots: (0..processes).map(|_| Slot::default()).collect(),
            next_slot: Cell::default(),
            data: Mutex::default(),
            is_warm: Cell::default(),
        }
    }

    /// Opens a file.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub async fn open(&self, path: &RemotePath, size: Option<u64>) -> Result<Content, Failure> {
        if size.is_none_or(|size| size < LARGE_FILE_BYTES)
            && let Some(read) = self.read(path, size).await
        {
            return read;
        }
        // The server behind a reader reports no reasons: `cat` does, if it fails at all.
        rclone::cat(path.to_string(), size).await.map_err(|failure| explain(path, failure))
    }

    /// Opens a part of a file.
    ///
    /// # Errors
    ///
    /// The part cannot be read.
    pub async fn open_range(
        &self,
        path: &RemotePath,
        offset: u64,
        length: u64,
    ) -> Result<Content, Failure> {
        let ranged = async move |reader: Rc<Reader>, path: String| {
            reader.read_range(path, offset, length).await
        };
        self.try_read(path, ranged).await.unwrap_or_else(|| Err(no_reader()))
    }

    /// Makes the readers list everything in the background, so that reads need no lookup. If
    /// that fails, reads continue as before. Only the first call has an effect.
    pub fn warm_up(self: &Rc<Self>) {
        if self.is_warm.replace(true) {
            return;
        }
        let pool = self.clone();
        spawn_local(async move {
            for slot in &pool.slots {
                if let Some(reader) = slot.get_or_start("").await {
                    let _ = reader.warm_up().await;
                }
            }
        });
    }

    /// Reads a file through a reader. Returns `None` if that failed and `cat` may succeed.
    async fn read(&self, path: &RemotePath, size: Option<u64>) -> Option<Result<Content, Failure>> {
        let whole = async move |reader: Rc<Reader>, path: String| reader.read(path, size).await;
        match self.try_read(path, whole).await? {
            Err(failure) if !is_final(&failure) => None,
            read => Some(read),
        }
    }

    /// Reads by a reader, which gets the path below its root. Returns `None` without a reader.
    async fn try_read(
        &self,
        path: &RemotePath,
        read: impl AsyncFnOnce(Rc<Reader>, String) -> Result<Content, Failure>,
    ) -> Option<Result<Content, Failure>> {
        if is_redirected(path) {
            return self.read_in_data_directory(path, read).await;
        }
        let slot = self.next_slot();
        let reader = slot.get_or_start("").await?;
        let read = read(reader.clone(), path.to_string()).await;
        if is_disconnected(&read) {
            slot.evict(&reader).await;
        }
        Some(read)
    }

    /// Reads by a reader of the file's directory. Returns `None` without a reader.
    async fn read_in_data_directory(
        &self,
        path: &RemotePath,
        read: impl AsyncFnOnce(Rc<Reader>, String) -> Result<Content, Failure>,
    ) -> Option<Result<Content, Failure>> {
        let mut data = self.data.lock().await;
        if data.directory != path.parent() {
            *data = DataReader { directory: path.parent().to_owned(), slot: Slot::default() };
        }
        let reader = data.slot.get_or_start(&data.directory).await?;
        drop(data);
        let read = read(reader.clone(), path.name().to_owned()).await;
        if is_disconnected(&read) {
            self.data.lock().await.slot.evict(&reader).await;
        }
        Some(read)
    }

    fn next_slot(&self) -> &Slot {
        let index = self.next_slot.get();
        self.next_slot.set((index + 1) % self.slots.len());
        &self.slots[index]
    }
}

impl Slot {
    /// Returns the reader for a read, which is started or replaced if necessary.
    async fn get_or_start(&self, root: &str) -> Option<Rc<Reader>> {
        let mut state = self.state.lock().await;
        state.reads += 1;
        if state.reads > MAX_READS && state.reader.take().is_some() {
            // The process ends with the last of its reads.
            state.starts -= 1;
            state.reads = 1;
        }
        if state.reader.is_none() && state.starts < MAX_STARTS {
            state.starts += 1;
            state.reader = Reader::start(root.to_owned()).await.ok().map(Rc::new);
        }
        state.reader.clone()
    }

    /// Removes a reader whose process has ended, unless another read has already replaced it.
    async fn evict(&self, ended: &Rc<Reader>) {
        self.state.lock().await.reader.take_if(|reader| Rc::ptr_eq(reader, ended));
    }
}

fn no_reader() -> Failure {
    let message = "rclone ended again and again";
    Failure::new(Reason::Unavailable, message).with_help("run the backup again")
}

/// Reports whether a read failed because the process of its reader has ended.
pub fn is_disconnected(read: &Result<Content, Failure>) -> bool {
    matches!(read, Err(Failure { reason: Reason::Cancelled, .. }))
}

/// Reports whether another try would fail in the same way.
pub fn is_final(failure: &Failure) -> bool {
    failure.reason == Reason::Unsupported
}

/// Replaces the failure of a file that is caused by its name.
fn explain(path: &RemotePath, failure: Failure) -> Failure {
    // rclone shows this character instead of bytes that aren't UTF-8, and finds no such file.
    if failure.reason == Reason::NotFound && path.as_str().contains('\u{fffd}') {
        return Failure::new(Reason::NotFound, "its name isn't UTF-8, and rclone can't read it")
            .with_help("rename it at the remote");
    }
    failure
}

/// Reports whether rclone's server would take the path for a different one: it redirects
/// `data/name` to `data/na/name`, wherever `data` is.
///
/// Source: `matchData` in rclone's cmd/serve/restic/restic.go.
fn is_redirected(path: &RemotePath) -> bool {
    path.parent().rsplit('/').next() == Some("data") && path.name().len() >= 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirected_paths_are_recognized() {
        for (path, redirected) in [
            ("data/ab", true),
            ("x/data/abcd", true),
            ("data/é", true),
            ("data/a", false),
            ("data/ab/abcd", false),
            ("mydata/abcd", false),
            ("data", false),
        ] {
            let path = RemotePath::parse(path).unwrap();
            assert_eq!(is_redirected(&path), redirected, "{path}");
        }
    }
}
