//! What several sessions share: processes, bytes a second, and bytes that are on their way.

use bytesize::ByteSize;
use leaky_bucket::RateLimiter;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use super::buffers::Budget;
use super::semaphore::{Permit, Permits};
use crate::connector::{Failure, Reason};

/// How often bytes are allowed anew.
const BEAT: Duration = Duration::from_millis(50);

/// What the sessions of one tenant share, or all sessions of a service.
#[derive(Debug)]
pub struct Share {
    /// Whose it is, for messages: ``the tenant `a` ``.
    whose: String,
    processes: Permits,
    bandwidth: RwLock<Bandwidth>,
    /// What this program holds of them on its way.
    pub buffers: Arc<Budget>,
}

/// How many bytes may pass a second, and what lets them.
#[derive(Debug, Default)]
struct Bandwidth {
    size: Option<ByteSize>,
    limiter: Option<Arc<RateLimiter>>,
}

impl Bandwidth {
    fn new(size: Option<ByteSize>) -> Self {
        let limiter = size.map(|size| {
            let bytes = usize::try_from(size.as_u64()).unwrap_or(usize::MAX);
            let beats = usize::try_from(1000 / BEAT.as_millis()).unwrap_or(1);
            let each = (bytes / beats).max(1);
            let mut limiter = RateLimiter::builder();
            Arc::new(limiter.interval(BEAT).refill(each).max(each).initial(0).build())
        });
        Self { size, limiter }
    }
}

impl Share {
    /// A share of so many rclone processes at the same time and bytes a second, with as many
    /// bytes on their way as there are.
    pub fn new(whose: String, processes: u32, bandwidth: Option<ByteSize>) -> Self {
        Self {
            whose,
            processes: Permits::new(processes as usize),
            bandwidth: RwLock::new(Bandwidth::new(bandwidth)),
            buffers: Arc::new(Budget::new(None)),
        }
    }

    /// From now on so many and so much, whoever shares it already.
    pub fn resize(&self, processes: u32, bandwidth: Option<ByteSize>) {
        self.processes.resize(processes as usize);
        let mut now = self.bandwidth.write().unwrap_or_else(PoisonError::into_inner);
        if now.size != bandwidth {
            *now = Bandwidth::new(bandwidth);
        }
    }

    /// A place for one more process, once there is one.
    pub async fn process(&self, patience: Duration) -> Result<Permit, Failure> {
        let place = tokio::time::timeout(patience, self.processes.take()).await;
        place.ok().flatten().ok_or_else(|| {
            Failure::new(
                Reason::RateLimited,
                format!(
                    "all of the {} rclone processes of {} were busy for {} seconds: try again later",
                    self.processes.most(),
                    self.whose,
                    patience.as_secs()
                ),
            )
        })
    }

    /// How many processes are running.
    pub fn running(&self) -> usize {
        self.processes.taken()
    }

    /// How many may run.
    pub fn processes(&self) -> usize {
        self.processes.most()
    }

    /// Waits until so many bytes may pass.
    pub async fn pace(&self, bytes: usize) {
        let limiter = {
            let now = self.bandwidth.read().unwrap_or_else(PoisonError::into_inner);
            now.limiter.clone()
        };
        if let Some(limiter) = limiter {
            limiter.acquire(bytes).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn bytes_pass_as_fast_as_they_may_and_no_faster() {
        let share = Share::new("all".into(), 1, Some(ByteSize::mib(1)));
        let start = tokio::time::Instant::now();
        for _ in 0..40 {
            share.pace(128 << 10).await;
        }
        let seconds = start.elapsed().as_secs_f64();
        assert!((4.5..5.6).contains(&seconds), "5 MiB took {seconds} s");
    }

    #[tokio::test(start_paused = true)]
    async fn who_shares_already_is_held_to_what_changes() {
        let share = Share::new("all".into(), 2, None);
        let patience = Duration::from_secs(1);
        let first = share.process(patience).await.unwrap();
        share.resize(1, Some(ByteSize::mib(1)));
        tokio::task::yield_now().await;
        assert!(share.process(patience).await.is_err(), "one runs, and one is all there is");
        drop(first);
        assert!(share.process(patience).await.is_ok());
        let start = tokio::time::Instant::now();
        share.pace(1 << 20).await;
        assert!(start.elapsed() > Duration::from_millis(900), "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_waits_for_a_place_and_then_says_whose_there_is_none() {
        let share = Share::new("the tenant `a`".into(), 1, None);
        let patience = Duration::from_secs(7);
        let first = share.process(patience).await.unwrap();
        assert_eq!(share.running(), 1);
        let failure = share.process(patience).await.unwrap_err();
        assert!(
            failure.message.contains("the 1 rclone processes of the tenant `a` were busy for 7")
        );
        drop(first);
        assert!(share.process(patience).await.is_ok());
    }
}
