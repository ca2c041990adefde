//! Stands in for the capability `rclone`: what its host would give of a remote, from a
//! directory, as rclone would list, read and write it, and wrong where the scenario
//! says so. The last argument names the scenario.
//!
//! - [`world`]: the scenario, what was called, what was counted
//! - [`remote`]: what the remote holds, as its backend shows it
//! - [`listing`]: the verb `list`
//! - [`reading`]: the verbs `cat` and `reader`
//! - [`writing`]: the verbs `batch` and `receive`

mod listing;
mod reading;
mod remote;
mod world;
mod writing;

mod bindings {
    wit_bindgen::generate!({
        path: ["../../../wit", "../wit"],
        world: "plakar:wasi-tests/fake-rclone",
        generate_all,
    });
}

use bindings::exports::plakar::connector::rclone::{Guest, Listing, Selection};
use bindings::plakar::connector::types::{Content, Failure, Timestamp};

struct Fake;

impl Guest for Fake {
    type Reader = reading::Reader;
    type Batch = writing::Batch;

    async fn list(selection: Selection) -> Result<Listing, Failure> {
        listing::list(selection)
    }

    async fn cat(path: String, size: Option<u64>) -> Result<Content, Failure> {
        reading::cat(path, size).await
    }

    async fn receive(
        path: String,
        size: u64,
        modified: Timestamp,
        content: Content,
    ) -> Result<(), Failure> {
        writing::receive(path, size, modified, content).await
    }
}

bindings::export!(Fake with_types_in bindings);
