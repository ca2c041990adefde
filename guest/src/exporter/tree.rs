//! Restore of a tree: files and directories as they are in the snapshot.

use super::batch::{WriteResult, fits_on_disk};
use super::batches::{BatchLimits, Batches};
use crate::bindings::plakar::connector::rclone;
use crate::bindings::plakar::connector::types::{Content, Entry, Failure, Kind, Reason};
use crate::path::RemotePath;

/// Limits of a batch. Two batches exist at most: one that is filled and one that is sent.
const BATCH_LIMITS: BatchLimits = BatchLimits { entries: 1000, bytes: 128 << 20 };

/// Maximum size of a file in a batch. A larger one is uploaded as it arrives.
const MAX_BATCHED_FILE_BYTES: u64 = 32 << 20;

/// Writer of files and directories.
pub struct TreeWriter {
    batches: Batches,
}

impl Default for TreeWriter {
    fn default() -> Self {
        Self { batches: Batches::new(BATCH_LIMITS) }
    }
}

impl TreeWriter {
    /// Writes one entry, and returns when its result is known.
    ///
    /// # Errors
    ///
    /// The entry was not written.
    pub async fn write(
        &self,
        path: RemotePath,
        entry: Entry,
        content: Option<Content>,
    ) -> WriteResult {
        match (entry.metadata.kind, content) {
            (Kind::Directory, None) => self.batches.add_directory(path, entry).await,
            (Kind::File, Some(content)) => self.write_file(path, entry, content).await,
            (Kind::Symlink, _) => {
                Err(Failure::new(Reason::Unsupported, "rclone can't write symbolic links")
                    .with_help("restore them to a local directory (`fs://`)"))
            }
            _ => {
                let message = "rclone can only write files and directories";
                Err(Failure::new(Reason::Unsupported, message))
            }
        }
    }

    /// Uploads what is still held, and returns when every entry has its result.
    pub async fn finish(&self) {
        self.batches.finish().await;
    }

    async fn write_file(&self, path: RemotePath, entry: Entry, content: Content) -> WriteResult {
        let Some(size) = entry.metadata.size else {
            return Err(Failure::internal("a file of unknown size can't be restored"));
        };
        if size <= MAX_BATCHED_FILE_BYTES && fits_on_disk(&path) {
            return self.batches.add(path, entry, size, Some(content)).await?.await;
        }
        let _upload = self.batches.begin_upload(&path).await;
        rclone::upload(path.to_string(), size, entry.metadata.modified, content).await
    }
}
