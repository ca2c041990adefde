//! How much a session may use up.

use bytesize::ByteSize;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Limits of one session; what isn't set isn't limited by whoever wrote this.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Limits {
    /// Memory of the component: `"256MiB"`.
    #[schemars(with = "Option<String>")]
    pub guest_memory: Option<ByteSize>,
    /// How long the component may compute without once waiting for the host: `"10s"`.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::optional")]
    #[schemars(with = "Option<String>")]
    pub guest_pause: Option<Duration>,
    /// Memory of each rclone process, at least 64 MiB.
    #[schemars(with = "Option<String>")]
    pub rclone_memory: Option<ByteSize>,
    /// Processor time of each rclone process.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::optional")]
    #[schemars(with = "Option<String>")]
    pub rclone_cpu: Option<Duration>,
    /// How many rclone processes a session has at the same time, at least 8.
    pub processes: Option<u32>,
    /// How many threads each rclone process has, at least 64.
    pub tasks: Option<u32>,
    /// How many files and connections each rclone process has open, at least 64.
    pub open_files: Option<u32>,
    /// What a session keeps on this machine's disk for a while, at least 1 GiB, in whole
    /// blocks: batches on their way out, and what rclone makes in its own directories.
    #[schemars(with = "Option<String>")]
    pub temporary_disk: Option<ByteSize>,
    /// How many files and directories of these a session has, at least 10,000.
    pub temporary_files: Option<u32>,
    /// Bytes of a session that plakbox itself holds on their way, at least 32 MiB; those who
    /// read and write wait above it.
    #[schemars(with = "Option<String>")]
    pub buffers: Option<ByteSize>,
    /// How long a session may last: `"6h"`.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::optional")]
    #[schemars(with = "Option<String>")]
    pub wall_time: Option<Duration>,
    /// Bytes a second of each rclone process (`--bwlimit`): `"10MiB"`.
    #[schemars(with = "Option<String>")]
    pub bandwidth: Option<ByteSize>,
    /// Calls a second of each rclone process to the remote's API (`--tpslimit`).
    pub calls_per_second: Option<u32>,
    /// How many sessions this user has at the same time.
    pub sessions: Option<u32>,
}

impl Limits {
    /// What holds where nobody says anything.
    pub fn usual() -> Self {
        Self {
            guest_memory: Some(ByteSize::mib(256)),
            guest_pause: Some(Duration::from_secs(10)),
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

    /// The stricter of both, limit by limit.
    pub fn narrow(self, other: Self) -> Self {
        Self {
            guest_memory: least(self.guest_memory, other.guest_memory),
            guest_pause: least(self.guest_pause, other.guest_pause),
            rclone_memory: least(self.rclone_memory, other.rclone_memory),
            rclone_cpu: least(self.rclone_cpu, other.rclone_cpu),
            processes: least(self.processes, other.processes),
            tasks: least(self.tasks, other.tasks),
            open_files: least(self.open_files, other.open_files),
            temporary_disk: least(self.temporary_disk, other.temporary_disk),
            temporary_files: least(self.temporary_files, other.temporary_files),
            buffers: least(self.buffers, other.buffers),
            wall_time: least(self.wall_time, other.wall_time),
            bandwidth: least(self.bandwidth, other.bandwidth),
            calls_per_second: least(self.calls_per_second, other.calls_per_second),
            sessions: least(self.sessions, other.sessions),
        }
    }

    /// These limits, and the others where these say nothing.
    pub fn or(self, others: Self) -> Self {
        Self {
            guest_memory: self.guest_memory.or(others.guest_memory),
            guest_pause: self.guest_pause.or(others.guest_pause),
            rclone_memory: self.rclone_memory.or(others.rclone_memory),
            rclone_cpu: self.rclone_cpu.or(others.rclone_cpu),
            processes: self.processes.or(others.processes),
            tasks: self.tasks.or(others.tasks),
            open_files: self.open_files.or(others.open_files),
            temporary_disk: self.temporary_disk.or(others.temporary_disk),
            temporary_files: self.temporary_files.or(others.temporary_files),
            buffers: self.buffers.or(others.buffers),
            wall_time: self.wall_time.or(others.wall_time),
            bandwidth: self.bandwidth.or(others.bandwidth),
            calls_per_second: self.calls_per_second.or(others.calls_per_second),
            sessions: self.sessions.or(others.sessions),
        }
    }

    /// A limit below which nothing works: its name, what it must be at least.
    pub fn too_small(&self) -> Option<(&'static str, &'static str)> {
        let bytes = |limit: Option<ByteSize>| limit.map_or(u64::MAX, |size| size.as_u64());
        let count = |limit: Option<u32>| limit.unwrap_or(u32::MAX);
        let time = |limit: Option<Duration>| limit.unwrap_or(Duration::MAX);
        [
            (bytes(self.guest_memory) < 32 << 20, "guest-memory", "32MiB"),
            (time(self.guest_pause) < Duration::from_secs(1), "guest-pause", "1s"),
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
        .map(|(_, name, least)| (name, least))
    }

    /// The limits that are set, as a policy file names them.
    pub fn lines(&self) -> Vec<(String, String)> {
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

fn least<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stricter_limit_holds_and_the_usual_one_where_nobody_says_anything() {
        let ours = Limits { processes: Some(8), sessions: Some(3), ..Limits::default() };
        let theirs = Limits { processes: Some(6), open_files: Some(99), ..Limits::default() };
        let both = ours.narrow(theirs).or(Limits::usual());
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
            limits.lines(),
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
        assert_eq!(small.too_small(), Some(("processes", "8")));
    }
}
