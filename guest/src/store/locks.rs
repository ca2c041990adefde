//! Locks: those of this session, which are removed at its end, and those of others, whose
//! contents are fetched with their listing.

use futures::future::join_all;
use futures::{StreamExt, stream};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use tokio::sync::Mutex;

use super::layout::Layout;
use super::listing::Listed;
use super::names::to_hex;
use super::retry::{
    DELETE_RETRY_MS, LIST_RETRY_MS, READ_RETRY_MS, is_final, is_final_for_upload, put_parcel, retry,
};
use crate::bindings::exports::plakar::connector::store::{Mac, ObjectKind};
use crate::bindings::plakar::connector::objects::{self, Parcel};
use crate::bindings::plakar::connector::rclone;
use crate::bindings::plakar::connector::types::{Content, Failure, Reason};
use crate::contents;

/// Maximum size of a lock. Plakar's have some 200 bytes.
const MAX_LOCK_BYTES: usize = 64 << 10;

/// Maximum number of locks that are fetched at the same time.
const MAX_FETCHES: usize = 32;

/// Locks of one store.
pub struct Locks {
    /// Number of locks that are fetched at the same time.
    fetches: usize,
    own: RefCell<BTreeMap<Mac, OwnLock>>,
    /// Contents of others at the time of the last listing.
    listed: RefCell<BTreeMap<Mac, Vec<u8>>>,
    /// Turn to change one: an upload that continues must not restore a lock that was removed.
    turn: Mutex<()>,
}

/// Lock of this session.
#[derive(Default)]
struct OwnLock {
    /// The lock in the store; `None` until it is there.
    parcel: Option<Rc<Parcel>>,
    /// Whether it is to be removed, or was.
    is_released: bool,
}

impl Locks {
    /// Creates the locks of a store whose backend serves a number of files concurrently.
    pub fn new(streams: usize) -> Self {
        Self {
            fetches: streams.min(MAX_FETCHES),
            own: RefCell::default(),
            listed: RefCell::default(),
            turn: Mutex::default(),
        }
    }

    /// Uploads a lock, or replaces it.
    ///
    /// # Errors
    ///
    /// The lock isn't in the store, or its former content still is.
    pub async fn put(&self, name: Mac, parcel: Parcel) -> Result<u64, Failure> {
        let _turn = self.turn.lock().await;
        // From here on, it may be there.
        self.own.borrow_mut().entry(name).or_default().is_released = false;
        let is_wanted = || self.own.borrow().get(&name).is_some_and(|own| !own.is_released);
        let result = put_parcel(&parcel, &path(name), is_wanted).await;
        let mut own = self.own.borrow_mut();
        match &result {
            Ok(_) => own.entry(name).or_default().parcel = Some(Rc::new(parcel)),
            Err(_) if own.get(&name).is_some_and(|own| own.parcel.is_none()) => {
                own.remove(&name);
            }
            Err(_) => {}
        }
        result
    }

    /// Returns a lock: what this session uploaded, or what the last listing found.
    ///
    /// # Errors
    ///
    /// The lock doesn't exist, or can't be read.
    pub async fn read(&self, name: Mac) -> Result<Content, Failure> {
        let own = self.own.borrow().get(&name).and_then(|own| own.parcel.clone());
        if let Some(parcel) = own {
            return parcel.read();
        }
        let listed = self.listed.borrow().get(&name).cloned();
        let bytes = match listed {
            Some(bytes) => bytes,
            None => retry(READ_RETRY_MS, is_final, async || fetch(name).await).await?,
        };
        Ok(contents::of_bytes(bytes))
    }

    /// Fetches the locks of others. Returns the names of all locks that are there.
    ///
    /// # Errors
    ///
    /// One of them can't be read.
    pub async fn fetch_listed(&self, listed: &[Listed]) -> Result<Vec<Mac>, Failure> {
        let fetches = stream::iter(listed.iter().map(|lock| self.fetch_other(lock.name)));
        let fetched: Vec<_> = fetches.buffered(self.fetches).collect().await;
        let (mut names, mut contents) = (Vec::new(), BTreeMap::new());
        for (lock, fetched) in listed.iter().zip(fetched) {
            match fetched {
                Ok(bytes) => {
                    names.push(lock.name);
                    contents.extend(bytes.map(|bytes| (lock.name, bytes)));
                }
                // Its session ended meanwhile.
                Err(failure) if failure.reason == Reason::NotFound => {}
                Err(failure) => return Err(failure),
            }
        }
        *self.listed.borrow_mut() = contents;
        Ok(names)
    }

    /// Fetches a lock. Returns `None` if it is one of this session.
    async fn fetch_other(&self, name: Mac) -> Result<Option<Vec<u8>>, Failure> {
        if self.own.borrow().get(&name).is_some_and(|own| own.parcel.is_some()) {
            return Ok(None);
        }
        retry(LIST_RETRY_MS, is_final, async || fetch(name).await).await.map(Some)
    }

    /// Removes a lock.
    ///
    /// # Errors
    ///
    /// The lock may still be there.
    pub async fn delete(&self, name: Mac) -> Result<(), Failure> {
        if let Some(own) = self.own.borrow_mut().get_mut(&name) {
            own.is_released = true;
        }
        let _turn = self.turn.lock().await;
        let delete = async || objects::delete(path(name)).await;
        retry(DELETE_RETRY_MS, is_final_for_upload, delete).await?;
        self.own.borrow_mut().remove(&name);
        self.listed.borrow_mut().remove(&name);
        Ok(())
    }

    /// Notes that no lock of this session is wanted any more, so that uploads of them end soon.
    pub fn release_all(&self) {
        self.own.borrow_mut().values_mut().for_each(|own| own.is_released = true);
    }

    /// Removes all locks of this session.
    ///
    /// # Errors
    ///
    /// One of them may still be there.
    pub async fn delete_own(&self) -> Result<(), Failure> {
        // A removal that is under way removes what is its own.
        let _turn = self.turn.lock().await;
        let names: Vec<_> = self.own.borrow().keys().copied().collect();
        let deleted = join_all(names.into_iter().map(|name| async move {
            self.delete_now(name).await.map_err(|failure| still_there(name, failure))
        }));
        deleted.await.into_iter().collect()
    }

    /// Removes a lock of this session, whose uploads have ended.
    async fn delete_now(&self, name: Mac) -> Result<(), Failure> {
        let delete = async || objects::delete(path(name)).await;
        retry(DELETE_RETRY_MS, is_final_for_upload, delete).await?;
        self.own.borrow_mut().remove(&name);
        Ok(())
    }
}

fn path(name: Mac) -> String {
    Layout::Flat.path((ObjectKind::Lock, name))
}

/// Fetches a lock as it is now.
async fn fetch(name: Mac) -> Result<Vec<u8>, Failure> {
    contents::collect(rclone::cat(path(name), None).await?, MAX_LOCK_BYTES).await
}

fn still_there(name: Mac, failure: Failure) -> Failure {
    let message = format!("the lock `{}` could not be removed: {}", to_hex(name), failure.message);
    let help = "remove it at the remote, in `locks`: backups fail once it is 10 minutes old";
    Failure::new(failure.reason, message).with_help(help)
}
