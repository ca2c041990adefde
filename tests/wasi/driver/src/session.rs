//! The remote of a session, and conversions of the contract's types.

use scenarios::{Failure, Reason, Scenario};

use crate::bindings::plakar::connector::types::{self, Content, Remote};
use crate::bindings::wasi::clocks::monotonic_clock::wait_for;

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

/// Converts a failure of the contract into one of the scenarios.
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
    let message = match failure.help {
        Some(help) => format!("{}; help: {help}", failure.message),
        None => failure.message,
    };
    Failure { reason, message }
}

/// Reads a content to its end. Returns its bytes, and how it ended.
pub async fn read_all(content: Result<Content, types::Failure>) -> (Vec<u8>, Result<(), Failure>) {
    let (stream, end) = match content {
        Ok(content) => content,
        Err(why) => return (Vec::new(), Err(failure(why))),
    };
    let bytes = stream.collect().await;
    (bytes, end.await.map_err(failure))
}

/// Waits for a number of milliseconds.
pub async fn wait(milliseconds: u64) {
    wait_for(milliseconds * 1_000_000).await;
}
