//! Readers of photos: processes that have listed a directory, so that a read is one download
//! and no further call. Google lets the addresses of a listing expire after an hour. From then
//! on, photos are looked up by ID until another listing costs less.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use tokio::sync::Mutex;

use crate::backends::google_photos_names::{remove_id, with_id};
use crate::bindings::plakar::connector::rclone::Reader;
use crate::bindings::plakar::connector::types::{Content, Failure, Reason};
use crate::importer::reader_pool::is_disconnected;
use crate::path::RemotePath;

/// Number of times that a reader whose process ends is started for one read.
const MAX_STARTS: usize = 2;

/// Maximum number of readers.
const MAX_READERS: usize = 2;

/// Number of photos that Google lists with one call.
const PHOTOS_PER_CALL: usize = 100;

/// Readers of two directories: the one that was read from first, which is the library as a rule,
/// and the last other one.
#[derive(Default)]
pub struct PhotoReaders {
    directories: RefCell<Vec<Rc<DirectoryReader>>>,
    /// Number of lookups by ID so far.
    lookups: Cell<usize>,
}

/// Reader of one directory, which is started when it is needed.
struct DirectoryReader {
    path: String,
    reader: Mutex<Option<Rc<WarmReader>>>,
}

/// Reader that has listed its directory.
struct WarmReader {
    reader: Reader,
    /// Number of lookups by ID since that listing.
    lookups: Cell<usize>,
}

impl PhotoReaders {
    /// Opens the photo with an ID at a path, in a library of about `library_size` photos.
    ///
    /// # Errors
    ///
    /// The photo cannot be downloaded.
    pub async fn open(
        &self,
        path: &RemotePath,
        id: &str,
        library_size: usize,
    ) -> Result<Content, Failure> {
        let directory = self.directory(path.parent());
        for _ in 0..MAX_STARTS {
            let warm = directory.get_or_start().await?;
            let mut read = warm.reader.read(path.name().to_owned(), None).await;
            if may_be_expired(&read) {
                read = warm.reader.read(self.lookup_name(path.name(), id), None).await;
                if read.is_ok() {
                    warm.lookups.set(warm.lookups.get() + 1);
                    directory.refresh(&warm, library_size).await;
                }
            }
            if !is_disconnected(&read) {
                return read;
            }
            directory.evict(&warm).await;
        }
        let message = "rclone ended again and again";
        Err(Failure::new(Reason::Unavailable, message).with_help("run the backup again"))
    }

    /// Returns a name by which rclone looks up a photo. rclone finds a name that it never
    /// listed by the ID in it, and remembers the result, so each lookup needs a new name.
    fn lookup_name(&self, name: &str, id: &str) -> String {
        let number = self.lookups.replace(self.lookups.get() + 1);
        with_id(&format!("{number}-{}", remove_id(name)), id)
    }

    fn directory(&self, path: &str) -> Rc<DirectoryReader> {
        let mut directories = self.directories.borrow_mut();
        if let Some(directory) = directories.iter().find(|directory| directory.path == path) {
            return directory.clone();
        }
        directories.truncate(MAX_READERS - 1);
        let directory =
            Rc::new(DirectoryReader { path: path.to_owned(), reader: Mutex::default() });
        directories.push(directory.clone());
        directory
    }
}

impl DirectoryReader {
    async fn get_or_start(&self) -> Result<Rc<WarmReader>, Failure> {
        let mut slot = self.reader.lock().await;
        if let Some(warm) = &*slot {
            return Ok(warm.clone());
        }
        let reader = Reader::start(self.path.clone()).await?;
        reader.warm_up().await?;
        let warm = Rc::new(WarmReader { reader, lookups: Cell::default() });
        *slot = Some(warm.clone());
        Ok(warm)
    }

    /// Lists the directory again, if that costs less than the lookups since the last listing.
    async fn refresh(&self, warm: &WarmReader, library_size: usize) {
        let _slot = self.reader.lock().await;
        if warm.lookups.get() > library_size.div_ceil(PHOTOS_PER_CALL) {
            warm.lookups.set(0);
            // After a failure photos are still looked up by ID.
            let _ = warm.reader.warm_up().await;
        }
    }

    /// Removes a reader whose process has ended, unless another read has already replaced it.
    async fn evict(&self, ended: &Rc<WarmReader>) {
        self.reader.lock().await.take_if(|warm| Rc::ptr_eq(warm, ended));
    }
}

/// Reports whether a lookup by ID may succeed after a failed read. After failures that concern
/// all photos it cannot.
fn may_be_expired(read: &Result<Content, Failure>) -> bool {
    let final_reasons = [Reason::Cancelled, Reason::RateLimited, Reason::Unauthenticated];
    read.as_ref().is_err_and(|failure| !final_reasons.contains(&failure.reason))
}
