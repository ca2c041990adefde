//! Concurrency: how many files a backend is asked for, or given, at the same time.
//!
//! It begins with what such servers stand as a rule, or with what the user says, and falls
//! where a server says that it is too much.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::connector::{Failure, Reason};
use crate::policy::{self, Section};
use crate::rclone::process::errors::{self, Meaning};

/// What backends stand at the same time. For each file that is on its way rclone may look
/// up another, so that there are up to twice as many connections.
///
/// Measured with 300 small files to vsftpd, proftpd with TLS, sshd and smbd on one machine:
/// more were slower on each, and 64 took 70 s where vsftpd lets 50 connections in.
const DEFAULTS: &[(&[&str], usize)] = &[
    // Many let 8 or 10 connections of one address in.
    (&["ftp"], 4),
    // sshd drops some of those that log in while ten others do (`MaxStartups`).
    (&["sftp", "smb"], 8),
    (&["webdav", "http", "hdfs", "seafile", "koofr"], 16),
    // What it takes with one call (rclone's `batch_size` there).
    (&["google photos"], 50),
];

/// What all others stand: object stores, drives, and this machine.
const MANY: usize = 64;

/// The option by which a user says so, and the most that may be said: rclone's server takes
/// 250 requests at a time, and a file may need two.
const OPTION: &str = "streams";
const MOST: usize = 128;

/// How many directories rclone lists at the same time, where it isn't told (`--checkers`).
const LISTINGS: usize = 8;

/// How often what was too much is tried again, with less each time.
pub const TRIES: u32 = 5;

/// How many things may fail in a row at all their tries, before nothing is tried again: a
/// server that is busy for long would hold up each of many files.
const PATIENCE: u32 = 3;

/// What servers say that are asked for too much at once, in lower case.
///
/// Sources: RFC 959 (421), vsftpd's and proftpd's messages, and OpenSSH's (RFC 4254, 5.1).
pub const MEANINGS: &[Meaning] = &[(
    &[
        "421",
        "too many connections",
        "too many users",
        "too many clients",
        "too many sessions",
        "maximum number of",
        "connection limit",
        "max sessions",
        "no more sessions",
        "administratively prohibited",
        "priv_sock",
        "child died",
        "does not look like a tls handshake",
        "ssh: handshake failed: eof",
        "ssh: handshake failed: read",
        "insufficient server resources",
    ],
    Reason::RateLimited,
    "the server stands less at once: set `streams` lower, and run it again",
)];

/// What servers say that are busy, by us or by others.
const BUSY: &[&str] =
    &["429", "too many requests", "503", "slowdown", "slow down", "request rate", "serverbusy"];

/// How much at once, in one session.
#[derive(Debug)]
pub struct Concurrency {
    now: AtomicUsize,
    /// Whose turn it is to try again what was too much.
    turn: Mutex<()>,
    /// How many things have failed at all their tries since one didn't.
    given_up: AtomicU32,
}

impl Concurrency {
    pub fn new(most: usize) -> Self {
        Self { now: AtomicUsize::new(most), turn: Mutex::default(), given_up: AtomicU32::new(0) }
    }

    /// How much it is by now.
    pub fn now(&self) -> usize {
        self.now.load(Ordering::Relaxed)
    }

    /// How many directories are listed at the same time: what rclone usually does, or less.
    pub fn listings(&self) -> String {
        self.now().min(LISTINGS).to_string()
    }

    /// Takes a half of `from`, unless it is less already.
    pub fn halve(&self, from: usize) {
        self.now.fetch_min((from / 2).max(1), Ordering::Relaxed);
    }

    /// What decides whether an attempt is made again.
    pub fn again(&self) -> Again<'_> {
        Again { concurrency: self, turn: None, tries: 0 }
    }
}

/// One thing that is tried, and again where it was too much.
pub struct Again<'a> {
    concurrency: &'a Concurrency,
    turn: Option<MutexGuard<'a, ()>>,
    tries: u32,
}

impl Again<'_> {
    /// Whether to try again after this failure; returns after a pause then, and when nothing
    /// else is tried again at the same time.
    pub async fn after(&mut self, failure: &Failure) -> bool {
        if !is_too_much(failure) {
            return false;
        }
        if self.tries == TRIES {
            self.concurrency.given_up.fetch_add(1, Ordering::Relaxed);
            self.tries = 0;
            return false;
        }
        let failed = Instant::now();
        if self.turn.is_none() {
            self.turn = Some(self.concurrency.turn.lock().await);
        }
        if self.concurrency.given_up.load(Ordering::Relaxed) >= PATIENCE {
            return false;
        }
        // Waiting for the turn was a pause, too.
        tokio::time::sleep_until(failed + pause(self.tries)).await;
        self.tries += 1;
        true
    }
}

impl Drop for Again<'_> {
    fn drop(&mut self) {
        if self.tries > 0 {
            self.concurrency.given_up.store(0, Ordering::Relaxed);
        }
    }
}

/// How long before something is tried again.
pub fn pause(tries: u32) -> Duration {
    Duration::from_millis(500 << tries)
}

/// Whether a server has said nothing at all, which tells nothing of how much it stands: an
/// error in lower case.
pub fn is_silence(error: &str) -> bool {
    error.contains("i/o timeout")
}

/// Whether it failed because it was too much at once.
pub fn is_too_much(failure: &Failure) -> bool {
    let message = failure.message.to_lowercase();
    if is_silence(&message) {
        return false;
    }
    let words = MEANINGS.iter().flat_map(|(words, ..)| *words).chain(BUSY);
    words.into_iter().any(|word| errors::mentions(&message, word))
}

/// How much at once: what the user says, or else what all of these backends stand.
pub fn of<'a>(sections: impl Iterator<Item = &'a Section>, options: &[(String, String)]) -> usize {
    let said = options.iter().find(|(key, _)| key == OPTION);
    // What can't be is refused by the connector, in its words.
    let said = said.and_then(|(_, value)| value.parse().ok()).filter(|it| (1..=MOST).contains(it));
    said.unwrap_or_else(|| sections.map(stands).min().unwrap_or(MANY))
}

/// What one backend stands.
fn stands(section: &Section) -> usize {
    let backend = policy::backend(section);
    let row = DEFAULTS.iter().find(|(backends, _)| backends.contains(&backend));
    let most = row.map_or(MANY, |(_, most)| *most);
    // The most connections that the user lets rclone have: for files that are copied, for as
    // many that are looked up, and one more, without which they wait for each other.
    let connections = ["concurrency", "connections"].iter().find_map(|key| section.get(*key));
    match connections.and_then(|number| number.parse::<usize>().ok()).unwrap_or_default() {
        0 => most,
        connections => most.min(connections.saturating_sub(1) / 2).max(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(of(sections(all).iter(), &[]), most);
            for (said, so_many) in [("7", 7), ("128", 128), ("0", most), ("lots", most)] {
                let options = [("streams".to_owned(), said.to_owned())];
                assert_eq!(of(sections(all).iter(), &options), so_many);
            }
        }
    }

    #[test]
    fn it_falls_by_half_down_to_one() {
        let concurrency = Concurrency::new(5);
        for less in [2, 1, 1] {
            concurrency.halve(concurrency.now());
            assert_eq!(concurrency.now(), less);
        }
    }

    #[test]
    fn what_servers_say_of_too_much_is_known() {
        for error in [
            "421 There are too many connections from your internet address.",
            "failed to make FTP connection to \"h:21\": 500 OOPS: priv_sock_get_int",
            "530 Sorry, the maximum number of clients (2) for this user are already connected.",
            "tls: first record does not look like a TLS handshake",
            "ssh: rejected: administratively prohibited (open failed)",
            "HTTP error 429 (429 Too Many Requests)",
            "SlowDown: Please reduce your request rate. status code: 503",
        ] {
            assert!(is_too_much(&errors::understand(error)), "{error}");
        }
        for error in ["directory not found", "530 Login incorrect.", "wrote 421000 bytes"] {
            assert!(!is_too_much(&errors::understand(error)), "{error}");
        }
    }

    /// How often something is tried that is refused so often.
    async fn tried(concurrency: &Concurrency, refusals: u32) -> u32 {
        let (mut again, mut tries) = (concurrency.again(), 1);
        let failure = errors::understand("421 too many");
        while tries <= refusals && again.after(&failure).await {
            tries += 1;
        }
        tries
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_too_much_is_tried_again_for_a_while() {
        let concurrency = Concurrency::new(1);
        for (refusals, tries) in [(0, 1), (2, 3), (100, 1 + TRIES)] {
            assert_eq!(tried(&concurrency, refusals).await, tries);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_stays_busy_holds_up_few_files() {
        let concurrency = Concurrency::new(1);
        for _ in 0..PATIENCE {
            assert_eq!(tried(&concurrency, 100).await, 1 + TRIES);
        }
        assert_eq!(tried(&concurrency, 100).await, 1);
    }
}
