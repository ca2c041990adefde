//! Paths that are in use, one upload at a time, and those whose last upload had no answer.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// Turns at paths.
#[derive(Default)]
pub struct Turns {
    paths: Mutex<HashMap<String, Arc<AsyncMutex<()>>>>,
}

impl Turns {
    /// Waits for the turn at a path.
    pub async fn lock(&self, path: &str) -> OwnedMutexGuard<()> {
        let turn = {
            let mut paths = lock(&self.paths);
            paths.retain(|_, turn| Arc::strong_count(turn) > 1);
            paths.entry(path.to_owned()).or_default().clone()
        };
        turn.lock_owned().await
    }
}

/// A set of paths.
#[derive(Default)]
pub struct Paths {
    paths: Mutex<HashSet<String>>,
}

impl Paths {
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
