//! Limits that several sessions share: processes, bandwidth and buffered bytes.

use bytesize::ByteSize;
use leaky_bucket::RateLimiter;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use super::buffers::Budget;
use super::semaphore::{OwnedPermit, ResizableSemaphore};
use crate::connector::{Failure, Reason};

/// Interval at which the bandwidth limiter is refilled.
const REFILL_INTERVAL: Duration = Duration::from_millis(50);

/// Limits that the sessions of one tenant share, or all sessions of a service.
#[derive(Debug)]
pub struct SharedLimits {
    /// The sharing sessions, for messages: ``the tenant `a` ``.
    whose: String,
    processes: ResizableSemaphore,
    bandwidth: RwLock<Bandwidth>,
    /// Bytes that this program buffers for these sessions.
    pub buffers: Arc<Budget>,
}

/// Bandwidth in bytes a second, and its limiter.
#[derive(Debug, Default)]
struct Bandwidth {
    size: Option<ByteSize>,
    limiter: Option<Arc<RateLimiter>>,
}

impl Bandwidth {
    fn new(size: Option<ByteSize>) -> Self {
        let limiter = size.map(|size| {
            let bytes = usize::try_from(size.as_u64()).unwrap_or(usize::MAX);
            let refills = usize::try_from(1000 / REFILL_INTERVAL.as_millis()).unwrap_or(1);
            let refill = (bytes / refills).max(1);
            let mut limiter = RateLimiter::builder();
            limiter.interval(REFILL_INTERVAL).refill(refill).max(refill).initial(0);
            Arc::new(limiter.build())
        });
        Self { size, limiter }
    }
}

impl SharedLimits {
    /// Creates limits on the number of rclone processes and on the bytes a second; the
    /// buffered bytes have no limit at first.
    pub fn new(whose: String, max_processes: u32, bandwidth: Option<ByteSize>) -> Self {
        Self {
            whose,
            processes: ResizableSemaphore::new(max_processes as usize),
            bandwidth: RwLock::new(Bandwidth::new(bandwidth)),
            buffers: Arc::new(Budget::new(None)),
        }
    }

    /// Changes the limits, also for sessions that are running.
    pub fn resize(&self, max_processes: u32, bandwidth: Option<ByteSize>) {
        self.processes.resize(max_processes as usize);
        let mut present = self.bandwidth.write().unwrap_or_else(PoisonError::into_inner);
        if present.size != bandwidth {
            *present = Bandwidth::new(bandwidth);
        }
    }

    /// Waits for a permit for one more process.
    ///
    /// # Errors
    ///
    /// No process ended within `timeout`.
    pub async fn acquire_process(&self, timeout: Duration) -> Result<OwnedPermit, Failure> {
        let permit = tokio::time::timeout(timeout, self.processes.acquire()).await;
        permit.ok().flatten().ok_or_else(|| {
            Failure::new(
                Reason::RateLimited,
                format!(
                    "all of the {} rclone processes of {} were busy for {} seconds",
                    self.processes.limit(),
                    self.whose,
                    timeout.as_secs()
                ),
            )
            .with_help("try again later")
        })
    }

    /// Number of processes that are running.
    pub fn running_processes(&self) -> usize {
        self.processes.in_use()
    }

    /// Maximum number of processes.
    pub fn max_processes(&self) -> usize {
        self.processes.limit()
    }

    /// Waits until the bandwidth limit lets `bytes` pass.
    pub async fn throttle(&self, bytes: usize) {
        let limiter = {
            let present = self.bandwidth.read().unwrap_or_else(PoisonError::into_inner);
            present.limiter.clone()
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
        let shared = SharedLimits::new("all".into(), 1, Some(ByteSize::mib(1)));
        let start = tokio::time::Instant::now();
        for _ in 0..40 {
            shared.throttle(128 << 10).await;
        }
        let seconds = start.elapsed().as_secs_f64();
        assert!((4.5..5.6).contains(&seconds), "5 MiB took {seconds} s");
    }

    #[tokio::test(start_paused = true)]
    async fn changed_limits_apply_to_running_sessions() {
        let shared = SharedLimits::new("all".into(), 2, None);
        let timeout = Duration::from_secs(1);
        let first = shared.acquire_process(timeout).await.unwrap();
        shared.resize(1, Some(ByteSize::mib(1)));
        tokio::task::yield_now().await;
        assert!(
            shared.acquire_process(timeout).await.is_err(),
            "one process runs, and the limit is one"
        );
        drop(first);
        assert!(shared.acquire_process(timeout).await.is_ok());
        let start = tokio::time::Instant::now();
        shared.throttle(1 << 20).await;
        assert!(start.elapsed() > Duration::from_millis(900), "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_waits_for_a_permit_and_the_error_names_the_tenant() {
        let shared = SharedLimits::new("the tenant `a`".into(), 1, None);
        let timeout = Duration::from_secs(7);
        let first = shared.acquire_process(timeout).await.unwrap();
        assert_eq!(shared.running_processes(), 1);
        let failure = shared.acquire_process(timeout).await.unwrap_err();
        assert!(
            failure.message.contains("the 1 rclone processes of the tenant `a` were busy for 7")
        );
        drop(first);
        assert!(shared.acquire_process(timeout).await.is_ok());
    }
}
