//! The store: Plakar's packfiles, states and locks as objects of the remote.
//!
//! - [`names`], [`layout`]: paths of objects
//! - [`creation`]: creation of a store, and its configuration
//! - [`listing`]: names of all objects of a kind
//! - [`uploads`], [`verification`]: uploads, and the lookup of what was uploaded
//! - [`retry`]: how often a call is retried
//! - [`locks`]: locks of this session and of others
//! - [`states`]: states, fetched ahead
//! - [`read_cache`]: parts of packfiles

mod creation;
mod layout;
mod listing;
mod locks;
mod names;
mod read_cache;
mod retry;
mod states;
mod uploads;
mod verification;

use std::rc::Rc;

use crate::backends::{Backend, Feature};
use crate::bindings::exports::plakar::connector::store::{Mac, ObjectKind, Range};
use crate::bindings::plakar::connector::objects;
use crate::bindings::plakar::connector::types::{Content, Failure, Reason, Remote};
use crate::contents;
use crate::options::StoreOptions;
use crate::path::SnapshotRoot;
use layout::{Layout, Layouts};
use listing::{Listed, layouts_of};
use locks::Locks;
use names::{CONFIG, ObjectName, to_hex};
use read_cache::{LookupAhead, ReadCache, ReadLimits};
use retry::{DELETE_RETRY_MS, is_final_for_upload, retry};
use states::States;
use uploads::Uploads;

/// Backends that can't hold a store, by rclone's names of them: they accept only photos, accept
/// nothing, or show objects differently from what was uploaded.
const UNSUITABLE_BACKENDS: [&str; 5] =
    ["archive", "google photos", "http", "iclouddrive", "imagekit"];

/// Store on one remote.
pub struct Store {
    root: SnapshotRoot,
    layouts: Rc<Layouts>,
    uploads: Rc<Uploads>,
    locks: Rc<Locks>,
    cache: Rc<ReadCache>,
    states: States,
}

impl Store {
    /// Creates the session of a store. Nothing is started yet.
    ///
    /// # Errors
    ///
    /// An option of the user is invalid, or the backend can't hold a store.
    pub fn new(remote: &Remote) -> Result<Self, Failure> {
        let options = StoreOptions::parse(&remote.options, remote.streams)?;
        let backend = remote.backend.as_str();
        if UNSUITABLE_BACKENDS.contains(&backend) {
            let message = format!("a store can't be kept on rclone's backend `{backend}`");
            let help = "choose a remote that returns files as they were uploaded";
            return Err(Failure::new(Reason::Unsupported, message).with_help(help));
        }
        let default = if options.nested { Layout::Nested } else { Layout::Flat };
        let layouts = Rc::new(Layouts::new(default));
        let locks = Rc::new(Locks::new(options.streams));
        let lookups = LookupAhead::new(Backend::find(backend).has_feature(Feature::CostlyModTimes));
        let limits = ReadLimits { bytes: options.read_ahead_bytes, streams: options.streams };
        let cache = Rc::new(ReadCache::new(layouts.clone(), limits, lookups));
        let uploads =
            Uploads::new(layouts.clone(), locks.clone(), options.uploads, options.streams);
        Ok(Self {
            root: SnapshotRoot::new(&remote.root),
            uploads: Rc::new(uploads),
            states: States::new(cache.clone()),
            layouts,
            locks,
            cache,
        })
    }

    /// Returns the absolute path of the store.
    pub fn root(&self) -> &str {
        self.root.path()
    }

    /// Checks that the remote answers.
    ///
    /// # Errors
    ///
    /// The remote can't be reached.
    pub async fn ping(&self) -> Result<(), Failure> {
        objects::stat(CONFIG.to_owned()).await.map(drop)
    }

    /// Creates the store.
    ///
    /// # Errors
    ///
    /// There is something already, or the store could not be written.
    pub async fn create(&self, configuration: Vec<u8>) -> Result<(), Failure> {
        creation::create(&self.root, configuration).await
    }

    /// Reads the configuration of the store.
    ///
    /// # Errors
    ///
    /// There is none, or it can't be read.
    pub async fn configuration(&self) -> Result<Vec<u8>, Failure> {
        creation::configuration(&self.root).await
    }

    /// Returns the number of bytes of all packfiles and states.
    ///
    /// # Errors
    ///
    /// They can't be listed.
    pub async fn size(&self) -> Result<u64, Failure> {
        let (packfiles, states) = futures::join!(
            self.list_objects(ObjectKind::Packfile),
            self.list_objects(ObjectKind::State)
        );
        let (packfiles, states) = (packfiles?, states?);
        Ok(packfiles.iter().chain(&states).filter_map(|object| object.size).sum())
    }

    /// Lists all objects of a kind.
    ///
    /// # Errors
    ///
    /// The listing isn't complete, or a lock can't be read.
    pub async fn list(&self, kind: ObjectKind) -> Result<Vec<Mac>, Failure> {
        let listed = self.list_objects(kind).await?;
        match kind {
            ObjectKind::Lock => return self.locks.fetch_listed(&listed).await,
            ObjectKind::State => self.states.set_order(&listed),
            ObjectKind::Packfile => {}
        }
        Ok(listed.into_iter().map(|object| object.name).collect())
    }

    async fn list_objects(&self, kind: ObjectKind) -> Result<Vec<Listed>, Failure> {
        if kind == ObjectKind::Packfile {
            self.uploads.flush().await?;
        }
        let listed = listing::list(kind).await?;
        self.layouts.learn_all(kind, layouts_of(&listed));
        Ok(listed)
    }

    /// Uploads an object. Returns its size.
    ///
    /// # Errors
    ///
    /// The content fails, or the object isn't in the store.
    pub async fn put(&self, object: ObjectName, content: Content) -> Result<u64, Failure> {
        if object.0 == ObjectKind::Lock {
            // A backup begins.
            self.cache.look_up_ahead();
        }
        self.uploads.put(object, content).await
    }

    /// Returns an object, or a part of it.
    ///
    /// # Errors
    ///
    /// The object doesn't exist, doesn't have all of the part, or can't be read.
    pub async fn get(&self, object: ObjectName, range: Option<Range>) -> Result<Content, Failure> {
        self.uploads.wait_for(object).await?;
        match (object, range) {
            ((ObjectKind::Lock, name), None) => self.locks.read(name).await,
            ((ObjectKind::Lock, _), Some(_)) => {
                let message = "locks are only read as a whole";
                Err(Failure::new(Reason::Unsupported, message))
            }
            ((ObjectKind::State, name), None) => self.states.read(name).await,
            ((ObjectKind::Packfile, _), None) => self.cache.read_whole(object, None).await,
            (_, Some(Range { length: 0, .. })) => Ok(contents::of_bytes(Vec::new())),
            ((kind, name), Some(Range { offset, length })) => {
                let end = offset.checked_add(length).ok_or_else(|| {
                    let message = format!(
                        "the {} `{}` can't have {length} bytes from {offset} on",
                        kind.noun(),
                        to_hex(name)
                    );
                    Failure::new(Reason::Corrupted, message)
                })?;
                self.cache.read(object, offset..end).await
            }
        }
    }

    /// Removes an object.
    ///
    /// # Errors
    ///
    /// The object may still be there.
    pub async fn delete(&self, object: ObjectName) -> Result<(), Failure> {
        let (kind, name) = object;
        if kind == ObjectKind::Lock {
            return self.locks.delete(name).await;
        }
        self.uploads.flush().await?;
        for layout in self.layouts.occupied(kind) {
            let path = layout.path(object);
            let delete = async || objects::delete(path.clone()).await;
            retry(DELETE_RETRY_MS, is_final_for_upload, delete).await?;
            self.uploads.forget(&path);
        }
        self.cache.forget(object);
        Ok(())
    }

    /// Waits for the uploads under way, and removes the locks of this session.
    ///
    /// # Errors
    ///
    /// A lock may still be there.
    pub async fn finish(&self) -> Result<(), Failure> {
        self.locks.release_all();
        let uploaded = self.uploads.finish().await;
        self.locks.delete_own().await.and(uploaded)
    }
}
