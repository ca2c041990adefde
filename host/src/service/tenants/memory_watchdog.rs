//! Holds tenants, and all of them together, to the memory that they may have.

use bytesize::ByteSize;
use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;
use tracing::warn;

use super::runtime::TenantRuntime;
use crate::connector::{Failure, Reason};
use crate::service::Service;

/// How often it looks.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Ends a session of a tenant, and one of all, while they have more than they may.
pub async fn watch(service: Arc<Service>) {
    loop {
        tokio::time::sleep(CHECK_INTERVAL).await;
        let runtimes = service.runtimes();
        let ended: Vec<bool> =
            runtimes.iter().map(|runtime| enforce_tenant(&service, runtime)).collect();
        let most = service.loaded().settings.limits.memory;
        // What was ended just now still has its memory.
        if let Some(most) = most.filter(|_| !ended.contains(&true)) {
            enforce_global(&service, &runtimes, most);
        }
    }
}

/// Whether a session was ended, as its tenant has more than it may.
fn enforce_tenant(service: &Service, runtime: &TenantRuntime) -> bool {
    let Some(most) = runtime.limits().memory else { return false };
    let has = runtime.memory();
    let why = format!(
        "the sessions of the tenant `{}` together had more than their {most} of memory",
        runtime.tenant.name
    );
    has > most.as_u64() && evict_newest(service, runtime, has, &why)
}

/// Ends a session where all have more than they may: of the tenant that has the most and
/// has one to end.
fn enforce_global(service: &Service, runtimes: &[Arc<TenantRuntime>], most: ByteSize) {
    let mut all: Vec<_> = runtimes.iter().map(|runtime| (runtime.memory(), runtime)).collect();
    if all.iter().map(|(has, _)| has).sum::<u64>() <= most.as_u64() {
        return;
    }
    all.sort_by_key(|(has, _)| Reverse(*has));
    for (has, runtime) in all {
        let why = format!(
            "the service had more than its {most} of memory, and the tenant `{}` most of it",
            runtime.tenant.name
        );
        if evict_newest(service, runtime, has, &why) {
            return;
        }
    }
}

/// Ends that session of a tenant which began last, if there is one to end.
fn evict_newest(service: &Service, runtime: &TenantRuntime, has: u64, why: &str) -> bool {
    let tenant = &runtime.tenant.name;
    let why = format!("{why}, and this one began last: run fewer at a time");
    let failure = Failure::new(Reason::RateLimited, why);
    let ended = service.sessions.cancel_newest(tenant, &failure);
    if ended {
        warn!(tenant, has, "a session is ended: too much memory");
    }
    ended
}
