//! OAuth tokens: an access token that has expired is refreshed by one process alone.
//!
//! Processes that start together would all refresh it, and where the provider takes a
//! refresh token once, all but one would be refused. So one has its turn, and the others,
//! of whatever session, wait until it has written the new token down.

use rustix::fs::FlockOperation;
use serde_json::Value;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::try_lock_file;
use crate::rclone::remote::ini;

/// How long others wait: a process may need no token.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);

/// What is locked beside the directory of the configuration, where rclone can't.
pub const LOCK: &str = "refreshing";

/// The turns of a session's processes.
pub struct Turns {
    config: PathBuf,
    lock: PathBuf,
    /// One process had its turn and the token is still the expired one: it isn't needed,
    /// or can't be refreshed. Nobody waits for that again.
    in_vain: Arc<AtomicBool>,
}

impl Turns {
    /// Those of the processes that use this configuration, which take turns by this lock.
    pub fn new(config: PathBuf, lock: PathBuf) -> Self {
        Self { config, lock, in_vain: Arc::default() }
    }

    /// Waits until nobody else refreshes an expired token. The turn is the caller's, if it
    /// still has expired then.
    pub async fn next(&self) -> Option<Turn> {
        let end = Instant::now() + PATIENCE;
        while !self.in_vain.load(Ordering::Relaxed)
            && needs_refresh(&self.config)
            && Instant::now() < end
        {
            match try_lock_file(&self.lock, FlockOperation::NonBlockingLockExclusive) {
                // It may have been refreshed since we looked.
                Ok(Some(lock)) if needs_refresh(&self.config) => {
                    let (config, in_vain) = (self.config.clone(), self.in_vain.clone());
                    let holder = tokio::spawn(hold(lock, config.clone(), in_vain.clone()));
                    return Some(Turn { holder, config, in_vain });
                }
                Ok(_) => sleep(PAUSE).await,
                Err(_) => return None,
            }
        }
        None
    }
}

/// A process's turn, which ends with it at the latest.
pub struct Turn {
    holder: JoinHandle<()>,
    config: PathBuf,
    in_vain: Arc<AtomicBool>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.holder.is_finished() {
            self.in_vain.store(needs_refresh(&self.config), Ordering::Relaxed);
            self.holder.abort();
        }
    }
}

async fn hold(lock: File, config: PathBuf, in_vain: Arc<AtomicBool>) {
    let end = Instant::now() + PATIENCE;
    while needs_refresh(&config) {
        if Instant::now() > end {
            in_vain.store(true, Ordering::Relaxed);
            break;
        }
        sleep(PAUSE).await;
    }
    drop(lock);
}

/// Whether a token in the configuration has expired. rclone has it out of the way for a
/// moment while it replaces it.
fn needs_refresh(config: &Path) -> bool {
    let Ok(text) = ini::read_of_rclone(config) else { return true };
    let sections = ini::parse(&text).unwrap_or_default();
    let mut tokens = sections.values().filter_map(|section| section.get("token"));
    tokens.any(|token| is_expired(token))
}

/// Whether the access token was good until a time that is over.
pub fn is_expired(token: &str) -> bool {
    let token: Value = serde_json::from_str(token).unwrap_or_default();
    let expiry = token.get("expiry").and_then(Value::as_str);
    let expiry = expiry.and_then(|expiry| expiry.parse::<jiff::Timestamp>().ok());
    expiry.is_some_and(|expiry| {
        // Tokens that never expire have year 1. rclone doesn't use one in its last seconds.
        expiry.as_second() > 0 && expiry.as_second() < jiff::Timestamp::now().as_second() + 10
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(directory: &Path, expiry: &str) -> PathBuf {
        let path = directory.join("rclone.conf");
        std::fs::write(&path, format!("[a]\ntoken = {{\"expiry\":\"{expiry}\"}}\n")).unwrap();
        path
    }

    fn turns(config: PathBuf) -> Turns {
        let lock = config.with_file_name(LOCK);
        Turns::new(config, lock)
    }

    #[tokio::test]
    async fn one_process_refreshes_an_expired_token_and_the_others_wait() {
        let directory = tempfile::tempdir().unwrap();
        let path = config(directory.path(), "2020-01-01T00:00:00Z");
        let [one, other] = [path.clone(), path].map(turns);
        let first = one.next().await;
        assert!(first.is_some());
        let second = tokio::spawn(async move { other.next().await.is_some() });
        sleep(PAUSE * 5).await;
        assert!(!second.is_finished());
        config(directory.path(), "2999-01-01T00:00:00Z");
        assert!(!second.await.unwrap(), "there is nothing to refresh any more");
        drop(first);
        assert!(one.next().await.is_none());
        config(directory.path(), "2020-01-01T00:00:00Z");
        assert!(one.next().await.is_some(), "it has expired again");
    }

    #[tokio::test]
    async fn nobody_waits_for_a_token_that_is_not_refreshed() {
        let directory = tempfile::tempdir().unwrap();
        let path = config(directory.path(), "2020-01-01T00:00:00Z");
        let (turns, another_session) = (self::turns(path.clone()), self::turns(path));
        drop(turns.next().await);
        assert!(turns.next().await.is_none());
        let start = Instant::now();
        assert!(another_session.next().await.is_some() && start.elapsed() < PATIENCE / 2);
        let never = config(directory.path(), "0001-01-01T00:00:00Z");
        assert!(self::turns(never).next().await.is_none(), "it never expires");
    }
}
