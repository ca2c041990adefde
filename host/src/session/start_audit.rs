//! The audit of a session's start: sessions that fail to start are recorded with the reason.

use super::AuthorizedRemote;
use crate::audit::{AuditLog, Event};
use crate::connector::Failure;
use crate::rclone::Secrets;

/// A guard of a session that was authorized and hasn't started. One that is dropped before it
/// is finished records that its client went away.
pub struct StartAudit {
    trail: AuditLog,
    remote: String,
    secrets: Secrets,
    finished: bool,
}

impl StartAudit {
    /// Makes the guard of an authorized session.
    pub fn new(AuthorizedRemote { remote, trail, .. }: &AuthorizedRemote) -> Self {
        Self {
            trail: trail.clone(),
            remote: remote.fingerprint().short(),
            secrets: Secrets::from_remote(remote),
            finished: false,
        }
    }

    /// Records a failure, and passes the result on.
    ///
    /// # Errors
    ///
    /// Fails as the result does.
    pub fn finish<T>(mut self, result: Result<T, Failure>) -> Result<T, Failure> {
        self.finished = true;
        if let Err(failure) = &result {
            self.record(self.secrets.redact_failure(failure).to_string());
        }
        result
    }

    fn record(&self, why: String) {
        self.trail.record_best_effort(Event::StartFailed { remote: self.remote.clone(), why });
    }
}

impl Drop for StartAudit {
    fn drop(&mut self) {
        if !self.finished {
            self.record("its client went away".to_owned());
        }
    }
}
