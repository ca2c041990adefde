//! Bytes that this program buffers between rclone, components and Plakar. They count for their
//! session, its tenant and the service; above a limit, no more bytes are taken before some
//! have been released.
//!
//! The bytes that a content may need are reserved before rclone is asked for it, so a content
//! that is read never waits for one that isn't.

use bytes::Bytes;
use bytesize::ByteSize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::counters::{Count, Counters};
use crate::connector::{Failure, Reason};

/// Maximum number of unfinished contents of a component: twice the maximum that is read ahead.
const MAX_CONTENTS: usize = 256;

/// Bytes that a session may buffer whatever the usage of its tenant and of all others, so that
/// it makes progress.
const MIN_SESSION_BYTES: u64 = 8 << 20;

/// Maximum number of contents that are admitted above the limits once a content has waited too
/// long: the one that Plakar waits for may come after many that it doesn't want yet.
const MAX_OVERCOMMITTED: usize = 16;

/// Time that a content waits for room before it is admitted above the limits, or refused.
const RESERVE_TIMEOUT: Duration = Duration::from_secs(2);

/// Interval at which a waiting content tries again.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// A number of bytes in use, and its limit.
#[derive(Debug)]
pub struct Budget {
    limit: AtomicU64,
    used: AtomicU64,
}

impl Budget {
    /// Creates a budget; without a limit, any number of bytes is within it.
    pub fn new(limit: Option<ByteSize>) -> Self {
        let budget = Self { limit: AtomicU64::default(), used: AtomicU64::default() };
        budget.resize(limit);
        budget
    }

    /// Changes the limit.
    pub fn resize(&self, limit: Option<ByteSize>) {
        self.limit.store(limit.map_or(u64::MAX, |size| size.as_u64()), Ordering::Relaxed);
    }

    fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Adds bytes if they are within the limit, or if none are in use.
    fn try_add(&self, bytes: u64) -> bool {
        let limit = self.limit.load(Ordering::Relaxed);
        let fits = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= limit || used == 0);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
    }

    /// Adds bytes regardless of the limit.
    fn add(&self, bytes: u64) {
        self.used.fetch_add(bytes, Ordering::Relaxed);
    }

    fn release(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Buffered bytes of one session.
#[derive(Debug)]
pub struct Buffers {
    own: Budget,
    /// Budgets of its tenant and of the service.
    shared: Vec<Arc<Budget>>,
    contents: Arc<Semaphore>,
    overcommitted: Arc<Semaphore>,
    /// Whether a content has waited without success since there was room.
    is_short: AtomicBool,
    counters: Arc<Counters>,
}

/// Reserved bytes of a session, which are released when this is dropped.
#[derive(Debug)]
pub struct BufferReservation {
    buffers: Arc<Buffers>,
    bytes: u64,
    _permits: Vec<OwnedSemaphorePermit>,
}

impl Drop for BufferReservation {
    fn drop(&mut self) {
        let Self { buffers, bytes, .. } = self;
        for budget in &buffers.shared {
            budget.release(*bytes);
        }
        buffers.own.release(*bytes);
        buffers.counters.sub(Count::Buffers, *bytes);
    }
}

impl Buffers {
    /// Makes the buffers of a session, with a limit of its own and budgets that it shares.
    pub fn new(
        limit: Option<ByteSize>,
        shared: impl Iterator<Item = Arc<Budget>>,
        counters: &Arc<Counters>,
    ) -> Arc<Self> {
        Arc::new(Self {
            own: Budget::new(limit),
            shared: shared.collect(),
            contents: Arc::new(Semaphore::new(MAX_CONTENTS)),
            overcommitted: Arc::new(Semaphore::new(MAX_OVERCOMMITTED)),
            is_short: AtomicBool::new(false),
            counters: counters.clone(),
        })
    }

    /// Reserves the bytes that a content may need, and waits for room.
    ///
    /// # Errors
    ///
    /// There was no room within the timeout, because too many open contents aren't read.
    pub async fn reserve(self: &Arc<Self>, bytes: u64) -> Result<BufferReservation, Failure> {
        if let Some(reservation) = self.try_reserve(bytes) {
            return Ok(reservation);
        }
        let waited = tokio::time::timeout(RESERVE_TIMEOUT, async {
            loop {
                tokio::time::sleep(POLL_INTERVAL).await;
                if let Some(reservation) = self.try_reserve(bytes) {
                    return reservation;
                }
            }
        });
        if let Ok(reservation) = waited.await {
            return Ok(reservation);
        }
        self.is_short.store(true, Ordering::Relaxed);
        self.try_reserve(bytes).ok_or_else(|| self.exhausted())
    }

    /// Reserves the bytes that a content may need, if there is room.
    pub fn try_reserve(self: &Arc<Self>, bytes: u64) -> Option<BufferReservation> {
        let permit = self.contents.clone().try_acquire_owned().ok()?;
        if let Some(reservation) = self.try_add(bytes, vec![permit]) {
            self.is_short.store(false, Ordering::Relaxed);
            return Some(reservation);
        }
        if !self.is_short.load(Ordering::Relaxed) {
            return None;
        }
        let overcommitted = self.overcommitted.clone().try_acquire_owned().ok()?;
        let permit = self.contents.clone().try_acquire_owned().ok()?;
        for budget in &self.shared {
            budget.add(bytes);
        }
        self.own.add(bytes);
        Some(self.reservation(bytes, vec![permit, overcommitted]))
    }

    /// Reserves bytes that this program holds for a component as long as that wants, which isn't an
    /// open content, if there is room.
    pub fn try_hold(self: &Arc<Self>, bytes: u64) -> Option<BufferReservation> {
        self.try_add(bytes, Vec::new())
    }

    /// Failure of a component that holds as many bytes as it may.
    pub fn full(&self) -> Failure {
        let used = self.own.used();
        Failure::new(
            Reason::RateLimited,
            format!("no more bytes can be held in memory beside the {used} that are held"),
        )
        .with_help("let a session have more (`buffers`)")
    }

    /// Failure of a component that leaves too many contents unread.
    pub fn exhausted(&self) -> Failure {
        let open = MAX_CONTENTS - self.contents.available_permits();
        Failure::new(
            Reason::RateLimited,
            format!(
                "{open} contents are open that aren't read, with {} bytes set aside for them",
                self.own.used()
            ),
        )
        .with_help("read them or drop them first, or let a session have more (`buffers`)")
    }

    /// Counts these bytes until their last clone is dropped. Waits for room.
    pub async fn track(self: &Arc<Self>, bytes: Bytes) -> Bytes {
        let size = bytes.len() as u64;
        loop {
            if let Some(reservation) = self.try_add(size, Vec::new()) {
                return Bytes::from_owner(TrackedBytes { bytes, _reservation: reservation });
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    fn try_add(
        self: &Arc<Self>,
        bytes: u64,
        permits: Vec<OwnedSemaphorePermit>,
    ) -> Option<BufferReservation> {
        let is_below_minimum = self.own.used() < MIN_SESSION_BYTES;
        if !self.own.try_add(bytes) {
            return None;
        }
        for (at, budget) in self.shared.iter().enumerate() {
            if is_below_minimum {
                budget.add(bytes);
            } else if !budget.try_add(bytes) {
                for budget in &self.shared[..at] {
                    budget.release(bytes);
                }
                self.own.release(bytes);
                return None;
            }
        }
        Some(self.reservation(bytes, permits))
    }

    fn reservation(
        self: &Arc<Self>,
        bytes: u64,
        permits: Vec<OwnedSemaphorePermit>,
    ) -> BufferReservation {
        self.counters.add(Count::Buffers, bytes);
        BufferReservation { buffers: self.clone(), bytes, _permits: permits }
    }
}

/// Bytes that hold their reservation.
struct TrackedBytes {
    bytes: Bytes,
    _reservation: BufferReservation,
}

impl AsRef<[u8]> for TrackedBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn session(limit: u64, shared: &[&Arc<Budget>]) -> (Arc<Buffers>, Arc<Counters>) {
        let counters = Arc::default();
        let shared = shared.iter().map(|it| Arc::clone(it));
        (Buffers::new(Some(ByteSize::mib(limit)), shared, &counters), counters)
    }

    #[tokio::test(start_paused = true)]
    async fn unread_contents_are_refused_at_last_and_others_continue() {
        let (buffers, counters) = session(32, &[]);
        let mut held = Vec::new();
        let refusal = loop {
            match buffers.reserve(2 * MIB).await {
                Ok(content) => held.push(content),
                Err(failure) => break failure,
            }
        };
        assert_eq!(held.len(), 16 + MAX_OVERCOMMITTED);
        assert_eq!(counters.get(Count::Buffers), held.len() as u64 * 2 * MIB);
        assert_eq!(refusal.reason, Reason::RateLimited);
        assert!(refusal.message.starts_with("32 contents are open"), "{refusal:?}");
        held.clear();
        assert_eq!(counters.get(Count::Buffers), 0);
        assert!(buffers.try_reserve(2 * MIB).is_some());
        let few: Vec<_> = (0..MAX_CONTENTS).filter_map(|_| buffers.try_reserve(0)).collect();
        assert_eq!(few.len(), MAX_CONTENTS);
        assert!(
            buffers.reserve(0).await.is_err(),
            "the number of contents is limited, however small they are"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_held_takes_room_and_is_no_open_content() {
        let (buffers, counters) = session(32, &[]);
        let held: Vec<_> = (0..1000).filter_map(|_| buffers.try_hold(MIB / 32)).collect();
        assert_eq!(held.len(), 1000);
        assert!(buffers.try_reserve(MIB / 2).is_some(), "contents can still be opened");
        assert!(buffers.try_hold(MIB).is_none());
        assert_eq!(buffers.full().reason, Reason::RateLimited);
        drop(held);
        assert_eq!(counters.get(Count::Buffers), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_content_waits_until_another_is_read() {
        let (buffers, _) = session(32, &[]);
        let first = buffers.reserve(31 * MIB).await.unwrap();
        let mut second = std::pin::pin!(buffers.reserve(2 * MIB));
        assert!(futures::poll!(&mut second).is_pending());
        drop(first);
        let start = tokio::time::Instant::now();
        assert!(second.await.is_ok());
        assert!(start.elapsed() < RESERVE_TIMEOUT);
    }

    #[tokio::test(start_paused = true)]
    async fn sessions_share_what_their_tenant_may_hold_and_each_goes_on() {
        let tenant = Arc::new(Budget::new(Some(ByteSize::mib(40))));
        let (one, _) = session(100, &[&tenant]);
        let (other, _) = session(100, &[&tenant]);
        let _much = one.reserve(39 * MIB).await.unwrap();
        assert!(one.try_reserve(2 * MIB).is_none());
        let few: Vec<_> = (0..5).filter_map(|_| other.try_reserve(2 * MIB)).collect();
        assert_eq!(few.len(), 4, "as much as each session may have");
        tenant.resize(Some(ByteSize::mib(60)));
        assert!(other.try_reserve(2 * MIB).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn kept_bytes_count_until_the_last_user_is_gone() {
        let (buffers, counters) = session(32, &[]);
        let mut kept = buffers.track(Bytes::from(vec![7; 1000])).await;
        let part = kept.split_to(10);
        drop(kept);
        assert_eq!((counters.get(Count::Buffers), &part[..3]), (1000, &[7, 7, 7][..]));
        drop(part);
        assert_eq!(counters.get(Count::Buffers), 0);
    }
}
