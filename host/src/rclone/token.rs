//! OAuth tokens: an access token that has expired is refreshed by one process alone.
//!
//! Processes that start together would all refresh it, and where the provider takes a
//! refresh token once, all but one would be refused. So one has its turn, and the others,
//! of whatever session, wait until it has written the new token down.

use rustix::fs::FlockOperation;
use serde_json::Value;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::conf;
use super::state::try_lock_file;

/// How long others wait: a process may need no token.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);

/// What is locked in the directory of the configuration.
pub const LOCK: &str = "refreshing";

/// A process's turn, which ends with it at the latest.
pub struct Turn(JoinHandle<()>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Waits until nobody else refreshes an expired token of this configuration. The turn is
/// the caller's, if it still has one.
pub async fn turn(config: PathBuf) -> Option<Turn> {
    let end = Instant::now() + PATIENCE;
    while needs_refresh(&config) && Instant::now() < end {
        let lock = config.with_file_name(LOCK);
        match try_lock_file(&lock, FlockOperation::NonBlockingLockExclusive) {
            // It may have been refreshed since we looked.
            Ok(Some(lock)) if needs_refresh(&config) => {
                return Some(Turn(tokio::spawn(hold(lock, config))));
            }
            Ok(_) => sleep(PAUSE).await,
            Err(_) => return None,
        }
    }
    None
}

async fn hold(lock: File, config: PathBuf) {
    let end = Instant::now() + PATIENCE;
    while needs_refresh(&config) && Instant::now() < end {
        sleep(PAUSE).await;
    }
    drop(lock);
}

/// Whether a token in the configuration has expired. rclone has it out of the way for a
/// moment while it replaces it.
fn needs_refresh(config: &Path) -> bool {
    let Ok(text) = fs::read_to_string(config) else { return true };
    let sections = conf::parse(&text).unwrap_or_default();
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
        fs::write(&path, format!("[a]\ntoken = {{\"expiry\":\"{expiry}\"}}\n")).unwrap();
        path
    }

    #[tokio::test]
    async fn one_process_refreshes_an_expired_token_and_the_others_wait() {
        let directory = tempfile::tempdir().unwrap();
        let path = config(directory.path(), "2020-01-01T00:00:00Z");
        let first = turn(path.clone()).await;
        assert!(first.is_some());
        let second = tokio::spawn(turn(path.clone()));
        sleep(PAUSE * 5).await;
        assert!(!second.is_finished());
        config(directory.path(), "2999-01-01T00:00:00Z");
        assert!(second.await.unwrap().is_none(), "there is nothing to refresh any more");
        assert!(turn(path).await.is_none());
    }

    #[tokio::test]
    async fn a_process_that_ends_without_a_new_token_lets_the_next_one_try() {
        let directory = tempfile::tempdir().unwrap();
        let path = config(directory.path(), "2020-01-01T00:00:00Z");
        drop(turn(path.clone()).await);
        let start = Instant::now();
        assert!(turn(path.clone()).await.is_some() && start.elapsed() < PATIENCE / 2);
        config(directory.path(), "0001-01-01T00:00:00Z");
        assert!(turn(path).await.is_none(), "it never expires");
    }
}
