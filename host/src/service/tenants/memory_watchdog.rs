//! Holds tenants, and all of them together, to the memory that they may have.

use bytesize::ByteSize;
use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;
use tracing::warn;

use super::runtime::Lodger;
use crate::connector::{Failure, Reason};
use crate::service::Service;

/// How often it looks.
const LOOK: Duration = Duration::from_secs(1);

/// Ends a session of a tenant, and one of all, while they have more than they may.
pub async fn watch(service: Arc<Service>) {
    loop {
        tokio::time::sleep(LOOK).await;
        let lodgers = service.lodgers();
        let ended: Vec<bool> = lodgers.iter().map(|lodger| hold_one(&service, lodger)).collect();
        let most = service.known().settings.limits.memory;
        // What was ended just now still has its memory.
        if let Some(most) = most.filter(|_| !ended.contains(&true)) {
            hold_all(&service, &lodgers, most);
        }
    }
}

/// Whether a session was ended, as its tenant has more than it may.
fn hold_one(service: &Service, lodger: &Lodger) -> bool {
    let Some(most) = lodger.limits().memory else { return false };
    let has = lodger.memory();
    let why = format!(
        "the sessions of the tenant `{}` together had more than their {most} of memory",
        lodger.tenant.name
    );
    has > most.as_u64() && end_youngest(service, lodger, has, &why)
}

/// Ends a session where all have more than they may: of the tenant that has the most and
/// has one to end.
fn hold_all(service: &Service, lodgers: &[Arc<Lodger>], most: ByteSize) {
    let mut all: Vec<_> = lodgers.iter().map(|lodger| (lodger.memory(), lodger)).collect();
    if all.iter().map(|(has, _)| has).sum::<u64>() <= most.as_u64() {
        return;
    }
    all.sort_by_key(|(has, _)| Reverse(*has));
    for (has, lodger) in all {
        let why = format!(
            "the service had more than its {most} of memory, and the tenant `{}` most of it",
            lodger.tenant.name
        );
        if end_youngest(service, lodger, has, &why) {
            return;
        }
    }
}

/// Ends that session of a tenant which began last, if there is one to end.
fn end_youngest(service: &Service, lodger: &Lodger, has: u64, why: &str) -> bool {
    let tenant = &lodger.tenant.name;
    let why = format!("{why}, and this one began last: run fewer at a time");
    let failure = Failure::new(Reason::RateLimited, why);
    let ended = service.sessions.cancel_youngest(tenant, &failure);
    if ended {
        warn!(tenant, has, "a session is ended: too much memory");
    }
    ended
}
