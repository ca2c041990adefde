//! The rclone connector: a component that backs up and restores a remote, or keeps a store of
//! backups on it. It decides what a listing means, how each file is read, and where each entry
//! is restored to. Its only access to the outside are the interfaces `rclone`, `objects` and `cache`, on
//! the one remote that was granted.
//!
//! - [`importer`], [`exporter`]: backups and restores
//! - [`store`]: stores of backups
//! - [`takeout`]: exports of Google Takeout as one library
//! - [`zip`]: archives that are read by ranges
//! - [`lsjson`]: listings of `rclone lsjson`
//! - [`backends`]: facts about rclone's backends
//! - [`options`], [`path`], [`contents`], [`error`]: options of the user, paths, contents, failures
//! - [`cache`]: bytes that are kept for the next sessions

mod backends;
mod bindings;
mod cache;
mod contents;
mod error;
mod exporter;
mod importer;
mod lsjson;
mod options;
mod path;
#[cfg(test)]
#[path = "../../host/src/random_inputs.rs"]
mod random_inputs;
mod store;
mod takeout;
mod zip;

use bindings::exports::plakar::connector as exports;
use bindings::exports::plakar::connector::store::{Mac, ObjectKind, Range};
use bindings::plakar::connector::types::{Content, Entry, Failure, Location, Remote};
use bindings::{wit_future, wit_stream};
use exporter::Exporter;
use importer::{Importer, ScanStreams};
use std::cell::OnceCell;
use std::rc::Rc;
use store::Store;
use wit_bindgen::{StreamReader, spawn_local};

struct Connector;

/// Session of this instance, which serves one remote in one way.
#[derive(Clone)]
enum Session {
    Backup(Rc<Importer>),
    Restore(Rc<Exporter>),
    Store(Rc<Store>),
}

thread_local! {
    static SESSION: OnceCell<Session> = const { OnceCell::new() };
}

/// Sets the session.
fn open_session(session: Session) -> Result<(), Failure> {
    let result = SESSION.with(|cell| cell.set(session));
    result.map_err(|_| Failure::internal("the session was opened twice"))
}

fn importer() -> Result<Rc<Importer>, Failure> {
    match SESSION.with(|cell| cell.get().cloned()) {
        Some(Session::Backup(importer)) => Ok(importer),
        _ => Err(Failure::internal("no backup was opened")),
    }
}

fn exporter() -> Result<Rc<Exporter>, Failure> {
    match SESSION.with(|cell| cell.get().cloned()) {
        Some(Session::Restore(exporter)) => Ok(exporter),
        _ => Err(Failure::internal("no restore was opened")),
    }
}

fn store() -> Result<Rc<Store>, Failure> {
    match SESSION.with(|cell| cell.get().cloned()) {
        Some(Session::Store(store)) => Ok(store),
        _ => Err(Failure::internal("no store was opened")),
    }
}

/// Creates the streams of a scan that fails before its first entry.
fn failed_scan(failure: Failure) -> ScanStreams {
    let (events_writer, events) = wit_stream::new();
    drop(events_writer);
    let (end_writer, end) = wit_future::new(|| Ok(()));
    spawn_local(async move {
        // The host may have dropped the future.
        let _ = end_writer.write(Err(failure)).await;
    });
    (events, end)
}

impl exports::importer::Guest for Connector {
    async fn open(remote: Remote) -> Result<Location, Failure> {
        let importer = Importer::new(&remote)?;
        let root = importer.root().to_owned();
        open_session(Session::Backup(Rc::new(importer)))?;
        Ok(Location { root })
    }

    async fn ping() -> Result<(), Failure> {
        importer()?.ping().await
    }

    async fn scan(acknowledged: StreamReader<String>) -> ScanStreams {
        match importer() {
            Ok(importer) => importer.scan(acknowledged),
            Err(failure) => failed_scan(failure),
        }
    }

    async fn read(path: String) -> Result<Content, Failure> {
        importer()?.read(&path).await
    }
}

impl exports::exporter::Guest for Connector {
    async fn open(remote: Remote) -> Result<Location, Failure> {
        let exporter = Exporter::new(&remote)?;
        let root = exporter.root().to_owned();
        open_session(Session::Restore(Rc::new(exporter)))?;
        Ok(Location { root })
    }

    async fn ping() -> Result<(), Failure> {
        exporter()?.ping().await
    }

    async fn write(entry: Entry, content: Option<Content>) -> Result<(), Failure> {
        exporter()?.write(entry, content).await
    }

    async fn finish() -> Result<(), Failure> {
        exporter()?.finish().await
    }
}

impl exports::store::Guest for Connector {
    async fn open(remote: Remote) -> Result<Location, Failure> {
        let store = Store::new(&remote)?;
        let root = store.root().to_owned();
        open_session(Session::Store(Rc::new(store)))?;
        Ok(Location { root })
    }

    async fn ping() -> Result<(), Failure> {
        store()?.ping().await
    }

    async fn create(configuration: Vec<u8>) -> Result<(), Failure> {
        store()?.create(configuration).await
    }

    async fn configuration() -> Result<Vec<u8>, Failure> {
        store()?.configuration().await
    }

    async fn size() -> Result<u64, Failure> {
        store()?.size().await
    }

    async fn list(kind: ObjectKind) -> Result<Vec<Mac>, Failure> {
        store()?.list(kind).await
    }

    async fn put(kind: ObjectKind, name: Mac, content: Content) -> Result<u64, Failure> {
        store()?.put((kind, name), content).await
    }

    async fn get(kind: ObjectKind, name: Mac, range: Option<Range>) -> Result<Content, Failure> {
        store()?.get((kind, name), range).await
    }

    async fn delete(kind: ObjectKind, name: Mac) -> Result<(), Failure> {
        store()?.delete((kind, name)).await
    }

    async fn finish() -> Result<(), Failure> {
        store()?.finish().await
    }
}

#[cfg(target_arch = "wasm32")]
bindings::export!(Connector with_types_in bindings);
