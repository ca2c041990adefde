//! The contract between a connector and its host, made from `wit/`.
//!
//! Its plain types (entries, failures, backends) are what all rooms of the host
//! speak in. Its traits and calls concern the sandbox alone.

pub use bindings::plakar::connector::rclone::{Outcome, Selection, Trouble};
pub use bindings::plakar::connector::types::{
    Entry, Failure, Kind, Location, Metadata, Reason, Remote, Timestamp,
};

use bytes::Bytes;
use std::collections::VecDeque;
use std::task::{Context, Poll};
use tokio::sync::{mpsc, oneshot};

use crate::cli::invocation;
use crate::quota::buffers::BufferReservation;
use crate::terminal;

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

    /// The message as it may be shown: of one line, of a length that can be read, without
    /// characters that a terminal obeys, wherever it comes from, and with commands that can be run.
    pub fn shown(&self) -> String {
        const LONGEST: usize = 2000;
        let message = invocation::with_command(&self.message);
        terminal::escape(&message.chars().take(LONGEST).collect::<String>()).into_owned()
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

/// Bytes on their way through the host.
pub struct Content {
    pub bytes: Pieces,
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
        (bytes_in, end_in, Self { bytes: bytes.into(), end })
    }

    /// The same content after the pieces that were taken from it.
    pub fn after(mut self, held: VecDeque<Bytes>) -> Self {
        self.bytes.held = held;
        self
    }

    /// The same content, for which this is set aside until all of it was taken.
    pub fn with(self, aside: BufferReservation) -> Self {
        Self { bytes: self.bytes.with(aside), ..self }
    }

    /// What tells when the pieces that are here were taken, and more are wanted.
    pub fn wanted(&mut self) -> oneshot::Receiver<()> {
        let (sender, wanted) = oneshot::channel();
        self.bytes.wanted = Some(sender);
        wanted
    }

    /// A content that isn't to be had.
    pub fn failed(failure: Failure) -> Self {
        let (told, end) = oneshot::channel();
        // The receiver is at hand.
        let _ = told.send(Err(failure));
        Self { bytes: Pieces::from(VecDeque::new()), end }
    }

    /// Waits until `most` bytes are here or all of them. A content that ends before
    /// that and isn't complete becomes its failure.
    pub async fn begun(mut self, most: usize) -> Result<Self, Failure> {
        let mut held = VecDeque::new();
        let mut count = 0;
        while count < most {
            let Some(piece) = self.bytes.recv().await else {
                Self::ended(self.end).await?;
                return Ok(Self::whole(held));
            };
            count += piece.len();
            held.push_back(piece);
        }
        Ok(self.after(held))
    }

    /// A content that is here and complete.
    pub fn whole(held: VecDeque<Bytes>) -> Self {
        let (told, end) = oneshot::channel();
        // The receiver is at hand.
        let _ = told.send(Ok(()));
        Self { bytes: held.into(), end }
    }

    /// How the content ended, once its bytes were taken.
    pub async fn ended(end: oneshot::Receiver<Result<(), Failure>>) -> Result<(), Failure> {
        end.await.unwrap_or_else(|_| Err(Failure::cancelled()))
    }
}

/// The bytes of a content, in pieces of any size: those that are here, and those
/// that are still to come.
pub struct Pieces {
    held: VecDeque<Bytes>,
    coming: Option<mpsc::Receiver<Bytes>>,
    /// Is told when those that are here were taken.
    wanted: Option<oneshot::Sender<()>>,
    /// What of this program's memory is set aside for them.
    aside: Vec<BufferReservation>,
}

impl Pieces {
    /// The next piece; `None` at their end.
    pub async fn recv(&mut self) -> Option<Bytes> {
        std::future::poll_fn(|context| self.poll_recv(context)).await
    }

    pub fn poll_recv(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let polled = match (self.pop(), &mut self.coming) {
            (Some(piece), _) => Poll::Ready(Some(piece)),
            (None, Some(coming)) => coming.poll_recv(context),
            (None, None) => Poll::Ready(None),
        };
        if let Poll::Ready(None) = polled {
            self.aside.clear();
        }
        polled
    }

    /// The next piece, if it is here.
    pub fn ready(&mut self) -> Option<Bytes> {
        self.pop().or_else(|| self.coming.as_mut()?.try_recv().ok())
    }

    fn pop(&mut self) -> Option<Bytes> {
        let piece = self.held.pop_front();
        if self.held.is_empty()
            && let Some(wanted) = self.wanted.take()
        {
            // Whoever doesn't wait for it sends anyway.
            let _ = wanted.send(());
        }
        piece
    }

    /// The same pieces, for which this is set aside until all of them were taken.
    pub fn with(mut self, aside: BufferReservation) -> Self {
        self.aside.push(aside);
        self
    }

    /// Everything in one piece, if it is here, complete, and no more than one.
    pub fn whole(&mut self) -> Option<Bytes> {
        if self.coming.is_some() || self.held.len() > 1 {
            return None;
        }
        Some(self.held.pop_front().unwrap_or_default())
    }

    /// Tells the sender that nobody wants more.
    pub fn close(&mut self) {
        self.coming = None;
    }
}

impl From<mpsc::Receiver<Bytes>> for Pieces {
    fn from(coming: mpsc::Receiver<Bytes>) -> Self {
        Self { held: VecDeque::new(), coming: Some(coming), wanted: None, aside: Vec::new() }
    }
}

impl From<VecDeque<Bytes>> for Pieces {
    fn from(held: VecDeque<Bytes>) -> Self {
        Self { held, coming: None, wanted: None, aside: Vec::new() }
    }
}
