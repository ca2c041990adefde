//! Contents, read to their ends.

use scenarios::Failure;
use scenarios::types::Content;

/// Reads a content to its end. Returns its bytes, and how it ended.
pub async fn read_all(content: Result<Content, Failure>) -> (Vec<u8>, Result<(), Failure>) {
    let (stream, end) = match content {
        Ok(content) => content,
        Err(why) => return (Vec::new(), Err(why)),
    };
    let bytes = stream.collect().await;
    (bytes, end.await)
}
