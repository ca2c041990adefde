//! Activity of a session: the operations that wait for rclone, the remote's answers and
//! failures, and the process groups that run.

use rustix::process::{Pid, Signal};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

use crate::connector::{Failure, Reason};
use crate::kernel::UserIds;
use crate::kernel::run_as;

/// Number of failures for one reason, with no success in between, after which the remote is
/// probed.
pub const MAX_FAILURES: u64 = 8;

/// The activity of one session.
#[derive(Default)]
pub struct Activity {
    /// The user that the processes run as, if that isn't this process's.
    owner: Option<UserIds>,
    /// Number of operations that wait for rclone.
    waiting: AtomicUsize,
    /// Number of answers of the remote.
    answers: AtomicU64,
    /// Number of failures since the last answer, for a reason that may be the remote's.
    failures: AtomicU64,
    /// Whether the component retries what fails, for longer than a remote may be silent.
    is_retried: AtomicBool,
    /// Notified when there were [`MAX_FAILURES`].
    pub suspicion: Notify,
    /// The process groups that run, and whether they upload.
    groups: Mutex<HashMap<Pid, bool>>,
}

/// An operation that waits for rclone, until it is dropped.
pub struct Wait<'a>(&'a Activity);

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Activity {
    /// The activity of processes that run as `owner`.
    pub fn new(owner: Option<UserIds>) -> Self {
        Self { owner, ..Self::default() }
    }

    /// Records that the component retries what fails: a remote that doesn't answer ends the
    /// processes that wait for it, and not the session.
    pub fn leave_retries_to_component(&self) {
        self.is_retried.store(true, Ordering::Relaxed);
    }

    /// Whether the component retries what fails.
    pub fn is_retried(&self) -> bool {
        self.is_retried.load(Ordering::Relaxed)
    }

    /// Records that an operation waits for rclone.
    pub fn begin_wait(&self) -> Wait<'_> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Wait(self)
    }

    /// Whether an operation waits for rclone.
    pub fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Records an answer of the remote.
    pub fn record_answer(&self) {
        self.answers.fetch_add(1, Ordering::Relaxed);
        self.failures.store(0, Ordering::Relaxed);
    }

    /// Number of answers of the remote.
    pub fn answers(&self) -> u64 {
        self.answers.load(Ordering::Relaxed)
    }

    /// Records a failed operation.
    pub fn record_failure(&self, failure: &Failure) {
        if is_remote_failure(failure.reason)
            && self.failures.fetch_add(1, Ordering::Relaxed) + 1 == MAX_FAILURES
        {
            self.suspicion.notify_one();
        }
    }

    /// Records the start of a process.
    pub fn add_process(&self, group: Option<Pid>, uploads: bool) {
        if let Some(group) = group {
            self.groups().insert(group, uploads);
        }
    }

    /// Records the end of a process.
    pub fn remove_process(&self, group: Option<Pid>) {
        if let Some(group) = group {
            self.groups().remove(&group);
        }
    }

    /// The processes that run.
    pub fn processes(&self) -> Vec<Pid> {
        self.groups().keys().copied().collect()
    }

    /// Kills every process.
    pub fn kill_all(&self) {
        for group in self.groups().keys() {
            signal_group(Some(*group), Signal::KILL);
        }
    }

    /// Number of bytes that each process has read, with those that it has written if it
    /// uploads.
    pub fn transferred_bytes(&self) -> HashMap<Pid, u64> {
        let groups: Vec<_> = self.groups().iter().map(|(group, up)| (*group, *up)).collect();
        let counts = groups.into_iter().map(|(group, up)| (group, process_bytes(group, up)));
        // The kernel shows it to the processes' own user only.
        run_as(self.owner, || Ok(counts.collect())).unwrap_or_default()
    }

    fn groups(&self) -> MutexGuard<'_, HashMap<Pid, bool>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends a signal to all processes of a group.
pub fn signal_group(group: Option<Pid>, signal: Signal) {
    if let Some(group) = group {
        // It may have ended meanwhile.
        let _ = rustix::process::kill_process_group(group, signal);
    }
}

/// Whether a failure for this reason may affect every operation on a remote.
fn is_remote_failure(reason: Reason) -> bool {
    matches!(reason, Reason::Unavailable | Reason::Unauthenticated)
}

/// Number of bytes that a process has read from files, pipes and the network, with those that
/// it has written if `with_written` (proc_pid_io(5)).
#[cfg(target_os = "linux")]
fn process_bytes(process: Pid, with_written: bool) -> u64 {
    let path = format!("/proc/{}/io", process.as_raw_nonzero());
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let count = |name: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(name))?;
        value.trim().parse::<u64>().ok()
    };
    let written = if with_written { count("wchar:") } else { None };
    count("rchar:").unwrap_or_default().wrapping_add(written.unwrap_or_default())
}

#[cfg(not(target_os = "linux"))]
fn process_bytes(_: Pid, _: bool) -> u64 {
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_failures_of_the_remote_in_a_row_are_suspicious() {
        let activity = Activity::default();
        let refused = Failure::new(Reason::Unavailable, "connection refused");
        let gone = Failure::new(Reason::NotFound, "gone");
        for _ in 1..MAX_FAILURES {
            activity.record_failure(&refused);
            activity.record_failure(&gone);
        }
        activity.record_answer();
        assert_eq!(activity.failures.load(Ordering::Relaxed), 0);
    }
}
