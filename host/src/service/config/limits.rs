//! Limits of all tenants of a service together.

use bytesize::ByteSize;
use serde::Deserialize;
use std::time::Duration;

/// Limits of all tenants together.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Limits {
    /// Maximum number of concurrent sessions.
    pub sessions: u32,
    /// Maximum number of sessions that wait for admission.
    pub queue: u32,
    /// Time limit of a session's wait for admission.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub wait: Duration,
    /// Maximum number of concurrent rclone processes.
    pub processes: u32,
    /// Bandwidth in bytes per second.
    pub bandwidth: Option<ByteSize>,
    /// Maximum memory of rclone processes, components and buffers.
    pub memory: Option<ByteSize>,
    /// Maximum size of the service's buffers between Plakar, components and rclone.
    pub buffers: ByteSize,
    /// Time that sessions have to end when the service stops.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub drain: Duration,
    /// Time limit of a connection without a session.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub idle: Duration,
    /// Maximum number of connections that haven't identified themselves yet, on the socket and on
    /// the address each.
    pub pending_connections: u32,
    /// Maximum number of such connections from one user, address or tenant.
    pub pending_per_client: u32,
    /// Interval of summaries of rejections.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub rejection_summaries: Duration,
}

impl Limits {
    /// Returns each limit's name and value as text.
    pub fn entries(&self) -> [(&'static str, String); 12] {
        let size = |size: Option<ByteSize>| size.map_or("no limit".into(), |it| it.to_string());
        let time = |time: Duration| format!("{time:?}");
        [
            ("sessions", self.sessions.to_string()),
            ("queue", self.queue.to_string()),
            ("wait", time(self.wait)),
            ("processes", self.processes.to_string()),
            ("bandwidth", size(self.bandwidth)),
            ("memory", size(self.memory)),
            ("buffers", self.buffers.to_string()),
            ("drain", time(self.drain)),
            ("idle", time(self.idle)),
            ("pending-connections", self.pending_connections.to_string()),
            ("pending-per-client", self.pending_per_client.to_string()),
            ("rejection-summaries", time(self.rejection_summaries)),
        ]
    }

    /// Returns the first mistake.
    pub fn find_mistake(&self) -> Option<&'static str> {
        if self.sessions == 0 || self.processes == 0 {
            Some("`sessions` and `processes` in [limits] must be at least 1")
        } else if self.pending_connections == 0 || self.pending_per_client == 0 {
            Some("`pending-connections` and `pending-per-client` in [limits] must be at least 1")
        } else if self.idle.min(self.rejection_summaries) < Duration::from_secs(1) {
            Some("`idle` and `rejection-summaries` in [limits] must be at least 1s")
        } else {
            None
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions: 64,
            queue: 256,
            wait: Duration::from_secs(300),
            processes: 256,
            bandwidth: None,
            memory: None,
            buffers: ByteSize::gib(4),
            drain: Duration::from_secs(600),
            idle: Duration::from_secs(60),
            pending_connections: 256,
            pending_per_client: 64,
            rejection_summaries: Duration::from_secs(60),
        }
    }
}
