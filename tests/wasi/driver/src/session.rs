//! Opening a session, and what the contract's types mean here.

use scenarios::{Failure, Reason, Scenario};

use crate::bindings::plakar::connector::types::{self, Content, Remote};
use crate::bindings::wasi::clocks::monotonic_clock::wait_for;

/// The remote as the connector is told of it.
pub fn remote(scenario: &Scenario) -> Remote {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    Remote {
        backend: scenario.backend.to_owned(),
        root: scenario.root.to_owned(),
        streams: 64,
        options: scenario.options.iter().map(owned).collect(),
    }
}

/// A failure of the contract, as the scenarios have it.
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
    Failure { reason, message: failure.message }
}

/// A content to its end: what came, and how it ended.
pub async fn taken(content: Result<Content, types::Failure>) -> (Vec<u8>, Result<(), Failure>) {
    let (stream, end) = match content {
        Ok(content) => content,
        Err(why) => return (Vec::new(), Err(failure(why))),
    };
    let bytes = stream.collect().await;
    (bytes, end.await.map_err(failure))
}

/// Waits for so many milliseconds.
pub async fn wait(milliseconds: u64) {
    wait_for(milliseconds * 1_000_000).await;
}
