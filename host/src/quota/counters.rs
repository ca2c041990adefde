//! What is counted of a process, of the session that it belongs to, and of the tenant whose
//! session that is: what one counts, those above it count as well.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::connector::{Failure, Reason};

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// Bytes that rclone was given.
    BytesIn,
    /// Bytes that rclone gave.
    BytesOut,
    /// Entries that were found or written.
    Entries,
    /// Processes that were started.
    Started,
    /// Processes that are running.
    Running,
    /// Processes that ended with an error.
    Failed,
    /// Nanoseconds that the component and what carries its bytes computed.
    Computed,
    /// Bytes of memory that components have.
    Memory,
    /// Bytes of memory that processes of rclone have, with what they could share.
    RcloneMemory,
    /// Threads of processes of rclone.
    Tasks,
    /// Bytes on the disk, in whole blocks, of what sessions may write for themselves.
    Disk,
    /// Files of it, and directories.
    Files,
    /// Bytes that this program holds between rclone, components and Plakar.
    Buffers,
    /// Batches that components have.
    Batches,
    /// Descriptors that this program holds for batches.
    Descriptors,
}

const COUNTS: usize = Count::Descriptors as usize + 1;

/// Every reason of a failure, in the order in which they are counted.
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

/// Counts of one process, session or tenant.
#[derive(Debug, Default)]
pub struct Account {
    counts: [AtomicU64; COUNTS],
    failures: [AtomicU64; REASONS.len()],
    above: Option<Arc<Account>>,
}

impl Account {
    /// An account whose counts are part of another's.
    pub fn below(above: &Arc<Self>) -> Arc<Self> {
        Arc::new(Self { above: Some(above.clone()), ..Self::default() })
    }

    pub fn add(&self, what: Count, number: u64) {
        for account in self.upwards() {
            account.counts[what as usize].fetch_add(number, Ordering::Relaxed);
        }
    }

    /// Takes away what was added: of what is there for a while.
    pub fn take(&self, what: Count, number: u64) {
        for account in self.upwards() {
            account.counts[what as usize].fetch_sub(number, Ordering::Relaxed);
        }
    }

    pub fn get(&self, what: Count) -> u64 {
        self.counts[what as usize].load(Ordering::Relaxed)
    }

    /// Counts a failure by its reason.
    pub fn failed(&self, failure: &Failure) {
        let at = REASONS.iter().position(|(reason, _)| *reason == failure.reason);
        for account in self.upwards() {
            if let Some(at) = at {
                account.failures[at].fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// How many failures there were of each reason.
    pub fn failures(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.failures.iter().map(|count| count.load(Ordering::Relaxed));
        REASONS.iter().map(|(_, name)| *name).zip(counts)
    }

    fn upwards(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |account| account.above.as_deref())
    }
}

/// How much there is of something that changes, which an account counts until this is dropped.
#[derive(Debug)]
pub struct Gauge {
    what: Count,
    has: AtomicU64,
    account: Arc<Account>,
}

impl Gauge {
    /// There is nothing yet.
    pub fn of(account: &Arc<Account>, what: Count) -> Self {
        Self { what, has: AtomicU64::new(0), account: account.clone() }
    }

    /// From now on there is so much.
    pub fn set(&self, number: u64) {
        let had = self.has.swap(number, Ordering::Relaxed);
        self.account.add(self.what, number.saturating_sub(had));
        self.account.take(self.what, had.saturating_sub(number));
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
        let tenant = Arc::new(Account::default());
        let gauge = Gauge::of(&Account::below(&tenant), Count::Disk);
        for number in [5, 9, 2] {
            gauge.set(number);
            assert_eq!(tenant.get(Count::Disk), number);
        }
        drop(gauge);
        assert_eq!(tenant.get(Count::Disk), 0);
    }

    #[test]
    fn what_a_process_counts_its_session_and_its_tenant_count_as_well() {
        let tenant = Arc::new(Account::default());
        let session = Account::below(&tenant);
        let process = Account::below(&session);
        process.add(Count::BytesOut, 5);
        session.add(Count::BytesOut, 1);
        process.add(Count::Running, 1);
        process.take(Count::Running, 1);
        let all = [&process, &session, &tenant];
        assert_eq!(all.map(|account| account.get(Count::BytesOut)), [5, 6, 6]);
        assert_eq!(all.map(|account| account.get(Count::Running)), [0, 0, 0]);
        session.failed(&Failure::new(Reason::Denied, "no"));
        let denied = tenant.failures().find(|(name, _)| *name == "denied");
        assert_eq!(denied, Some(("denied", 1)));
    }
}
