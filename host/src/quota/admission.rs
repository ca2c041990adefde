//! Who may begin a session: a place among its tenant's sessions and one among all, or a
//! short wait for both, or the word that everything is busy.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::semaphore::{Permit, Permits};
use crate::connector::{Failure, Reason};

/// Places for sessions, and for those who wait for one.
#[derive(Debug)]
pub struct Places {
    places: Permits,
    longest_queue: AtomicUsize,
    waiting: AtomicUsize,
}

impl Places {
    /// So many sessions at the same time, and so many that wait.
    pub fn new(most: u32, longest_queue: u32) -> Self {
        let [longest_queue, waiting] = [longest_queue as usize, 0].map(AtomicUsize::new);
        Self { places: Permits::new(most as usize), longest_queue, waiting }
    }

    /// From now on so many; sessions that are above that stay until they end.
    pub fn resize(&self, most: u32, longest_queue: u32) {
        self.longest_queue.store(longest_queue as usize, Ordering::Relaxed);
        self.places.resize(most as usize);
    }

    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Sessions that have a place.
    pub fn taken(&self) -> usize {
        self.places.taken()
    }

    async fn place(&self, whose: &str) -> Result<Permit, Failure> {
        if let Some(place) = self.places.try_take() {
            return Ok(place);
        }
        let _waiting = Waiting::join(self).ok_or_else(|| {
            busy(format!(
                "{} sessions of {whose} are running, and {} more wait already",
                self.places.most(),
                self.longest_queue.load(Ordering::Relaxed)
            ))
        })?;
        self.places.take().await.ok_or_else(Failure::cancelled)
    }
}

/// One who waits.
struct Waiting<'a>(&'a Places);

impl<'a> Waiting<'a> {
    fn join(places: &'a Places) -> Option<Self> {
        let before = places.waiting.fetch_add(1, Ordering::Relaxed);
        // Dropped, it leaves again.
        Some(Self(places)).filter(|_| before < places.longest_queue.load(Ordering::Relaxed))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

fn busy(why: String) -> Failure {
    Failure::new(Reason::RateLimited, format!("the service is busy: {why}: try again later"))
}

/// A session's place, as long as it is held.
#[derive(Debug)]
pub struct Place {
    _of_tenant: Permit,
    _of_all: Permit,
}

impl Place {
    /// Waits for a place among a tenant's sessions and then for one among all.
    pub async fn wait(
        tenant: &str,
        of_tenant: &Places,
        of_all: &Places,
        patience: Duration,
    ) -> Result<Self, Failure> {
        let both = async {
            let _of_tenant = of_tenant.place(&format!("the tenant `{tenant}`")).await?;
            let _of_all = of_all.place("all tenants").await?;
            Ok(Self { _of_tenant, _of_all })
        };
        match tokio::time::timeout(patience, both).await {
            Ok(place) => place,
            Err(_) => Err(busy(format!("no session ended within {} seconds", patience.as_secs()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    const PATIENCE: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn a_session_gets_a_place_waits_for_one_or_hears_that_all_are_busy() {
        let (tenant, all) = (Arc::new(Places::new(1, 1)), Arc::new(Places::new(9, 9)));
        let wait = || {
            let (tenant, all) = (tenant.clone(), all.clone());
            tokio::spawn(async move { Place::wait("a", &tenant, &all, PATIENCE).await })
        };
        let first = wait().await.unwrap().unwrap();
        let second = wait();
        tokio::task::yield_now().await;
        assert_eq!((tenant.taken(), tenant.waiting()), (1, 1));
        let third = wait().await.unwrap().unwrap_err();
        assert!(
            third.message.contains("1 sessions of the tenant `a` are running, and 1 more wait")
        );
        drop(first);
        let second = second.await.unwrap().unwrap();
        let late = wait().await.unwrap().unwrap_err();
        assert!(late.message.contains("no session ended within 5 seconds"), "{}", late.message);
        drop(second);
        assert_eq!((tenant.taken(), tenant.waiting(), all.taken()), (0, 0, 0));
    }
}
