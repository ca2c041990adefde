//! Uploads: a limited number at the same time, each retried, and no state before the packfiles
//! that it may name were found again.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use tokio::sync::{Mutex, Notify, Semaphore};

use super::layout::Layouts;
use super::locks::Locks;
use super::names::ObjectName;
use super::retry::{Backoff, LIST_RETRY_MS, PUT_RETRY_MS, is_final, put_parcel, retry};
use crate::bindings::exports::plakar::connector::store::ObjectKind;
use crate::bindings::plakar::connector::objects::Parcel;
use crate::bindings::plakar::connector::rclone::ListOptions;
use crate::bindings::plakar::connector::types::{Content, Failure, Reason};
use crate::lsjson::run;

/// Uploads of one store.
pub struct Uploads {
    layouts: Rc<Layouts>,
    locks: Rc<Locks>,
    permits: Semaphore,
    /// Sizes of the packfiles that were uploaded since the last state, by their paths.
    unverified: RefCell<BTreeMap<String, u64>>,
    /// Turn to look them up.
    verification: Mutex<()>,
    running: Running,
    is_finished: Cell<bool>,
}

/// Number of uploads under way.
#[derive(Default)]
struct Running {
    count: Cell<usize>,
    ended: Notify,
}

/// Guard of an upload under way.
struct RunningGuard<'a>(&'a Running);

impl Drop for RunningGuard<'_> {
    fn drop(&mut self) {
        self.0.count.set(self.0.count.get() - 1);
        self.0.ended.notify_waiters();
    }
}

impl Running {
    fn begin(&self) -> RunningGuard<'_> {
        self.count.set(self.count.get() + 1);
        RunningGuard(self)
    }

    /// Waits until nothing is under way.
    async fn wait(&self) {
        while self.count.get() > 0 {
            self.ended.notified().await;
        }
    }
}

impl Uploads {
    /// Creates the uploads of a store.
    pub fn new(layouts: Rc<Layouts>, locks: Rc<Locks>, max_uploads: usize) -> Self {
        Self {
            layouts,
            locks,
            permits: Semaphore::new(max_uploads),
            unverified: RefCell::default(),
            verification: Mutex::default(),
            running: Running::default(),
            is_finished: Cell::default(),
        }
    }

    /// Uploads an object. Returns its size.
    ///
    /// # Errors
    ///
    /// The content fails, or the object isn't in the store.
    pub async fn put(&self, object: ObjectName, content: Content) -> Result<u64, Failure> {
        // Nothing is sent before all of it is here: a content that fails leaves nothing.
        let parcel = Parcel::receive(content).await?;
        if self.is_finished.get() {
            return Err(Failure::new(Reason::Cancelled, "the session has ended"));
        }
        let _running = self.running.begin();
        let (kind, name) = object;
        if kind == ObjectKind::Lock {
            // Locks never wait for other objects.
            return self.locks.put(name, parcel).await;
        }
        let _permit = self.permits.acquire().await;
        let path = self.layouts.new_path(object).await?;
        if kind == ObjectKind::State {
            self.verify().await?;
        }
        let size = put_parcel(&parcel, &path, || true).await?;
        if kind == ObjectKind::Packfile {
            self.unverified.borrow_mut().insert(path, size);
        }
        Ok(size)
    }

    /// Notes that an object was removed on purpose.
    pub fn forget(&self, path: &str) {
        self.unverified.borrow_mut().remove(path);
    }

    /// Waits until no upload is under way. Further ones are refused.
    pub async fn finish(&self) {
        self.is_finished.set(true);
        self.running.wait().await;
    }

    /// Looks up the packfiles that were uploaded since the last state.
    ///
    /// # Errors
    ///
    /// One of them isn't there as it was uploaded, or can't be looked up.
    async fn verify(&self) -> Result<(), Failure> {
        let _turn = self.verification.lock().await;
        let expected = self.unverified.borrow().clone();
        // A backend may need some time to show an object.
        let mut backoff = Backoff::new(LIST_RETRY_MS);
        while let Err(failure) = look_up(&expected).await? {
            if !backoff.wait().await {
                return Err(failure);
            }
        }
        self.unverified.borrow_mut().retain(|path, _| !expected.contains_key(path));
        Ok(())
    }
}

/// Looks up packfiles. Returns the failure of the first that isn't there with its size.
///
/// # Errors
///
/// The packfiles can't be looked up.
async fn look_up(expected: &BTreeMap<String, u64>) -> Result<Result<(), Failure>, Failure> {
    if expected.is_empty() {
        return Ok(Ok(()));
    }
    let sizes = retry(PUT_RETRY_MS, is_final, async || sizes(expected).await).await?;
    let wrong = expected.iter().find_map(|(path, size)| match sizes.get(path) {
        None => Some(format!("`{path}` was uploaded and isn't there any more")),
        // A size of -1 is one that the backend doesn't tell.
        Some(found) => u64::try_from(*found).ok().filter(|found| found != size).map(|found| {
            format!("`{path}` was uploaded with {size} bytes and has {found} bytes now")
        }),
    });
    Ok(wrong.map_or(Ok(()), |message| {
        let help = "check what else changes the store, and run the backup again";
        Err(Failure::new(Reason::Corrupted, message).with_help(help))
    }))
}

/// Returns the sizes of the packfiles that exist.
async fn sizes(expected: &BTreeMap<String, u64>) -> Result<HashMap<String, i64>, Failure> {
    let files = Some(expected.keys().cloned().collect());
    let options = ListOptions { files, server_times: true, ..ListOptions::descendants("") };
    let mut sizes = HashMap::new();
    let end = run::for_each(options, |item| {
        let size = item.size();
        sizes.insert(item.path, size);
    });
    end.await.complete()?;
    Ok(sizes)
}
