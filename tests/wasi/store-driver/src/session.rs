//! The remote of a session, and conversions of the contract's types.

use scenarios::{Failure, Reason, Scenario};
use wit_bindgen::spawn_local;

use crate::bindings::plakar::connector::types::{self, Content, Remote};
use crate::bindings::{wit_future, wit_stream};

/// Number of bytes that are sent at once.
const CHUNK_BYTES: usize = 256 << 10;

/// Creates the remote that the connector receives.
pub fn remote(scenario: &Scenario) -> Remote {
    let to_owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    Remote {
        backend: scenario.backend.to_owned(),
        root: scenario.root.to_owned(),
        streams: 64,
        options: scenario.options.iter().map(to_owned).collect(),
    }
}

/// Converts a failure of the contract into one of the scenarios, whose message has the help, too.
pub fn failure(failure: types::Failure) -> Failure {
    let reason = match failure.reason {
        types::Reason::InvalidConfiguration => Reason::InvalidConfiguration,
        types::Reason::Unauthenticated => Reason::Unauthenticated,
        types::Reason::Denied => Reason::Denied,
        types::Reason::NotFound => Reason::NotFound,
        types::Reason::Unsupported => Reason::Unsupported,
        types::Reason::RateLimited => Reason::RateLimited,
        types::Reason::Unavailable => Reason::Unavailable,
        types::Reason::Corrupted => Reason::Corrupted,
        types::Reason::Cancelled => Reason::Cancelled,
        types::Reason::Internal => Reason::Internal,
    };
    let help = failure.help.map(|help| format!(" ({help})")).unwrap_or_default();
    Failure { reason, message: failure.message + &help }
}

/// Reads a content to its end. Returns its bytes.
pub async fn read_all(content: Result<Content, types::Failure>) -> Result<Vec<u8>, Failure> {
    let (stream, end) = content.map_err(failure)?;
    let bytes = stream.collect().await;
    end.await.map_err(failure)?;
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

fn broken() -> types::Failure {
    let message = "plakar ended the stream".to_owned();
    types::Failure { reason: types::Reason::Cancelled, message, help: None }
}
