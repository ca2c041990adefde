//! A semaphore whose number of permits can be changed while permits are in use.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A semaphore with a limit that can be raised and lowered.
#[derive(Debug)]
pub struct ResizableSemaphore {
    semaphore: Arc<Semaphore>,
    usage: Arc<Mutex<Usage>>,
}

#[derive(Debug)]
struct Usage {
    limit: usize,
    in_use: usize,
}

/// A permit, which is returned when it is dropped.
#[derive(Debug)]
pub struct OwnedPermit {
    permit: Option<OwnedSemaphorePermit>,
    usage: Arc<Mutex<Usage>>,
}

impl ResizableSemaphore {
    /// Creates a semaphore with `limit` permits.
    pub fn new(limit: usize) -> Self {
        let usage = Arc::new(Mutex::new(Usage { limit, in_use: 0 }));
        Self { semaphore: Arc::new(Semaphore::new(limit)), usage }
    }

    /// Changes the limit. Permits above a lower limit stay valid; they are returned before a
    /// new one is given out.
    pub fn resize(&self, limit: usize) {
        let mut usage = lock(&self.usage);
        // Permits above the limit are forgotten when they are returned.
        let before = usage.limit.max(usage.in_use);
        let after = limit.max(usage.in_use);
        self.semaphore.add_permits(after.saturating_sub(before));
        self.semaphore.forget_permits(before.saturating_sub(after));
        usage.limit = limit;
    }

    /// Maximum number of permits.
    pub fn limit(&self) -> usize {
        lock(&self.usage).limit
    }

    /// Number of permits that are in use.
    pub fn in_use(&self) -> usize {
        lock(&self.usage).in_use
    }

    /// Takes a permit, if one is available.
    pub fn try_acquire(&self) -> Option<OwnedPermit> {
        self.semaphore.clone().try_acquire_owned().ok().map(|permit| self.issue(permit))
    }

    /// Waits for a permit. The semaphore is never closed, so this is never `None`.
    pub async fn acquire(&self) -> Option<OwnedPermit> {
        self.semaphore.clone().acquire_owned().await.ok().map(|permit| self.issue(permit))
    }

    fn issue(&self, permit: OwnedSemaphorePermit) -> OwnedPermit {
        lock(&self.usage).in_use += 1;
        OwnedPermit { permit: Some(permit), usage: self.usage.clone() }
    }
}

impl Drop for OwnedPermit {
    fn drop(&mut self) {
        let mut usage = lock(&self.usage);
        let is_above_limit = usage.in_use > usage.limit;
        usage.in_use -= 1;
        if let Some(permit) = self.permit.take()
            && is_above_limit
        {
            permit.forget();
        }
    }
}

fn lock(usage: &Mutex<Usage>) -> MutexGuard<'_, Usage> {
    usage.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn fewer_are_there_as_they_are_given_back_and_more_at_once() {
        let semaphore = ResizableSemaphore::new(2);
        let (first, second) = (semaphore.try_acquire().unwrap(), semaphore.try_acquire().unwrap());
        semaphore.resize(1);
        let mut waiting = std::pin::pin!(semaphore.acquire());
        assert!(futures::poll!(&mut waiting).is_pending());
        assert_eq!((semaphore.in_use(), semaphore.limit()), (2, 1));
        drop(first);
        assert!(
            futures::poll!(&mut waiting).is_pending(),
            "one permit is in use, and the limit is one"
        );
        drop(second);
        drop(waiting.await);
        let third = semaphore.try_acquire().unwrap();
        assert!(semaphore.try_acquire().is_none());
        semaphore.resize(3);
        let more = (semaphore.try_acquire().unwrap(), semaphore.acquire().await.unwrap());
        assert_eq!((semaphore.in_use(), semaphore.limit()), (3, 3));
        drop((third, more));
        assert_eq!(semaphore.in_use(), 0);
    }
}
