//! Contents: created, and read to their ends.

use scenarios::types::Content;
use scenarios::{Failure, Reason};
use wit_bindgen::spawn_local;

use crate::bindings::{wit_future, wit_stream};

/// Number of bytes that are sent at once.
const CHUNK_BYTES: usize = 256 << 10;

/// Reads a content to its end. Returns its bytes.
pub async fn read_all(content: Result<Content, Failure>) -> Result<Vec<u8>, Failure> {
    let (stream, end) = content?;
    let bytes = stream.collect().await;
    end.await?;
    Ok(bytes)
}

/// Creates a content that ends after its bytes, or fails.
pub fn content(bytes: Vec<u8>, is_broken: bool) -> Content {
    let (mut output, stream) = wit_stream::new();
    let (ended, end) = wit_future::new(|| Err(broken()));
    spawn_local(async move {
        for chunk in bytes.chunks(CHUNK_BYTES) {
            output.write_all(chunk.to_vec()).await;
        }
        drop(output);
        let _ = ended.write(if is_broken { Err(broken()) } else { Ok(()) }).await;
    });
    (stream, end)
}

fn broken() -> Failure {
    Failure::new(Reason::Cancelled, "plakar ended the stream")
}
