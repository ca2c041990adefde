//! Admission of sessions. A session takes a permit of its tenant's queue and one of the queue
//! of all tenants, and waits for both for a limited time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::semaphore::{OwnedPermit, ResizableSemaphore};
use crate::connector::{Failure, Reason};

/// Permits for sessions, and a queue of limited length for those that wait for one.
#[derive(Debug)]
pub struct AdmissionQueue {
    permits: ResizableSemaphore,
    max_waiting: AtomicUsize,
    waiting: AtomicUsize,
}

impl AdmissionQueue {
    /// Creates a queue that admits `max_sessions` at the same time and lets `max_waiting` wait.
    pub fn new(max_sessions: u32, max_waiting: u32) -> Self {
        Self {
            permits: ResizableSemaphore::new(max_sessions as usize),
            max_waiting: AtomicUsize::new(max_waiting as usize),
            waiting: AtomicUsize::new(0),
        }
    }

    /// Changes both limits. Sessions above a lower limit keep their permits until they end.
    pub fn resize(&self, max_sessions: u32, max_waiting: u32) {
        self.max_waiting.store(max_waiting as usize, Ordering::Relaxed);
        self.permits.resize(max_sessions as usize);
    }

    /// Number of sessions that wait for a permit.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Number of sessions that have a permit.
    pub fn admitted(&self) -> usize {
        self.permits.in_use()
    }

    async fn acquire(&self, whose: &str) -> Result<OwnedPermit, Failure> {
        if let Some(permit) = self.permits.try_acquire() {
            return Ok(permit);
        }
        let _waiter = Waiter::enter(self).ok_or_else(|| {
            busy(format!(
                "{} sessions of {whose} are running, and {} more wait already",
                self.permits.limit(),
                self.max_waiting.load(Ordering::Relaxed)
            ))
        })?;
        self.permits.acquire().await.ok_or_else(Failure::cancelled)
    }
}

/// A session that waits; it leaves the queue when this is dropped.
struct Waiter<'a>(&'a AdmissionQueue);

impl<'a> Waiter<'a> {
    /// Enters the queue, if there is room.
    fn enter(queue: &'a AdmissionQueue) -> Option<Self> {
        let before = queue.waiting.fetch_add(1, Ordering::Relaxed);
        let waiter = Self(queue);
        if before < queue.max_waiting.load(Ordering::Relaxed) { Some(waiter) } else { None }
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

fn busy(why: String) -> Failure {
    Failure::new(Reason::RateLimited, format!("the service is busy: {why}"))
        .with_help("try again later")
}

/// Permit of a running session, which is returned when this is dropped.
#[derive(Debug)]
pub struct SessionPermit {
    _tenant: OwnedPermit,
    _global: OwnedPermit,
}

impl SessionPermit {
    /// Waits for a permit of the tenant's queue, and then for one of the queue of all tenants.
    ///
    /// # Errors
    ///
    /// A queue is full, or no session ended within `timeout`.
    pub async fn acquire(
        name: &str,
        tenant: &AdmissionQueue,
        global: &AdmissionQueue,
        timeout: Duration,
    ) -> Result<Self, Failure> {
        let both = async {
            let _tenant = tenant.acquire(&format!("the tenant `{name}`")).await?;
            let _global = global.acquire("all tenants").await?;
            Ok(Self { _tenant, _global })
        };
        match tokio::time::timeout(timeout, both).await {
            Ok(permit) => permit,
            Err(_) => Err(busy(format!("no session ended within {} seconds", timeout.as_secs()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    const TIMEOUT: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn a_session_is_admitted_waits_or_is_refused() {
        let (tenant, all) =
            (Arc::new(AdmissionQueue::new(1, 1)), Arc::new(AdmissionQueue::new(9, 9)));
        let acquire = || {
            let (tenant, all) = (tenant.clone(), all.clone());
            tokio::spawn(async move { SessionPermit::acquire("a", &tenant, &all, TIMEOUT).await })
        };
        let first = acquire().await.unwrap().unwrap();
        let second = acquire();
        tokio::task::yield_now().await;
        assert_eq!((tenant.admitted(), tenant.waiting()), (1, 1));
        let third = acquire().await.unwrap().unwrap_err();
        assert!(
            third.message.contains("1 sessions of the tenant `a` are running, and 1 more wait")
        );
        drop(first);
        let second = second.await.unwrap().unwrap();
        let late = acquire().await.unwrap().unwrap_err();
        assert!(late.message.contains("no session ended within 5 seconds"), "{}", late.message);
        drop(second);
        assert_eq!((tenant.admitted(), tenant.waiting(), all.admitted()), (0, 0, 0));
    }
}
