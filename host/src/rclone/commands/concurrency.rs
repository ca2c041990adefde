//! Concurrency: the number of files that a backend is asked for, or given, at the same time. It
//! starts with the default of the backend or the user's setting, and is halved when a server
//! reports an overload.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::connector::Failure;
use crate::policy::{self, Section};
use crate::rclone::backends;
use crate::rclone::process::errors::overload::is_overload;

/// The user's option for the number of streams.
const STREAMS_OPTION: &str = "streams";
/// The largest number of streams: rclone's server takes 250 requests at a time, and a file may need
/// two.
const MAX_STREAMS: usize = 128;

/// Number of directories that rclone lists at the same time by default (`--checkers`).
const DEFAULT_CHECKERS: usize = 8;

/// Number of retries after an overload, each with less concurrency.
pub const MAX_RETRIES: u32 = 5;

/// Number of operations in a row that may fail at all their retries before no more are retried. A
/// server that is busy for long would hold up each of many files.
const MAX_EXHAUSTED_RETRIES: u32 = 3;

/// The concurrency of one session.
#[derive(Debug)]
pub struct Concurrency {
    current: AtomicUsize,
    /// Held by the operation that retries.
    turn: Mutex<()>,
    /// Number of operations that have failed at all their retries since one succeeded.
    exhausted: AtomicU32,
}

impl Concurrency {
    /// A concurrency that starts with `files`.
    pub fn new(files: usize) -> Self {
        Self {
            current: AtomicUsize::new(files),
            turn: Mutex::default(),
            exhausted: AtomicU32::new(0),
        }
    }

    /// The present number of files.
    pub fn current(&self) -> usize {
        self.current.load(Ordering::Relaxed)
    }

    /// The number of directories that are listed at the same time, as an argument.
    pub fn checkers(&self) -> String {
        self.current().min(DEFAULT_CHECKERS).to_string()
    }

    /// Halves the number from `from`, unless it is lower already.
    pub fn halve(&self, from: usize) {
        self.current.fetch_min((from / 2).max(1), Ordering::Relaxed);
    }

    /// The retries of one operation.
    pub fn retry(&self) -> Retry<'_> {
        Retry { concurrency: self, turn: None, retries: 0 }
    }
}

/// The retries of one operation after overloads.
pub struct Retry<'a> {
    concurrency: &'a Concurrency,
    turn: Option<MutexGuard<'a, ()>>,
    retries: u32,
}

impl Retry<'_> {
    /// Whether to retry after this failure. Waits for a delay before it returns true, and until no
    /// other operation is retried.
    pub async fn is_allowed(&mut self, failure: &Failure) -> bool {
        if !is_overload(failure) {
            return false;
        }
        if self.retries == MAX_RETRIES {
            self.concurrency.exhausted.fetch_add(1, Ordering::Relaxed);
            self.retries = 0;
            return false;
        }
        let failed = Instant::now();
        if self.turn.is_none() {
            self.turn = Some(self.concurrency.turn.lock().await);
        }
        if self.concurrency.exhausted.load(Ordering::Relaxed) >= MAX_EXHAUSTED_RETRIES {
            return false;
        }
        // The time spent waiting for the others counts.
        tokio::time::sleep_until(failed + retry_delay(self.retries)).await;
        self.retries += 1;
        true
    }
}

impl Drop for Retry<'_> {
    fn drop(&mut self) {
        if self.retries > 0 {
            self.concurrency.exhausted.store(0, Ordering::Relaxed);
        }
    }
}

/// The delay before a retry.
pub fn retry_delay(retries: u32) -> Duration {
    Duration::from_millis(500 << retries)
}

/// The number of files at the same time: the user's setting, or the least of what these backends
/// take.
pub fn streams<'a>(
    sections: impl Iterator<Item = &'a Section>,
    options: &[(String, String)],
) -> usize {
    let setting = options.iter().find(|(key, _)| key == STREAMS_OPTION);
    // The connector refuses invalid values.
    let setting = setting
        .and_then(|(_, value)| value.parse().ok())
        .filter(|it| (1..=MAX_STREAMS).contains(it));
    setting
        .unwrap_or_else(|| sections.map(backend_streams).min().unwrap_or(backends::DEFAULT_STREAMS))
}

/// The number of files that one backend is asked for at the same time.
fn backend_streams(section: &Section) -> usize {
    let default = backends::find(policy::backend(section)).streams;
    // The user's limit of connections: for files that are copied, for as many lookups, and one
    // more, without which they would wait for each other.
    let connections = ["concurrency", "connections"].iter().find_map(|key| section.get(*key));
    match connections.and_then(|number| number.parse::<usize>().ok()).unwrap_or_default() {
        0 => default,
        connections => default.min(connections.saturating_sub(1) / 2).max(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rclone::process::errors;

    fn sections(all: &[&[(&str, &str)]]) -> Vec<Section> {
        let section = |pairs: &&[(&str, &str)]| {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        all.iter().map(section).collect()
    }

    #[test]
    fn a_remote_stands_what_the_least_of_its_backends_does_unless_the_user_says_otherwise() {
        let ftp: &[(&str, &str)] = &[("type", "ftp")];
        let s3: &[(&str, &str)] = &[("type", "s3")];
        let union: &[(&str, &str)] = &[("type", "union"), ("upstreams", "a: b:")];
        let narrow: &[(&str, &str)] = &[("type", "ftp"), ("concurrency", "5")];
        let least: &[(&str, &str)] = &[("type", "ftp"), ("concurrency", "1")];
        let aliased: &[(&str, &str)] = &[("type", "gphotos")];
        for (all, most) in [
            (&[ftp][..], 4),
            (&[s3], 64),
            (&[union, s3, ftp], 4),
            (&[narrow], 2),
            (&[least], 1),
            (&[aliased], 50),
        ] {
            assert_eq!(streams(sections(all).iter(), &[]), most);
            for (said, so_many) in [("7", 7), ("128", 128), ("0", most), ("lots", most)] {
                let options = [("streams".to_owned(), said.to_owned())];
                assert_eq!(streams(sections(all).iter(), &options), so_many);
            }
        }
    }

    #[test]
    fn it_falls_by_half_down_to_one() {
        let concurrency = Concurrency::new(5);
        for less in [2, 1, 1] {
            concurrency.halve(concurrency.current());
            assert_eq!(concurrency.current(), less);
        }
    }

    /// Number of tries of an operation that is refused this number of times.
    async fn tried(concurrency: &Concurrency, refusals: u32) -> u32 {
        let (mut retry, mut retries) = (concurrency.retry(), 1);
        let failure = errors::classify("421 too many");
        while retries <= refusals && retry.is_allowed(&failure).await {
            retries += 1;
        }
        retries
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_too_much_is_tried_again_for_a_while() {
        let concurrency = Concurrency::new(1);
        for (refusals, retries) in [(0, 1), (2, 3), (100, 1 + MAX_RETRIES)] {
            assert_eq!(tried(&concurrency, refusals).await, retries);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_stays_busy_holds_up_few_files() {
        let concurrency = Concurrency::new(1);
        for _ in 0..MAX_EXHAUSTED_RETRIES {
            assert_eq!(tried(&concurrency, 100).await, 1 + MAX_RETRIES);
        }
        assert_eq!(tried(&concurrency, 100).await, 1);
    }
}
