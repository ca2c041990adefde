//! Opening of files, prefetched or not: each through the readers that its backend needs.

use std::rc::Rc;

use super::google_photos::GooglePhotos;
use super::reader_pool::ReaderPool;
use crate::bindings::plakar::connector::types::{Content, Failure, Reason};
use crate::path::SnapshotRoot;

/// Opener of the remote's files.
pub struct FileOpener {
    pub root: SnapshotRoot,
    pub pool: Rc<ReaderPool>,
    /// Library, if the remote is Google Photos.
    pub google_photos: Option<GooglePhotos>,
}

impl FileOpener {
    /// Opens the file at an absolute path.
    ///
    /// # Errors
    ///
    /// The path is not that of a file, or the file cannot be read.
    pub async fn open(&self, path: &str, size: Option<u64>) -> Result<Content, Failure> {
        let Some(remote_path) = self.root.relative(path)? else {
            return Err(Failure::new(Reason::Unsupported, "a directory has no content"));
        };
        if let Some(library) = &self.google_photos
            && let Some(photo) = library.photo(path)
        {
            return library.open(&remote_path, &photo).await;
        }
        self.pool.open(&remote_path, size).await
    }
}
