//! Who somebody is, and whether that still gives a right to be here: what was shown when a
//! connection began is compared with what is known by now.

use std::sync::Arc;
use tokio_rustls::rustls::pki_types::UnixTime;

use super::rejections::{Cause, Refusal};
use super::tls::Shown;
use crate::connector::{Failure, Reason};
use crate::service::config::tenants::Identity;
use crate::service::{Known, Service};
use crate::session::tenant::Tenant;

/// Somebody who has come, and what shows who it is.
#[derive(Debug)]
pub struct Comer {
    pub identity: Identity,
    /// The certificate, unless the kernel says who it is.
    pub shown: Option<Shown>,
}

impl Known {
    /// Why somebody who came as one of this tenant is none any more. A certificate has to be
    /// believed at this time, or else at the one at which it was shown.
    fn withdrawn(&self, comer: &Comer, tenant: &str, at: Option<UnixTime>) -> Option<String> {
        let Comer { identity, shown } = comer;
        if !self.lodgers.contains_key(tenant) {
            return Some(format!(
                "`{tenant}` is no tenant of this service any more: ask its operator"
            ));
        }
        if self.tenants.of(identity) != Some(tenant) {
            return Some(format!(
                "{identity} isn't of the tenant `{tenant}` any more: ask the operator of the service"
            ));
        }
        let believed = |shown: &Shown| {
            self.tls.as_ref().is_some_and(|tls| tls.believes(shown, at.unwrap_or(shown.at)))
        };
        shown.as_ref().filter(|shown| !believed(shown)).map(|_| {
            format!(
                "{identity} isn't believed any more: ask the operator of the service for another"
            )
        })
    }
}

impl Service {
    /// The tenant as it is by now, for somebody who came as one of it and asks for a session.
    pub(super) fn present(&self, comer: &Comer, was: &Tenant) -> Result<Arc<Tenant>, Failure> {
        let (cause, reason, message) = {
            let known = self.known();
            let withdrawn = known.withdrawn(comer, &was.name, Some(UnixTime::now()));
            let tenant = known.lodgers.get(&was.name).map(|lodger| lodger.tenant.clone());
            match (withdrawn, tenant) {
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
        self.note_refusal(&comer.identity.to_string(), &Refusal { cause, message });
        Err(failure)
    }

    /// Ends the sessions, and the connections without one, of those who are none of their
    /// tenant any more.
    pub fn show_out(&self) {
        let known = self.known();
        self.sessions.end_where(|tenant, comer| {
            let why = known.withdrawn(comer, tenant, None)?;
            Some(Failure::new(Reason::Denied, why))
        });
    }
}
