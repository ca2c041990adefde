//! Contents whose bytes pass through the component's memory: small ones.

use wit_bindgen::{StreamResult, StreamWriter, spawn_local};

use crate::bindings::plakar::connector::types::{Content, Failure, Reason};
use crate::bindings::{wit_future, wit_stream};

/// Number of bytes that are read at once.
const READ_BYTES: usize = 256 << 10;

/// Creates a content of these bytes.
pub fn of_bytes(bytes: Vec<u8>) -> Content {
    let (mut output, stream) = wit_stream::new();
    let (end_writer, end) = wit_future::new(dropped);
    spawn_local(async move {
        let is_read = output.write_all(bytes).await.is_empty();
        drop(output);
        let result = if is_read { Ok(()) } else { dropped() };
        // The reader may have dropped the future.
        let _ = end_writer.write(result).await;
    });
    (stream, end)
}

/// Returns the result of a content that ends before its bytes.
pub fn dropped() -> Result<(), Failure> {
    Err(Failure::new(Reason::Cancelled, "the content was dropped"))
}

/// Collects a content of at most `max_bytes`.
///
/// # Errors
///
/// The content fails, or is larger.
pub async fn collect(content: Content, max_bytes: usize) -> Result<Vec<u8>, Failure> {
    let (mut stream, end) = content;
    let mut bytes = Vec::new();
    loop {
        let (result, piece) = stream.read(Vec::with_capacity(READ_BYTES.min(max_bytes + 1))).await;
        bytes.extend(piece);
        if bytes.len() > max_bytes {
            let message = format!("it has more than {max_bytes} bytes");
            return Err(Failure::new(Reason::Corrupted, message));
        }
        if !matches!(result, StreamResult::Complete(_)) {
            break;
        }
    }
    end.await?;
    Ok(bytes)
}

/// Copies a content.
///
/// # Errors
///
/// The content fails, or the output is no longer read.
pub async fn copy(content: Content, output: &mut StreamWriter<u8>) -> Result<(), Failure> {
    let (mut stream, end) = content;
    loop {
        let (result, piece) = stream.read(Vec::with_capacity(READ_BYTES)).await;
        if !output.write_all(piece).await.is_empty() {
            return dropped();
        }
        if !matches!(result, StreamResult::Complete(_)) {
            return end.await;
        }
    }
}
