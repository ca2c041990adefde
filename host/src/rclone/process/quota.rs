//! What a session uses up of what its policy lets it have, processes and disk, and of what
//! it shares with other sessions.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::connector::{Failure, Reason};
use crate::policy::Limits;
use crate::quota::SessionQuota;
use crate::quota::admission::SessionPermit;
use crate::quota::buffers::Buffers;
use crate::quota::cgroups::SessionCgroup;
use crate::quota::counters::{Count, Counters};
use crate::quota::semaphore::OwnedPermit;
use crate::quota::shared::SharedLimits;

/// How long a process may wait for others to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// How many batches a component has at most, and how many of their files are filled at the
/// same time: each is a descriptor of this program's.
const BATCHES: usize = 64;
const FILLED: usize = 64;

/// What one session uses.
pub struct Usage {
    places: Arc<Semaphore>,
    most: u32,
    disk: AtomicU64,
    most_disk: u64,
    files: AtomicU64,
    most_files: u64,
    batches: Arc<Semaphore>,
    filled: Arc<Semaphore>,
    /// What this program holds of it on its way.
    pub buffers: Arc<Buffers>,
    /// What it shares with other sessions of its tenant, and with all of a service.
    shares: Vec<Arc<SharedLimits>>,
    pub account: Arc<Counters>,
    /// The control group of its processes, if they have one.
    pub group: Option<SessionCgroup>,
    /// Its place among the sessions of a service.
    _place: Option<SessionPermit>,
}

/// What one process takes of all this while it runs.
#[derive(Debug)]
pub struct Taken {
    _place: OwnedSemaphorePermit,
    _shared: Vec<OwnedPermit>,
    account: Arc<Counters>,
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.account.sub(Count::Running, 1);
    }
}

/// A descriptor of this program's that a component has, until this is dropped.
pub struct Descriptor {
    _place: OwnedSemaphorePermit,
    account: Arc<Counters>,
    is_batch: bool,
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        self.account.sub(Count::Descriptors, 1);
        self.account.sub(Count::Batches, u64::from(self.is_batch));
    }
}

impl Usage {
    pub fn of(limits: &Limits, hosted: SessionQuota) -> Self {
        let most = limits.processes.unwrap_or(u32::MAX);
        let places = usize::try_from(most).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        let shared = hosted.shared.iter().map(|share| share.buffers.clone());
        let buffers = Buffers::new(limits.buffers, shared, &hosted.counters);
        Self {
            places: Arc::new(Semaphore::new(places)),
            most,
            disk: AtomicU64::new(0),
            most_disk: limits.temporary_disk.map_or(u64::MAX, |size| size.as_u64()),
            files: AtomicU64::new(0),
            most_files: limits.temporary_files.map_or(u64::MAX, u64::from),
            batches: Arc::new(Semaphore::new(BATCHES)),
            filled: Arc::new(Semaphore::new(FILLED)),
            buffers,
            shares: hosted.shared,
            account: hosted.counters,
            group: hosted.cgroup,
            _place: hosted.permit,
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
            shared.push(share.acquire_process(PATIENCE).await?);
        }
        self.account.add(Count::Started, 1);
        self.account.add(Count::Running, 1);
        Ok(Taken { _place: place, _shared: shared, account: self.account.clone() })
    }

    /// How many processes of its tenant may run at the same time, if it has one.
    pub fn processes_of_tenant(&self) -> Option<u64> {
        self.shares.first().map(|tenant| tenant.max_processes() as u64)
    }

    /// A descriptor for one more batch.
    pub fn batch(&self) -> Result<Descriptor, Failure> {
        let place = self.batches.clone().try_acquire_owned().map_err(|_| {
            Failure::new(
                Reason::RateLimited,
                format!("a session may have {BATCHES} batches at the same time: send or drop one before another is made"),
            )
        })?;
        Ok(self.descriptor(place, true))
    }

    /// A descriptor for a file of a batch that is filled, once there is one.
    pub async fn filled(&self) -> Result<Descriptor, Failure> {
        // Nobody closes it.
        let place = self.filled.clone().acquire_owned().await.map_err(|_| Failure::cancelled())?;
        Ok(self.descriptor(place, false))
    }

    fn descriptor(&self, place: OwnedSemaphorePermit, is_batch: bool) -> Descriptor {
        self.account.add(Count::Descriptors, 1);
        self.account.add(Count::Batches, u64::from(is_batch));
        Descriptor { _place: place, account: self.account.clone(), is_batch }
    }

    /// How far a new process stands back: a tenant's processes together get the
    /// processor's time of two, however many they are, where others want it.
    pub fn niceness(&self) -> i32 {
        // The new one has its place already.
        let others =
            self.shares.first().map_or(0, |tenant| tenant.running_processes().saturating_sub(1));
        i32::try_from(others).unwrap_or(i32::MAX).saturating_mul(3).min(19)
    }

    /// Waits until so many bytes may pass.
    pub async fn pace(&self, bytes: usize) {
        for share in &self.shares {
            share.throttle(bytes).await;
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

    /// The same for one more file or directory.
    pub fn take_file(&self) -> Result<(), Failure> {
        if self.files.fetch_add(1, Ordering::Relaxed) < self.most_files {
            return Ok(());
        }
        Err(Failure::new(
            Reason::RateLimited,
            format!(
                "the policy lets a session keep {} files on this machine's disk: let it have more (`temporary-files`)",
                self.most_files
            ),
        ))
    }

    pub fn give_back_disk(&self, bytes: u64, files: u64) {
        self.disk.fetch_sub(bytes, Ordering::Relaxed);
        self.files.fetch_sub(files, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytesize::ByteSize;

    #[test]
    fn disk_that_was_given_back_can_be_taken_again() {
        let limits = Limits { temporary_disk: Some(ByteSize(100)), ..Limits::default() };
        let usage = Usage::of(&limits, SessionQuota::default());
        assert!(usage.take_disk(60).is_ok());
        assert_eq!(usage.take_disk(60).unwrap_err().reason, Reason::RateLimited);
        usage.give_back_disk(60, 0);
        usage.give_back_disk(60, 0);
        assert!(usage.take_disk(100).is_ok());
    }

    #[test]
    fn batches_and_files_are_as_many_as_a_session_may_have() {
        let limits = Limits { temporary_files: Some(1), ..Limits::default() };
        let usage = Usage::of(&limits, SessionQuota::default());
        assert!(usage.take_file().is_ok());
        assert!(usage.take_file().unwrap_err().message.contains("`temporary-files`"));
        usage.give_back_disk(0, 2);
        assert!(usage.take_file().is_ok());
        let batches: Vec<_> =
            (0..BATCHES).map(|_| usage.batch().unwrap_or_else(|_| panic!())).collect();
        assert_eq!(usage.batch().err().map(|failure| failure.reason), Some(Reason::RateLimited));
        let count = |what| usage.account.get(what);
        assert_eq!((count(Count::Batches), count(Count::Descriptors)), (64, 64));
        drop(batches);
        assert_eq!((count(Count::Batches), count(Count::Descriptors)), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_waits_for_a_place_for_a_minute_at_most() {
        let limits = Limits { processes: Some(1), ..Limits::default() };
        let usage = Usage::of(&limits, SessionQuota::default());
        let first = usage.place().await.unwrap();
        assert_eq!(usage.place().await.unwrap_err().reason, Reason::RateLimited);
        drop(first);
        assert!(usage.place().await.is_ok());
    }
}
