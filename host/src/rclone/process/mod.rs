//! One rclone process: its arguments, its environment, its pipes and its end.
//!
//! - [`spawner`]: starts processes from one thread
//! - [`quota`]: permits of a session for processes and disk
//! - [`stderr_log`]: log lines that rclone writes to stderr
//! - [`errors`]: classifies rclone's messages
//! - [`omissions`], [`reported`]: objects that a listing left out, and errors of single paths
//! - [`retry_watchdog`]: ends a process that only retries
//! - [`remote_watchdog`]: ends a session whose remote doesn't answer
//! - [`resource_watchdog`]: ends a session that exceeds memory, threads or disk

pub mod errors;
pub mod omissions;
pub mod quota;
pub mod remote_watchdog;
pub mod reported;
pub mod resource_watchdog;
pub mod retry_watchdog;
pub mod spawner;
pub mod stderr_log;

use rustix::process::{Pid, Signal};
use std::ffi::OsString;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::state::token_lock::Turn;
use super::{Rclone, google_photos};
use crate::audit::Event;
use crate::confinement::Standing;
use crate::connector::{Failure, Reason};
use crate::kernel::pipe;
use crate::policy::{Environment, Grant, Limits};
use crate::quota::counters::{Count, Counters};
use quota::Taken;
use remote_watchdog::Watchdog;
use reported::Told;
use retry_watchdog::Vain;
use stderr_log::{Log, Sink};

/// What a process inherits of our environment: how to reach the network, where
/// the user's keys lie, and what the clock shows. Nothing that steers rclone, and no `PATH`:
/// credentials of Amazon's can name a command (`policy/rclone_options/table.toml`, s3).
const ENVIRONMENT: [&str; 13] = [
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

/// The verbs that upload.
const UPLOADS: [&str; 2] = ["copy", "rcat"];

/// How long a process may take to end by itself when it is asked to.
const GRACE: Duration = Duration::from_secs(5);

/// A process that isn't started yet.
pub struct Verb<'a> {
    rclone: &'a Rclone,
    name: &'static str,
    command: Command,
}

impl<'a> Verb<'a> {
    pub fn new(rclone: &'a Rclone, name: &'static str) -> Self {
        let inner = &rclone.inner;
        let own = inner.scratch.own();
        let mut command = Command::new(inner.binary.path());
        command
            .arg(name)
            .args([
                "--use-json-log",
                google_photos::verbosity(&inner.remote),
                "--stats",
                "0",
                "--retries",
                "1",
            ])
            .arg("--config")
            .arg(rclone.config_file())
            .arg("--cache-dir")
            .arg(own.join("cache"))
            .arg("--temp-dir")
            .arg(&own)
            .env_clear()
            .env("TMPDIR", &own)
            .current_dir(&own);
        for (limit, value) in pace(&inner.grant.limits) {
            command.arg(limit).arg(value);
        }
        // Without one, libraries would run programs to find it.
        command.env("HOME", &own);
        for name in environment(&inner.grant) {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        Self { rclone, name, command }
    }

    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.command.arg(arg.into());
        self
    }

    pub fn args<const N: usize>(mut self, args: [&str; N]) -> Self {
        self.command.args(args);
        self
    }

    /// Makes it log at the level of debugging.
    pub fn debug(self) -> Self {
        self.arg("-v")
    }

    /// Starts it. `sink` gets what it logs of single files.
    pub async fn start(mut self, stdin: bool, sink: Option<Sink>) -> Result<Process, Failure> {
        let failed = |error: std::io::Error| {
            Failure::internal(format!("rclone {} could not be started: {error}", self.name))
        };
        if let Some(failure) = self.rclone.inner.in_vain.get() {
            return Err(failure.clone());
        }
        let place = self.rclone.inner.usage.place().await?;
        let (argv, nice) = (self.argv(), self.rclone.inner.usage.niceness());
        let turn = self.rclone.inner.config.turns().next().await;
        let (errors, log) = std::io::pipe().map_err(failed)?;
        self.command
            .stdin(if stdin { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::from(log));
        let rclone = self.rclone;
        let standing = Standing { niceness: nice, group: rclone.inner.usage.group.as_ref() };
        let mut child = spawner::spawn(self.command, &rclone.inner.confinement, standing)
            .await
            .map_err(failed)?;
        // The command was moved, and with it our copy of the write end.
        let (group, inner) = (group(&child), rclone.inner.clone());
        inner.watchdog.started(group, UPLOADS.contains(&self.name));
        let in_vain = inner.in_vain.clone();
        let vain = Vain::new(google_photos::is(&inner.remote), move |error| {
            let _ = in_vain.set(errors::understand(error));
            kill(group, Signal::KILL);
        });
        let log = Log::follow(errors.into(), self.name, inner.secrets.clone(), sink, vain)
            .map_err(failed)?;
        child.stdout.iter().for_each(pipe::widen);
        child.stdin.iter().for_each(pipe::widen);
        Ok(Process {
            verb: self.name,
            stdin: child.stdin.take(),
            stdout: child.stdout.take(),
            child,
            group,
            log,
            in_vain: inner.in_vain.clone(),
            account: Counters::child_of(&inner.usage.account),
            ending: Ending { argv, started: Instant::now(), status: None, rclone: rclone.clone() },
            _place: place,
            _turn: turn,
        })
    }

    /// The command line, without secrets.
    fn argv(&self) -> Vec<String> {
        let command = self.command.as_std();
        let words = [command.get_program()].into_iter().chain(command.get_args());
        words.map(|word| self.rclone.inner.secrets.strike(&word.to_string_lossy())).collect()
    }
}

/// The variables that rclone inherits under a policy.
pub fn environment(grant: &Grant) -> Vec<&str> {
    match &grant.environment {
        Environment::BuiltIn => ENVIRONMENT.to_vec(),
        Environment::Only(names) => names.iter().map(String::as_str).collect(),
    }
}

/// How fast rclone may be.
fn pace(limits: &Limits) -> Vec<(&'static str, String)> {
    let bandwidth = limits.bandwidth.map(|size| ("--bwlimit", format!("{}B", size.as_u64())));
    let calls = limits.calls_per_second.map(|calls| ("--tpslimit", calls.to_string()));
    bandwidth.into_iter().chain(calls).collect()
}

/// A running process. Dropping it kills it and all that it started.
pub struct Process {
    verb: &'static str,
    pub stdin: Option<ChildStdin>,
    pub stdout: Option<ChildStdout>,
    child: Child,
    /// Its process group, by its first process.
    group: Option<Pid>,
    pub log: Log,
    in_vain: Arc<OnceLock<Failure>>,
    /// What went through its pipes.
    pub account: Arc<Counters>,
    ending: Ending,
    _place: Taken,
    _turn: Option<Turn>,
}

/// What the audit log is told of its end.
struct Ending {
    argv: Vec<String>,
    started: Instant,
    status: Option<ExitStatus>,
    rclone: Rclone,
}

impl Process {
    /// Waits for its end and says what went wrong, if anything did.
    pub async fn end(mut self) -> Result<(), Failure> {
        let status = self.wait().await?;
        if status.success() { Ok(()) } else { Err(self.failure(status)) }
    }

    /// Waits for its end where failures of single paths are told one by one; `telling`
    /// gives them. An end that is about these alone isn't one of the whole run.
    pub async fn end_told(mut self, telling: impl Future<Output = Told>) -> Result<(), Failure> {
        let status = self.wait().await?;
        let told = telling.await;
        if status.success()
            || status.code().is_some() && told.excuses(self.log.summary().as_deref())
        {
            return Ok(());
        }
        Err(self.failure(status))
    }

    /// Waits for its end, with everything that it logged taken in.
    pub async fn wait(&mut self) -> Result<ExitStatus, Failure> {
        drop(self.stdin.take());
        let watchdog = self.ending.rclone.inner.watchdog.clone();
        let waiting = watchdog.wait();
        let status = self.child.wait().await.map_err(|error| {
            Failure::internal(format!("rclone {} could not be waited for: {error}", self.verb))
        })?;
        drop(waiting);
        watchdog.ended(self.group);
        self.ending.status = Some(status);
        self.account.add(Count::Failed, u64::from(!status.success()));
        self.log.finish().await;
        Ok(status)
    }

    /// What an unsuccessful end means.
    pub fn failure(&self, status: ExitStatus) -> Failure {
        use std::os::unix::process::ExitStatusExt;
        if let Some(failure) = self.in_vain.get() {
            return failure.clone();
        }
        if let Some(signal) = status.signal() {
            let limited = self.ending.rclone.inner.grant.limits.rclone_cpu.is_some();
            let why = match Signal::from_named_raw(signal) {
                Some(Signal::XCPU) => {
                    "it used up the processor time that the policy allows (`rclone-cpu`)"
                }
                // A Go program doesn't hear the signal before this one.
                Some(Signal::KILL) if limited => {
                    "most likely it used up the processor time that the policy allows (`rclone-cpu`)"
                }
                _ => "run it again",
            };
            return Failure::new(
                Reason::Unavailable,
                format!("rclone {} was killed by signal {signal}: {why}", self.verb),
            );
        }
        match self.log.last_error() {
            Some(error) => errors::understand(&error),
            None => Failure::internal(format!("rclone {} ended with {status}", self.verb)),
        }
    }

    /// Asks it to end and clean up after itself, and insists after a while. Says
    /// why, if it had ended by itself before.
    pub async fn stop(mut self) -> Option<Failure> {
        if let Ok(Some(status)) = self.child.try_wait() {
            self.log.finish().await;
            return Some(self.failure(status));
        }
        self.signal(Signal::TERM);
        use std::os::unix::process::ExitStatusExt;
        let status = tokio::time::timeout(GRACE, self.child.wait()).await.ok()?.ok()?;
        self.ending.status = Some(status);
        // Who was dying already, of something else, didn't end because it was asked to.
        let otherwise = status.signal().is_some_and(|it| it != Signal::TERM.as_raw());
        otherwise.then(|| self.failure(status))
    }

    /// What watches the session that it is of.
    pub fn watchdog(&self) -> &Watchdog {
        &self.ending.rclone.inner.watchdog
    }

    /// Why the session has ended, if it has.
    pub fn ended_by(&self) -> Option<Failure> {
        self.in_vain.get().cloned()
    }

    /// Counts bytes that went through its pipes, and waits until more may.
    pub async fn passed(&self, way: Count, bytes: usize) {
        self.account.add(way, bytes as u64);
        self.pace(bytes).await;
    }

    /// Waits until so many bytes may pass.
    pub async fn pace(&self, bytes: usize) {
        self.ending.rclone.inner.usage.pace(bytes).await;
    }

    fn signal(&self, signal: Signal) {
        kill(group(&self.child), signal);
    }
}

/// The group of a child and of its own children; none once it was waited for, when its
/// number may be another's.
fn group(child: &Child) -> Option<Pid> {
    child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw)
}

/// Sends a signal to all processes of a group.
pub fn kill(group: Option<Pid>, signal: Signal) {
    if let Some(group) = group {
        // It may have ended meanwhile.
        let _ = rustix::process::kill_process_group(group, signal);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        self.watchdog().ended(self.group);
        let Ending { argv, started, status, rclone } = &mut self.ending;
        let inner = &rclone.inner;
        let noted = inner.trail.record(Event::Process {
            remote: inner.config.fingerprint().short(),
            argv: std::mem::take(argv),
            outcome: status.map_or("stopped".to_owned(), |status| status.to_string()),
            bytes_in: self.account.get(Count::BytesIn),
            bytes_out: self.account.get(Count::BytesOut),
            milliseconds: started.elapsed().as_millis().try_into().unwrap_or(u64::MAX),
        });
        if let Err(failure) = noted {
            // No other process is started.
            tracing::error!("{failure}");
            let _ = inner.in_vain.set(failure);
        }
    }
}
