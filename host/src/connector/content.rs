//! Bytes on their way through the host, and how they ended.

use bytes::Bytes;
use std::collections::VecDeque;
use std::task::{Context, Poll};
use tokio::sync::{mpsc, oneshot};

use super::types::Failure;

/// The receiving side of a content.
pub struct Content {
    /// The bytes, in chunks of any size.
    pub bytes: Chunks,
    /// The result of the transfer. The bytes are complete only if this is ok; a sender that
    /// was dropped without a result counts as a failure.
    pub end: oneshot::Receiver<Result<(), Failure>>,
}

/// The sending side of a content. One that is dropped before it is finished cancels it.
pub struct ContentWriter {
    bytes: mpsc::Sender<Bytes>,
    end: oneshot::Sender<Result<(), Failure>>,
}

impl ContentWriter {
    /// Returns the channel that takes the bytes.
    pub fn bytes(&self) -> &mpsc::Sender<Bytes> {
        &self.bytes
    }

    /// Ends the content with this result.
    pub fn finish(self, result: Result<(), Failure>) {
        drop(self.bytes);
        // A reader that gave up already knows more.
        let _ = self.end.send(result);
    }
}

impl Content {
    /// Makes a content of which at most `capacity` chunks wait to be taken, and its writer.
    pub fn channel(capacity: usize) -> (ContentWriter, Self) {
        let (bytes_sender, bytes) = mpsc::channel(capacity);
        let (end_sender, end) = oneshot::channel();
        let writer = ContentWriter { bytes: bytes_sender, end: end_sender };
        (writer, Self { bytes: bytes.into(), end })
    }

    /// Makes a complete content of these chunks.
    pub fn complete(chunks: VecDeque<Bytes>) -> Self {
        Self::with_end(chunks, Ok(()))
    }

    /// Makes a content without bytes that ends with this failure.
    pub fn from_failure(failure: Failure) -> Self {
        Self::with_end(VecDeque::new(), Err(failure))
    }

    fn with_end(chunks: VecDeque<Bytes>, result: Result<(), Failure>) -> Self {
        let (sender, end) = oneshot::channel();
        // The receiver exists.
        let _ = sender.send(result);
        Self { bytes: chunks.into(), end }
    }

    /// Puts chunks that were taken from the content back before the others.
    pub fn with_prefix(mut self, chunks: VecDeque<Bytes>) -> Self {
        self.bytes.buffered = chunks;
        self
    }

    /// Holds a reservation until all of the content was taken.
    pub fn with_reservation(self, reservation: impl Send + Sync + 'static) -> Self {
        Self { bytes: self.bytes.with_reservation(reservation), ..self }
    }

    /// Returns a signal that fires when the buffered chunks were taken and more are wanted.
    pub fn buffer_drained(&mut self) -> oneshot::Receiver<()> {
        let (sender, drained) = oneshot::channel();
        self.bytes.drained = Some(sender);
        drained
    }

    /// Buffers `limit` bytes, or all of them if there are fewer.
    ///
    /// # Errors
    ///
    /// Fails if the content fails before that.
    pub async fn buffered(mut self, limit: usize) -> Result<Self, Failure> {
        let mut chunks = VecDeque::new();
        let mut count = 0;
        while count < limit {
            let Some(chunk) = self.bytes.recv().await else {
                self.join().await?;
                return Ok(Self::complete(chunks));
            };
            count += chunk.len();
            chunks.push_back(chunk);
        }
        Ok(self.with_prefix(chunks))
    }

    /// Waits for the end of a content whose bytes were taken, or are not wanted.
    ///
    /// # Errors
    ///
    /// Fails if the content failed, or was dropped by its writer.
    pub async fn join(self) -> Result<(), Failure> {
        wait_end(self.end).await
    }
}

/// Waits for the end of a content.
///
/// # Errors
///
/// Fails if the content failed, or was dropped by its writer.
pub async fn wait_end(end: oneshot::Receiver<Result<(), Failure>>) -> Result<(), Failure> {
    end.await.unwrap_or_else(|_| Err(Failure::cancelled()))
}

/// The bytes of a content: chunks that are buffered, and those still to come.
pub struct Chunks {
    buffered: VecDeque<Bytes>,
    incoming: Option<mpsc::Receiver<Bytes>>,
    /// Fires when the buffered chunks were taken.
    drained: Option<oneshot::Sender<()>>,
    /// Guards of the memory that the chunks may take.
    reservations: Vec<Box<dyn Send + Sync>>,
}

impl Chunks {
    fn new(buffered: VecDeque<Bytes>, incoming: Option<mpsc::Receiver<Bytes>>) -> Self {
        Self { buffered, incoming, drained: None, reservations: Vec::new() }
    }

    /// Waits for the next chunk; `None` at the end.
    pub async fn recv(&mut self) -> Option<Bytes> {
        std::future::poll_fn(|context| self.poll_recv(context)).await
    }

    /// Polls for the next chunk; `None` at the end.
    pub fn poll_recv(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let polled = match (self.pop(), &mut self.incoming) {
            (Some(chunk), _) => Poll::Ready(Some(chunk)),
            (None, Some(incoming)) => incoming.poll_recv(context),
            (None, None) => Poll::Ready(None),
        };
        if let Poll::Ready(None) = polled {
            self.reservations.clear();
        }
        polled
    }

    /// Returns the next chunk if it is there.
    pub fn try_recv(&mut self) -> Option<Bytes> {
        self.pop().or_else(|| self.incoming.as_mut()?.try_recv().ok())
    }

    fn pop(&mut self) -> Option<Bytes> {
        let chunk = self.buffered.pop_front();
        if self.buffered.is_empty()
            && let Some(drained) = self.drained.take()
        {
            // A sender that doesn't wait for it sends anyway.
            let _ = drained.send(());
        }
        chunk
    }

    /// Holds a reservation until all of the chunks were taken.
    pub fn with_reservation(mut self, reservation: impl Send + Sync + 'static) -> Self {
        self.reservations.push(Box::new(reservation));
        self
    }

    /// Takes everything as one chunk, if all of it is buffered in at most one.
    pub fn take_single(&mut self) -> Option<Bytes> {
        if self.incoming.is_some() || self.buffered.len() > 1 {
            return None;
        }
        Some(self.buffered.pop_front().unwrap_or_default())
    }

    /// Notifies the sender that no more chunks are wanted.
    pub fn close(&mut self) {
        self.incoming = None;
    }
}

impl From<mpsc::Receiver<Bytes>> for Chunks {
    fn from(incoming: mpsc::Receiver<Bytes>) -> Self {
        Self::new(VecDeque::new(), Some(incoming))
    }
}

impl From<VecDeque<Bytes>> for Chunks {
    fn from(buffered: VecDeque<Bytes>) -> Self {
        Self::new(buffered, None)
    }
}
