//! Bytes that the host keeps for the next sessions. Without them everything works as well, and
//! costs more requests.

use crate::bindings::plakar::connector::cache;
use crate::contents;

/// Maximum number of bytes under one key.
const MAX_BYTES: usize = 16 << 20;

/// Returns what was kept under a key.
pub async fn recall(key: &str) -> Option<Vec<u8>> {
    let content = cache::recall(key.to_owned()).await?;
    contents::collect(content, MAX_BYTES).await.ok()
}

/// Keeps bytes under a key, if there is room for them.
pub async fn remember(key: &str, bytes: Vec<u8>) {
    if bytes.len() <= MAX_BYTES {
        // Without them the next session reads again what they are made of.
        let _ = cache::remember(key.to_owned(), contents::of_bytes(bytes)).await;
    }
}
