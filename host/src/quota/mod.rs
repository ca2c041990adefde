//! Limits that sessions share, and what is counted against them.
//!
//! - [`admission`]: the queue of sessions that wait for a place
//! - [`semaphore`]: a semaphore whose size can change
//! - [`shared`]: processes and bandwidth that sessions share
//! - [`counters`]: usage of a process, its session and its tenant
//! - [`buffers`]: bytes that this program itself holds
//! - [`cgroups`]: control groups

pub mod admission;
pub mod buffers;
pub mod cgroups;
pub mod counters;
pub mod semaphore;
pub mod shared;

use std::sync::Arc;

use admission::Place;
use cgroups::OfSession;
use counters::Account;
use shared::Share;

/// What a session has of a service; nothing, where there is none.
#[derive(Debug, Default)]
pub struct Hosted {
    pub account: Arc<Account>,
    /// The tenant's first.
    pub shares: Vec<Arc<Share>>,
    pub place: Option<Place>,
    /// The control group of its processes.
    pub group: Option<OfSession>,
}
