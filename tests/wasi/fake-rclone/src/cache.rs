//! The interface `cache`: bytes in memory, for as long as the run lasts.

use wit_bindgen::spawn_local;

use crate::bindings::{wit_future, wit_stream};
use crate::run_state::run_state;
use crate::writing::read_all;
use scenarios::types::{Content, Failure};

/// Maximum number of bytes under one key.
const MAX_ENTRY_BYTES: u64 = 16 << 20;

/// Returns what was kept under a key.
pub fn recall(key: &str) -> Option<Content> {
    let state = run_state();
    state.log("recall", key);
    let bytes = state.cache.borrow().get(key).cloned()?;
    let (mut output, stream) = wit_stream::new();
    let (ended, end) = wit_future::new(|| Ok(()));
    spawn_local(async move {
        output.write_all(bytes).await;
        drop(output);
        let _ = ended.write(Ok(())).await;
    });
    Some((stream, end))
}

/// Keeps a content under a key.
pub async fn remember(key: String, content: Content) -> Result<(), Failure> {
    let state = run_state();
    state.log("remember", &key);
    let bytes = read_all(content, None, MAX_ENTRY_BYTES).await?;
    state.cache.borrow_mut().insert(key, bytes);
    Ok(())
}
