//! A lock for refreshing an OAuth token: only one process refreshes an access token that has
//! expired.
//!
//! Processes that start together would all refresh it. Where the provider accepts a refresh token
//! once, all but one would be refused. So one of them refreshes it, and the others, of all
//! sessions, wait until it has written the new token.

use serde_json::Value;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::lock::try_lock_file;
use crate::rclone::remote::ini;

/// Time limit of the wait of other processes, since a process may not need the token.
const REFRESH_TIMEOUT: Duration = Duration::from_secs(5);
/// Interval at which the configuration is read meanwhile.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The lock of the processes of one session.
pub struct RefreshLock {
    config: PathBuf,
    lock: PathBuf,
    /// Whether a process had the lock and didn't refresh the token, since it isn't needed or can't
    /// be refreshed. It isn't waited for again.
    gave_up: Arc<AtomicBool>,
}

impl RefreshLock {
    /// The lock at this path, for the processes that use this configuration.
    pub fn new(config: PathBuf, lock: PathBuf) -> Self {
        Self { config, lock, gave_up: Arc::default() }
    }

    /// Waits until no other process refreshes an expired token. Returns the lock if the token still
    /// has expired then.
    pub async fn acquire(&self) -> Option<RefreshGuard> {
        let end = Instant::now() + REFRESH_TIMEOUT;
        while !self.gave_up.load(Ordering::Relaxed)
            && needs_refresh(&self.config)
            && Instant::now() < end
        {
            match try_lock_file(&self.lock) {
                // It may have been refreshed in between.
                Ok(Some(lock)) if needs_refresh(&self.config) => {
                    let (config, gave_up) = (self.config.clone(), self.gave_up.clone());
                    let holder =
                        tokio::spawn(hold_until_refreshed(lock, config.clone(), gave_up.clone()));
                    return Some(RefreshGuard { holder, config, gave_up });
                }
                Ok(_) => sleep(POLL_INTERVAL).await,
                Err(_) => return None,
            }
        }
        None
    }
}

/// The lock of a process that may refresh the token, until it ends.
pub struct RefreshGuard {
    holder: JoinHandle<()>,
    config: PathBuf,
    gave_up: Arc<AtomicBool>,
}

impl Drop for RefreshGuard {
    fn drop(&mut self) {
        if !self.holder.is_finished() {
            self.gave_up.store(needs_refresh(&self.config), Ordering::Relaxed);
            self.holder.abort();
        }
    }
}

async fn hold_until_refreshed(lock: File, config: PathBuf, gave_up: Arc<AtomicBool>) {
    let end = Instant::now() + REFRESH_TIMEOUT;
    while needs_refresh(&config) {
        if Instant::now() > end {
            gave_up.store(true, Ordering::Relaxed);
            break;
        }
        sleep(POLL_INTERVAL).await;
    }
    drop(lock);
}

/// Whether a token in the configuration has expired. The file is missing for a moment while rclone
/// replaces it.
fn needs_refresh(config: &Path) -> bool {
    let Ok(text) = ini::read_untrusted(config) else { return true };
    let sections = ini::parse(&text).unwrap_or_default();
    let mut tokens = sections.values().filter_map(|section| section.get("token"));
    tokens.any(|token| is_expired(token))
}

/// Whether an access token has expired.
pub fn is_expired(token: &str) -> bool {
    let token: Value = serde_json::from_str(token).unwrap_or_default();
    let expiry = token.get("expiry").and_then(Value::as_str);
    let expiry = expiry.and_then(|expiry| expiry.parse::<jiff::Timestamp>().ok());
    expiry.is_some_and(|expiry| {
        // Tokens that never expire have year 1. rclone refreshes a token some seconds early.
        expiry.as_second() > 0 && expiry.as_second() < jiff::Timestamp::now().as_second() + 10
    })
}

#[cfg(test)]
mod tests {
    use super::super::layout::REFRESH_LOCK_FILE;
    use super::*;

    fn config(directory: &Path, expiry: &str) -> PathBuf {
        let path = directory.join("rclone.conf");
        std::fs::write(&path, format!("[a]\ntoken = {{\"expiry\":\"{expiry}\"}}\n")).unwrap();
        path
    }

    fn refresh_lock(config: PathBuf) -> RefreshLock {
        let lock = config.with_file_name(REFRESH_LOCK_FILE);
        RefreshLock::new(config, lock)
    }

    #[tokio::test]
    async fn one_process_refreshes_an_expired_token_and_the_others_wait() {
        let directory = tempfile::tempdir().unwrap();
        let path = config(directory.path(), "2020-01-01T00:00:00Z");
        let [one, other] = [path.clone(), path].map(refresh_lock);
        let first = one.acquire().await;
        assert!(first.is_some());
        let second = tokio::spawn(async move { other.acquire().await.is_some() });
        sleep(POLL_INTERVAL * 5).await;
        assert!(!second.is_finished());
        config(directory.path(), "2999-01-01T00:00:00Z");
        assert!(!second.await.unwrap(), "there is nothing to refresh any more");
        drop(first);
        assert!(one.acquire().await.is_none());
        config(directory.path(), "2020-01-01T00:00:00Z");
        assert!(one.acquire().await.is_some(), "it has expired again");
    }

    #[tokio::test]
    async fn nobody_waits_for_a_token_that_is_not_refreshed() {
        let directory = tempfile::tempdir().unwrap();
        let path = config(directory.path(), "2020-01-01T00:00:00Z");
        let (refresh_lock, another_session) =
            (self::refresh_lock(path.clone()), self::refresh_lock(path));
        drop(refresh_lock.acquire().await);
        assert!(refresh_lock.acquire().await.is_none());
        let start = Instant::now();
        assert!(another_session.acquire().await.is_some() && start.elapsed() < REFRESH_TIMEOUT / 2);
        let never = config(directory.path(), "0001-01-01T00:00:00Z");
        assert!(self::refresh_lock(never).acquire().await.is_none(), "it never expires");
    }
}
