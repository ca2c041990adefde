//! The parts of a session that all its processes share.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use super::activity::Activity;
use super::quota::RcloneQuota;
use crate::audit::{AuditLog, Event};
use crate::confinement::Confinement;
use crate::connector::Failure;
use crate::kernel::UserIds;
use crate::policy::Grant;
use crate::quota::counters::Count;
use crate::rclone::binary::Binary;
use crate::rclone::remote::Remote;
use crate::rclone::remote::secrets::Secrets;
use crate::rclone::state::config_copy::ConfigCopy;
use crate::rclone::state::lock::Slot;
use crate::rclone::state::scratch::Scratch;

/// The parts of a session that its processes need. They live until its last process ends.
pub struct ProcessContext {
    pub binary: Binary,
    pub remote: Remote,
    pub grant: Grant,
    pub quota: RcloneQuota,
    pub confinement: Confinement,
    #[expect(dead_code, reason = "it is held, not read")]
    pub slot: Option<Slot>,
    pub trail: AuditLog,
    /// The configuration file of the session's remote.
    pub config: ConfigCopy,
    /// The directory of batches, and of rclone's cache and temporary files.
    pub scratch: Scratch,
    /// The user that the processes run as, if that isn't this process's.
    pub owner: Option<UserIds>,
    /// The values that no message may show.
    pub secrets: Secrets,
    pub activity: Arc<Activity>,
    /// The failure that ends the whole session: no process starts after it.
    pub fatal: Arc<OnceLock<Failure>>,
}

impl ProcessContext {
    /// The directories that the processes may write to, and no other session's.
    pub fn writable_dirs(&self) -> [PathBuf; 2] {
        [self.scratch.writable_dir(), self.config.writable_dir()]
    }
}

impl Drop for ProcessContext {
    fn drop(&mut self) {
        let account = &self.quota.account;
        self.trail.record_best_effort(Event::Session {
            remote: self.config.fingerprint().short(),
            processes: account.get(Count::Started),
            bytes_in: account.get(Count::BytesIn),
            bytes_out: account.get(Count::BytesOut),
            milliseconds: self.trail.elapsed().as_millis().try_into().unwrap_or(u64::MAX),
        });
    }
}
