//! The audit log: one line of JSON for each decision, process and session. Only those who
//! strike secrets out write to it.
//!
//! - [`report`]: what it tells, in words

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
use crate::terminal::plain_json;

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When it was written, in UTC.
    pub time: jiff::Timestamp,
    /// What tells one session from another: `PID-COUNT-SECONDS`.
    pub session: String,
    /// Whom this process runs as, or who asked a service.
    pub uid: u32,
    /// The tenant of a service whose session it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    #[serde(flatten)]
    pub event: Event,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Event {
    /// A remote was asked for.
    Decision {
        /// The remote's fingerprint, as in the origin of its snapshots; none if its
        /// configuration made no sense.
        remote: String,
        backend: String,
        path: String,
        r#use: String,
        /// The rules that allowed it; none under the built-in policy.
        rules: BTreeSet<String>,
        allowed: bool,
        /// Why it was refused.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        why: String,
    },
    /// A session that was allowed couldn't begin: everything was busy, or there was no
    /// rclone that may be run.
    Unstarted { remote: String, why: String },
    /// An rclone process ended.
    Process {
        /// Empty where it was only asked for its version.
        remote: String,
        argv: Vec<String>,
        /// How it ended.
        outcome: String,
        /// Bytes that it took, and that it gave.
        bytes_in: u64,
        bytes_out: u64,
        milliseconds: u64,
    },
    /// Somebody was refused a session of a service before it began.
    Refusal {
        /// Who it was: ``the user 1000``, ``the certificate of `a` ``.
        who: String,
        why: String,
    },
    /// A session ended.
    Session { remote: String, processes: u64, bytes_in: u64, bytes_out: u64, milliseconds: u64 },
}

/// Whose session it is.
#[derive(Debug, Clone)]
pub struct Subject {
    /// `PID-COUNT-SECONDS`.
    pub session: Arc<str>,
    pub uid: u32,
    pub tenant: Option<String>,
}

impl Subject {
    /// A new session of whoever this process runs as.
    pub fn own() -> Self {
        Self { session: new_session(), uid: rustix::process::getuid().as_raw(), tenant: None }
    }
}

/// What tells a new session from all others.
pub fn new_session() -> Arc<str> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let seconds = jiff::Timestamp::now().as_second();
    format!("{}-{count}-{seconds}", std::process::id()).into()
}

/// Where one session's lines go. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Trail {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    subject: Subject,
    started: Instant,
    files: Vec<File>,
    stderr: bool,
}

impl Trail {
    /// Opens the log for a session. What can't be noted must not happen.
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
                        "the audit log `{}` can't be written: {error}: nothing is done without it",
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

    /// How long the session has lasted.
    pub fn lasted(&self) -> Duration {
        self.inner.started.elapsed()
    }

    /// Writes a line to each destination, in one piece. Whoever couldn't goes no further:
    /// what can't be noted must not happen.
    pub fn note(&self, event: Event) -> Result<(), Failure> {
        if self.inner.files.is_empty() && !self.inner.stderr {
            return Ok(());
        }
        let entry = Entry {
            time: jiff::Timestamp::now(),
            session: self.inner.subject.session.to_string(),
            uid: self.inner.subject.uid,
            tenant: self.inner.subject.tenant.clone(),
            event,
        };
        let line = serde_json::to_string(&entry).map_err(|error| unwritable(&error.into()))?;
        let mut line = plain_json(&line).into_owned().into_bytes();
        line.push(b'\n');
        let files = self.inner.files.iter().try_for_each(|mut file| file.write_all(&line));
        files.map_err(|error| unwritable(&error))?;
        if self.inner.stderr {
            std::io::stderr().write_all(&line).map_err(|error| unwritable(&error))?;
        }
        Ok(())
    }

    /// The same of what has happened already.
    pub fn note_afterwards(&self, event: Event) {
        if let Err(failure) = self.note(event) {
            tracing::error!("{}", failure.message);
        }
    }
}

fn unwritable(error: &std::io::Error) -> Failure {
    Failure::new(
        Reason::Denied,
        format!(
            "the audit log that the policy wants can't be written: {error}: nothing is done without it"
        ),
    )
}
