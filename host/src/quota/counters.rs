//! Usage counters of processes, sessions and tenants. A counter's value is part of its
//! parent's: a process counts for its session, and that for its tenant.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::connector::{Failure, Reason};

/// A quantity that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// Bytes that were written to rclone.
    BytesIn,
    /// Bytes that were read from rclone.
    BytesOut,
    /// Entries that were listed or written.
    Entries,
    /// Processes that were started so far.
    Started,
    /// Processes that are running.
    Running,
    /// Processes that ended with an error.
    Failed,
    /// Nanoseconds of computation by the component and by the tasks that carry its bytes.
    Computed,
    /// Memory of components, in bytes.
    Memory,
    /// Memory of rclone processes, shared memory included, in bytes.
    RcloneMemory,
    /// Threads of rclone processes.
    Tasks,
    /// Disk space in the directories that sessions may write, in bytes of whole blocks.
    Disk,
    /// Files and directories in these directories.
    Files,
    /// Bytes that this program buffers between rclone, components and Plakar.
    Buffers,
    /// Batches that components have open.
    Batches,
    /// File descriptors that this program holds for batches.
    Descriptors,
}

/// Number of kinds of [`Count`].
const COUNT_KINDS: usize = Count::Descriptors as usize + 1;

/// Every failure reason with its name, in the order of their counters.
pub const REASONS: [(Reason, &str); 10] = [
    (Reason::InvalidConfiguration, "invalid-configuration"),
    (Reason::Unauthenticated, "unauthenticated"),
    (Reason::Denied, "denied"),
    (Reason::NotFound, "not-found"),
    (Reason::Unsupported, "unsupported"),
    (Reason::RateLimited, "rate-limited"),
    (Reason::Unavailable, "unavailable"),
    (Reason::Corrupted, "corrupted"),
    (Reason::Cancelled, "cancelled"),
    (Reason::Internal, "internal"),
];

/// Counters of one process, session or tenant.
#[derive(Debug, Default)]
pub struct Counters {
    counts: [AtomicU64; COUNT_KINDS],
    failures: [AtomicU64; REASONS.len()],
    parent: Option<Arc<Counters>>,
}

impl Counters {
    /// Creates counters whose values are part of the parent's.
    pub fn child_of(parent: &Arc<Self>) -> Arc<Self> {
        Arc::new(Self { parent: Some(parent.clone()), ..Self::default() })
    }

    /// Adds to a counter, and to those of the ancestors.
    pub fn add(&self, what: Count, number: u64) {
        for counters in self.with_ancestors() {
            counters.counts[what as usize].fetch_add(number, Ordering::Relaxed);
        }
    }

    /// Subtracts what was added before, from a counter of something temporary.
    pub fn sub(&self, what: Count, number: u64) {
        for counters in self.with_ancestors() {
            counters.counts[what as usize].fetch_sub(number, Ordering::Relaxed);
        }
    }

    /// Value of a counter.
    pub fn get(&self, what: Count) -> u64 {
        self.counts[what as usize].load(Ordering::Relaxed)
    }

    /// Counts a failure by its reason.
    pub fn record_failure(&self, failure: &Failure) {
        let at = REASONS.iter().position(|(reason, _)| *reason == failure.reason);
        for counters in self.with_ancestors() {
            if let Some(at) = at {
                counters.failures[at].fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Number of failures for each reason.
    pub fn failures(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.failures.iter().map(|count| count.load(Ordering::Relaxed));
        REASONS.iter().map(|(_, name)| *name).zip(counts)
    }

    fn with_ancestors(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |counters| counters.parent.as_deref())
    }
}

/// A measured quantity, which is part of its counter until this is dropped.
#[derive(Debug)]
pub struct Gauge {
    what: Count,
    value: AtomicU64,
    counters: Arc<Counters>,
}

impl Gauge {
    /// Creates a gauge with the value 0.
    pub fn new(counters: &Arc<Counters>, what: Count) -> Self {
        Self { what, value: AtomicU64::new(0), counters: counters.clone() }
    }

    /// Replaces the value.
    pub fn set(&self, number: u64) {
        let before = self.value.swap(number, Ordering::Relaxed);
        self.counters.add(self.what, number.saturating_sub(before));
        self.counters.sub(self.what, before.saturating_sub(number));
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gauge_counts_what_there_is_until_it_is_gone() {
        let tenant = Arc::new(Counters::default());
        let gauge = Gauge::new(&Counters::child_of(&tenant), Count::Disk);
        for number in [5, 9, 2] {
            gauge.set(number);
            assert_eq!(tenant.get(Count::Disk), number);
        }
        drop(gauge);
        assert_eq!(tenant.get(Count::Disk), 0);
    }

    #[test]
    fn what_a_process_counts_its_session_and_its_tenant_count_as_well() {
        let tenant = Arc::new(Counters::default());
        let session = Counters::child_of(&tenant);
        let process = Counters::child_of(&session);
        process.add(Count::BytesOut, 5);
        session.add(Count::BytesOut, 1);
        process.add(Count::Running, 1);
        process.sub(Count::Running, 1);
        let all = [&process, &session, &tenant];
        assert_eq!(all.map(|counters| counters.get(Count::BytesOut)), [5, 6, 6]);
        assert_eq!(all.map(|counters| counters.get(Count::Running)), [0, 0, 0]);
        session.record_failure(&Failure::new(Reason::Denied, "no"));
        let denied = tenant.failures().find(|(name, _)| *name == "denied");
        assert_eq!(denied, Some(("denied", 1)));
    }
}
