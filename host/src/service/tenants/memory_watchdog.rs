//! Enforces the memory limits of tenants and of the service.

use bytesize::ByteSize;
use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;
use tracing::warn;

use super::runtime::TenantRuntime;
use crate::connector::{Failure, Reason};
use crate::service::Service;

/// Interval of the checks.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Ends one session per check of each tenant above its limit, or of the service above its own.
pub async fn watch(service: Arc<Service>) {
    loop {
        tokio::time::sleep(CHECK_INTERVAL).await;
        let runtimes = service.runtimes();
        let ended: Vec<bool> =
            runtimes.iter().map(|runtime| enforce_tenant(&service, runtime)).collect();
        let limit = service.loaded().settings.limits.memory;
        // A session that was ended just now still has its memory.
        if let Some(limit) = limit.filter(|_| !ended.contains(&true)) {
            enforce_global(&service, &runtimes, limit);
        }
    }
}

/// Ends a session of a tenant above its limit. Returns whether one was ended.
fn enforce_tenant(service: &Service, runtime: &TenantRuntime) -> bool {
    let Some(limit) = runtime.limits().memory else { return false };
    let used = runtime.memory();
    let why = format!(
        "the sessions of the tenant `{}` together used more than their {limit} of memory",
        runtime.tenant.name
    );
    used > limit.as_u64() && evict_newest(service, runtime, used, &why)
}

/// Ends a session if all tenants together are above the limit: one of the tenant that uses the
/// most and has a session to end.
fn enforce_global(service: &Service, runtimes: &[Arc<TenantRuntime>], limit: ByteSize) {
    let mut by_usage: Vec<_> = runtimes.iter().map(|runtime| (runtime.memory(), runtime)).collect();
    if by_usage.iter().map(|(used, _)| used).sum::<u64>() <= limit.as_u64() {
        return;
    }
    by_usage.sort_by_key(|(used, _)| Reverse(*used));
    for (used, runtime) in by_usage {
        let why = format!(
            "the service used more than its {limit} of memory, and the tenant `{}` most of it",
            runtime.tenant.name
        );
        if evict_newest(service, runtime, used, &why) {
            return;
        }
    }
}

/// Ends the newest session of a tenant. Returns whether there was one to end.
fn evict_newest(service: &Service, runtime: &TenantRuntime, used: u64, why: &str) -> bool {
    let tenant = &runtime.tenant.name;
    let why = format!("{why}, and this session began last");
    let failure = Failure::new(Reason::RateLimited, why).with_help("run fewer at a time");
    let ended = service.sessions.cancel_newest(tenant, &failure);
    if ended {
        warn!(tenant, used, "a session was ended: too much memory");
    }
    ended
}
