//! Whole objects of a store's remote: each is there completely, or not at all.
//!
//! - [`guard`]: what a policy lets a component do
//! - [`server`]: the rclone servers through which objects are sent and fetched
//! - [`lookup`]: sizes of objects, as the backend reports them
//! - [`parcel`]: bytes on their way out, complete; [`space`], their space on disk
//! - [`put`]: uploads of parcels; [`path_locks`], one after the other for each path
//! - [`extent`]: parts of objects, held in memory
//! - [`lock_notes`]: locks that are removed after a kill
//! - [`temporary`]: names of uploads on backends that show incomplete files

mod extent;
mod guard;
mod lock_notes;
mod lookup;
mod parcel;
mod path_locks;
mod put;
mod server;
mod space;
mod temporary;

#[cfg(test)]
pub mod tests;

pub use extent::Extent;
pub use parcel::Parcel;
pub use put::PutOutcome;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OnceCell;

use super::commands::features;
use super::commands::serve_restic::connection::is_redirected;
use super::remote_path::RemotePath;
use super::session::RcloneSession;
use crate::audit::Event;
use crate::connector::{Content, Failure, Reason};
use guard::Guard;
use lock_notes::{AbandonedNote, LockNotes};
use path_locks::{PathLocks, PathSet};
use server::{Lookups, Server, Slot};
use space::Space;

/// Number of objects whose size is remembered.
const MAX_SIZES: usize = 20_000;

/// The capability of a store. Cheap to clone.
#[derive(Clone)]
pub struct Objects {
    shared: Arc<Shared>,
}

struct Shared {
    session: RcloneSession,
    guard: Guard,
    /// The server of large objects.
    server: Slot,
    /// The server of lookups and of objects that may change.
    fresh_server: Slot,
    /// Sizes of objects that the server of large objects has looked up.
    sizes: Mutex<HashMap<String, u64>>,
    /// The space of parcels on disk.
    space: Arc<Space>,
    /// Whether files of interrupted uploads were looked for.
    swept: OnceCell<()>,
    are_features_asked: AtomicBool,
    notes: LockNotes,
    path_locks: PathLocks,
    /// Paths whose last upload had no answer.
    unanswered: PathSet,
}

impl Objects {
    /// Makes the capability of a session. Nothing is started yet.
    pub fn new(session: RcloneSession) -> Self {
        let notes = LockNotes::new(&session);
        let shared = Shared {
            guard: Guard::new(session.grant()),
            server: Slot::new(Lookups::Remembered),
            fresh_server: Slot::new(Lookups::Fresh),
            sizes: Mutex::default(),
            space: Arc::new(Space::new(&session)),
            swept: OnceCell::new(),
            are_features_asked: AtomicBool::new(false),
            notes,
            path_locks: PathLocks::default(),
            unanswered: PathSet::default(),
            session,
        };
        Self { shared: Arc::new(shared) }
    }

    fn session(&self) -> &RcloneSession {
        &self.shared.session
    }

    /// The server of large objects, which remembers what it has looked up.
    async fn server(&self) -> Result<Arc<Server>, Failure> {
        // What it had looked up is gone with it.
        let started = || self.sizes().clear();
        self.shared.server.server(self.session(), started).await
    }

    /// The server that looks up each object when it is asked for it.
    async fn fresh_server(&self) -> Result<Arc<Server>, Failure> {
        self.shared.fresh_server.server(self.session(), || ()).await
    }

    /// The server of the object at a path.
    async fn server_of(&self, path: &RemotePath) -> Result<Arc<Server>, Failure> {
        if guard::may_change(path) { self.fresh_server().await } else { self.server().await }
    }

    fn sizes(&self) -> std::sync::MutexGuard<'_, HashMap<String, u64>> {
        let mut sizes = self.shared.sizes.lock().unwrap_or_else(PoisonError::into_inner);
        if sizes.len() > MAX_SIZES {
            sizes.clear();
        }
        sizes
    }

    /// Starts the server of large objects in the background.
    pub fn start_server(&self) {
        let objects = self.clone();
        // What fails here fails again, and is reported, when it is needed.
        tokio::spawn(async move {
            let _ = objects.server().await;
        });
    }

    /// Asks for the backend's features in the background, as every upload needs them.
    fn query_features(&self) {
        let is_asked = self.shared.are_features_asked.swap(true, Ordering::Relaxed);
        if is_asked || !self.session().grant().write {
            return;
        }
        let session = self.session().clone();
        tokio::spawn(async move {
            let _ = features::query(&session).await;
        });
    }

    /// Receives a content to its end.
    ///
    /// # Errors
    ///
    /// The remote may only be read, the content fails, or there is no room for it.
    pub async fn receive(&self, content: Content) -> Result<Parcel, Failure> {
        self.allow(self.shared.guard.check_write(), "")?;
        Parcel::receive(self.clone(), content).await
    }

    /// Fetches a part of an object, or less of it where the object ends.
    ///
    /// # Errors
    ///
    /// The path isn't below the root, the part is too large, or the object can't be read.
    pub async fn fetch(&self, path: &str, offset: u64, length: u64) -> Result<Extent, Failure> {
        // The first fetch is that of the store's configuration.
        self.query_features();
        extent::fetch(self, &object_path(path)?, offset, length).await
    }

    /// Reads a whole object.
    ///
    /// # Errors
    ///
    /// The path isn't below the root, or the object can't be read.
    pub async fn read(&self, path: &str, size: Option<u64>) -> Result<Content, Failure> {
        extent::read(self, &object_path(path)?, size).await
    }

    /// Returns the size of an object; `None` if the backend reports that it doesn't exist.
    ///
    /// # Errors
    ///
    /// The path isn't below the root, or the backend reports neither.
    pub async fn stat(&self, path: &str) -> Result<Option<u64>, Failure> {
        let path = object_path(path)?;
        lookup::present_size(self, &path).await
    }

    /// Removes an object, if it exists.
    ///
    /// # Errors
    ///
    /// The path isn't below the root, the policy doesn't let it be removed, or the backend
    /// doesn't remove it.
    pub async fn delete(&self, path: &str) -> Result<(), Failure> {
        let path = object_path(path)?;
        self.allow(self.shared.guard.check_delete(&path), &path)?;
        // An upload of it that is under way would bring it back.
        let _lock = self.shared.path_locks.lock(&path).await;
        let deleted = lookup::delete(self, &path).await;
        if deleted.is_ok() {
            self.record(Event::ObjectDeleted { path: path.to_string() })?;
            self.shared.notes.remove(&path)?;
        }
        deleted
    }

    /// Creates directories, one after the other, if the backend has directories.
    ///
    /// # Errors
    ///
    /// A path isn't below the root, the remote may only be read, or the backend fails.
    pub async fn create_directories(&self, paths: &[String]) -> Result<(), Failure> {
        self.allow(self.shared.guard.check_write(), "")?;
        let paths = paths.iter().map(|path| object_path(path));
        let paths = paths.collect::<Result<Vec<_>, _>>()?;
        if !features::query(self.session()).await?.has_directories() {
            return Ok(());
        }
        for path in paths {
            self.session().run("mkdir", &[&self.session().target(&path)]).await?;
        }
        Ok(())
    }

    /// Removes the locks that killed sessions of this machine have left in this store. One that
    /// can't be removed now is removed the next time.
    pub async fn remove_abandoned_locks(&self) {
        if !self.session().grant().write {
            return;
        }
        for note in self.shared.notes.abandoned() {
            match self.remove_locks(&note).await {
                Ok(()) => note.remove(),
                Err(failure) => tracing::warn!("a killed session's lock stays: {failure}"),
            }
        }
    }

    /// Removes the locks of a session that was killed.
    async fn remove_locks(&self, note: &AbandonedNote) -> Result<(), Failure> {
        // The last line may be incomplete.
        let paths = note.paths().filter_map(|path| RemotePath::parse(path).ok());
        for path in paths.filter(guard::is_lock) {
            lookup::delete(self, &path).await?;
            self.record(Event::ObjectDeleted { path: path.to_string() })?;
        }
        Ok(())
    }

    /// Returns a check's result; a refusal is noted in the audit log.
    fn allow(&self, checked: Result<(), Failure>, path: &str) -> Result<(), Failure> {
        if let Err(failure) = &checked {
            let why = failure.message.clone();
            self.record(Event::ObjectRefused { path: path.to_owned(), why })?;
        }
        checked
    }

    /// Writes to the audit log.
    fn record(&self, event: Event) -> Result<(), Failure> {
        self.session().audit().record(event)
    }
}

/// Checks the path of an object.
///
/// # Errors
///
/// It isn't below the root, or rclone's server would take it for a different one.
fn object_path(path: &str) -> Result<RemotePath, Failure> {
    let path = RemotePath::parse(path)?;
    if is_redirected(&path) {
        let message = format!("`{path}` would be taken for another object by rclone's server");
        return Err(Failure::new(Reason::Unsupported, message));
    }
    Ok(path)
}

/// Makes the failure of a session that isn't one of a store.
pub fn not_granted() -> Failure {
    Failure::new(Reason::Denied, "only a session of a store can use objects")
}
