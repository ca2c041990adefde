//! Counts and logs of rejected connections. The first rejection of a kind from a source is logged
//! at once, the others in summaries, so that unknown clients can't fill a disk with log lines.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::connector::Failure;

/// Maximum number of sources that are counted separately for each cause between two summaries.
const MAX_SOURCES: usize = 32;

/// Cause of a rejection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// The TLS handshake failed: it sent no certificate, or one of an unknown authority.
    Tls,
    /// It uses a different version of the protocol.
    Version,
    /// It doesn't belong to a tenant.
    UnknownClient,
    /// The service is stopping.
    Stopping,
    /// Its tenant has reached its limits of running and waiting sessions.
    Busy,
    /// Too many connections from its source haven't identified themselves yet.
    TooManyPending,
    /// It sent no valid request in time.
    Silent,
    /// It was accepted, and had no session for too long.
    Idle,
    /// It was accepted, and its right to a session was withdrawn before it had one.
    Withdrawn,
    /// It requested metrics or health too slowly, or while too many others did.
    Admin,
    /// The system couldn't accept it.
    Unaccepted,
}

impl Cause {
    const ALL: [Self; 11] = [
        Self::Tls,
        Self::Version,
        Self::UnknownClient,
        Self::Stopping,
        Self::Busy,
        Self::TooManyPending,
        Self::Silent,
        Self::Idle,
        Self::Withdrawn,
        Self::Admin,
        Self::Unaccepted,
    ];

    /// Returns the name of the cause in metrics and summaries.
    fn name(self) -> &'static str {
        match self {
            Self::Tls => "tls",
            Self::Version => "version",
            Self::UnknownClient => "unknown-client",
            Self::Stopping => "stopping",
            Self::Busy => "busy",
            Self::TooManyPending => "too-many-pending",
            Self::Silent => "silent",
            Self::Idle => "idle",
            Self::Withdrawn => "withdrawn",
            Self::Admin => "admin",
            Self::Unaccepted => "unaccepted",
        }
    }
}

/// A rejection, with the failure for the client.
#[derive(Debug)]
pub struct Rejection {
    pub cause: Cause,
    pub failure: Failure,
}

impl Rejection {
    /// Makes a rejection about which the client can do nothing.
    pub fn new(cause: Cause, message: impl AsRef<str>) -> Self {
        Self { cause, failure: Failure::denied(message) }
    }
}

/// Counts of rejections, and those that haven't been logged yet.
#[derive(Debug)]
pub struct Rejections {
    counts: [AtomicU64; Cause::ALL.len()],
    unreported: Mutex<Unreported>,
}

/// Rejections since the last summaries that weren't logged separately.
#[derive(Debug)]
struct Unreported {
    since: Instant,
    /// Number of rejections after the logged one, for each source.
    sources: BTreeMap<Cause, BTreeMap<String, u64>>,
    /// Number of rejections of sources beyond [`MAX_SOURCES`].
    others: BTreeMap<Cause, u64>,
}

impl Default for Rejections {
    fn default() -> Self {
        let since = Instant::now();
        let unreported = Unreported { since, sources: BTreeMap::new(), others: BTreeMap::new() };
        Self { counts: Default::default(), unreported: Mutex::new(unreported) }
    }
}

impl Rejections {
    /// Counts a rejection. Returns whether the caller has to log it now. If not, it is part of
    /// the next summaries.
    pub fn add(&self, cause: Cause, source: &str) -> bool {
        self.counts[cause as usize].fetch_add(1, Ordering::Relaxed);
        let mut unreported = self.unreported.lock().unwrap_or_else(PoisonError::into_inner);
        let sources = unreported.sources.entry(cause).or_default();
        if let Some(more) = sources.get_mut(source) {
            *more += 1;
            return false;
        }
        if sources.len() < MAX_SOURCES {
            sources.insert(source.to_owned(), 0);
            return true;
        }
        *unreported.others.entry(cause).or_default() += 1;
        false
    }

    /// Returns a source and a sentence for each summary of the rejections since the last call.
    pub fn summaries(&self) -> Vec<(String, String)> {
        let mut unreported = self.unreported.lock().unwrap_or_else(PoisonError::into_inner);
        let seconds = unreported.since.elapsed().as_secs().max(1);
        let summarize = |cause: Cause, source: &str, more: u64| {
            let name = cause.name();
            let text = format!("{more} more rejections from {source} in {seconds} s (`{name}`)");
            (source.to_owned(), text)
        };
        let mut summaries = Vec::new();
        for (cause, sources) in &mut unreported.sources {
            // A source that had more rejections stays, so that its next ones are summarized too.
            sources.retain(|source, more| {
                let more = std::mem::take(more);
                summaries.extend((more > 0).then(|| summarize(*cause, source, more)));
                more > 0
            });
        }
        let others = std::mem::take(&mut unreported.others).into_iter();
        summaries.extend(others.map(|(cause, more)| summarize(cause, "other sources", more)));
        unreported.since = Instant::now();
        summaries
    }

    /// Returns the name and the count of each cause.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Cause::ALL
            .iter()
            .map(|cause| (cause.name(), self.counts[*cause as usize].load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rejection_is_counted_by_its_cause() {
        let rejections = Rejections::default();
        for (times, cause) in Cause::ALL.into_iter().enumerate() {
            for _ in 0..times {
                rejections.add(cause, "x");
            }
        }
        let all: Vec<_> = rejections.counts().collect();
        let named: Vec<_> = Cause::ALL.iter().map(|cause| cause.name()).zip(0..).collect();
        assert_eq!(all, named);
    }

    #[test]
    fn the_first_of_a_source_is_logged_and_then_summaries_of_a_bounded_number_of_sources() {
        let rejections = Rejections::default();
        let is_logged = |cause, source: &str| rejections.add(cause, source);
        assert!(is_logged(Cause::Tls, "a") && is_logged(Cause::Tls, "b"));
        assert!(is_logged(Cause::Silent, "a"), "a different cause");
        assert_eq!((0..312).filter(|_| is_logged(Cause::Tls, "a")).count(), 0);
        let summaries = rejections.summaries();
        let text = "312 more rejections from a in 1 s (`tls`)".to_owned();
        assert_eq!(summaries, [("a".to_owned(), text)]);
        assert!(!is_logged(Cause::Tls, "a"), "the source continues");
        assert!(is_logged(Cause::Tls, "b"), "the source had stopped");
        assert_eq!(rejections.summaries().len(), 1);

        let many = (0..1000).filter(|number| is_logged(Cause::Tls, &number.to_string()));
        assert_eq!(many.count(), MAX_SOURCES - 1, "and `a`, which continues");
        let summaries = rejections.summaries();
        let others = 1000 - MAX_SOURCES + 1;
        assert_eq!(summaries.len(), 1, "{summaries:?}");
        assert!(
            summaries[0].1.starts_with(&format!("{others} more rejections from other sources"))
        );
    }
}
