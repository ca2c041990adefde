//! Why clients get no session, how often, and what is written of it: the first rejection of a
//! kind from a source at once, then summaries, so that strangers can't fill a disk with lines.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// How many sources of each cause are told apart between two summaries.
const SOURCES: usize = 32;

/// What somebody is refused for. A rejection after that is a failure of its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// There is no TLS with it: no certificate, or one of another authority.
    Tls,
    /// It speaks another version of the greeting.
    Version,
    /// It is no tenant.
    UnknownClient,
    /// The service is being stopped.
    Stopping,
    /// Its tenant has as many sessions and waits for as many as it may.
    Busy,
    /// Too many others from there haven't said yet who they are.
    TooManyPending,
    /// It didn't say in time what it wants, or nothing that makes sense.
    Silent,
    /// It was let in, and had no session for too long.
    Idle,
    /// It was let in, and its right to a session was withdrawn before it had one.
    Withdrawn,
    /// It asked for metrics or health, too slowly, or beside too many others.
    Admin,
    /// The system has no more connections to give.
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

/// A rejection, and what whoever is refused is told.
#[derive(Debug)]
pub struct Rejection {
    pub cause: Cause,
    pub message: String,
}

/// How often each happened, and what is still to be written.
#[derive(Debug)]
pub struct Rejections {
    counts: [AtomicU64; Cause::ALL.len()],
    unwritten: Mutex<Unreported>,
}

/// Rejections since the last summaries.
#[derive(Debug)]
struct Unreported {
    since: Instant,
    /// How many came after the one that was written.
    sources: BTreeMap<Cause, BTreeMap<String, u64>>,
    /// Those of sources that there was no room for.
    others: BTreeMap<Cause, u64>,
}

impl Default for Rejections {
    fn default() -> Self {
        let since = Instant::now();
        let unwritten = Unreported { since, sources: BTreeMap::new(), others: BTreeMap::new() };
        Self { counts: Default::default(), unwritten: Mutex::new(unwritten) }
    }
}

impl Rejections {
    /// Counts a rejection of this source; whether it is to be written by itself.
    pub fn add(&self, cause: Cause, source: &str) -> bool {
        self.counts[cause as usize].fetch_add(1, Ordering::Relaxed);
        let mut unwritten = self.unwritten.lock().unwrap_or_else(PoisonError::into_inner);
        let sources = unwritten.sources.entry(cause).or_default();
        if let Some(more) = sources.get_mut(source) {
            *more += 1;
            return false;
        }
        if sources.len() < SOURCES {
            sources.insert(source.to_owned(), 0);
            return true;
        }
        *unwritten.others.entry(cause).or_default() += 1;
        false
    }

    /// What came since the last summaries and wasn't written by itself: the source, and a sentence.
    pub fn summaries(&self) -> Vec<(String, String)> {
        let mut unwritten = self.unwritten.lock().unwrap_or_else(PoisonError::into_inner);
        let seconds = unwritten.since.elapsed().as_secs().max(1);
        let sum = |cause: Cause, source: &str, more: u64| {
            let name = cause.name();
            let text = format!("{more} more rejections from {source} in {seconds} s (`{name}`)");
            (source.to_owned(), text)
        };
        let mut summaries = Vec::new();
        for (cause, sources) in &mut unwritten.sources {
            // A source that goes on has one more sum, and no other line.
            sources.retain(|source, more| {
                let more = std::mem::take(more);
                summaries.extend((more > 0).then(|| sum(*cause, source, more)));
                more > 0
            });
        }
        let others = std::mem::take(&mut unwritten.others);
        summaries.extend(others.into_iter().map(|(cause, more)| sum(cause, "other sources", more)));
        unwritten.since = Instant::now();
        summaries
    }

    /// The causes by name, and how often.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Cause::ALL
            .iter()
            .map(|cause| (cause.name(), self.counts[*cause as usize].load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_is_counted_by_its_cause() {
        let rejections = Rejections::default();
        for (times, cause) in Cause::ALL.into_iter().enumerate() {
            for _ in 0..times {
                rejections.add(cause, "x");
            }
        }
        let all: Vec<_> = rejections.all().collect();
        let named: Vec<_> = Cause::ALL.iter().map(|cause| cause.name()).zip(0..).collect();
        assert_eq!(all, named);
    }

    #[test]
    fn the_first_from_a_source_is_written_and_then_sums_of_a_bounded_number_of_sources() {
        let rejections = Rejections::default();
        let written = |cause, source: &str| rejections.add(cause, source);
        assert!(written(Cause::Tls, "a") && written(Cause::Tls, "b"));
        assert!(written(Cause::Silent, "a"), "it is another kind");
        assert_eq!((0..312).filter(|_| written(Cause::Tls, "a")).count(), 0);
        let summaries = rejections.summaries();
        let text = "312 more rejections from a in 1 s (`tls`)".to_owned();
        assert_eq!(summaries, [("a".to_owned(), text)]);
        assert!(!written(Cause::Tls, "a"), "it goes on");
        assert!(written(Cause::Tls, "b"), "it had stopped");
        assert_eq!(rejections.summaries().len(), 1);

        let many = (0..1000).filter(|number| written(Cause::Tls, &number.to_string()));
        assert_eq!(many.count(), SOURCES - 1, "and `a`, which goes on");
        let summaries = rejections.summaries();
        let others = 1000 - SOURCES + 1;
        assert_eq!(summaries.len(), 1, "{summaries:?}");
        assert!(
            summaries[0].1.starts_with(&format!("{others} more rejections from other sources"))
        );
    }
}
