//! Reads of photos: through a process that has listed their directory, so that a read
//! is one download and no call, by addresses that Google lets expire after an hour.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use tokio::sync::Mutex;

use super::{Photos, names};
use crate::bindings::plakar::connector::rclone::{self, Reader};
use crate::bindings::plakar::connector::types::{Content, Failure, Reason};
use crate::path::RemotePath;

/// The processes that read: for the directory that was read from first, which is the
/// library as a rule, and for the last other one.
#[derive(Default)]
pub struct Readers {
    directories: RefCell<Vec<Rc<Directory>>>,
}

/// How many processes may be there.
const READERS: usize = 2;

/// A process that has listed one directory.
struct Directory {
    path: String,
    reader: Mutex<Option<Rc<Listed>>>,
}

struct Listed {
    reader: Reader,
    /// How many times it has listed.
    times: Cell<u64>,
}

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
    /// The process, with other addresses than those of the `stale` listing.
    async fn listed(&self, stale: Option<u64>) -> Result<Rc<Listed>, Failure> {
        let mut slot = self.reader.lock().await;
        if let Some(listed) = &*slot {
            let times = listed.times.get();
            // Whoever waited here for the same listing needs no other.
            if stale.is_none_or(|stale| times > stale) {
                return Ok(listed.clone());
            }
            listed.reader.warm().await?;
            listed.times.set(times + 1);
            return Ok(listed.clone());
        }
        let reader = Reader::start(self.path.clone()).await?;
        reader.warm().await?;
        // More than any process before it that was lost meanwhile.
        let times = Cell::new(stale.unwrap_or_default() + 1);
        let listed = Rc::new(Listed { reader, times });
        *slot = Some(listed.clone());
        Ok(listed)
    }

    /// Forgets a process that is gone.
    async fn lost(&self, gone: &Rc<Listed>) {
        let mut slot = self.reader.lock().await;
        if slot.as_ref().is_some_and(|listed| Rc::ptr_eq(listed, gone)) {
            *slot = None;
        }
    }
}

/// Opens a photo.
pub async fn open(photos: &Photos, path: &RemotePath, id: &str) -> Result<Content, Failure> {
    let shown = RemotePath::parse(&photos.remote_path(path.as_str()))?;
    let directory = photos.readers.of(shown.parent());
    let mut stale = None;
    for _ in 0..2 {
        let Ok(listed) = directory.listed(stale).await else { break };
        let times = listed.times.get();
        match listed.reader.read(shown.name().to_owned(), None).await {
            Ok(content) => return Ok(content),
            Err(Failure { reason: Reason::Denied, .. }) => stale = Some(times),
            Err(Failure { reason: Reason::Cancelled, .. }) => directory.lost(&listed).await,
            Err(_) => break,
        }
    }
    // By its ID a photo is asked for alone, which tells what is wrong with it.
    let name = names::with_id(shown.name(), id);
    let path = match shown.parent() {
        "" => name,
        parent => format!("{parent}/{name}"),
    };
    rclone::cat(path, None).await
}
