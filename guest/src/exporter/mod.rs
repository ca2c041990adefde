//! The exporter: writes the entries of a snapshot to the remote.
//!
//! - [`tree`]: files and directories as they are in the snapshot
//! - [`google_photos`]: photos and albums
//! - [`batches`], [`batch`]: small files, uploaded many at a time

mod batch;
mod batches;
mod google_photos;
mod tree;

use crate::backends::Backend;
use crate::bindings::plakar::connector::types::{Content, Entry, Failure, Remote};
use crate::lsjson::run;
use crate::options::Options;
use crate::path::SnapshotRoot;
use google_photos::PhotoWriter;
use tree::TreeWriter;

/// Exporter to one remote.
pub struct Exporter {
    backend: Backend,
    root: SnapshotRoot,
    writer: Writer,
}

enum Writer {
    Tree(TreeWriter),
    GooglePhotos(Box<PhotoWriter>),
}

impl Exporter {
    /// Creates an exporter. Nothing is started yet.
    ///
    /// # Errors
    ///
    /// An option of the user is invalid, or nothing can be restored to the root.
    pub fn new(remote: &Remote) -> Result<Self, Failure> {
        Options::parse(&remote.options, remote.streams)?;
        let backend = Backend::find(&remote.backend);
        let writer = if backend.is_google_photos() {
            Writer::GooglePhotos(Box::new(PhotoWriter::new(&remote.root)?))
        } else {
            Writer::Tree(TreeWriter::default())
        };
        Ok(Self { backend, root: SnapshotRoot::new(&remote.root), writer })
    }

    /// Returns the path of the remote's root in the snapshot.
    pub fn root(&self) -> &str {
        self.root.path()
    }

    /// Checks that the remote answers.
    ///
    /// # Errors
    ///
    /// The remote cannot be listed.
    pub async fn ping(&self) -> Result<(), Failure> {
        run::probe(self.backend.probe_directory(self.root.path())).await
    }

    /// Writes one entry, and returns when its result is known.
    ///
    /// # Errors
    ///
    /// The entry was not written.
    pub async fn write(&self, entry: Entry, content: Option<Content>) -> Result<(), Failure> {
        let Some(path) = SnapshotRoot::new("").relative(&entry.path)? else {
            // The destination's own root: rclone creates it with the first entry.
            return Ok(());
        };
        match &self.writer {
            Writer::Tree(writer) => writer.write(path, entry, content).await,
            Writer::GooglePhotos(writer) => writer.write(path, entry, content).await,
        }
    }

    /// Uploads what is still held, and returns when every entry has its result.
    ///
    /// # Errors
    ///
    /// An album without a photo could not be created.
    pub async fn finish(&self) -> Result<(), Failure> {
        match &self.writer {
            Writer::Tree(writer) => {
                writer.finish().await;
                Ok(())
            }
            Writer::GooglePhotos(writer) => writer.finish().await,
        }
    }
}
