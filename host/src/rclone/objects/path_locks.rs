//! Locks of paths, of which each is uploaded by one call at a time, and sets of paths.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// One lock for each path.
#[derive(Default)]
pub struct PathLocks {
    paths: Mutex<HashMap<String, Arc<AsyncMutex<()>>>>,
}

impl PathLocks {
    /// Waits until the path is free, and holds it until the guard is dropped.
    pub async fn lock(&self, path: &str) -> OwnedMutexGuard<()> {
        let path_lock = {
            let mut paths = lock(&self.paths);
            paths.retain(|_, path_lock| Arc::strong_count(path_lock) > 1);
            paths.entry(path.to_owned()).or_default().clone()
        };
        path_lock.lock_owned().await
    }
}

/// A set of paths.
#[derive(Default)]
pub struct PathSet {
    paths: Mutex<HashSet<String>>,
}

impl PathSet {
    /// Adds a path.
    pub fn add(&self, path: &str) {
        lock(&self.paths).insert(path.to_owned());
    }

    /// Removes a path, if it is there.
    pub fn remove(&self, path: &str) {
        lock(&self.paths).remove(path);
    }

    /// Returns whether a path is there.
    pub fn contains(&self, path: &str) -> bool {
        lock(&self.paths).contains(path)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
