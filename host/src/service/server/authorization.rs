//! Who somebody is, and whether that still gives a right to be here: what was certificate when a
//! connection began is compared with what is loaded by now.

use std::sync::Arc;
use tokio_rustls::rustls::pki_types::UnixTime;

use super::rejections::{Cause, Rejection};
use super::tls::PresentedCertificate;
use crate::connector::{Failure, Reason};
use crate::service::config::tenants::Identity;
use crate::service::{LoadedConfig, Service};
use crate::session::tenant::Tenant;

/// Somebody who has come, and what shows who it is.
#[derive(Debug)]
pub struct Credentials {
    pub identity: Identity,
    /// The certificate, unless the kernel says who it is.
    pub certificate: Option<PresentedCertificate>,
}

impl LoadedConfig {
    /// Why somebody who came as one of this tenant is none any more. A certificate has to be
    /// believed at this time, or else at the one at which it was certificate.
    fn revocation(
        &self,
        credentials: &Credentials,
        tenant: &str,
        at: Option<UnixTime>,
    ) -> Option<String> {
        let Credentials { identity, certificate } = credentials;
        if !self.runtimes.contains_key(tenant) {
            return Some(format!(
                "`{tenant}` is no tenant of this service any more: ask its operator"
            ));
        }
        if self.tenants.tenant_of(identity) != Some(tenant) {
            return Some(format!(
                "{identity} isn't of the tenant `{tenant}` any more: ask the operator of the service"
            ));
        }
        let is_trusted = |certificate: &PresentedCertificate| {
            self.tls
                .as_ref()
                .is_some_and(|tls| tls.trusts(certificate, at.unwrap_or(certificate.at)))
        };
        certificate.as_ref().filter(|certificate| !is_trusted(certificate)).map(|_| {
            format!(
                "{identity} isn't believed any more: ask the operator of the service for another"
            )
        })
    }
}

impl Service {
    /// The tenant as it is by now, for somebody who came as one of it and asks for a session.
    pub(super) fn current_tenant(
        &self,
        credentials: &Credentials,
        was: &Tenant,
    ) -> Result<Arc<Tenant>, Failure> {
        let (cause, reason, message) = {
            let loaded = self.loaded();
            let revocation = loaded.revocation(credentials, &was.name, Some(UnixTime::now()));
            let tenant = loaded.runtimes.get(&was.name).map(|runtime| runtime.tenant.clone());
            match (revocation, tenant) {
                _ if self.is_draining() => {
                    let why =
                        "the service is being stopped and takes no more sessions: try again later";
                    (Cause::Stopping, Reason::Unavailable, why.to_owned())
                }
                (None, Some(tenant)) => return Ok(tenant),
                (why, _) => (Cause::Withdrawn, Reason::Denied, why.unwrap_or_default()),
            }
        };
        let failure = Failure::new(reason, message.clone());
        self.reject(&credentials.identity.to_string(), &Rejection { cause, message });
        Err(failure)
    }

    /// Ends the sessions, and the connections without one, of those who are none of their
    /// tenant any more.
    pub fn close_removed_tenants(&self) {
        let loaded = self.loaded();
        self.sessions.end_where(|tenant, credentials| {
            let why = loaded.revocation(credentials, tenant, None)?;
            Some(Failure::new(Reason::Denied, why))
        });
    }
}
