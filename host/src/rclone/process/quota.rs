//! The quota of one session: permits for processes, descriptors and disk, and the limits that it
//! shares with other sessions.

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

/// Time limit of the wait for a permit.
const PROCESS_SLOT_TIMEOUT: Duration = Duration::from_secs(60);

/// Number of batches that a component may have. Each holds a descriptor of this program.
const MAX_BATCHES: usize = 64;
/// Number of files of batches that may be written at the same time. Each holds a descriptor of this
/// program.
const MAX_OPEN_FILES: usize = 64;

/// The quota of one session's rclone processes.
pub struct RcloneQuota {
    slots: Arc<Semaphore>,
    max_processes: u32,
    disk_bytes: AtomicU64,
    max_disk_bytes: u64,
    files: AtomicU64,
    max_files: u64,
    batches: Arc<Semaphore>,
    open_files: Arc<Semaphore>,
    /// The bytes that this program holds of the session.
    pub buffers: Arc<Buffers>,
    /// The limits shared with other sessions: of its tenant, and of the whole service.
    shares: Vec<Arc<SharedLimits>>,
    pub account: Arc<Counters>,
    /// The control group of its processes, if they have one.
    pub group: Option<SessionCgroup>,
    /// The permit among the sessions of a service.
    _place: Option<SessionPermit>,
}

/// The permits of one running process.
#[derive(Debug)]
pub struct ProcessPermit {
    _permit: OwnedSemaphorePermit,
    _shared: Vec<OwnedPermit>,
    account: Arc<Counters>,
}

impl Drop for ProcessPermit {
    fn drop(&mut self) {
        self.account.sub(Count::Running, 1);
    }
}

/// A permit for a descriptor of this program, until it is dropped.
pub struct DescriptorPermit {
    _permit: OwnedSemaphorePermit,
    account: Arc<Counters>,
    is_batch: bool,
}

impl Drop for DescriptorPermit {
    fn drop(&mut self) {
        self.account.sub(Count::Descriptors, 1);
        self.account.sub(Count::Batches, u64::from(self.is_batch));
    }
}

impl RcloneQuota {
    /// A quota by the limits of a policy, below those of a service.
    pub fn new(limits: &Limits, hosted: SessionQuota) -> Self {
        let max_processes = limits.processes.unwrap_or(u32::MAX);
        let slots =
            usize::try_from(max_processes).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        let shared = hosted.shared.iter().map(|share| share.buffers.clone());
        let buffers = Buffers::new(limits.buffers, shared, &hosted.counters);
        Self {
            slots: Arc::new(Semaphore::new(slots)),
            max_processes,
            disk_bytes: AtomicU64::new(0),
            max_disk_bytes: limits.temporary_disk.map_or(u64::MAX, |size| size.as_u64()),
            files: AtomicU64::new(0),
            max_files: limits.temporary_files.map_or(u64::MAX, u64::from),
            batches: Arc::new(Semaphore::new(MAX_BATCHES)),
            open_files: Arc::new(Semaphore::new(MAX_OPEN_FILES)),
            buffers,
            shares: hosted.shared,
            account: hosted.counters,
            group: hosted.cgroup,
            _place: hosted.permit,
        }
    }

    /// Waits for the permit to start one more process.
    ///
    /// # Errors
    ///
    /// There was none for a minute.
    pub async fn acquire_process(&self) -> Result<ProcessPermit, Failure> {
        let permit =
            tokio::time::timeout(PROCESS_SLOT_TIMEOUT, self.slots.clone().acquire_owned()).await;
        let Ok(Ok(permit)) = permit else {
            return Err(Failure::new(
                Reason::RateLimited,
                format!(
                    "all of the {} rclone processes that the policy allows a session were busy \
                     for a minute",
                    self.max_processes
                ),
            )
            .with_help("raise the limit (`processes`), or use fewer `streams`"));
        };
        let mut shared = Vec::new();
        for share in &self.shares {
            shared.push(share.acquire_process(PROCESS_SLOT_TIMEOUT).await?);
        }
        self.account.add(Count::Started, 1);
        self.account.add(Count::Running, 1);
        Ok(ProcessPermit { _permit: permit, _shared: shared, account: self.account.clone() })
    }

    /// The number of processes that its tenant may run at the same time, if it has one.
    pub fn tenant_processes(&self) -> Option<u64> {
        self.shares.first().map(|tenant| tenant.max_processes() as u64)
    }

    /// Takes the permit for one more batch.
    ///
    /// # Errors
    ///
    /// The session has too many batches.
    pub fn acquire_batch(&self) -> Result<DescriptorPermit, Failure> {
        let permit = self.batches.clone().try_acquire_owned().map_err(|_| {
            Failure::new(
                Reason::RateLimited,
                format!("a session may have {MAX_BATCHES} batches at the same time"),
            )
            .with_help("send or drop one before creating another")
        })?;
        Ok(self.descriptor(permit, true))
    }

    /// Waits for the permit to write one more file of a batch.
    ///
    /// # Errors
    ///
    /// The session ends.
    pub async fn acquire_open_file(&self) -> Result<DescriptorPermit, Failure> {
        // The semaphore is never closed.
        let permit =
            self.open_files.clone().acquire_owned().await.map_err(|_| Failure::cancelled())?;
        Ok(self.descriptor(permit, false))
    }

    fn descriptor(&self, permit: OwnedSemaphorePermit, is_batch: bool) -> DescriptorPermit {
        self.account.add(Count::Descriptors, 1);
        self.account.add(Count::Batches, u64::from(is_batch));
        DescriptorPermit { _permit: permit, account: self.account.clone(), is_batch }
    }

    /// The niceness of a new process. On a busy machine, all processes of a tenant together get as
    /// much processor time as two processes do.
    pub fn niceness(&self) -> i32 {
        // The new process is counted already.
        let others =
            self.shares.first().map_or(0, |tenant| tenant.running_processes().saturating_sub(1));
        i32::try_from(others).unwrap_or(i32::MAX).saturating_mul(3).min(19)
    }

    /// Waits until the bandwidth allows `bytes` more.
    pub async fn throttle(&self, bytes: usize) {
        for share in &self.shares {
            share.throttle(bytes).await;
        }
    }

    /// Counts bytes on the disk. They are counted, and must be released, even if they are refused.
    ///
    /// # Errors
    ///
    /// They exceed the limit.
    pub fn take_disk(&self, bytes: u64) -> Result<(), Failure> {
        let taken = self.disk_bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        if taken <= self.max_disk_bytes {
            return Ok(());
        }
        Err(Failure::new(
            Reason::RateLimited,
            format!(
                "the policy allows a session {} bytes on this machine's disk",
                self.max_disk_bytes
            ),
        )
        .with_help("raise the limit (`temporary-disk`)"))
    }

    /// Counts bytes on the disk if they are within the limit. They must be released only then.
    pub fn try_take_disk(&self, bytes: u64) -> bool {
        let fits = |taken: u64| taken.checked_add(bytes).filter(|sum| *sum <= self.max_disk_bytes);
        self.disk_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
    }

    /// Number of bytes that a session may have on the disk.
    pub fn max_disk_bytes(&self) -> u64 {
        self.max_disk_bytes
    }

    /// Counts one more file or directory on the disk, as [`Self::take_disk`] does.
    ///
    /// # Errors
    ///
    /// It exceeds the limit.
    pub fn take_file(&self) -> Result<(), Failure> {
        if self.files.fetch_add(1, Ordering::Relaxed) < self.max_files {
            return Ok(());
        }
        Err(Failure::new(
            Reason::RateLimited,
            format!("the policy allows a session {} files on this machine's disk", self.max_files),
        )
        .with_help("raise the limit (`temporary-files`)"))
    }

    /// Releases what was counted on the disk.
    pub fn release_disk(&self, bytes: u64, files: u64) {
        self.disk_bytes.fetch_sub(bytes, Ordering::Relaxed);
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
        let quota = RcloneQuota::new(&limits, SessionQuota::default());
        assert!(quota.take_disk(60).is_ok());
        assert_eq!(quota.take_disk(60).unwrap_err().reason, Reason::RateLimited);
        quota.release_disk(60, 0);
        quota.release_disk(60, 0);
        assert!(quota.take_disk(100).is_ok());
        assert!(!quota.try_take_disk(1));
        quota.release_disk(100, 0);
        assert!(quota.try_take_disk(100) && !quota.try_take_disk(1));
    }

    #[test]
    fn batches_and_files_are_as_many_as_a_session_may_have() {
        let limits = Limits { temporary_files: Some(1), ..Limits::default() };
        let quota = RcloneQuota::new(&limits, SessionQuota::default());
        assert!(quota.take_file().is_ok());
        assert!(quota.take_file().unwrap_err().to_string().contains("`temporary-files`"));
        quota.release_disk(0, 2);
        assert!(quota.take_file().is_ok());
        let batches: Vec<_> =
            (0..MAX_BATCHES).map(|_| quota.acquire_batch().unwrap_or_else(|_| panic!())).collect();
        assert_eq!(
            quota.acquire_batch().err().map(|failure| failure.reason),
            Some(Reason::RateLimited)
        );
        let count = |what| quota.account.get(what);
        assert_eq!((count(Count::Batches), count(Count::Descriptors)), (64, 64));
        drop(batches);
        assert_eq!((count(Count::Batches), count(Count::Descriptors)), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_waits_for_a_place_for_a_minute_at_most() {
        let limits = Limits { processes: Some(1), ..Limits::default() };
        let quota = RcloneQuota::new(&limits, SessionQuota::default());
        let first = quota.acquire_process().await.unwrap();
        assert_eq!(quota.acquire_process().await.unwrap_err().reason, Reason::RateLimited);
        drop(first);
        assert!(quota.acquire_process().await.is_ok());
    }
}
