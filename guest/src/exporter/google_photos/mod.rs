//! Restore to Google Photos: each photo is uploaded into its albums, and into the library only
//! if it is in none. One process writes at a time: Google rejects a call that adds photos while
//! another one does.
//!
//! - [`layout`]: the destination of each file
//! - [`albums`]: albums of the snapshot and of the destination

mod albums;
mod layout;

use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::{LocalBoxFuture, Shared};
use std::cell::RefCell;
use std::collections::HashMap;
use tokio::sync::Mutex;
use wit_bindgen::StreamResult;

use super::batch::{WriteResult, cancelled, fits_on_disk};
use super::batches::{BatchLimits, Batches};
use crate::bindings::plakar::connector::rclone;
use crate::bindings::plakar::connector::types::{
    Content, Entry, Failure, Kind, Metadata, Reason, Timestamp,
};
use crate::path::{RemotePath, SnapshotRoot, join};
use crate::takeout::marks::Mark;
use albums::Albums;
use layout::Destination;

/// Limits of a batch: photos are larger than most files, and many are added with one call.
const BATCH_LIMITS: BatchLimits = BatchLimits { entries: 500, bytes: 240 << 20 };

/// Maximum size of a file in a batch. A larger one is uploaded as it arrives.
const MAX_BATCHED_FILE_BYTES: u64 = 64 << 20;

/// Number of bytes of a content that are discarded at once.
const DISCARD_BYTES: usize = 256 << 10;

/// Metadata of an album as a directory: Google dates it.
const NEW_ALBUM: Metadata = Metadata {
    kind: Kind::Directory,
    size: Some(0),
    permissions: 0o755,
    modified: Timestamp { seconds: 0, nanoseconds: 0 },
    identity: None,
};

/// Writer of photos and albums.
pub struct PhotoWriter {
    root: SnapshotRoot,
    batches: Batches,
    /// The lock is a queue: entries are served in the order of their writes.
    albums: Mutex<Albums>,
    /// Marks of the snapshot's top directories.
    marks: RefCell<HashMap<String, Mark>>,
    /// Photos that are uploaded, or being uploaded.
    uploads: RefCell<HashMap<UploadKey, Shared<LocalBoxFuture<'static, WriteResult>>>>,
}

/// Properties that the paths of one photo share in a snapshot. The identity is a hash of the
/// photo's ID.
#[derive(PartialEq, Eq, Hash)]
struct UploadKey {
    identity: u64,
    size: Option<u64>,
    modified: (i64, u32),
    name: String,
}

/// Target of a file.
struct Target {
    path: RemotePath,
    /// Whether the path is that of a view, whose photo may be uploaded with another path.
    is_view: bool,
}

impl PhotoWriter {
    /// Creates a writer below a root of the remote.
    ///
    /// # Errors
    ///
    /// Google Photos accepts no files there.
    pub fn new(root: &str) -> Result<Self, Failure> {
        layout::check_root(root)?;
        Ok(Self {
            root: SnapshotRoot::new(root),
            batches: Batches::new(BATCH_LIMITS),
            albums: Mutex::default(),
            marks: RefCell::default(),
            uploads: RefCell::default(),
        })
    }

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
            // An album is created with its first photo, or at the end.
            (Kind::Directory, None) => {
                self.identify_album(&path, &entry.metadata).await;
                Ok(())
            }
            (Kind::File, Some(content)) => match self.target(&path).await? {
                Some(target) => self.write_file(target, entry, content).await,
                None => discard(content).await,
            },
            _ => {
                let message = "Google Photos can only hold photos, videos and albums";
                Err(Failure::new(Reason::Unsupported, message))
            }
        }
    }

    /// Waits for every write, and creates the albums without a photo.
    ///
    /// # Errors
    ///
    /// An album could not be created.
    pub async fn finish(&self) -> WriteResult {
        let mut results = Vec::new();
        let added = self.add_missing_albums(&mut results).await;
        // Photos wait for their results even if the albums failed.
        self.batches.finish().await;
        added?;
        for result in results {
            result.await?;
        }
        Ok(())
    }

    /// Adds the albums of the snapshot without a photo to a batch.
    async fn add_missing_albums(
        &self,
        results: &mut Vec<LocalBoxFuture<'static, WriteResult>>,
    ) -> Result<(), Failure> {
        let parent = layout::albums_directory(self.root.path());
        let missing = self.albums.lock().await.missing(parent).await?;
        for title in missing {
            let path = RemotePath::parse(&join(parent, &title))?;
            let entry = Entry { path: path.to_string(), metadata: NEW_ALBUM, link_target: None };
            let result = self.batches.add(path, entry, 0, None).await?;
            results.push(result.boxed_local());
        }
        Ok(())
    }

    async fn identify_album(&self, path: &RemotePath, metadata: &Metadata) {
        if let Some(mark) = Mark::find(path.as_str(), metadata) {
            self.marks.borrow_mut().insert(path.to_string(), mark);
            return;
        }
        let album = layout::album_path(self.root.path(), path);
        if let (Some(album), Some(identity)) = (album, metadata.identity) {
            // A backup of Google Photos gives no time to directories.
            let Timestamp { seconds, nanoseconds } = metadata.modified;
            let is_album = (seconds, nanoseconds) == (0, 0);
            self.albums.lock().await.identify(album, identity, is_album);
        }
    }

    /// Returns the target of a file, unless it is left out.
    async fn target(&self, path: &RemotePath) -> Result<Option<Target>, Failure> {
        let mark = self.mark(path);
        let mut albums = self.albums.lock().await;
        let (title, is_view) = match layout::destination(self.root.path(), path, mark)? {
            Destination::Nowhere => return Ok(None),
            Destination::Library { is_view } => (None, is_view),
            Destination::Album(album) => {
                let parent = layout::albums_directory(self.root.path());
                (Some(albums.title(parent, album).await?), false)
            }
        };
        let path = layout::target_path(self.root.path(), title.as_deref(), path);
        Ok(Some(Target { path: RemotePath::parse(&path)?, is_view }))
    }

    /// Returns the mark of the top directory that a file is in.
    fn mark(&self, path: &RemotePath) -> Option<Mark> {
        let (top, _) = path.as_str().split_once('/')?;
        self.marks.borrow().get(top).copied()
    }

    /// Writes a file, unless it shows a photo that is uploaded with another path.
    async fn write_file(
        &self,
        Target { path, is_view }: Target,
        entry: Entry,
        content: Content,
    ) -> WriteResult {
        let Metadata { size, modified, identity, .. } = entry.metadata;
        let Some(identity) = identity else {
            return self.upload(path, entry, content).await;
        };
        let key = UploadKey {
            identity,
            size,
            modified: (modified.seconds, modified.nanoseconds),
            name: path.name().to_owned(),
        };
        let earlier = self.uploads.borrow().get(&key).cloned();
        if let Some(earlier) = earlier.filter(|_| is_view) {
            discard(content).await?;
            return earlier.await;
        }
        // Before the first wait, during which other paths of this photo may arrive.
        let (sender, result) = oneshot::channel();
        let result = result.map(|result| result.unwrap_or_else(|_| Err(cancelled())));
        self.uploads.borrow_mut().insert(key, result.boxed_local().shared());
        let result = self.upload(path, entry, content).await;
        // Other paths may or may not wait for it.
        let _ = sender.send(result.clone());
        result
    }

    async fn upload(&self, path: RemotePath, entry: Entry, content: Content) -> WriteResult {
        let size = entry.metadata.size.unwrap_or_default();
        if size > MAX_BATCHED_FILE_BYTES || !fits_on_disk(&path) {
            let _exclusive = self.batches.exclusive().await;
            return rclone::upload(path.to_string(), size, entry.metadata.modified, content).await;
        }
        self.batches.add(path, entry, size, Some(content)).await?.await
    }
}

/// Reads a content that isn't needed to its end.
async fn discard((mut bytes, end): Content) -> Result<(), Failure> {
    let mut buffer = Vec::with_capacity(DISCARD_BYTES);
    loop {
        let (result, chunk) = bytes.read(buffer).await;
        if !matches!(result, StreamResult::Complete(_)) {
            return end.await;
        }
        buffer = chunk;
        buffer.clear();
    }
}
