//! On whose behalf a session runs, where that isn't whoever started this program: a tenant
//! of a service, who has a policy, a private directory and limits of its own.

use crate::quota::SessionQuota;
use crate::quota::admission::{AdmissionQueue, SessionPermit};
use crate::quota::cgroups::TenantCgroup;
use crate::quota::shared::SharedLimits;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::audit::Subject;
use crate::connector::{Failure, Reason};
use crate::policy::{Destination, Policies};
use crate::quota::counters::Counters;
use crate::rclone::state::State;
use crate::sandbox::{Connectors, stopped};

/// A tenant as its service knows it at present.
pub struct Tenant {
    pub name: String,
    pub policies: Arc<Policies>,
    /// Where the service wants everything noted, whatever the policies say.
    pub audit: BTreeSet<Destination>,
    /// Where what is kept for this tenant lies, and as whom its processes run.
    pub state: State,
    pub connectors: Arc<Connectors>,
    /// Its sessions, and how long one may wait to be among them.
    pub places: Arc<AdmissionQueue>,
    pub patience: Duration,
    /// The sessions of all tenants.
    pub all: Arc<AdmissionQueue>,
    /// What its sessions share among themselves, and with all others.
    pub shares: [Arc<SharedLimits>; 2],
    /// The control group of its processes, where the service has one.
    pub group: Option<Arc<TenantCgroup>>,
    pub account: Arc<Counters>,
}

/// A session of a tenant that is about to begin.
#[derive(Clone)]
pub struct Client {
    pub tenant: Arc<Tenant>,
    pub subject: Subject,
    pub account: Arc<Counters>,
    /// Why it has to end, once it has to.
    pub stop: watch::Receiver<Option<Failure>>,
    /// Cuts its connection off, when it hasn't ended by itself then.
    pub cut: CancellationToken,
    /// What its lines in the log belong to.
    pub span: tracing::Span,
    /// Says what the tenant is by now, or why this client is of it no more.
    pub present: Arc<dyn Fn() -> Result<Arc<Tenant>, Failure> + Send + Sync>,
    /// Whether it has a session, or is about to.
    pub busy: Arc<watch::Sender<bool>>,
}

impl Client {
    /// The same client under what its service knows by now: rights that it had when it
    /// connected may have been withdrawn.
    pub fn at_present(&self) -> Result<Self, Failure> {
        let told = self.stop.borrow().clone();
        told.map_or(Ok(()), Err)?;
        Ok(Self { tenant: (self.present)()?, ..self.clone() })
    }

    /// Whether what was decided before a wait still holds.
    fn still_allowed(&self) -> Result<(), Failure> {
        if self.at_present()?.tenant.policies.is_same(&self.tenant.policies) {
            return Ok(());
        }
        let why = format!(
            "the policy of the tenant `{}` was changed while the session waited: run it again",
            self.tenant.name
        );
        Err(Failure::new(Reason::Denied, why))
    }

    /// Waits until the session may begin.
    pub async fn admit(&self) -> Result<SessionQuota, Failure> {
        let Tenant { name, places, all, patience, shares, group, .. } = &*self.tenant;
        let place = tokio::select! {
            place = SessionPermit::acquire(name, places, all, *patience) => place?,
            why = stopped(Some(self.stop.clone())) => return Err(why),
        };
        self.still_allowed()?;
        let group =
            group.as_ref().map(|group| group.create_session(&self.subject.session)).transpose();
        let group = group.map_err(|error| {
            Failure::internal(format!("the session can't have a control group: {error}"))
        })?;
        Ok(SessionQuota {
            counters: self.account.clone(),
            shared: shares.to_vec(),
            permit: Some(place),
            cgroup: group,
        })
    }
}
