//! What a session uses up of what its policy lets it have, processes and disk, and of what
//! it shares with other sessions.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::account::{Account, Count};
use crate::contract::{Failure, Reason};
use crate::policy::Limits;
use crate::tenant::{Hosted, OfSession, Permit, Place, Share};

/// How long a process may wait for others to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// What one session uses.
pub struct Usage {
    places: Arc<Semaphore>,
    most: u32,
    disk: AtomicU64,
    most_disk: u64,
    /// What it shares with other sessions of its tenant, and with all of a service.
    shares: Vec<Arc<Share>>,
    pub account: Arc<Account>,
    /// The control group of its processes, if they have one.
    pub group: Option<OfSession>,
    /// Its place among the sessions of a service.
    _place: Option<Place>,
}

/// What one process takes of all this while it runs.
#[derive(Debug)]
pub struct Taken {
    _place: OwnedSemaphorePermit,
    _shared: Vec<Permit>,
    shares: Vec<Arc<Share>>,
    account: Arc<Account>,
    pid: Option<i32>,
}

impl Taken {
    /// Notes which process it is for.
    pub fn by(&mut self, pid: Option<i32>) {
        self.pid = pid;
        self.shares.iter().for_each(|share| pid.into_iter().for_each(|pid| share.runs(pid)));
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.shares.iter().for_each(|share| self.pid.into_iter().for_each(|pid| share.ended(pid)));
        self.account.take(Count::Running, 1);
    }
}

impl Usage {
    pub fn of(limits: &Limits, hosted: Hosted) -> Self {
        let most = limits.processes.unwrap_or(u32::MAX);
        let places = usize::try_from(most).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Self {
            places: Arc::new(Semaphore::new(places)),
            most,
            disk: AtomicU64::new(0),
            most_disk: limits.temporary_disk.map_or(u64::MAX, |size| size.as_u64()),
            shares: hosted.shares,
            account: hosted.account,
            group: hosted.group,
            _place: hosted.place,
        }
    }

    /// A place for one more process, once there is one.
    pub async fn place(&self) -> Result<Taken, Failure> {
        let place = tokio::time::timeout(PATIENCE, self.places.clone().acquire_owned()).await;
        let Ok(Ok(place)) = place else {
            return Err(Failure::new(
                Reason::RateLimited,
                format!(
                    "all of the {} rclone processes that the policy lets a session have were busy for a minute: let it have more (`processes`), or ask for less (`streams`)",
                    self.most
                ),
            ));
        };
        let mut shared = Vec::new();
        for share in &self.shares {
            shared.push(share.process(PATIENCE).await?);
        }
        self.account.add(Count::Started, 1);
        self.account.add(Count::Running, 1);
        let (shares, account) = (self.shares.clone(), self.account.clone());
        Ok(Taken { _place: place, _shared: shared, shares, account, pid: None })
    }

    /// How far a new process stands back: a tenant's processes together get the
    /// processor's time of two, however many they are, where others want it.
    pub fn niceness(&self) -> i32 {
        // The new one has its place already.
        let others = self.shares.first().map_or(0, |tenant| tenant.running().saturating_sub(1));
        i32::try_from(others).unwrap_or(i32::MAX).saturating_mul(3).min(19)
    }

    /// Waits until so many bytes may pass.
    pub async fn pace(&self, bytes: usize) {
        for share in &self.shares {
            share.pace(bytes).await;
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
        let usage = Usage::of(&limits, Hosted::default());
        assert!(usage.take_disk(60).is_ok());
        assert_eq!(usage.take_disk(60).unwrap_err().reason, Reason::RateLimited);
        usage.give_back_disk(60);
        usage.give_back_disk(60);
        assert!(usage.take_disk(100).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_waits_for_a_place_for_a_minute_at_most() {
        let limits = Limits { processes: Some(1), ..Limits::default() };
        let usage = Usage::of(&limits, Hosted::default());
        let first = usage.place().await.unwrap();
        assert_eq!(usage.place().await.unwrap_err().reason, Reason::RateLimited);
        drop(first);
        assert!(usage.place().await.is_ok());
    }
}
