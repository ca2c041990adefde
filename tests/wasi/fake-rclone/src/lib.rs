//! Fake of the `rclone` interface: lists, reads and writes a directory as rclone would a remote,
//! with the faults of a scenario. The last argument is the scenario's name.
//!
//! - [`run_state`]: the scenario, the log of calls, counters
//! - [`remote`]: contents of the remote, as its backend shows them
//! - [`listing`]: the verb `list`
//! - [`reading`]: the verbs `cat` and `reader`
//! - [`writing`]: the verbs `batch` and `upload`
//! - [`objects`], [`cache`]: the interfaces `objects` and `cache`

mod cache;
mod listing;
mod objects;
mod reading;
mod remote;
mod run_state;
mod writing;

/// The contract's types and functions, generated from `wit/`.
mod bindings {
    wit_bindgen::generate!({
        path: ["../../../wit", "../wit"],
        world: "plakar:wasi-tests/fake-rclone",
        with: { "plakar:connector/types@0.2.0": scenarios::types },
        generate_all,
    });
}

use bindings::exports::plakar::connector::cache::Guest as Cache;
use bindings::exports::plakar::connector::objects::Guest as Objects;
use bindings::exports::plakar::connector::rclone::{Guest, ListOptions, Listing};
use scenarios::types::{Content, Failure, Timestamp};

struct Fake;

impl Guest for Fake {
    type Reader = reading::Reader;
    type Batch = writing::Batch;

    async fn list(options: ListOptions) -> Result<Listing, Failure> {
        listing::list(options)
    }

    async fn cat(path: String, size: Option<u64>) -> Result<Content, Failure> {
        reading::cat(path, size).await
    }

    async fn upload(
        path: String,
        size: u64,
        modified: Timestamp,
        content: Content,
    ) -> Result<(), Failure> {
        writing::upload(path, size, modified, content).await
    }
}

impl Objects for Fake {
    type Parcel = objects::Parcel;
    type Extent = objects::Extent;

    async fn read(path: String, size: Option<u64>) -> Result<Content, Failure> {
        objects::read(path, size).await
    }

    async fn stat(path: String) -> Result<Option<u64>, Failure> {
        objects::stat(&path).await
    }

    async fn delete(path: String) -> Result<(), Failure> {
        objects::delete(&path).await
    }

    async fn create_directories(paths: Vec<String>) -> Result<(), Failure> {
        objects::create_directories(&paths)
    }

    async fn wait(milliseconds: u32) {
        objects::wait(milliseconds).await;
    }
}

impl Cache for Fake {
    async fn recall(key: String) -> Option<Content> {
        cache::recall(&key)
    }

    async fn remember(key: String, content: Content) -> Result<(), Failure> {
        cache::remember(key, content).await
    }
}

bindings::export!(Fake with_types_in bindings);
