//! An archive at the remote, whose parts are read through the readers of all files.

use std::rc::Rc;

use crate::bindings::plakar::connector::types::Failure;
use crate::importer::reader_pool::ReaderPool;
use crate::path::RemotePath;
use crate::zip::source::{ContentStream, RangeSource};

/// Archive at the remote. Cheap to clone.
#[derive(Clone)]
pub struct ArchiveFile {
    pool: Rc<ReaderPool>,
    path: Rc<RemotePath>,
}

impl ArchiveFile {
    /// Creates the archive at a path.
    pub fn new(pool: Rc<ReaderPool>, path: RemotePath) -> Self {
        Self { pool, path: Rc::new(path) }
    }
}

impl RangeSource for ArchiveFile {
    type Stream = ContentStream;

    async fn open(&self, offset: u64, length: u64) -> Result<ContentStream, Failure> {
        self.pool.open_range(&self.path, offset, length).await.map(ContentStream::new)
    }
}
