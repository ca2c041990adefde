//! The rclone connector: a component that knows what a listing means, which file
//! is read how, and what goes where on a restore. All it can do to the world is
//! call rclone's verbs (the `rclone` interface) on the one remote it was granted.
//!
//! - [`path`]: a remote's paths and a snapshot's paths
//! - [`listing`]: what `rclone lsjson` prints
//! - [`duplicates`]: two objects under one name
//! - [`session`]: what is known while a session lasts
//! - [`times`]: files' own times, where a listing lacks them
//! - [`options`]: what a user may set
//! - [`scan`], [`read`], [`ahead`]: the importer
//! - [`restore`]: the exporter
//! - [`photos`]: what is different with Google Photos
//! - [`failure`]: why something failed

mod ahead;
mod duplicates;
mod failure;
#[cfg(test)]
#[path = "../../host/src/fuzzing.rs"]
mod fuzzing;
mod listing;
mod options;
mod path;
mod photos;
mod read;
mod restore;
mod scan;
mod session;
mod times;

/// The contract, made from `wit/`.
mod bindings {
    wit_bindgen::generate!({ path: "../wit", world: "connector", generate_all });
}

use bindings::exports::plakar::connector::{exporter, importer};
use bindings::plakar::connector::types::{Content, Entry, Failure, Location, Remote};
use wit_bindgen::{FutureReader, StreamReader};

struct Connector;

impl importer::Guest for Connector {
    async fn open(remote: Remote) -> Result<Location, Failure> {
        let session = session::open(&remote)?;
        Ok(Location { root: session.root.path().to_owned() })
    }

    async fn ping() -> Result<(), Failure> {
        scan::ping().await
    }

    async fn scan(
        settled: StreamReader<String>,
    ) -> (StreamReader<importer::Discovery>, FutureReader<Result<(), Failure>>) {
        scan::scan(settled)
    }

    async fn read(path: String) -> Result<Content, Failure> {
        read::read(&session::current()?, &path).await
    }
}

impl exporter::Guest for Connector {
    async fn open(remote: Remote) -> Result<Location, Failure> {
        if session::open(&remote)?.photos.is_some() {
            photos::layout::check(&remote.root)?;
        }
        Ok(Location { root: path::SnapshotRoot::of(&remote.root).path().to_owned() })
    }

    async fn ping() -> Result<(), Failure> {
        scan::ping().await
    }

    async fn write(entry: Entry, content: Option<Content>) -> Result<(), Failure> {
        restore::write(&*session::current()?, entry, content).await
    }

    async fn finish() -> Result<(), Failure> {
        let session = session::current()?;
        match &session.photos {
            Some(photos) => photos::restore::finish(&session, photos).await,
            None => restore::finish(&session.restore).await,
        }
    }
}

#[cfg(target_arch = "wasm32")]
bindings::export!(Connector with_types_in bindings);
