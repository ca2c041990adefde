//! Limits that sessions share, and the usage that is counted against them.
//!
//! - [`admission`]: queue of sessions that wait for a permit
//! - [`semaphore`]: semaphore whose limit can change
//! - [`shared`]: processes and bandwidth that sessions share
//! - [`counters`]: usage of a process, its session and its tenant
//! - [`buffers`]: bytes that this program buffers
//! - [`cgroups`]: control groups

pub mod admission;
pub mod buffers;
pub mod cgroups;
pub mod counters;
pub mod semaphore;
pub mod shared;

use std::sync::Arc;

use admission::SessionPermit;
use cgroups::SessionCgroup;
use counters::Counters;
use shared::SharedLimits;

/// Share of a service's resources that one session has. Empty without a service.
#[derive(Debug, Default)]
pub struct SessionQuota {
    pub counters: Arc<Counters>,
    /// Limits of the tenant, and then those of the service.
    pub shared: Vec<Arc<SharedLimits>>,
    pub permit: Option<SessionPermit>,
    /// Control group of the session's processes.
    pub cgroup: Option<SessionCgroup>,
}
