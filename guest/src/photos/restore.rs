//! The restore to Google Photos: each photo is uploaded into its albums, and into the
//! library only if it is in none. One process writes at a time: Google refuses a call
//! that adds photos while another does.

use futures::FutureExt;
use futures::future::{LocalBoxFuture, Shared};
use std::cell::RefCell;
use std::collections::HashMap;
use wit_bindgen::StreamResult;

use super::Photos;
use super::layout::{Layout, Target};
use crate::bindings::plakar::connector::rclone;
use crate::bindings::plakar::connector::types::{Content, Entry, Failure, Kind, Reason};
use crate::path::RemotePath;
use crate::restore::{self, Fate, Limits};
use crate::session::Session;

/// Photos are larger than most files, and many are added with one call.
pub const LIMITS: Limits = Limits { entries: 500, bytes: 240 << 20, large: 64 << 20 };

/// What a restore to Google Photos knows of what went before.
#[derive(Default)]
pub struct Restored {
    layout: RefCell<Layout>,
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
        // rclone makes albums with their first photos, and can't make an empty one.
        (Kind::Directory, None) => Ok(()),
        (Kind::File, Some(content)) => {
            let target = restored.layout.borrow_mut().file(root, path)?;
            file(session, restored, target, entry, content).await
        }
        (_, content) => {
            drop(content);
            let message = "Google Photos can only hold photos, videos and albums";
            Err(Failure::new(Reason::Unsupported, message))
        }
    }
}

async fn file(
    session: &Session,
    restored: &Restored,
    target: Target,
    entry: Entry,
    content: Content,
) -> Fate {
    let path = RemotePath::parse(&target.path)?;
    let upload = entry.metadata.identity.map(|identity| Upload {
        identity,
        size: entry.metadata.size,
        modified: (entry.metadata.modified.seconds, entry.metadata.modified.nanoseconds),
        name: path.name().to_owned(),
    });
    if target.view
        && let Some(upload) = &upload
    {
        let before = restored.uploads.borrow().get(upload).cloned();
        if let Some(before) = before {
            drained(content).await?;
            return before.await;
        }
    }
    let size = entry.metadata.size.unwrap_or_default();
    if size > LIMITS.large || !restore::fits(&path) {
        let _alone = restore::alone(&session.restore).await;
        return rclone::receive(path.to_string(), size, entry.metadata.modified, content).await;
    }
    let fate = restore::collect(&session.restore, path, entry, size, Some(content)).await?;
    let fate = fate.boxed_local().shared();
    if let Some(upload) = upload {
        restored.uploads.borrow_mut().insert(upload, fate.clone());
    }
    fate.await
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
