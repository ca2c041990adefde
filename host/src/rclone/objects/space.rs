//! The space of a session's parcels on this machine's disk. A parcel that needs more waits for
//! others to be dropped.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::connector::{Failure, Reason};
use crate::rclone::session::RcloneSession;

/// Size that a packfile of Plakar may have, in bytes.
///
/// Source: kloset's packfile_int.go: it is closed above 64 MiB.
const PACKFILE_BYTES: u64 = 80 << 20;

/// Number of parcels that may be on disk. Each holds a descriptor of this program.
const MAX_ON_DISK: u64 = 64;

/// The space of all parcels of a session.
pub struct Space {
    session: RcloneSession,
    /// Permits for parcels: as many as there is room for packfiles.
    permits: Arc<Semaphore>,
    counts: Mutex<Counts>,
    released: Notify,
}

/// Numbers of parcels on disk.
#[derive(Debug, Default)]
struct Counts {
    /// Those that are complete, and are dropped some time.
    complete: usize,
    /// Those that aren't complete yet.
    growing: usize,
    /// Those of them that wait for room.
    waiting: usize,
}

impl Space {
    /// The space that a session's policy gives it.
    pub fn new(session: &RcloneSession) -> Self {
        let count = (session.quota().max_disk_bytes() / PACKFILE_BYTES).clamp(1, MAX_ON_DISK);
        Self {
            session: session.clone(),
            permits: Arc::new(Semaphore::new(usize::try_from(count).unwrap_or(1))),
            counts: Mutex::default(),
            released: Notify::new(),
        }
    }

    /// Waits until one more parcel may be on disk.
    ///
    /// # Errors
    ///
    /// The session ends.
    pub async fn reserve(self: &Arc<Self>) -> Result<DiskReservation, Failure> {
        let permit = self.permits.clone().acquire_owned().await;
        let permit = permit.map_err(|_| Failure::cancelled())?;
        self.counts().growing += 1;
        Ok(DiskReservation { space: self.clone(), bytes: 0, is_complete: false, _permit: permit })
    }

    /// Whether everything that takes room waits for more.
    fn is_stuck(&self) -> bool {
        let counts = self.counts();
        counts.complete == 0 && counts.waiting == counts.growing
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The space of one parcel, until it is dropped.
pub struct DiskReservation {
    space: Arc<Space>,
    bytes: u64,
    is_complete: bool,
    _permit: OwnedSemaphorePermit,
}

impl DiskReservation {
    /// Waits for room for more bytes.
    ///
    /// # Errors
    ///
    /// The parcel exceeds all of the space, or all others wait as well.
    pub async fn grow(&mut self, bytes: u64) -> Result<(), Failure> {
        let quota = self.space.session.quota();
        loop {
            let mut released = std::pin::pin!(self.space.released.notified());
            // What is released from here on isn't missed.
            released.as_mut().enable();
            if quota.try_take_disk(bytes) {
                self.bytes += bytes;
                return Ok(());
            }
            let never_fits = self.bytes.saturating_add(bytes) > quota.max_disk_bytes();
            let waiting = WaitGuard::new(&self.space);
            if never_fits || self.space.is_stuck() {
                return Err(too_large(quota.max_disk_bytes()));
            }
            released.await;
            drop(waiting);
        }
    }

    /// Notes that the parcel is complete.
    pub fn complete(&mut self) {
        self.is_complete = true;
        let mut counts = self.space.counts();
        counts.growing -= 1;
        counts.complete += 1;
    }
}

impl Drop for DiskReservation {
    fn drop(&mut self) {
        self.space.session.quota().release_disk(self.bytes, 0);
        let mut counts = self.space.counts();
        if self.is_complete {
            counts.complete -= 1;
        } else {
            counts.growing -= 1;
        }
        drop(counts);
        self.space.released.notify_waiters();
    }
}

/// A parcel that waits for room, until this is dropped.
struct WaitGuard<'a>(&'a Space);

impl<'a> WaitGuard<'a> {
    fn new(space: &'a Space) -> Self {
        space.counts().waiting += 1;
        Self(space)
    }
}

impl Drop for WaitGuard<'_> {
    fn drop(&mut self) {
        self.0.counts().waiting -= 1;
    }
}

fn too_large(limit: u64) -> Failure {
    let message =
        format!("the uploads don't fit in the {limit} bytes that a session may have on disk");
    Failure::new(Reason::RateLimited, message).with_help("raise the limit (`temporary-disk`)")
}
