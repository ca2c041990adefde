//! Permits for so many at the same time, of which there may be more or fewer later.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A number of permits.
#[derive(Debug)]
pub struct Permits {
    semaphore: Arc<Semaphore>,
    numbers: Arc<Mutex<Numbers>>,
}

#[derive(Debug)]
struct Numbers {
    most: usize,
    taken: usize,
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub struct Permit {
    permit: Option<OwnedSemaphorePermit>,
    numbers: Arc<Mutex<Numbers>>,
}

impl Permits {
    pub fn new(most: usize) -> Self {
        let numbers = Arc::new(Mutex::new(Numbers { most, taken: 0 }));
        Self { semaphore: Arc::new(Semaphore::new(most)), numbers }
    }

    /// From now on so many; those that are taken above that stay taken until they are given
    /// back, before anybody else has one.
    pub fn resize(&self, most: usize) {
        let mut numbers = locked(&self.numbers);
        // What is taken above the most is forgotten when it is given back.
        let [before, after] = [numbers.most, most].map(|most| most.max(numbers.taken));
        self.semaphore.add_permits(after.saturating_sub(before));
        self.semaphore.forget_permits(before.saturating_sub(after));
        numbers.most = most;
    }

    pub fn most(&self) -> usize {
        locked(&self.numbers).most
    }

    pub fn taken(&self) -> usize {
        locked(&self.numbers).taken
    }

    /// One that is there at once.
    pub fn try_take(&self) -> Option<Permit> {
        self.semaphore.clone().try_acquire_owned().ok().map(|permit| self.of(permit))
    }

    /// One, as soon as there is one. It is never refused: nobody closes the semaphore.
    pub async fn take(&self) -> Option<Permit> {
        self.semaphore.clone().acquire_owned().await.ok().map(|permit| self.of(permit))
    }

    fn of(&self, permit: OwnedSemaphorePermit) -> Permit {
        locked(&self.numbers).taken += 1;
        Permit { permit: Some(permit), numbers: self.numbers.clone() }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut numbers = locked(&self.numbers);
        let above = numbers.taken > numbers.most;
        numbers.taken -= 1;
        let permit = self.permit.take();
        if above {
            permit.into_iter().for_each(OwnedSemaphorePermit::forget);
        } else {
            drop(permit);
        }
    }
}

fn locked(numbers: &Mutex<Numbers>) -> MutexGuard<'_, Numbers> {
    numbers.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn fewer_are_there_as_they_are_given_back_and_more_at_once() {
        let permits = Permits::new(2);
        let (first, second) = (permits.try_take().unwrap(), permits.try_take().unwrap());
        permits.resize(1);
        let mut waiting = std::pin::pin!(permits.take());
        assert!(futures::poll!(&mut waiting).is_pending());
        assert_eq!((permits.taken(), permits.most()), (2, 1));
        drop(first);
        assert!(futures::poll!(&mut waiting).is_pending(), "one is taken, and one is all there is");
        drop(second);
        drop(waiting.await);
        let third = permits.try_take().unwrap();
        assert!(permits.try_take().is_none());
        permits.resize(3);
        let more = (permits.try_take().unwrap(), permits.take().await.unwrap());
        assert_eq!((permits.taken(), permits.most()), (3, 3));
        drop((third, more));
        assert_eq!(permits.taken(), 0);
    }
}
