//! Parts of an archive: where its bytes come from.

use wit_bindgen::{FutureReader, StreamReader, StreamResult};

use crate::bindings::plakar::connector::types::{Content, Failure};

/// Number of bytes that are read at once.
const READ_BYTES: usize = 256 << 10;

/// Archive whose parts can be read. Clones read the same archive.
pub trait RangeSource: Clone {
    /// Bytes of a part.
    type Stream: RangeStream;

    /// Opens a part of exactly `length` bytes.
    ///
    /// # Errors
    ///
    /// The part can't be read.
    async fn open(&self, offset: u64, length: u64) -> Result<Self::Stream, Failure>;
}

/// Bytes of a part, in order.
pub trait RangeStream {
    /// Returns the next bytes, which aren't empty, or `None` after the last ones.
    ///
    /// # Errors
    ///
    /// The transfer breaks, or ends too early.
    async fn next(&mut self) -> Result<Option<Vec<u8>>, Failure>;
}

/// Bytes of a content of the host.
pub struct ContentStream {
    bytes: StreamReader<u8>,
    end: Option<FutureReader<Result<(), Failure>>>,
}

impl ContentStream {
    /// Creates the stream of a content.
    pub fn new((bytes, end): Content) -> Self {
        Self { bytes, end: Some(end) }
    }
}

impl RangeStream for ContentStream {
    async fn next(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        while self.end.is_some() {
            let (result, bytes) = self.bytes.read(Vec::with_capacity(READ_BYTES)).await;
            if !matches!(result, StreamResult::Complete(_))
                && let Some(end) = self.end.take()
            {
                end.await?;
            }
            if !bytes.is_empty() {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }
}
