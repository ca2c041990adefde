//! The command line and environment of an rclone process, and its start.

use rustix::process::Signal;
use std::ffi::OsString;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Instant;
use tokio::process::Command;

use super::activity::signal_group;
use super::context::ProcessContext;
use super::retry_watchdog::RetryWatchdog;
use super::stderr_log::{LogSink, StderrLog};
use super::{ExitAudit, Process, errors, process_group};
use crate::confinement::{Scheduling, spawner};
use crate::connector::Failure;
use crate::kernel::pipe;
use crate::policy::{Environment, Grant, Limits};
use crate::quota::counters::Counters;
use crate::rclone::google_photos;

/// The variables that a process inherits: how to reach the network, where the user's keys are,
/// and the time zone. None of them configures rclone. `PATH` is missing since an option of the
/// Amazon credentials can name a command (`policy/rclone_options/table.toml`, s3).
const INHERITED_VARIABLES: [&str; 13] = [
    "ALL_PROXY",
    "HOME",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "LANG",
    "NO_PROXY",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TZ",
    "all_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

/// The commands that upload. A server does in a session of a store.
const UPLOAD_COMMANDS: [&str; 3] = ["copy", "rcat", "serve"];

/// A builder of an rclone process.
pub struct RcloneCommand<'a> {
    context: &'a Arc<ProcessContext>,
    name: &'static str,
    command: Command,
    has_stdin: bool,
    sink: Option<LogSink>,
}

impl<'a> RcloneCommand<'a> {
    /// The rclone command `name`, with the flags and variables that every process has.
    pub fn new(context: &'a Arc<ProcessContext>, name: &'static str) -> Self {
        let writable = context.scratch.writable_dir();
        let verbosity = google_photos::verbosity(&context.remote);
        let mut command = Command::new(context.binary.path());
        command
            .arg(name)
            .args(["--use-json-log", verbosity, "--stats", "0", "--retries", "1"])
            .arg("--config")
            .arg(context.config.file())
            .arg("--cache-dir")
            .arg(writable.join("cache"))
            .arg("--temp-dir")
            .arg(&writable)
            .env_clear()
            .env("TMPDIR", &writable)
            .current_dir(&writable);
        for (limit, value) in rate_limits(&context.grant.limits) {
            command.arg(limit).arg(value);
        }
        // Without it, libraries would run programs to find the home directory.
        command.env("HOME", &writable);
        for name in environment(&context.grant) {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        Self { context, name, command, has_stdin: false, sink: None }
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.command.arg(arg.into());
        self
    }

    /// Adds arguments.
    pub fn args<const N: usize>(mut self, args: [&str; N]) -> Self {
        self.command.args(args);
        self
    }

    /// Adds debug messages to the log.
    pub fn with_debug_log(self) -> Self {
        self.arg("-v")
    }

    /// Connects stdin to a pipe. Without this the process reads nothing.
    pub fn with_stdin(mut self) -> Self {
        self.has_stdin = true;
        self
    }

    /// Sends each log record to `sink`.
    pub fn log_to(mut self, sink: LogSink) -> Self {
        self.sink = Some(sink);
        self
    }

    /// Starts the process, once the session may have one more.
    ///
    /// # Errors
    ///
    /// The session has failed as a whole, waited too long for a permit, or can't start rclone.
    pub async fn spawn(mut self) -> Result<Process, Failure> {
        let failed = |error: std::io::Error| {
            Failure::internal(format!("rclone {} could not be started: {error}", self.name))
        };
        let context = self.context;
        if let Some(failure) = context.fatal.get() {
            return Err(failure.clone());
        }
        let permit = context.quota.acquire_process().await?;
        let (argv, niceness) = (self.redacted_argv(), context.quota.niceness());
        let refresh = context.config.refresh_lock().acquire().await;
        let (errors, log) = std::io::pipe().map_err(failed)?;
        self.command
            .stdin(if self.has_stdin { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::from(log));
        let scheduling = Scheduling { niceness, group: context.quota.group.as_ref() };
        let mut child =
            spawner::spawn(self.command, &context.confinement, scheduling).await.map_err(failed)?;
        // `spawn` has dropped the command, and with it this process's end of the log's pipe.
        let group = process_group(&child);
        context.activity.add_process(group, UPLOAD_COMMANDS.contains(&self.name));
        let fatal = context.fatal.clone();
        let watchdog = RetryWatchdog::new(context.remote.is_google_photos(), move |error| {
            let _ = fatal.set(errors::classify(error));
            signal_group(group, Signal::KILL);
        });
        let secrets = context.secrets.clone();
        let log = StderrLog::follow(errors.into(), self.name, secrets, self.sink, watchdog)
            .map_err(failed)?;
        child.stdout.iter().for_each(pipe::widen);
        child.stdin.iter().for_each(pipe::widen);
        let started = Instant::now();
        Ok(Process {
            command: self.name,
            stdin: child.stdin.take(),
            stdout: child.stdout.take(),
            child,
            group,
            log,
            account: Counters::child_of(&context.quota.account),
            exit_audit: ExitAudit { argv, started, status: None, context: context.clone() },
            _permit: permit,
            _refresh: refresh,
        })
    }

    /// The command line, without secrets.
    fn redacted_argv(&self) -> Vec<String> {
        let command = self.command.as_std();
        let words = [command.get_program()].into_iter().chain(command.get_args());
        words.map(|word| self.context.secrets.redact(&word.to_string_lossy())).collect()
    }
}

/// The variables that rclone inherits under a policy.
pub fn environment(grant: &Grant) -> Vec<&str> {
    match &grant.environment {
        Environment::BuiltIn => INHERITED_VARIABLES.to_vec(),
        Environment::Only(names) => names.iter().map(String::as_str).collect(),
    }
}

/// The flags that limit bandwidth and calls.
fn rate_limits(limits: &Limits) -> Vec<(&'static str, String)> {
    let bandwidth = limits.bandwidth.map(|size| ("--bwlimit", format!("{}B", size.as_u64())));
    let calls = limits.calls_per_second.map(|calls| ("--tpslimit", calls.to_string()));
    bandwidth.into_iter().chain(calls).collect()
}
