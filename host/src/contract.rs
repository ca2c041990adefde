//! The contract between a connector and its host, made from `wit/`.
//!
//! Its plain types (entries, failures, backends) are what all rooms of the host
//! speak in. Its traits and calls concern the sandbox alone.

pub use bindings::plakar::connector::rclone::{Outcome, Selection, Trouble};
pub use bindings::plakar::connector::types::{
    Entry, Failure, Kind, Location, Metadata, Reason, Remote, Timestamp,
};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

pub mod bindings {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "connector",
        imports: { default: async | store | trappable },
        exports: { default: async | store },
        with: {
            "plakar:connector/rclone.reader": crate::rclone::Reader,
            "plakar:connector/rclone.batch": crate::rclone::Batch,
        },
        additional_derives: [PartialEq],
    });
}

impl Failure {
    /// A failure for this reason. The message is made one line.
    pub fn new(reason: Reason, message: impl AsRef<str>) -> Self {
        let message = message.as_ref().split_whitespace().collect::<Vec<_>>().join(" ");
        Self { reason, message }
    }

    /// A mistake of the host, or something about this machine that it can't do without.
    pub fn internal(message: impl AsRef<str>) -> Self {
        Self::new(Reason::Internal, message)
    }

    /// Somebody stopped it.
    pub fn cancelled() -> Self {
        Self::new(Reason::Cancelled, "cancelled")
    }
}

/// Bytes on their way through the host, in pieces of any size.
pub struct Content {
    pub bytes: mpsc::Receiver<Bytes>,
    /// How they ended. They are complete only if this says ok; a sender that went
    /// away without a word counts as a failure.
    pub end: oneshot::Receiver<Result<(), Failure>>,
}

impl Content {
    /// A content, and where to put its bytes and its end.
    pub fn channel(
        pieces: usize,
    ) -> (mpsc::Sender<Bytes>, oneshot::Sender<Result<(), Failure>>, Self) {
        let (bytes_in, bytes) = mpsc::channel(pieces);
        let (end_in, end) = oneshot::channel();
        (bytes_in, end_in, Self { bytes, end })
    }

    /// How the content ended, once its bytes were taken.
    pub async fn ended(end: oneshot::Receiver<Result<(), Failure>>) -> Result<(), Failure> {
        end.await.unwrap_or_else(|_| Err(Failure::cancelled()))
    }
}
