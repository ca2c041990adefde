//! Authorization of connected clients: compares the credentials that a client connected with and
//! the configuration that is loaded now.

use std::sync::Arc;
use tokio_rustls::rustls::pki_types::UnixTime;

use super::rejections::{Cause, Rejection};
use super::tls::PresentedCertificate;
use crate::connector::{Failure, Reason};
use crate::service::config::tenants::Identity;
use crate::service::{LoadedConfig, Service};
use crate::session::tenant::Tenant;

/// Returns the failure for clients that connect or request a session while the service stops.
pub fn stopping() -> Failure {
    let message = "the service is being stopped and takes no more sessions";
    Failure::new(Reason::Unavailable, message).with_help("try again later")
}

/// Identity of a client, and the proof of it.
#[derive(Debug)]
pub struct Credentials {
    pub identity: Identity,
    /// The certificate of a network client. The kernel identifies a local one.
    pub certificate: Option<PresentedCertificate>,
}

impl LoadedConfig {
    /// Returns the reason why a client no longer belongs to its tenant, if it doesn't. Its
    /// certificate has to be trusted at the time `at`, or else at the time of its handshake.
    fn revocation(
        &self,
        credentials: &Credentials,
        tenant: &str,
        at: Option<UnixTime>,
    ) -> Option<Failure> {
        let Credentials { identity, certificate } = credentials;
        if !self.runtimes.contains_key(tenant) {
            let message = format!("`{tenant}` is no longer a tenant of this service");
            return Some(Failure::denied(message).with_help("ask its operator"));
        }
        if self.tenants.tenant_of(identity) != Some(tenant) {
            let message = format!("{identity} no longer belongs to the tenant `{tenant}`");
            return Some(Failure::denied(message).with_help("ask the operator of the service"));
        }
        let is_trusted = |certificate: &PresentedCertificate| {
            self.tls
                .as_ref()
                .is_some_and(|tls| tls.trusts(certificate, at.unwrap_or(certificate.verified_at)))
        };
        certificate.as_ref().filter(|certificate| !is_trusted(certificate)).map(|_| {
            Failure::denied(format!("{identity} is no longer trusted"))
                .with_help("ask the operator of the service for a new one")
        })
    }
}

impl Service {
    /// Returns the current state of a client's tenant, if the client may still have a session.
    ///
    /// # Errors
    ///
    /// The service is stopping, or the client no longer belongs to the tenant.
    pub(super) fn current_tenant(
        &self,
        credentials: &Credentials,
        tenant: &str,
    ) -> Result<Arc<Tenant>, Failure> {
        let (cause, failure) = if self.is_draining() {
            (Cause::Stopping, stopping())
        } else {
            let loaded = self.loaded();
            let revocation = loaded.revocation(credentials, tenant, Some(UnixTime::now()));
            let current = loaded.runtimes.get(tenant).map(|runtime| runtime.tenant.clone());
            match (revocation, current) {
                (None, Some(current)) => return Ok(current),
                (failure, _) => {
                    let lost = || Failure::denied("the tenant of this client is gone");
                    (Cause::Withdrawn, failure.unwrap_or_else(lost))
                }
            }
        };
        let rejection = Rejection { cause, failure };
        self.reject(&credentials.identity.to_string(), &rejection);
        Err(rejection.failure)
    }

    /// Ends the sessions and idle connections of clients that no longer belong to their tenant.
    pub fn close_removed_tenants(&self) {
        let loaded = self.loaded();
        self.sessions
            .cancel_where(|tenant, credentials| loaded.revocation(credentials, tenant, None));
    }
}
