//! One rclone process: its command line, its pipes, its log and its end.
//!
//! - [`context`]: what all processes of a session share
//! - [`command`]: builds and starts a process
//! - [`quota`]: permits of a session for processes, files and disk
//! - [`stderr_log`]: log records that rclone writes to stderr
//! - [`errors`]: classifies rclone's messages
//! - [`omissions`]: objects that a listing left out
//! - [`activity`]: running processes, and the answers and failures of a remote
//! - [`retry_watchdog`]: kills a process that only retries
//! - [`remote_watchdog`]: ends a session whose remote doesn't answer
//! - [`resource_watchdog`]: ends a session that exceeds memory, threads or disk

pub mod activity;
pub mod command;
pub mod context;
pub mod errors;
pub mod omissions;
pub mod quota;
pub mod remote_watchdog;
pub mod resource_watchdog;
pub mod retry_watchdog;
pub mod stderr_log;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, waitid};
use serde::de::DeserializeOwned;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStdin, ChildStdout};

use super::state::token_lock::RefreshGuard;
use crate::audit::Event;
use crate::connector::{Failure, Reason};
use crate::quota::counters::{Count, Counters};
use activity::{Activity, signal_group};
use context::ProcessContext;
use errors::reported::ReportedErrors;
use quota::ProcessPermit;
use stderr_log::StderrLog;

/// Time limit for the end of a process after a SIGTERM.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Interval at which a process that was killed is checked.
const END_POLL_INTERVAL: Duration = Duration::from_millis(5);

/// A running process. Dropping it kills it and all that it started.
pub struct Process {
    /// The rclone command that it runs.
    command: &'static str,
    pub stdin: Option<ChildStdin>,
    pub stdout: Option<ChildStdout>,
    child: Child,
    /// The process group, by its first process.
    group: Option<Pid>,
    pub log: StderrLog,
    /// Counts of what went through its pipes.
    pub account: Arc<Counters>,
    exit_audit: ExitAudit,
    _permit: ProcessPermit,
    _refresh: Option<RefreshGuard>,
}

/// The record of a process's end for the audit log.
struct ExitAudit {
    argv: Vec<String>,
    started: Instant,
    status: Option<ExitStatus>,
    context: Arc<ProcessContext>,
}

impl Process {
    /// Waits for the end of the process.
    ///
    /// # Errors
    ///
    /// The process ended unsuccessfully.
    pub async fn wait(mut self) -> Result<(), Failure> {
        let status = self.wait_status().await?;
        if status.success() { Ok(()) } else { Err(self.exit_failure(status)) }
    }

    /// Reads the process's output, JSON of at most `max_bytes`, and waits for its end. `what`
    /// names the output in messages.
    ///
    /// # Errors
    ///
    /// The process ended unsuccessfully, or its output isn't of this type.
    pub async fn json_output<T: DeserializeOwned>(
        mut self,
        max_bytes: u64,
        what: &str,
    ) -> Result<T, Failure> {
        let mut text = Vec::new();
        if let Some(stdout) = self.stdout.take() {
            let read = stdout.take(max_bytes).read_to_end(&mut text).await;
            read.map_err(|error| {
                Failure::internal(format!("rclone's output can't be read: {error}"))
            })?;
        }
        self.wait().await?;
        serde_json::from_slice(&text)
            .map_err(|error| Failure::internal(format!("rclone's {what} can't be parsed: {error}")))
    }

    /// Waits for the end of a process whose errors of single paths are reported one by one.
    /// `reporting` returns these errors.
    ///
    /// # Errors
    ///
    /// The process ended unsuccessfully for a different error.
    pub async fn wait_ignoring_reported(
        mut self,
        reporting: impl Future<Output = ReportedErrors>,
    ) -> Result<(), Failure> {
        let status = self.wait_status().await?;
        let reported = reporting.await;
        let has_exited = status.code().is_some();
        if status.success() || has_exited && reported.explain(self.log.summary().as_deref()) {
            return Ok(());
        }
        Err(self.exit_failure(status))
    }

    /// Waits for the end of the process and of its log.
    ///
    /// # Errors
    ///
    /// The kernel doesn't return its status.
    pub async fn wait_status(&mut self) -> Result<ExitStatus, Failure> {
        drop(self.stdin.take());
        let context = self.exit_audit.context.clone();
        let waiting = context.activity.begin_wait();
        let status = self.child.wait().await.map_err(|error| {
            Failure::internal(format!("rclone {} could not be waited for: {error}", self.command))
        })?;
        drop(waiting);
        context.activity.remove_process(self.group);
        self.exit_audit.status = Some(status);
        self.account.add(Count::Failed, u64::from(!status.success()));
        self.log.finish().await;
        Ok(status)
    }

    /// The failure that an unsuccessful end stands for.
    pub fn exit_failure(&self, status: ExitStatus) -> Failure {
        if let Some(failure) = self.fatal_failure() {
            return failure;
        }
        if let Some(signal) = status.signal() {
            let is_limited = self.exit_audit.context.grant.limits.rclone_cpu.is_some();
            let what = format!("rclone {} was killed by signal {signal}", self.command);
            let failed = |message: String| Failure::new(Reason::Unavailable, message);
            return match Signal::from_named_raw(signal) {
                Some(Signal::XCPU) => failed(format!(
                    "{what}: it used up the processor time that the policy allows (`rclone-cpu`)"
                )),
                // A Go program ignores the SIGXCPU that comes before it.
                Some(Signal::KILL) if is_limited => failed(format!(
                    "{what}: most likely it used up the processor time that the policy allows \
                     (`rclone-cpu`)"
                )),
                _ => failed(what).with_help("run it again"),
            };
        }
        match self.log.last_error() {
            Some(error) => errors::classify(&error),
            None => Failure::internal(format!("rclone {} ended with {status}", self.command)),
        }
    }

    /// Stops the process: by SIGTERM, so that rclone cleans up, and by SIGKILL if it doesn't end
    /// in time. Returns the failure if it ended by itself.
    pub async fn stop(mut self) -> Option<Failure> {
        if let Ok(Some(status)) = self.child.try_wait() {
            self.log.finish().await;
            return Some(self.exit_failure(status));
        }
        self.signal(Signal::TERM);
        let status = tokio::time::timeout(STOP_TIMEOUT, self.child.wait()).await.ok()?.ok()?;
        self.exit_audit.status = Some(status);
        // A different signal had killed it before.
        let is_own_end = status.signal().is_some_and(|it| it != Signal::TERM.as_raw());
        is_own_end.then(|| self.exit_failure(status))
    }

    /// The activity of its session.
    pub fn activity(&self) -> &Activity {
        &self.exit_audit.context.activity
    }

    /// The failure that has ended its session, if one has.
    pub fn fatal_failure(&self) -> Option<Failure> {
        self.exit_audit.context.fatal.get().cloned()
    }

    /// Counts bytes that went through its pipes, and waits as long as the bandwidth demands.
    pub async fn record_transfer(&self, direction: Count, bytes: usize) {
        self.account.add(direction, bytes as u64);
        self.throttle(bytes).await;
    }

    /// Waits until the bandwidth allows `bytes` more.
    pub async fn throttle(&self, bytes: usize) {
        self.exit_audit.context.quota.throttle(bytes).await;
    }

    /// Kills the process, and waits until it has ended.
    pub async fn end(&self) {
        self.signal(Signal::KILL);
        while let Some(process) = process_group(&self.child) {
            // Its status is left for the child to collect.
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
            match waitid(WaitId::Pid(process), options) {
                Ok(None) => tokio::time::sleep(END_POLL_INTERVAL).await,
                _ => return,
            }
        }
    }

    fn signal(&self, signal: Signal) {
        signal_group(process_group(&self.child), signal);
    }
}

/// The process group of a child. `None` once it was waited for, since the number may be reused
/// then.
fn process_group(child: &Child) -> Option<Pid> {
    child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw)
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        self.activity().remove_process(self.group);
        let ExitAudit { argv, started, status, context } = &mut self.exit_audit;
        let noted = context.trail.record(Event::Process {
            remote: context.config.fingerprint().short(),
            argv: std::mem::take(argv),
            outcome: status.map_or("stopped".to_owned(), |status| status.to_string()),
            bytes_in: self.account.get(Count::BytesIn),
            bytes_out: self.account.get(Count::BytesOut),
            milliseconds: started.elapsed().as_millis().try_into().unwrap_or(u64::MAX),
        });
        if let Err(failure) = noted {
            // Without an audit log, no other process starts.
            tracing::error!("{failure}");
            let _ = context.fatal.set(failure);
        }
    }
}
