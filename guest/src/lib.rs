//! The rclone connector: a component that knows what a listing means, which file
//! is read how, and what goes where on a restore. All it can do to the world is
//! call rclone's verbs (the `rclone` interface) on the one remote it was granted.
//!
//! - [`options`], [`path`], [`error`]: what a user sets, paths, failures
//! - [`backends`]: what is particular to one backend
//! - [`lsjson`]: what `rclone lsjson` prints
//! - [`session`]: what is known while a session lasts
//! - [`importer`], [`exporter`]: backups and restores

mod backends;
mod bindings;
mod error;
mod exporter;
#[cfg(test)]
#[path = "../../host/src/fuzzing.rs"]
mod fuzzing;
mod importer;
mod lsjson;
mod options;
mod path;
mod session;

use bindings::exports::plakar::connector as exports;
use bindings::plakar::connector::types::{Content, Entry, Failure, Location, Remote};
use exporter::{batches, google_photos};
use importer::{reader_pool, scan};
use wit_bindgen::{FutureReader, StreamReader};

struct Connector;

impl exports::importer::Guest for Connector {
    async fn open(remote: Remote) -> Result<Location, Failure> {
        let session = session::open(&remote)?;
        Ok(Location { root: session.root.path().to_owned() })
    }

    async fn ping() -> Result<(), Failure> {
        scan::ping().await
    }

    async fn scan(
        settled: StreamReader<String>,
    ) -> (StreamReader<exports::importer::Discovery>, FutureReader<Result<(), Failure>>) {
        scan::scan(settled)
    }

    async fn read(path: String) -> Result<Content, Failure> {
        reader_pool::read(&session::current()?, &path).await
    }
}

impl exports::exporter::Guest for Connector {
    async fn open(remote: Remote) -> Result<Location, Failure> {
        if session::open(&remote)?.photos.is_some() {
            google_photos::layout::check(&remote.root)?;
        }
        Ok(Location { root: path::SnapshotRoot::of(&remote.root).path().to_owned() })
    }

    async fn ping() -> Result<(), Failure> {
        scan::ping().await
    }

    async fn write(entry: Entry, content: Option<Content>) -> Result<(), Failure> {
        batches::write(&*session::current()?, entry, content).await
    }

    async fn finish() -> Result<(), Failure> {
        let session = session::current()?;
        match &session.photos {
            Some(photos) => google_photos::writer::finish(&session, photos).await,
            None => batches::finish(&session.restore).await,
        }
    }
}

#[cfg(target_arch = "wasm32")]
bindings::export!(Connector with_types_in bindings);
