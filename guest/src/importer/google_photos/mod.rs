//! The library of Google Photos, as rclone shows it: a tree of views in which one photo has
//! several paths, no known size, and an address that is valid for an hour.
//!
//! - [`library`]: photos that were found, by their paths
//! - [`scan`], [`views`]: what is listed, the paths of one photo next to each other
//! - [`name_collisions`]: names in the snapshot that differ from rclone's
//! - [`reader`]: reads that need no lookup, by fresh addresses

mod library;
mod name_collisions;
mod reader;
mod scan;
mod views;

use std::rc::Rc;

use super::events::EventSender;
use super::prefetch::Prefetcher;
use super::shared_download::SharedDownload;
use crate::backends::Backend;
use crate::bindings::plakar::connector::types::{Content, Failure};
use crate::path::RemotePath;
use library::{Library, Photo};
use reader::PhotoReaders;
use scan::LibraryScan;

/// Importer of Google Photos.
#[derive(Default)]
pub struct GooglePhotos {
    library: Library,
    readers: PhotoReaders,
}

impl GooglePhotos {
    /// Lists the library. Files are queued in the order of their entries.
    ///
    /// # Errors
    ///
    /// The listing is not complete, or nothing could be listed.
    pub async fn scan(
        &self,
        backend: Backend,
        prefetcher: &Prefetcher,
        events: EventSender,
    ) -> Result<(), Failure> {
        LibraryScan::new(&self.library, backend, prefetcher, events).run().await
    }

    /// Returns the photo at an absolute path.
    pub fn photo(&self, path: &str) -> Option<Rc<Photo>> {
        self.library.photo(path)
    }

    /// Returns the download of the photo at an absolute path, if it has other paths, too.
    pub fn shared_download(&self, path: &str) -> Option<Rc<SharedDownload>> {
        let download = self.library.photo(path)?.download().clone();
        Some(download).filter(|download| download.is_shared())
    }

    /// Notes that Plakar is done with an absolute path.
    pub fn acknowledge(&self, path: &str) {
        self.library.acknowledge(path);
    }

    /// Opens a photo at one of its paths.
    ///
    /// # Errors
    ///
    /// The photo cannot be downloaded.
    pub async fn open(&self, path: &RemotePath, photo: &Photo) -> Result<Content, Failure> {
        let remote_path = RemotePath::parse(&self.library.remote_path(path.as_str()))?;
        self.readers.open(&remote_path, photo.id(), self.library.path_count()).await
    }
}
