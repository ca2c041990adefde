//! The audit log: one line of JSON for each decision, process and session. Callers redact
//! secrets before they write to it.
//!
//! - [`report`]: a table of the decisions in a log

pub mod report;

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::connector::{Failure, Reason};
use crate::policy::Destination;
use crate::terminal::escape_json;

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// Time of writing, in UTC.
    pub time: jiff::Timestamp,
    /// Unique name of the session: `PID-COUNT-SECONDS`.
    pub session: String,
    /// User that this process runs as, or that connected to a service.
    pub uid: u32,
    /// Tenant of a service that the session belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    #[serde(flatten)]
    pub event: Event,
}

/// An event of a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A session asked for a remote.
    Decision {
        /// Fingerprint of the remote, as in the origin of its snapshots; empty if its
        /// configuration was invalid.
        remote: String,
        backend: String,
        path: String,
        /// `importer` or `exporter`.
        r#use: String,
        /// Rules that allowed it; none under the built-in policy.
        rules: BTreeSet<String>,
        allowed: bool,
        /// Reason for a refusal.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        why: String,
    },
    /// A session that was allowed failed to start: everything was busy, or no rclone may be
    /// run.
    StartFailed { remote: String, why: String },
    /// An rclone process ended.
    Process {
        /// Empty for `rclone version`.
        remote: String,
        argv: Vec<String>,
        /// Exit status, or the reason why it was stopped.
        outcome: String,
        /// Bytes that were written to it.
        bytes_in: u64,
        /// Bytes that were read from it.
        bytes_out: u64,
        milliseconds: u64,
    },
    /// A session of a store put an object.
    ObjectStored { path: String, bytes: u64 },
    /// A session of a store removed an object.
    ObjectDeleted { path: String },
    /// The policy refused a session of a store to change an object.
    ObjectRefused { path: String, why: String },
    /// A service refused a client before a session.
    Refusal {
        /// The client: ``the user 1000``, ``the certificate of `a` ``.
        who: String,
        why: String,
    },
    /// A session ended.
    Session { remote: String, processes: u64, bytes_in: u64, bytes_out: u64, milliseconds: u64 },
}

/// Identity of a session.
#[derive(Debug, Clone)]
pub struct Subject {
    /// `PID-COUNT-SECONDS`.
    pub session: Arc<str>,
    pub uid: u32,
    pub tenant: Option<String>,
}

impl Subject {
    /// Creates the identity of a new session of the user that this process runs as.
    pub fn local() -> Self {
        Self { session: new_session_name(), uid: rustix::process::getuid().as_raw(), tenant: None }
    }
}

/// Creates the unique name of a new session.
pub fn new_session_name() -> Arc<str> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let seconds = jiff::Timestamp::now().as_second();
    format!("{}-{count}-{seconds}", std::process::id()).into()
}

/// The log as one session writes to it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AuditLog {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    subject: Subject,
    started: Instant,
    files: Vec<File>,
    stderr: bool,
}

impl AuditLog {
    /// Opens the log for a session.
    ///
    /// # Errors
    ///
    /// A file can't be opened. The session must not start then.
    pub fn open(destinations: &BTreeSet<Destination>, subject: Subject) -> Result<Self, Failure> {
        let files = destinations.iter().filter_map(|destination| match destination {
            Destination::File(path) => Some(path),
            Destination::Stderr => None,
        });
        let open = |path: &std::path::PathBuf| {
            let mut options = OpenOptions::new();
            options.append(true).create(true).mode(0o600).open(path).map_err(|error| {
                Failure::new(
                    Reason::Denied,
                    format!(
                        "the audit log `{}` can't be written, and nothing is done without it: \
                         {error}",
                        path.display()
                    ),
                )
            })
        };
        let inner = Inner {
            subject,
            started: Instant::now(),
            files: files.map(open).collect::<Result<_, _>>()?,
            stderr: destinations.contains(&Destination::Stderr),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Duration of the session so far.
    pub fn elapsed(&self) -> Duration {
        self.inner.started.elapsed()
    }

    /// Writes a line to each destination, with one call each.
    ///
    /// # Errors
    ///
    /// A destination can't be written. What the line describes must not happen then.
    pub fn record(&self, event: Event) -> Result<(), Failure> {
        if self.inner.files.is_empty() && !self.inner.stderr {
            return Ok(());
        }
        let record = AuditRecord {
            time: jiff::Timestamp::now(),
            session: self.inner.subject.session.to_string(),
            uid: self.inner.subject.uid,
            tenant: self.inner.subject.tenant.clone(),
            event,
        };
        let line = serde_json::to_string(&record).map_err(|error| unwritable(&error.into()))?;
        let mut line = escape_json(&line).into_owned().into_bytes();
        line.push(b'\n');
        for mut file in &self.inner.files {
            file.write_all(&line).map_err(|error| unwritable(&error))?;
        }
        if self.inner.stderr {
            std::io::stderr().write_all(&line).map_err(|error| unwritable(&error))?;
        }
        Ok(())
    }

    /// Writes a line about something that has happened already, and logs a failure to do so.
    pub fn record_best_effort(&self, event: Event) {
        if let Err(failure) = self.record(event) {
            tracing::error!("{failure}");
        }
    }
}

fn unwritable(error: &std::io::Error) -> Failure {
    Failure::new(
        Reason::Denied,
        format!(
            "the audit log that the policy requires can't be written, and nothing is done without \
             it: {error}"
        ),
    )
}
