//! The bytes that this program itself holds on their way: counted for their session, its
//! tenant and the service. Above what these may have, no more are taken before some are gone.
//!
//! What a content may come to is set aside before it is asked for, so that one that is read
//! never waits for one that isn't.

use bytes::Bytes;
use bytesize::ByteSize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::counters::{Account, Count};
use crate::connector::{Failure, Reason};

/// How many contents a component may have that aren't at their end: twice as many as are read
/// ahead at most.
const CONTENTS: usize = 256;

/// What a session may hold whatever its tenant and all others do, so that it goes on.
const FLOOR: u64 = 8 << 20;

/// How many contents are let in when there was no room for long: the one that Plakar waits for
/// may come after many that it doesn't want yet.
const SPARE: usize = 16;

/// How long a content waits for room, before it is let in all the same or refused.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often one that waits looks.
const LOOK: Duration = Duration::from_millis(5);

/// How many bytes some have together, and may have.
#[derive(Debug)]
pub struct Budget {
    most: AtomicU64,
    held: AtomicU64,
}

impl Budget {
    pub fn new(most: Option<ByteSize>) -> Self {
        let budget = Self { most: AtomicU64::default(), held: AtomicU64::default() };
        budget.resize(most);
        budget
    }

    pub fn resize(&self, most: Option<ByteSize>) {
        self.most.store(most.map_or(u64::MAX, |size| size.as_u64()), Ordering::Relaxed);
    }

    fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// Takes some, if they are there.
    fn try_take(&self, bytes: u64) -> bool {
        let most = self.most.load(Ordering::Relaxed);
        let fits = |held: u64| held.checked_add(bytes).filter(|sum| *sum <= most || held == 0);
        self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
    }

    /// Takes some, whether they are there or not.
    fn take(&self, bytes: u64) {
        self.held.fetch_add(bytes, Ordering::Relaxed);
    }

    fn give_back(&self, bytes: u64) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// What one session may hold.
#[derive(Debug)]
pub struct Buffers {
    own: Budget,
    /// Of its tenant, and of the service.
    shared: Vec<Arc<Budget>>,
    contents: Arc<Semaphore>,
    spare: Arc<Semaphore>,
    /// Whether one has waited in vain since there was room.
    is_short: AtomicBool,
    account: Arc<Account>,
}

/// Some of it, until this is dropped.
#[derive(Debug)]
pub struct Held {
    buffers: Arc<Buffers>,
    bytes: u64,
    _places: Vec<OwnedSemaphorePermit>,
}

impl Drop for Held {
    fn drop(&mut self) {
        let Self { buffers, bytes, .. } = self;
        let shared = buffers.shared.iter().map(Arc::as_ref);
        shared.chain([&buffers.own]).for_each(|budget| budget.give_back(*bytes));
        buffers.account.take(Count::Buffers, *bytes);
    }
}

impl Buffers {
    pub fn new(
        most: Option<ByteSize>,
        shared: impl Iterator<Item = Arc<Budget>>,
        account: &Arc<Account>,
    ) -> Arc<Self> {
        Arc::new(Self {
            own: Budget::new(most),
            shared: shared.collect(),
            contents: Arc::new(Semaphore::new(CONTENTS)),
            spare: Arc::new(Semaphore::new(SPARE)),
            is_short: AtomicBool::new(false),
            account: account.clone(),
        })
    }

    /// Room for a content that comes to so many bytes here.
    ///
    /// # Errors
    ///
    /// There was none for a while, as too many contents are open that nobody reads.
    pub async fn content(self: &Arc<Self>, bytes: u64) -> Result<Held, Failure> {
        if let Some(held) = self.content_at_once(bytes) {
            return Ok(held);
        }
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                tokio::time::sleep(LOOK).await;
                if let Some(held) = self.content_at_once(bytes) {
                    return held;
                }
            }
        });
        if let Ok(held) = waited.await {
            return Ok(held);
        }
        self.is_short.store(true, Ordering::Relaxed);
        self.content_at_once(bytes).ok_or_else(|| self.refusal())
    }

    /// The same without waiting.
    pub fn content_at_once(self: &Arc<Self>, bytes: u64) -> Option<Held> {
        let place = self.contents.clone().try_acquire_owned().ok()?;
        if let Some(held) = self.try_hold(bytes, vec![place]) {
            self.is_short.store(false, Ordering::Relaxed);
            return Some(held);
        }
        let is_short = self.is_short.load(Ordering::Relaxed);
        let spare = is_short.then(|| self.spare.clone().try_acquire_owned().ok()).flatten()?;
        let place = self.contents.clone().try_acquire_owned().ok()?;
        self.shared.iter().map(Arc::as_ref).chain([&self.own]).for_each(|it| it.take(bytes));
        Some(self.held(bytes, vec![place, spare]))
    }

    /// What a component hears that leaves contents unread.
    pub fn refusal(&self) -> Failure {
        let open = CONTENTS - self.contents.available_permits();
        Failure::new(
            Reason::RateLimited,
            format!(
                "{open} contents are open that aren't read, with {} bytes set aside for them: read them or drop them first, or let a session have more (`buffers`)",
                self.own.held()
            ),
        )
    }

    /// These bytes, which count until the last of their users is gone, once there is room.
    pub async fn keep(self: &Arc<Self>, bytes: Bytes) -> Bytes {
        let size = bytes.len() as u64;
        loop {
            if let Some(held) = self.try_hold(size, Vec::new()) {
                return Bytes::from_owner(Kept { bytes, _held: held });
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn try_hold(self: &Arc<Self>, bytes: u64, places: Vec<OwnedSemaphorePermit>) -> Option<Held> {
        let has_little = self.own.held() < FLOOR;
        if !self.own.try_take(bytes) {
            return None;
        }
        for (at, budget) in self.shared.iter().enumerate() {
            if has_little {
                budget.take(bytes);
            } else if !budget.try_take(bytes) {
                self.shared[..at].iter().for_each(|budget| budget.give_back(bytes));
                self.own.give_back(bytes);
                return None;
            }
        }
        Some(self.held(bytes, places))
    }

    fn held(self: &Arc<Self>, bytes: u64, places: Vec<OwnedSemaphorePermit>) -> Held {
        self.account.add(Count::Buffers, bytes);
        Held { buffers: self.clone(), bytes, _places: places }
    }
}

/// Bytes that count.
struct Kept {
    bytes: Bytes,
    _held: Held,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn session(most: u64, shared: &[&Arc<Budget>]) -> (Arc<Buffers>, Arc<Account>) {
        let account = Arc::default();
        let shared = shared.iter().map(|it| Arc::clone(it));
        (Buffers::new(Some(ByteSize::mib(most)), shared, &account), account)
    }

    #[tokio::test(start_paused = true)]
    async fn contents_that_nobody_reads_are_refused_at_last_and_others_go_on() {
        let (buffers, account) = session(32, &[]);
        let mut held = Vec::new();
        let refusal = loop {
            match buffers.content(2 * MIB).await {
                Ok(content) => held.push(content),
                Err(failure) => break failure,
            }
        };
        assert_eq!(held.len(), 16 + SPARE);
        assert_eq!(account.get(Count::Buffers), held.len() as u64 * 2 * MIB);
        assert_eq!(refusal.reason, Reason::RateLimited);
        assert!(refusal.message.starts_with("32 contents are open"), "{refusal:?}");
        held.clear();
        assert_eq!(account.get(Count::Buffers), 0);
        assert!(buffers.content_at_once(2 * MIB).is_some());
        let few: Vec<_> = (0..CONTENTS).filter_map(|_| buffers.content_at_once(0)).collect();
        assert_eq!(few.len(), CONTENTS);
        assert!(buffers.content(0).await.is_err(), "they are too many, however small");
    }

    #[tokio::test(start_paused = true)]
    async fn a_content_waits_until_another_is_read() {
        let (buffers, _) = session(32, &[]);
        let first = buffers.content(31 * MIB).await.unwrap();
        let mut second = std::pin::pin!(buffers.content(2 * MIB));
        assert!(futures::poll!(&mut second).is_pending());
        drop(first);
        let start = tokio::time::Instant::now();
        assert!(second.await.is_ok());
        assert!(start.elapsed() < PATIENCE);
    }

    #[tokio::test(start_paused = true)]
    async fn sessions_share_what_their_tenant_may_hold_and_each_goes_on() {
        let tenant = Arc::new(Budget::new(Some(ByteSize::mib(40))));
        let (one, _) = session(100, &[&tenant]);
        let (other, _) = session(100, &[&tenant]);
        let _much = one.content(39 * MIB).await.unwrap();
        assert!(one.content_at_once(2 * MIB).is_none());
        let few: Vec<_> = (0..5).filter_map(|_| other.content_at_once(2 * MIB)).collect();
        assert_eq!(few.len(), 4, "as much as each session may have");
        tenant.resize(Some(ByteSize::mib(60)));
        assert!(other.content_at_once(2 * MIB).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn kept_bytes_count_until_the_last_user_is_gone() {
        let (buffers, account) = session(32, &[]);
        let mut kept = buffers.keep(Bytes::from(vec![7; 1000])).await;
        let part = kept.split_to(10);
        drop(kept);
        assert_eq!((account.get(Count::Buffers), &part[..3]), (1000, &[7, 7, 7][..]));
        drop(part);
        assert_eq!(account.get(Count::Buffers), 0);
    }
}
