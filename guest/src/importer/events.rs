//! Events of a scan: entries and errors on their way to Plakar.

use futures::SinkExt;
use futures::channel::mpsc;

use super::dedup::SeenPaths;
use crate::backends::Backend;
use crate::bindings::exports::plakar::connector::importer::ScanEvent;
use crate::bindings::plakar::connector::rclone::ListError;
use crate::bindings::plakar::connector::types::{
    Entry, Failure, Kind, Metadata, Reason, Timestamp,
};
use crate::lsjson::Item;
use crate::path::{RemotePath, SnapshotRoot};

/// Number of groups of events that may wait for their receiver.
const CHANNEL_CAPACITY: usize = 2;

/// Sender of events.
#[derive(Clone)]
pub struct EventSender {
    root: SnapshotRoot,
    events: mpsc::Sender<Vec<ScanEvent>>,
}

impl EventSender {
    /// Creates a channel. The errors sent have absolute paths below `root`.
    pub fn channel(root: SnapshotRoot) -> (Self, mpsc::Receiver<Vec<ScanEvent>>) {
        let (events, receiver) = mpsc::channel(CHANNEL_CAPACITY);
        (Self { root, events }, receiver)
    }

    /// Returns the path of the remote's root in the snapshot.
    pub fn root(&self) -> &SnapshotRoot {
        &self.root
    }

    /// Sends events. Returns whether the receiver still exists.
    pub async fn send(&mut self, events: Vec<ScanEvent>) -> bool {
        events.is_empty() || self.events.send(events).await.is_ok()
    }

    /// Sends an error for each path that could not be listed. A closed channel ends the
    /// listing, which reports that itself.
    pub async fn send_errors(&mut self, errors: Vec<ListError>) {
        let events =
            errors.into_iter().map(|ListError { path, failure }| self.error(&path, failure));
        let events = events.collect();
        self.send(events).await;
    }

    /// Creates the error event of a path below the root.
    pub fn error(&self, path: &str, failure: Failure) -> ScanEvent {
        ScanEvent::Error((self.root.absolute(path), failure))
    }
}

/// Builder of a scan's entries.
pub struct EntryBuilder {
    root: SnapshotRoot,
    seen: SeenPaths,
}

impl EntryBuilder {
    /// Creates a builder for the entries of one scan.
    pub fn new(root: SnapshotRoot, backend: Backend) -> Self {
        Self { root, seen: SeenPaths::new(backend) }
    }

    /// Builds the entry of a listed item.
    ///
    /// # Errors
    ///
    /// A snapshot cannot hold the path, or the path was listed before.
    pub fn entry(&mut self, item: &Item) -> Result<Entry, Failure> {
        RemotePath::parse(&item.path)?;
        if !self.seen.insert(&item.path) {
            return Err(Failure::new(
                Reason::Unsupported,
                "the remote holds another object of the same name in this directory, and only one \
                 of them was backed up",
            )
            .with_help("rename one of them (`rclone dedupe`)"));
        }
        let path = self.root.absolute(&item.path);
        Ok(Entry { path, metadata: item.metadata(), link_target: None })
    }
}

/// Builds the entry of the root, which rclone doesn't list. Its time is unknown, so it is the
/// same at every backup.
pub fn root_entry(root: &SnapshotRoot) -> Entry {
    Entry {
        path: root.path().to_owned(),
        metadata: Metadata {
            kind: Kind::Directory,
            size: Some(0),
            permissions: 0o755,
            modified: Timestamp { seconds: 0, nanoseconds: 0 },
            identity: None,
        },
        link_target: None,
    }
}
