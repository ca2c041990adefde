//! Permits for so many at the same time, of which there may be more or fewer later.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A number of permits.
#[derive(Debug)]
pub struct Permits {
    most: AtomicUsize,
    semaphore: Arc<Semaphore>,
}

impl Permits {
    pub fn new(most: usize) -> Self {
        Self { most: AtomicUsize::new(most), semaphore: Arc::new(Semaphore::new(most)) }
    }

    /// From now on so many; those that are taken above that stay taken until they are given
    /// back.
    pub fn resize(&self, most: usize) {
        let before = self.most.swap(most, Ordering::Relaxed);
        if most >= before {
            self.semaphore.add_permits(most - before);
            return;
        }
        let fewer = before - most;
        let left = fewer - self.semaphore.forget_permits(fewer);
        let semaphore = self.semaphore.clone();
        if let Ok(left) = u32::try_from(left)
            && left > 0
        {
            tokio::spawn(async move {
                if let Ok(permits) = semaphore.acquire_many_owned(left).await {
                    permits.forget();
                }
            });
        }
    }

    pub fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }

    pub fn taken(&self) -> usize {
        self.most().saturating_sub(self.semaphore.available_permits())
    }

    /// One that is there at once.
    pub fn try_take(&self) -> Option<OwnedSemaphorePermit> {
        self.semaphore.clone().try_acquire_owned().ok()
    }

    /// One, as soon as there is one. It is never refused: nobody closes the semaphore.
    pub async fn take(&self) -> Option<OwnedSemaphorePermit> {
        self.semaphore.clone().acquire_owned().await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn fewer_are_there_as_they_are_given_back_and_more_at_once() {
        let permits = Permits::new(2);
        let (first, second) = (permits.try_take().unwrap(), permits.try_take().unwrap());
        permits.resize(1);
        tokio::task::yield_now().await;
        drop(first);
        tokio::task::yield_now().await;
        assert!(permits.try_take().is_none(), "one is taken, and one is all there is");
        drop(second);
        let third = permits.try_take().unwrap();
        assert!(permits.try_take().is_none());
        permits.resize(3);
        let more = (permits.try_take().unwrap(), permits.take().await.unwrap());
        assert_eq!((permits.taken(), permits.most()), (3, 3));
        drop((third, more));
        assert_eq!(permits.taken(), 0);
    }
}
