//! Uploads: a limited number at the same time, each retried. Packfiles are sent while Plakar goes
//! on; no state is sent before the packfiles that it may name were found again.

use futures::future::{Either, select};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::{Mutex, Notify, Semaphore};
use wit_bindgen::spawn_local;

use super::layout::Layouts;
use super::locks::Locks;
use super::names::ObjectName;
use super::retry::{Backoff, PUT_RETRY_MS, is_final_for_upload, put_parcel};
use super::verification::verify;
use crate::bindings::exports::plakar::connector::store::ObjectKind;
use crate::bindings::plakar::connector::objects::Parcel;
use crate::bindings::plakar::connector::types::{Content, Failure, Reason};

/// Uploads of one store.
pub struct Uploads {
    layouts: Rc<Layouts>,
    locks: Rc<Locks>,
    permits: Arc<Semaphore>,
    /// Number of lookups at the same time.
    lookups: usize,
    /// Sizes of the packfiles that were uploaded since the last state, by their paths.
    unverified: RefCell<BTreeMap<String, u64>>,
    /// Turn to look them up.
    verification: Mutex<()>,
    /// All uploads under way.
    running: Rc<Running>,
    /// Packfiles whose upload has begun.
    names: RefCell<BTreeSet<ObjectName>>,
    /// Packfiles that Plakar doesn't wait for.
    behind: RefCell<BTreeSet<ObjectName>>,
    /// Failure of the first of them that could not be uploaded.
    failure: RefCell<Option<Failure>>,
    /// Whether the store has taken a packfile.
    has_stored: Cell<bool>,
    is_finished: Cell<bool>,
    finished: Notify,
}

/// Number of uploads under way.
#[derive(Default)]
struct Running {
    count: Cell<usize>,
    ended: Notify,
}

/// Guard of an upload under way.
struct RunningGuard(Rc<Running>);

impl Drop for RunningGuard {
    fn drop(&mut self) {
        self.0.count.set(self.0.count.get() - 1);
        self.0.ended.notify_waiters();
    }
}

impl Running {
    fn begin(self: &Rc<Self>) -> RunningGuard {
        self.count.set(self.count.get() + 1);
        RunningGuard(self.clone())
    }

    /// Waits until nothing is under way.
    async fn wait(&self) {
        self.wait_until(|| self.count.get() == 0).await;
    }

    /// Waits until what uploads change at their end is so.
    async fn wait_until(&self, is_so: impl Fn() -> bool) {
        while !is_so() {
            self.ended.notified().await;
        }
    }
}

impl Uploads {
    /// Creates the uploads of a store: `max_uploads` and `lookups` at the same time.
    pub fn new(layouts: Rc<Layouts>, locks: Rc<Locks>, max_uploads: usize, lookups: usize) -> Self {
        Self {
            layouts,
            locks,
            permits: Arc::new(Semaphore::new(max_uploads)),
            lookups,
            unverified: RefCell::default(),
            verification: Mutex::default(),
            running: Rc::default(),
            names: RefCell::default(),
            behind: RefCell::default(),
            failure: RefCell::default(),
            has_stored: Cell::default(),
            is_finished: Cell::default(),
            finished: Notify::new(),
        }
    }

    /// Uploads an object. Returns its size.
    ///
    /// # Errors
    ///
    /// The content fails, or the object isn't in the store, or an earlier packfile isn't.
    pub async fn put(
        self: &Rc<Self>,
        object: ObjectName,
        content: Content,
    ) -> Result<u64, Failure> {
        // Nothing is sent before all of it is here: a content that fails leaves nothing.
        let parcel = Parcel::receive(content).await?;
        if self.is_finished.get() {
            return Err(Failure::new(Reason::Cancelled, "the session has ended"));
        }
        let running = self.running.begin();
        let (kind, name) = object;
        match kind {
            // Locks never wait for other objects.
            ObjectKind::Lock => self.locks.put(name, parcel).await,
            ObjectKind::State => self.put_state(object, &parcel).await,
            ObjectKind::Packfile => self.put_packfile(object, parcel, running).await,
        }
    }

    async fn put_state(&self, object: ObjectName, parcel: &Parcel) -> Result<u64, Failure> {
        self.flush().await?;
        let _permit = self.permits.acquire().await;
        let path = self.layouts.new_path(object).await?;
        self.verify().await?;
        put_parcel(parcel, &path, || true).await
    }

    /// Looks up the packfiles that were uploaded since the last state.
    ///
    /// # Errors
    ///
    /// One of them isn't there as it was uploaded, or can't be looked up.
    async fn verify(&self) -> Result<(), Failure> {
        let _turn = self.verification.lock().await;
        let expected = self.unverified.borrow().clone();
        verify(&expected, self.lookups).await?;
        self.unverified.borrow_mut().retain(|path, _| !expected.contains_key(path));
        Ok(())
    }

    /// Uploads a packfile. Returns when it is sent, or, once the store has taken one, when its
    /// upload has begun: a packfile that no state names yet is of no use to others.
    async fn put_packfile(
        self: &Rc<Self>,
        object: ObjectName,
        parcel: Parcel,
        running: RunningGuard,
    ) -> Result<u64, Failure> {
        self.check_behind()?;
        let permit = self.permits.clone().acquire_owned().await;
        let path = self.layouts.new_path(object).await?;
        let is_first_of_name = self.names.borrow_mut().insert(object);
        if !self.has_stored.get() || !is_first_of_name {
            // A store that takes nothing is reported at once, and so is one that doesn't let a
            // packfile be replaced.
            return self.send_packfile(&path, &parcel).await;
        }
        let size = parcel.size();
        let uploads = self.clone();
        self.behind.borrow_mut().insert(object);
        spawn_local(async move {
            let _guards = (permit, running);
            if let Err(failure) = uploads.send_packfile(&path, &parcel).await {
                uploads.failure.borrow_mut().get_or_insert(failure);
            }
            uploads.behind.borrow_mut().remove(&object);
        });
        Ok(size)
    }

    async fn send_packfile(&self, path: &str, parcel: &Parcel) -> Result<u64, Failure> {
        let mut backoff = Backoff::new(PUT_RETRY_MS);
        while let Err(failure) = parcel.put(path.to_owned()).await {
            let is_final = is_final_for_upload(&failure) || self.is_finished.get();
            if is_final || !self.wait_unless_finished(&mut backoff).await {
                return Err(failure);
            }
        }
        self.has_stored.set(true);
        self.unverified.borrow_mut().insert(path.to_owned(), parcel.size());
        Ok(parcel.size())
    }

    /// Waits before the next attempt. Returns false if there is none: the time is over, or the
    /// session ends, and no state will name the packfile.
    async fn wait_unless_finished(&self, backoff: &mut Backoff) -> bool {
        let finished = pin!(self.finished.notified());
        match select(pin!(backoff.wait()), finished).await {
            Either::Left((has_waited, _)) => has_waited,
            Either::Right(_) => false,
        }
    }

    /// Returns the failure of a packfile that Plakar didn't wait for. It stays: a state may name
    /// the packfile.
    fn check_behind(&self) -> Result<(), Failure> {
        match &*self.failure.borrow() {
            Some(failure) => Err(failure.clone()),
            None => Ok(()),
        }
    }

    /// Waits until the packfiles that Plakar didn't wait for are in the store.
    ///
    /// # Errors
    ///
    /// One of them isn't.
    pub async fn flush(&self) -> Result<(), Failure> {
        self.running.wait_until(|| self.behind.borrow().is_empty()).await;
        self.check_behind()
    }

    /// Waits for the upload of an object that is to be read.
    ///
    /// # Errors
    ///
    /// It, or an earlier one, isn't in the store.
    pub async fn wait_for(&self, object: ObjectName) -> Result<(), Failure> {
        if self.behind.borrow().contains(&object) { self.flush().await } else { Ok(()) }
    }

    /// Notes that an object was removed on purpose.
    pub fn forget(&self, path: &str) {
        self.unverified.borrow_mut().remove(path);
    }

    /// Waits until no upload is under way. Further ones are refused, and none is retried.
    ///
    /// # Errors
    ///
    /// A packfile that Plakar didn't wait for isn't in the store.
    pub async fn finish(&self) -> Result<(), Failure> {
        self.is_finished.set(true);
        self.finished.notify_waiters();
        self.running.wait().await;
        self.check_behind()
    }
}
