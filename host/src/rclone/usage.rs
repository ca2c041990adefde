//! What a session uses up of what its policy lets it have: processes and disk, and how
//! many bytes went through its pipes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::contract::{Failure, Reason};
use crate::policy::Limits;

/// How long a process may wait for others to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// Bytes that went through pipes.
#[derive(Debug, Default)]
pub struct Tally {
    /// To rclone.
    pub bytes_in: AtomicU64,
    /// From rclone.
    pub bytes_out: AtomicU64,
}

impl Tally {
    pub fn took(&self, bytes: u64) {
        self.bytes_in.fetch_add(bytes, Ordering::Relaxed);
    }

    pub fn gave(&self, bytes: u64) {
        self.bytes_out.fetch_add(bytes, Ordering::Relaxed);
    }

    pub fn both(&self) -> (u64, u64) {
        (self.bytes_in.load(Ordering::Relaxed), self.bytes_out.load(Ordering::Relaxed))
    }
}

/// What one session uses.
pub struct Usage {
    places: Arc<Semaphore>,
    most: u32,
    disk: AtomicU64,
    most_disk: u64,
    /// Processes that were started.
    pub processes: AtomicU64,
    /// What went through the pipes of those that ended.
    pub tally: Tally,
}

impl Usage {
    pub fn of(limits: &Limits) -> Self {
        let most = limits.processes.unwrap_or(u32::MAX);
        let places = usize::try_from(most).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Self {
            places: Arc::new(Semaphore::new(places)),
            most,
            disk: AtomicU64::new(0),
            most_disk: limits.temporary_disk.map_or(u64::MAX, |size| size.as_u64()),
            processes: AtomicU64::new(0),
            tally: Tally::default(),
        }
    }

    /// A place for one more process, once there is one.
    pub async fn place(&self) -> Result<OwnedSemaphorePermit, Failure> {
        let place = tokio::time::timeout(PATIENCE, self.places.clone().acquire_owned()).await;
        match place {
            Ok(Ok(place)) => {
                self.processes.fetch_add(1, Ordering::Relaxed);
                Ok(place)
            }
            _ => Err(Failure::new(
                Reason::RateLimited,
                format!(
                    "all of the {} rclone processes that the policy lets a session have were busy for a minute: let it have more (`processes`), or ask for less (`streams`)",
                    self.most
                ),
            )),
        }
    }

    /// Takes some of the disk; what was taken is to be given back even where it is refused.
    pub fn take_disk(&self, bytes: u64) -> Result<(), Failure> {
        let taken = self.disk.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        if taken <= self.most_disk {
            return Ok(());
        }
        Err(Failure::new(
            Reason::RateLimited,
            format!(
                "the policy lets a session keep {} bytes on this machine's disk: let it have more (`temporary-disk`)",
                self.most_disk
            ),
        ))
    }

    pub fn give_back_disk(&self, bytes: u64) {
        self.disk.fetch_sub(bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytesize::ByteSize;

    #[test]
    fn disk_that_was_given_back_can_be_taken_again() {
        let limits = Limits { temporary_disk: Some(ByteSize(100)), ..Limits::default() };
        let usage = Usage::of(&limits);
        assert!(usage.take_disk(60).is_ok());
        assert_eq!(usage.take_disk(60).unwrap_err().reason, Reason::RateLimited);
        usage.give_back_disk(60);
        usage.give_back_disk(60);
        assert!(usage.take_disk(100).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_waits_for_a_place_for_a_minute_at_most() {
        let limits = Limits { processes: Some(1), ..Limits::default() };
        let usage = Usage::of(&limits);
        let first = usage.place().await.unwrap();
        assert_eq!(usage.place().await.unwrap_err().reason, Reason::RateLimited);
        drop(first);
        assert!(usage.place().await.is_ok());
    }
}
