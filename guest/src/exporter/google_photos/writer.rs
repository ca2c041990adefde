//! The restore to Google Photos: each photo is uploaded into its albums, and into the
//! library only if it is in none. One process writes at a time: Google refuses a call
//! that adds photos while another does.

use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::{LocalBoxFuture, Shared};
use std::cell::RefCell;
use std::collections::HashMap;
use tokio::sync::Mutex;
use wit_bindgen::StreamResult;

use super::albums::{self, Albums};
use super::layout::{self, Place};
use crate::bindings::plakar::connector::rclone;
use crate::bindings::plakar::connector::types::{
    Content, Entry, Failure, Kind, Metadata, Reason, Timestamp,
};
use crate::exporter::batches::{self, Fate, Limits};
use crate::importer::google_photos::Photos;
use crate::path::RemotePath;
use crate::session::Session;

/// Photos are larger than most files, and many are added with one call.
pub const LIMITS: Limits = Limits { entries: 500, bytes: 240 << 20, large: 64 << 20 };

/// What a restore to Google Photos knows of what went before.
#[derive(Default)]
pub struct Restored {
    /// Entries take turns in the order of their writes: this lock is a queue.
    albums: Mutex<Albums>,
    /// The photos that are on their way, or there.
    uploads: RefCell<HashMap<Upload, Shared<LocalBoxFuture<'static, Fate>>>>,
}

/// What the paths of one photo have in common in a snapshot. The number is made of the
/// photo's ID.
#[derive(PartialEq, Eq, Hash)]
struct Upload {
    identity: u64,
    size: Option<u64>,
    modified: (i64, u32),
    name: String,
}

/// Writes one entry; returns when its fate is known.
pub async fn write(
    session: &Session,
    photos: &Photos,
    path: &RemotePath,
    entry: Entry,
    content: Option<Content>,
) -> Fate {
    let restored = &photos.restored;
    let root = session.root.path();
    match (entry.metadata.kind, content) {
        // An album is made with its first photo, or in the end.
        (Kind::Directory, None) => {
            if let (Some(album), Some(identity)) =
                (layout::album(root, path), entry.metadata.identity)
            {
                // A backup of Google Photos gives directories no time of their own.
                let Timestamp { seconds, nanoseconds } = entry.metadata.modified;
                let own = (seconds, nanoseconds) == (0, 0);
                restored.albums.lock().await.identify(album, identity, own);
            }
            Ok(())
        }
        (Kind::File, Some(content)) => {
            let target = target(restored, root, path).await?;
            file(session, restored, target, entry, content).await
        }
        (_, content) => {
            drop(content);
            let message = "Google Photos can only hold photos, videos and albums";
            Err(Failure::new(Reason::Unsupported, message))
        }
    }
}

/// Ends the restore: waits until every write that was called had its turn, then makes the
/// albums that hold no photo.
pub async fn finish(session: &Session, photos: &Photos) -> Fate {
    let mut fates = Vec::new();
    let collected = collect_albums(session, photos, &mut fates).await;
    // Whatever became of the albums, photos wait for their fates.
    batches::finish(&session.restore).await?;
    collected?;
    for fate in fates {
        fate.await?;
    }
    Ok(())
}

async fn collect_albums(
    session: &Session,
    photos: &Photos,
    fates: &mut Vec<LocalBoxFuture<'static, Fate>>,
) -> Result<(), Failure> {
    let within = layout::albums(session.root.path());
    let missing = photos.restored.albums.lock().await.missing(within).await?;
    for title in missing {
        let path = RemotePath::parse(&albums::join(within, &title))?;
        let entry = Entry { path: path.to_string(), metadata: NEW_ALBUM, link_target: None };
        let fate = batches::collect(&session.restore, path, entry, 0, None).await?;
        fates.push(fate.boxed_local());
    }
    Ok(())
}

/// An album as a directory: Google dates it itself.
const NEW_ALBUM: Metadata = Metadata {
    kind: Kind::Directory,
    size: Some(0),
    permissions: 0o755,
    modified: Timestamp { seconds: 0, nanoseconds: 0 },
    identity: None,
};

/// Where a file goes.
struct Target {
    path: RemotePath,
    /// Whether it shows a photo that may be uploaded with another of its paths.
    view: bool,
}

async fn target(restored: &Restored, root: &str, path: &RemotePath) -> Result<Target, Failure> {
    let mut albums = restored.albums.lock().await;
    let (title, view) = match layout::place(root, path)? {
        Place::Library { view } => (None, view),
        Place::Album(album) => (Some(albums.title(layout::albums(root), album).await?), false),
    };
    let path = RemotePath::parse(&layout::target(root, title.as_deref(), path))?;
    Ok(Target { path, view })
}

async fn file(
    session: &Session,
    restored: &Restored,
    Target { path, view }: Target,
    entry: Entry,
    content: Content,
) -> Fate {
    let Some(identity) = entry.metadata.identity else {
        return upload(session, path, entry, content).await;
    };
    let Metadata { size, modified, .. } = entry.metadata;
    let name = path.name().to_owned();
    let key = Upload { identity, size, modified: (modified.seconds, modified.nanoseconds), name };
    let before = restored.uploads.borrow().get(&key).cloned();
    if let Some(before) = before.filter(|_| view) {
        drained(content).await?;
        return before.await;
    }
    // Before anything is waited for: other paths of this photo may come meanwhile.
    let (told, fate) = oneshot::channel();
    let fate = fate.map(|fate| fate.unwrap_or_else(|_| Err(batches::given_up())));
    restored.uploads.borrow_mut().insert(key, fate.boxed_local().shared());
    let fate = upload(session, path, entry, content).await;
    // Nobody may wait for it.
    let _ = told.send(fate.clone());
    fate
}

async fn upload(session: &Session, path: RemotePath, entry: Entry, content: Content) -> Fate {
    let size = entry.metadata.size.unwrap_or_default();
    if size > LIMITS.large || !batches::fits(&path) {
        let _alone = batches::alone(&session.restore).await;
        return rclone::receive(path.to_string(), size, entry.metadata.modified, content).await;
    }
    batches::collect(&session.restore, path, entry, size, Some(content)).await?.await
}

/// Takes a content that isn't needed, to its end.
async fn drained((mut bytes, end): Content) -> Result<(), Failure> {
    let mut buffer = Vec::with_capacity(256 << 10);
    loop {
        let (result, piece) = bytes.read(buffer).await;
        if !matches!(result, StreamResult::Complete(_)) {
            return end.await;
        }
        buffer = piece;
        buffer.clear();
    }
}
