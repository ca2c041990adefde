//! A tenant: the party that a session of a service runs for, with its own policy, private
//! directory and limits.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::audit::Subject;
use crate::connector::Failure;
use crate::policy::{Destination, Policies};
use crate::quota::SessionQuota;
use crate::quota::admission::{AdmissionQueue, SessionPermit};
use crate::quota::cgroups::TenantCgroup;
use crate::quota::counters::Counters;
use crate::quota::shared::SharedLimits;
use crate::rclone::state::State;
use crate::sandbox::{Connectors, StopSignal, wait_for_stop};

/// A tenant as its service has it configured.
pub struct Tenant {
    pub name: String,
    pub policies: Arc<Policies>,
    /// The service's own audit destinations, in addition to those of the policies.
    pub audit: BTreeSet<Destination>,
    /// The tenant's private directory, and the user that its processes run as.
    pub state: State,
    pub connectors: Arc<Connectors>,
    /// The queue for the tenant's own sessions.
    pub queue: Arc<AdmissionQueue>,
    /// The queue for the sessions of all tenants.
    pub service_queue: Arc<AdmissionQueue>,
    /// Time limit of a session's wait for admission.
    pub admission_timeout: Duration,
    /// Limits that the tenant's sessions share.
    pub limits: Arc<SharedLimits>,
    /// Limits that the sessions of all tenants share.
    pub service_limits: Arc<SharedLimits>,
    /// The control group of its processes, where the service has one.
    pub group: Option<Arc<TenantCgroup>>,
    pub account: Arc<Counters>,
}

/// Looks up a client's tenant as it is now; fails if the client is no longer one of it.
pub type TenantLookup = dyn Fn() -> Result<Arc<Tenant>, Failure> + Send + Sync;

/// A client of a service that has, or may request, a session of its tenant.
#[derive(Clone)]
pub struct TenantClient {
    pub tenant: Arc<Tenant>,
    pub subject: Subject,
    pub account: Arc<Counters>,
    /// Receives the reason when the session has to end.
    pub stop: StopSignal,
    /// Aborts its connection, when it hasn't ended by itself then.
    pub abort: CancellationToken,
    /// The span of its lines in the log.
    pub span: tracing::Span,
    pub lookup: Arc<TenantLookup>,
    /// Whether it has a session, or is about to.
    pub busy: Arc<watch::Sender<bool>>,
}

impl TenantClient {
    /// Returns the same client with its tenant as it is now: rights that the client had when it
    /// connected may have been withdrawn.
    ///
    /// # Errors
    ///
    /// Fails if the client has to stop, or is no longer one of its tenant.
    pub fn refreshed(&self) -> Result<Self, Failure> {
        if let Some(reason) = self.stop.borrow().clone() {
            return Err(reason);
        }
        Ok(Self { tenant: (self.lookup)()?, ..self.clone() })
    }

    /// Checks that what was decided before a wait still holds.
    fn check_unchanged(&self) -> Result<(), Failure> {
        if self.refreshed()?.tenant.policies.is_same(&self.tenant.policies) {
            return Ok(());
        }
        let why = format!(
            "the policy of the tenant `{}` was changed while the session waited",
            self.tenant.name
        );
        Err(Failure::denied(why).with_help("run it again"))
    }

    /// Waits until the session may start.
    ///
    /// # Errors
    ///
    /// Fails if the queue is full, the wait too long, or the policy was changed meanwhile.
    pub async fn admit(&self) -> Result<SessionQuota, Failure> {
        let tenant = &*self.tenant;
        let Tenant { name, queue, service_queue, admission_timeout, .. } = tenant;
        let permit = tokio::select! {
            permit = SessionPermit::acquire(name, queue, service_queue, *admission_timeout) => permit?,
            reason = wait_for_stop(Some(self.stop.clone())) => return Err(reason),
        };
        self.check_unchanged()?;
        let group = tenant.group.as_ref();
        let group = group.map(|group| group.create_session(&self.subject.session)).transpose();
        let group = group.map_err(|error| {
            Failure::internal(format!("the session can't have a control group: {error}"))
        })?;
        Ok(SessionQuota {
            counters: self.account.clone(),
            shared: vec![tenant.limits.clone(), tenant.service_limits.clone()],
            permit: Some(permit),
            cgroup: group,
        })
    }
}
