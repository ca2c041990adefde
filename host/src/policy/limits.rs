//! Limits of a session.

use bytesize::ByteSize;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Limits of one session. A limit that isn't set is not limited by this policy.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Limits {
    /// Memory of the component: `"256MiB"`.
    #[schemars(with = "Option<String>")]
    pub guest_memory: Option<ByteSize>,
    /// Maximum time that the component may compute without waiting for the host: `"10s"`.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::optional")]
    #[schemars(with = "Option<String>")]
    pub guest_compute_timeout: Option<Duration>,
    /// Memory of each rclone process, at least 64 MiB.
    #[schemars(with = "Option<String>")]
    pub rclone_memory: Option<ByteSize>,
    /// Processor time of each rclone process.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::optional")]
    #[schemars(with = "Option<String>")]
    pub rclone_cpu: Option<Duration>,
    /// Number of rclone processes of a session at the same time, at least 8.
    pub processes: Option<u32>,
    /// Number of threads of each rclone process, at least 64.
    pub tasks: Option<u32>,
    /// Number of open files and connections of each rclone process, at least 64.
    pub open_files: Option<u32>,
    /// Temporary disk space of a session on this machine, in whole blocks, at least 1 GiB:
    /// batches that are being restored, and the files in rclone's own directories.
    #[schemars(with = "Option<String>")]
    pub temporary_disk: Option<ByteSize>,
    /// Number of temporary files and directories of a session, at least 10,000.
    pub temporary_files: Option<u32>,
    /// Bytes of a session that plakbox itself buffers, at least 32 MiB. Reads and writes wait
    /// while this is exceeded.
    #[schemars(with = "Option<String>")]
    pub buffers: Option<ByteSize>,
    /// Maximum duration of a session: `"6h"`.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::optional")]
    #[schemars(with = "Option<String>")]
    pub wall_time: Option<Duration>,
    /// Bandwidth of each rclone process in bytes a second (`--bwlimit`): `"10MiB"`.
    #[schemars(with = "Option<String>")]
    pub bandwidth: Option<ByteSize>,
    /// Calls of each rclone process to the remote's API a second (`--tpslimit`).
    pub calls_per_second: Option<u32>,
    /// Number of sessions of this user at the same time.
    pub sessions: Option<u32>,
}

impl Limits {
    /// Limits that apply where no policy sets a different one.
    pub fn built_in() -> Self {
        Self {
            guest_memory: Some(ByteSize::mib(256)),
            guest_compute_timeout: Some(Duration::from_secs(10)),
            rclone_memory: Some(ByteSize::gib(4)),
            processes: Some(64),
            tasks: Some(512),
            open_files: Some(4096),
            temporary_disk: Some(ByteSize::gib(2)),
            temporary_files: Some(100_000),
            buffers: Some(ByteSize::mib(256)),
            ..Self::default()
        }
    }

    /// Returns the stricter limit of both, for each limit.
    pub fn narrow(self, other: Self) -> Self {
        Self {
            guest_memory: minimum(self.guest_memory, other.guest_memory),
            guest_compute_timeout: minimum(self.guest_compute_timeout, other.guest_compute_timeout),
            rclone_memory: minimum(self.rclone_memory, other.rclone_memory),
            rclone_cpu: minimum(self.rclone_cpu, other.rclone_cpu),
            processes: minimum(self.processes, other.processes),
            tasks: minimum(self.tasks, other.tasks),
            open_files: minimum(self.open_files, other.open_files),
            temporary_disk: minimum(self.temporary_disk, other.temporary_disk),
            temporary_files: minimum(self.temporary_files, other.temporary_files),
            buffers: minimum(self.buffers, other.buffers),
            wall_time: minimum(self.wall_time, other.wall_time),
            bandwidth: minimum(self.bandwidth, other.bandwidth),
            calls_per_second: minimum(self.calls_per_second, other.calls_per_second),
            sessions: minimum(self.sessions, other.sessions),
        }
    }

    /// Returns these limits, with `defaults` for those that aren't set.
    pub fn with_defaults(self, defaults: Self) -> Self {
        Self {
            guest_memory: self.guest_memory.or(defaults.guest_memory),
            guest_compute_timeout: self.guest_compute_timeout.or(defaults.guest_compute_timeout),
            rclone_memory: self.rclone_memory.or(defaults.rclone_memory),
            rclone_cpu: self.rclone_cpu.or(defaults.rclone_cpu),
            processes: self.processes.or(defaults.processes),
            tasks: self.tasks.or(defaults.tasks),
            open_files: self.open_files.or(defaults.open_files),
            temporary_disk: self.temporary_disk.or(defaults.temporary_disk),
            temporary_files: self.temporary_files.or(defaults.temporary_files),
            buffers: self.buffers.or(defaults.buffers),
            wall_time: self.wall_time.or(defaults.wall_time),
            bandwidth: self.bandwidth.or(defaults.bandwidth),
            calls_per_second: self.calls_per_second.or(defaults.calls_per_second),
            sessions: self.sessions.or(defaults.sessions),
        }
    }

    /// Finds a limit that is too small to work. Returns its name and its minimum.
    pub fn below_minimum(&self) -> Option<(&'static str, &'static str)> {
        let bytes = |limit: Option<ByteSize>| limit.map_or(u64::MAX, |size| size.as_u64());
        let count = |limit: Option<u32>| limit.unwrap_or(u32::MAX);
        let time = |limit: Option<Duration>| limit.unwrap_or(Duration::MAX);
        [
            (bytes(self.guest_memory) < 32 << 20, "guest-memory", "32MiB"),
            (
                time(self.guest_compute_timeout) < Duration::from_secs(1),
                "guest-compute-timeout",
                "1s",
            ),
            (bytes(self.rclone_memory) < 64 << 20, "rclone-memory", "64MiB"),
            (time(self.rclone_cpu) < Duration::from_secs(1), "rclone-cpu", "1s"),
            (count(self.processes) < 8, "processes", "8"),
            (count(self.tasks) < 64, "tasks", "64"),
            (count(self.open_files) < 64, "open-files", "64"),
            (bytes(self.temporary_disk) < 1 << 30, "temporary-disk", "1GiB"),
            (count(self.temporary_files) < 10_000, "temporary-files", "10000"),
            (bytes(self.buffers) < 32 << 20, "buffers", "32MiB"),
            (time(self.wall_time) < Duration::from_secs(1), "wall-time", "1s"),
            (bytes(self.bandwidth) < 1 << 10, "bandwidth", "1KiB"),
            (count(self.calls_per_second) < 1, "calls-per-second", "1"),
            (count(self.sessions) < 1, "sessions", "1"),
        ]
        .into_iter()
        .find(|(small, ..)| *small)
        .map(|(_, name, minimum)| (name, minimum))
    }

    /// Names and values of the limits that are set, as in a policy file.
    pub fn entries(&self) -> Vec<(String, String)> {
        let Ok(serde_json::Value::Object(all)) = serde_json::to_value(self) else {
            return Vec::new();
        };
        let text = |value: serde_json::Value| match value {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        let set = all.into_iter().filter(|(_, value)| !value.is_null());
        set.map(|(name, value)| (name, text(value))).collect()
    }
}

/// Returns the smaller value; a missing value imposes no limit.
fn minimum<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stricter_limit_applies_and_the_default_where_none_is_set() {
        let ours = Limits { processes: Some(8), sessions: Some(3), ..Limits::default() };
        let theirs = Limits { processes: Some(6), open_files: Some(99), ..Limits::default() };
        let both = ours.narrow(theirs).with_defaults(Limits::built_in());
        assert_eq!((both.processes, both.sessions, both.open_files), (Some(6), Some(3), Some(99)));
        assert_eq!(both.guest_memory, Some(ByteSize::mib(256)));
        assert_eq!(both.wall_time, None);
    }

    #[test]
    fn limits_are_read_and_written_in_words() {
        let text = "guest-memory = \"64MiB\"\nwall-time = \"1h 30m\"\ncalls-per-second = 5\n";
        let limits: Limits = toml::from_str(text).unwrap();
        assert_eq!(limits.wall_time, Some(Duration::from_secs(5400)));
        let line = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            limits.entries(),
            [
                line("calls-per-second", "5"),
                line("guest-memory", "64.0 MiB"),
                line("wall-time", "1h 30m")
            ]
        );
        for wrong in ["sessions = -1", "bandwidth = \"fast\"", "wall-time = \"-1h\"", "ram = 1"] {
            assert!(toml::from_str::<Limits>(wrong).is_err(), "{wrong}");
        }
        let small: Limits = toml::from_str("processes = 1").unwrap();
        assert_eq!(small.below_minimum(), Some(("processes", "8")));
    }
}
