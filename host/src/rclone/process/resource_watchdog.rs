//! Holds a session to what it may use of this machine where the kernel has no limit of it:
//! memory with what could be shared, threads, and all that lies on the disk.
//!
//! It looks, and ends every process of a session that has more.

use bytesize::ByteSize;
use rustix::process::Pid;
use std::path::PathBuf;
use std::sync::Weak;
use std::time::{Duration, Instant};

use crate::connector::{Failure, Reason};
use crate::kernel::RunAs;
use crate::kernel::disk::{self, DiskUsage};
use crate::kernel::process::{self, ProcessUsage};
use crate::kernel::run_as;
use crate::policy::Limits;
use crate::quota::counters::{Count, Gauge};
use crate::rclone::Inner;

/// How often it looks.
const LOOK: Duration = Duration::from_millis(500);

/// The most of all time that it looks, as a divisor.
const PART: u32 = 3;

/// After how many looks in a row that saw nothing a session is ended, as it may be its doing.
const BLIND: u32 = 20;

/// What is said where it can't be seen what a session has.
const HIDDEN: &str = "what rclone has on this machine's disk can't be counted, and it was ended: nothing of its own may be closed to it, too deep, or removed and mapped (`temporary-disk`)";

/// What a session has at one moment.
#[derive(Debug, Default)]
struct Seen {
    processes: Vec<ProcessUsage>,
    disk: DiskUsage,
}

impl Seen {
    /// Looks at these processes and directories as `owner`.
    fn now(pids: &[i32], directories: &[PathBuf], owner: Option<RunAs>, most: u64) -> Self {
        let looked = run_as(owner, || {
            Ok(Self {
                processes: pids.iter().filter_map(|pid| process::measure(*pid)).collect(),
                disk: disk::measure(directories, pids, most),
            })
        });
        let unknown = DiskUsage { is_unknown: true, ..DiskUsage::default() };
        looked.unwrap_or(Self { disk: unknown, ..Self::default() })
    }

    /// What it has too much of, if anything.
    fn verdict(&self, limits: &Limits) -> Result<(), Failure> {
        let bytes = |limit: Option<ByteSize>| limit.map_or(u64::MAX, |size| size.as_u64());
        let count = |limit: Option<u32>| limit.map_or(u64::MAX, u64::from);
        let memory = self.processes.iter().map(|process| process.memory).max().unwrap_or_default();
        let tasks = self.processes.iter().map(|process| process.tasks).max().unwrap_or_default();
        let DiskUsage { bytes: on_disk, files, is_hidden, .. } = self.disk;
        let size = |bytes: u64| ByteSize(bytes).to_string();
        let (what, limit) = match () {
            () if memory > bytes(limits.rclone_memory) => {
                (format!("rclone had {} of memory", size(memory)), "rclone-memory")
            }
            () if tasks > count(limits.tasks) => (format!("rclone had {tasks} threads"), "tasks"),
            () if files > count(limits.temporary_files) => {
                (format!("rclone had {files} files on this machine's disk"), "temporary-files")
            }
            () if on_disk > bytes(limits.temporary_disk) => {
                (format!("rclone had {} on this machine's disk", size(on_disk)), "temporary-disk")
            }
            () if is_hidden && limits.temporary_disk.is_some() => {
                return Err(Failure::new(Reason::Denied, HIDDEN));
            }
            () => return Ok(()),
        };
        Err(Failure::new(
            Reason::RateLimited,
            format!(
                "{what}, which is more than the policy lets it have, and was ended: let it have more (`{limit}`)"
            ),
        ))
    }
}

/// Looks at a session for as long as it lasts.
pub async fn watch(inner: Weak<Inner>) {
    let Some(gauges) = inner.upgrade().map(|inner| {
        let account = &inner.usage.account;
        [Count::RcloneMemory, Count::Tasks, Count::Disk, Count::Files]
            .map(|what| Gauge::new(account, what))
    }) else {
        return;
    };
    let (mut pause, mut blind) = (LOOK, 0);
    loop {
        tokio::time::sleep(pause).await;
        let Some(now) = inner.upgrade() else { return };
        let (directories, owner) = (now.own.clone(), now.owner);
        let pids: Vec<i32> = now.watchdog.processes().into_iter().map(number).collect();
        let most = now.grant.limits.temporary_files.map_or(u64::MAX, u64::from);
        drop(now);
        let start = Instant::now();
        let looking = move || Seen::now(&pids, &directories, owner, most);
        // One that can't look now looks again.
        let mut seen = tokio::task::spawn_blocking(looking).await.unwrap_or_default();
        blind = if seen.disk.is_unknown { blind + 1 } else { 0 };
        seen.disk.is_hidden |= blind == BLIND;
        pause = LOOK.max(start.elapsed() * PART);
        let Some(now) = inner.upgrade() else { return };
        let sum = |of: fn(&ProcessUsage) -> u64| seen.processes.iter().map(of).sum::<u64>();
        let numbers = [sum(|it| it.memory), sum(|it| it.tasks), seen.disk.bytes, seen.disk.files];
        gauges.iter().zip(numbers).for_each(|(gauge, number)| gauge.set(number));
        if let Err(failure) = seen.verdict(&now.grant.limits) {
            if now.in_vain.set(failure.clone()).is_ok() {
                tracing::warn!("{failure}");
            }
            // Also those that were about to start then.
            now.watchdog.kill_all();
        }
    }
}

fn number(pid: Pid) -> i32 {
    pid.as_raw_nonzero().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_session_has_too_much_of_is_named_with_its_limit() {
        let limits = Limits {
            rclone_memory: Some(ByteSize::mib(64)),
            tasks: Some(64),
            temporary_disk: Some(ByteSize::gib(1)),
            temporary_files: Some(10_000),
            ..Limits::default()
        };
        let fits = ProcessUsage { memory: 64 << 20, tasks: 64 };
        let disk = DiskUsage { bytes: 1 << 30, files: 10_000, ..DiskUsage::default() };
        let seen = |process, disk| Seen { processes: vec![ProcessUsage::default(), process], disk };
        assert_eq!(seen(fits, disk).verdict(&limits), Ok(()));
        for (more, limit) in [
            (seen(ProcessUsage { memory: fits.memory + 1, ..fits }, disk), "rclone-memory"),
            (seen(ProcessUsage { tasks: 65, ..fits }, disk), "tasks"),
            (seen(fits, DiskUsage { bytes: disk.bytes + 1, ..disk }), "temporary-disk"),
            (seen(fits, DiskUsage { files: 10_001, ..disk }), "temporary-files"),
            (seen(fits, DiskUsage { is_hidden: true, ..disk }), "temporary-disk"),
        ] {
            let failure = more.verdict(&limits).unwrap_err();
            assert!(failure.message.contains(&format!("(`{limit}`)")), "{failure:?}");
            assert_eq!(more.verdict(&Limits::default()), Ok(()));
        }
    }
}
