//! A watchdog for resources that the kernel doesn't limit as needed: memory including what could be
//! shared, threads, and everything on the disk. It kills all processes of a session that exceeds a
//! limit.

use bytesize::ByteSize;
use rustix::process::Pid;
use std::path::PathBuf;
use std::sync::Weak;
use std::time::{Duration, Instant};

use super::context::ProcessContext;
use crate::connector::{Failure, Reason};
use crate::kernel::UserIds;
use crate::kernel::disk::{self, DiskUsage};
use crate::kernel::process::{self, ProcessUsage};
use crate::kernel::run_as;
use crate::policy::Limits;
use crate::quota::counters::{Count, Gauge};

/// Interval of the samples.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// The largest share of time that is spent on samples, as a divisor.
const POLL_TIME_DIVISOR: u32 = 3;

/// Number of incomplete samples in a row after which the session is ended, as it may be the cause.
const MAX_BLIND_POLLS: u32 = 20;

/// The message where the disk usage can't be determined.
const HIDDEN_DISK_MESSAGE: &str = "what rclone has on this machine's disk can't be counted, and it \
     was ended: nothing of its own may be closed to it, too deep, or removed and mapped \
     (`temporary-disk`)";

/// The resources that a session has at one moment.
#[derive(Debug, Default)]
struct Sample {
    processes: Vec<ProcessUsage>,
    disk: DiskUsage,
}

impl Sample {
    /// Takes a sample of these processes and directories, as `owner`.
    fn take(pids: &[i32], directories: &[PathBuf], owner: Option<UserIds>, max_files: u64) -> Self {
        let looked = run_as(owner, || {
            Ok(Self {
                processes: pids.iter().filter_map(|pid| process::measure(*pid)).collect(),
                disk: disk::measure(directories, pids, max_files),
            })
        });
        let unknown = DiskUsage { is_unknown: true, ..DiskUsage::default() };
        looked.unwrap_or(Self { disk: unknown, ..Self::default() })
    }

    /// Checks the sample against the limits.
    fn check(&self, limits: &Limits) -> Result<(), Failure> {
        let bytes = |limit: Option<ByteSize>| limit.map_or(u64::MAX, |size| size.as_u64());
        let count = |limit: Option<u32>| limit.map_or(u64::MAX, u64::from);
        let memory = self.processes.iter().map(|process| process.memory).max().unwrap_or_default();
        let tasks = self.processes.iter().map(|process| process.tasks).max().unwrap_or_default();
        let DiskUsage { bytes: on_disk, files, is_hidden, .. } = self.disk;
        let size = |bytes: u64| ByteSize(bytes).to_string();
        let (what, limit) = if memory > bytes(limits.rclone_memory) {
            (format!("rclone had {} of memory", size(memory)), "rclone-memory")
        } else if tasks > count(limits.tasks) {
            (format!("rclone had {tasks} threads"), "tasks")
        } else if files > count(limits.temporary_files) {
            (format!("rclone had {files} files on this machine's disk"), "temporary-files")
        } else if on_disk > bytes(limits.temporary_disk) {
            (format!("rclone had {} on this machine's disk", size(on_disk)), "temporary-disk")
        } else if is_hidden && limits.temporary_disk.is_some() {
            return Err(Failure::new(Reason::Denied, HIDDEN_DISK_MESSAGE));
        } else {
            return Ok(());
        };
        Err(Failure::new(
            Reason::RateLimited,
            format!("{what}, which is more than the policy allows, and was ended"),
        )
        .with_help(format!("raise the limit (`{limit}`)")))
    }
}

/// Watches a session for as long as it lasts.
pub async fn watch(context: Weak<ProcessContext>) {
    let Some(gauges) = context.upgrade().map(|context| {
        let account = &context.quota.account;
        [Count::RcloneMemory, Count::Tasks, Count::Disk, Count::Files]
            .map(|what| Gauge::new(account, what))
    }) else {
        return;
    };
    let (mut pause, mut blind_polls) = (POLL_INTERVAL, 0);
    loop {
        tokio::time::sleep(pause).await;
        let Some(session) = context.upgrade() else { return };
        let (directories, owner) = (session.writable_dirs(), session.owner);
        let pids: Vec<i32> = session.activity.processes().into_iter().map(raw_pid).collect();
        let max_files = session.grant.limits.temporary_files.map_or(u64::MAX, u64::from);
        drop(session);
        let start = Instant::now();
        let sampling = move || Sample::take(&pids, &directories, owner, max_files);
        // A sample that fails is taken again at the next poll.
        let mut sample = tokio::task::spawn_blocking(sampling).await.unwrap_or_default();
        blind_polls = if sample.disk.is_unknown { blind_polls + 1 } else { 0 };
        sample.disk.is_hidden |= blind_polls == MAX_BLIND_POLLS;
        pause = POLL_INTERVAL.max(start.elapsed() * POLL_TIME_DIVISOR);
        let Some(session) = context.upgrade() else { return };
        let sum = |of: fn(&ProcessUsage) -> u64| sample.processes.iter().map(of).sum::<u64>();
        let numbers =
            [sum(|it| it.memory), sum(|it| it.tasks), sample.disk.bytes, sample.disk.files];
        for (gauge, number) in gauges.iter().zip(numbers) {
            gauge.set(number);
        }
        if let Err(failure) = sample.check(&session.grant.limits) {
            if session.fatal.set(failure.clone()).is_ok() {
                tracing::warn!("{failure}");
            }
            // This includes processes that were about to start.
            session.activity.kill_all();
        }
    }
}

fn raw_pid(pid: Pid) -> i32 {
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
        let sample =
            |process, disk| Sample { processes: vec![ProcessUsage::default(), process], disk };
        assert_eq!(sample(fits, disk).check(&limits), Ok(()));
        for (more, limit) in [
            (sample(ProcessUsage { memory: fits.memory + 1, ..fits }, disk), "rclone-memory"),
            (sample(ProcessUsage { tasks: 65, ..fits }, disk), "tasks"),
            (sample(fits, DiskUsage { bytes: disk.bytes + 1, ..disk }), "temporary-disk"),
            (sample(fits, DiskUsage { files: 10_001, ..disk }), "temporary-files"),
            (sample(fits, DiskUsage { is_hidden: true, ..disk }), "temporary-disk"),
        ] {
            let failure = more.check(&limits).unwrap_err();
            assert!(failure.to_string().contains(&format!("(`{limit}`)")), "{failure:?}");
            assert_eq!(more.check(&Limits::default()), Ok(()));
        }
    }
}
