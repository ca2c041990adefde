//! Sends a content to Plakar, in chunks.

use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;
use tonic::Status;

use super::session::count_failure;
use crate::connector::{Content, Failure};
use crate::sandbox::Session;

/// Maximum size of a chunk that is sent to Plakar.
const MAX_CHUNK_BYTES: usize = 1 << 20;
/// Maximum number of chunks that wait to be sent.
pub const CHUNKS_CAPACITY: usize = 2;

/// Sends a content in chunks, and its failure, if there is one, instead of its end.
pub async fn send_content<M>(
    session: Session,
    mut content: Content,
    chunks: mpsc::Sender<Result<M, Status>>,
    message: impl Fn(Bytes) -> M,
) {
    while let Some(mut bytes) = content.bytes.recv().await {
        // Each message costs Plakar more than the copy of a small chunk.
        if bytes.len() < MAX_CHUNK_BYTES
            && let Some(next) = content.bytes.try_recv()
        {
            let mut joined = BytesMut::from(bytes);
            joined.extend_from_slice(&next);
            while joined.len() < MAX_CHUNK_BYTES
                && let Some(next) = content.bytes.try_recv()
            {
                joined.extend_from_slice(&next);
            }
            bytes = joined.freeze();
        }
        while !bytes.is_empty() {
            let chunk = bytes.split_to(bytes.len().min(MAX_CHUNK_BYTES));
            if chunks.send(Ok(message(chunk))).await.is_err() {
                return;
            }
        }
    }
    if let Err(failure) = wait_end(&session, content).await {
        let _ = chunks.send(Err(count_failure(&session, &failure))).await;
    }
}

/// Waits for the end of a content whose bytes were taken.
///
/// # Errors
///
/// Fails if the content failed, or the component ended before it.
pub async fn wait_end(session: &Session, content: Content) -> Result<(), Failure> {
    match content.end.await {
        Ok(end) => end,
        Err(_) => Err(session.fault().await),
    }
}
