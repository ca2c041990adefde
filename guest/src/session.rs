//! What is known while a session lasts: the remote, what was found and isn't
//! settled yet, the processes that read.

use std::cell::OnceCell;
use std::rc::Rc;

use crate::bindings::plakar::connector::types::{Failure, Remote};
use crate::exporter::batches::Restore;
use crate::exporter::google_photos::writer;
use crate::importer::google_photos::{self, Photos};
use crate::importer::prefetch::Ahead;
use crate::importer::reader_pool::Readers;
use crate::options::Options;
use crate::path::SnapshotRoot;

/// One session of Plakar's, which this instance serves from `open` to its end.
pub struct Session {
    /// rclone's name of the backend.
    pub backend: String,
    /// Where the remote's entries lie in the snapshot.
    pub root: SnapshotRoot,
    pub options: Options,
    /// Files that were found and that Plakar isn't done with. It takes records one
    /// after the other, so these are few.
    pub ahead: Ahead,
    pub readers: Readers,
    pub restore: Restore,
    /// Where the remote is Google Photos.
    pub photos: Option<Photos>,
}

/// Backends whose listing holds content hashes without a further call or a read
/// of the file (rclone's `Hashes` without `SlowHash`, and looked up in their
/// `Hash()`): there, hashes tell whether a file was replaced.
const FREE_HASHES: [&str; 14] = [
    "s3",
    "google cloud storage",
    "azureblob",
    "b2",
    "swift",
    "drive",
    "onedrive",
    "dropbox",
    "box",
    "jottacloud",
    "mailru",
    "yandex",
    "zoho",
    "pikpak",
];

/// Backends without directories: what is at a path is what has a name that begins with it.
const OBJECT_STORES: [&str; 8] = [
    "s3",
    "google cloud storage",
    "azureblob",
    "b2",
    "swift",
    "qingstor",
    "oracleobjectstorage",
    "storj",
];

impl Session {
    /// Whether a listing without any entry means that the root isn't there: it lies in a
    /// bucket of an object store.
    pub fn is_nothing_missing(&self) -> bool {
        OBJECT_STORES.contains(&self.backend.as_str())
            && self.root.path().trim_matches('/').contains('/')
    }

    /// Whether content hashes are asked for.
    pub fn lists_hashes(&self) -> bool {
        FREE_HASHES.contains(&self.backend.as_str())
    }
}

thread_local! {
    static SESSION: OnceCell<Rc<Session>> = const { OnceCell::new() };
}

/// Begins the session. Once only: an instance serves one remote.
pub fn open(remote: &Remote) -> Result<Rc<Session>, Failure> {
    let is_photos = remote.backend == google_photos::BACKEND;
    let options = Options::parse(&remote.options, remote.streams)?;
    let session = Rc::new(Session {
        backend: remote.backend.clone(),
        root: SnapshotRoot::of(&remote.root),
        ahead: Ahead::default(),
        readers: Readers::new(options.processes),
        options,
        restore: match is_photos {
            true => Restore::with(writer::LIMITS),
            false => Restore::default(),
        },
        photos: is_photos.then(Photos::default),
    });
    SESSION.with(|cell| {
        cell.set(session.clone()).map_err(|_| Failure::internal("the session was opened twice"))?;
        Ok(session)
    })
}

/// The session that `open` began.
pub fn current() -> Result<Rc<Session>, Failure> {
    SESSION
        .with(|cell| cell.get().cloned().ok_or_else(|| Failure::internal("nothing was opened yet")))
}
