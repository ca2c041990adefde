//! Reads of photos: through a process that has listed their directory, so that a read
//! is one download and no call. Google lets the addresses that a listing gave expire
//! after an hour; then a photo is asked for by its ID, until another listing pays.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use tokio::sync::Mutex;

use super::Photos;
use crate::backends::google_photos_names as names;
use crate::bindings::plakar::connector::rclone::Reader;
use crate::bindings::plakar::connector::types::{Content, Failure, Reason};
use crate::importer::reader_pool::gone;
use crate::path::RemotePath;

/// The processes that read: for the directory that was read from first, which is the
/// library as a rule, and for the last other one.
#[derive(Default)]
pub struct Readers {
    directories: RefCell<Vec<Rc<Directory>>>,
}

/// How often a process that is gone is started again for one read.
const STARTS: usize = 2;

/// How many processes may be there.
const READERS: usize = 2;

/// A process that has listed one directory.
struct Directory {
    path: String,
    reader: Mutex<Option<Rc<Listed>>>,
}

struct Listed {
    reader: Reader,
    /// How many photos were asked for by their IDs since it has listed.
    asked: Cell<usize>,
}

/// How many photos a listing gives with one call.
const PAGE: usize = 100;

impl Readers {
    fn of(&self, path: &str) -> Rc<Directory> {
        let mut directories = self.directories.borrow_mut();
        if let Some(known) = directories.iter().find(|directory| directory.path == path) {
            return known.clone();
        }
        directories.truncate(READERS - 1);
        let directory = Rc::new(Directory { path: path.to_owned(), reader: Mutex::default() });
        directories.push(directory.clone());
        directory
    }
}

impl Directory {
    /// The process, started if need be.
    async fn listed(&self) -> Result<Rc<Listed>, Failure> {
        let mut slot = self.reader.lock().await;
        if let Some(listed) = &*slot {
            return Ok(listed.clone());
        }
        let reader = Reader::start(self.path.clone()).await?;
        reader.warm().await?;
        let listed = Rc::new(Listed { reader, asked: Cell::default() });
        *slot = Some(listed.clone());
        Ok(listed)
    }

    /// Lists again, if that costs less than what was asked one by one since.
    async fn refresh(&self, listed: &Listed, total: usize) {
        let _slot = self.reader.lock().await;
        if listed.asked.get() > total.div_ceil(PAGE) {
            listed.asked.set(0);
            // Where it fails, photos are asked for by their IDs again.
            let _ = listed.reader.warm().await;
        }
    }

    /// Forgets a process that is gone.
    async fn lost(&self, gone: &Rc<Listed>) {
        let mut slot = self.reader.lock().await;
        if slot.as_ref().is_some_and(|listed| Rc::ptr_eq(listed, gone)) {
            *slot = None;
        }
    }
}

/// Whether asking for the photo itself may help: not where Google answers nobody.
fn is_to_be_asked(read: &Result<Content, Failure>) -> bool {
    let ends = [Reason::Cancelled, Reason::RateLimited, Reason::Unauthenticated];
    read.as_ref().is_err_and(|failure| !ends.contains(&failure.reason))
}

/// Opens a photo of a library of about `total`.
pub async fn open(
    photos: &Photos,
    path: &RemotePath,
    id: &str,
    total: usize,
) -> Result<Content, Failure> {
    let shown = RemotePath::parse(&photos.remote_path(path.as_str()))?;
    let directory = photos.readers.of(shown.parent());
    for _ in 0..STARTS {
        let listed = directory.listed().await?;
        let mut read = listed.reader.read(shown.name().to_owned(), None).await;
        if is_to_be_asked(&read) {
            // rclone finds a name that it never listed by the ID in it, and keeps what
            // it found: so each time needs a name of its own.
            let number = photos.asked.replace(photos.asked.get() + 1);
            let name = format!("{number}-{}", names::plain(shown.name()));
            read = listed.reader.read(names::with_id(&name, id), None).await;
            if read.is_ok() {
                listed.asked.set(listed.asked.get() + 1);
                directory.refresh(&listed, total).await;
            }
        }
        if !gone(&read) {
            return read;
        }
        directory.lost(&listed).await;
    }
    Err(Failure::new(Reason::Unavailable, "rclone ended again and again: run the backup again"))
}
