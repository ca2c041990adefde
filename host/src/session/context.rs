//! The context of a session: how this program was started, and on whose behalf.

use std::path::PathBuf;
use std::sync::Arc;

use super::tenant::TenantClient;
use crate::audit::{AuditLog, Subject};
use crate::connector::Failure;
use crate::policy::Policies;
use crate::quota::SessionQuota;
use crate::rclone::state::State;

/// The settings that all sessions of a connection share.
#[derive(Clone, Default)]
pub struct SessionContext {
    /// The connector, if not the one next to this program that its protocol names.
    pub component: Option<PathBuf>,
    /// A policy in addition to those in force.
    pub policy: Option<PathBuf>,
    /// The client of a service, if the session isn't one of the user who started this program.
    pub client: Option<TenantClient>,
}

impl SessionContext {
    /// Returns the context of a session that is requested now, however long ago its client
    /// connected.
    ///
    /// # Errors
    ///
    /// Fails if the client has to stop, or is no longer a client of its tenant.
    pub fn refreshed(&self) -> Result<Self, Failure> {
        let client = self.client.as_ref().map(TenantClient::refreshed).transpose()?;
        Ok(Self { client, ..self.clone() })
    }

    /// Opens the audit log of sessions that these policies concern.
    ///
    /// # Errors
    ///
    /// Fails if a destination can't be opened.
    pub fn audit(&self, policies: &Policies) -> Result<AuditLog, Failure> {
        match &self.client {
            Some(client) => AuditLog::open(
                &(&policies.audit_destinations() | &client.tenant.audit),
                client.subject.clone(),
            ),
            None => AuditLog::open(&policies.audit_destinations(), Subject::local()),
        }
    }

    /// Returns the policies in force.
    pub(super) fn policies(&self) -> Result<Arc<Policies>, Failure> {
        match &self.client {
            Some(client) => Ok(client.tenant.policies.clone()),
            None => Policies::load(self.policy.as_deref()).map(Arc::new),
        }
    }

    /// Returns the private directory.
    pub(super) fn state(&self) -> Result<State, Failure> {
        match &self.client {
            Some(client) => Ok(client.tenant.state.clone()),
            None => State::open(),
        }
    }

    /// Waits until the session is admitted.
    pub(super) async fn admit(&self) -> Result<SessionQuota, Failure> {
        match &self.client {
            Some(client) => client.admit().await,
            None => Ok(SessionQuota::default()),
        }
    }
}
