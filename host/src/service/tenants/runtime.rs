//! What each tenant has on this machine: a directory, a user, a thread, and its part of
//! what all share.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::worker::Worker;
use crate::confinement::MAX_THREADS_PER_PROCESS;
use crate::connector::{Failure, Reason};
use crate::kernel::RunAs;
use crate::policy::{Audit, Destination, Policies};
use crate::quota::admission::AdmissionQueue;
use crate::quota::cgroups::{ServiceCgroup, TenantCgroup};
use crate::quota::counters::{Count, Counters};
use crate::quota::semaphore::ResizableSemaphore;
use crate::quota::shared::SharedLimits;
use crate::rclone::state::State;
use crate::sandbox::{self, Connectors};
use crate::service::config;
use crate::service::config::tenants::{TenantConfig, Tenants};
use crate::service::config::{Settings, Users, wrong};
use crate::session::tenant::Tenant;

/// How much memory a component has at most, whatever policies say: the pool is made of
/// places of this size.
const MAX_GUEST_MEMORY_BYTES: usize = 256 << 20;

/// What a session needs to list, to read small files, and to read a large one.
const PROCESSES_PER_SESSION: u32 = 3;

/// A tenant and what it has.
pub struct TenantRuntime {
    pub tenant: Arc<Tenant>,
    pub worker: Arc<Worker>,
    /// Connections that it may have, whether a session has begun on them or not.
    pub connections: Arc<ResizableSemaphore>,
    config: TenantConfig,
}

/// What all tenants share.
pub struct SharedResources {
    state: PathBuf,
    users: Option<Users>,
    groups: Option<ServiceCgroup>,
    audit: BTreeSet<Destination>,
    connectors: Arc<Connectors>,
    /// The most sessions that there is a component for.
    most_sessions: u32,
    pub places: Arc<AdmissionQueue>,
    pub share: Arc<SharedLimits>,
    pub account: Arc<Counters>,
}

impl SharedResources {
    pub fn new(settings: &Settings, groups: Option<ServiceCgroup>) -> Result<Self, Failure> {
        let limits = &settings.limits;
        let directory = settings.connectors.clone().map_or_else(sandbox::program_directory, Ok)?;
        let shared = Self {
            state: settings.state.clone(),
            users: settings.users,
            groups,
            audit: settings.audit.as_ref().and_then(Audit::destination).into_iter().collect(),
            connectors: Arc::new(Connectors::new(
                directory,
                limits.sessions,
                MAX_GUEST_MEMORY_BYTES,
            )?),
            most_sessions: limits.sessions,
            places: Arc::new(AdmissionQueue::new(limits.sessions, limits.queue)),
            share: Arc::new(SharedLimits::new(
                "all tenants".to_owned(),
                limits.processes,
                limits.bandwidth,
            )),
            account: Arc::default(),
        };
        // Tenants' users pass through it to what is theirs.
        let mode = if shared.users.is_some() { 0o711 } else { 0o700 };
        for directory in [&shared.state, &shared.tenants()] {
            let mut builder = std::fs::DirBuilder::new();
            builder.recursive(true).mode(mode).create(directory).map_err(|error| {
                let message = format!(
                    "the directory `{}` can't be used: {error}: make it writable, or set another `state`",
                    directory.display()
                );
                Failure::new(Reason::Unavailable, message)
            })?;
        }
        Ok(shared)
    }

    pub fn audit(&self) -> &BTreeSet<Destination> {
        &self.audit
    }

    fn tenants(&self) -> PathBuf {
        self.state.join("tenants")
    }

    /// Gives every tenant what it has, under these limits of all. Those that are here already
    /// keep their thread, their directory, their sessions and what was counted.
    pub fn reconcile(
        &self,
        tenants: &Tenants,
        limits: &config::Limits,
        here: &BTreeMap<String, Arc<TenantRuntime>>,
    ) -> Result<BTreeMap<String, Arc<TenantRuntime>>, Failure> {
        if limits.sessions > self.most_sessions {
            return Err(wrong(format!(
                "`sessions` in [limits] can't be above the {} that the service was started with: start it again, or set fewer",
                self.most_sessions
            )));
        }
        let mut runtimes = BTreeMap::new();
        for (config, policies) in tenants.all() {
            let name = config.name.clone();
            let here = here.get(&name).map(Arc::as_ref);
            let runtime = self.runtime(config.clone(), policies.clone(), limits.wait, here)?;
            runtimes.insert(name, Arc::new(runtime));
        }
        warn_if_scarce("[limits]", limits.sessions, limits.processes);
        for (config, _) in tenants.all() {
            let whose = format!("the tenant `{}`", config.name);
            warn_if_scarce(
                &whose,
                config.limits.sessions.min(limits.sessions),
                config.limits.processes,
            );
        }
        // Nothing can go wrong any more: what is shared changes for those who share it.
        self.places.resize(limits.sessions, limits.queue);
        self.share.resize(limits.processes, limits.bandwidth);
        self.share.buffers.resize(Some(limits.buffers));
        runtimes.values().for_each(|runtime| runtime.resize());
        Ok(runtimes)
    }

    fn runtime(
        &self,
        config: TenantConfig,
        policies: Arc<Policies>,
        queue_timeout: Duration,
        here: Option<&TenantRuntime>,
    ) -> Result<TenantRuntime, Failure> {
        let limits = &config.limits;
        let name = &config.name;
        let failed = |error: io::Error| {
            Failure::internal(format!("the tenant `{name}` can't be set up: {error}"))
        };
        let worker = match here {
            Some(here) => here.worker.clone(),
            None => Arc::new(Worker::start(name).map_err(failed)?),
        };
        let state = match here {
            Some(here) => here.tenant.state.clone(),
            None => State::open_at(self.tenants().join(name), self.owner(name)?)?,
        };
        let places = match here {
            Some(here) => here.tenant.places.clone(),
            None => Arc::new(AdmissionQueue::new(limits.sessions, limits.queue)),
        };
        let group = match here {
            Some(here) => here.tenant.group.clone(),
            None => self.group(name).map_err(failed)?,
        };
        let share = match here {
            Some(here) => here.tenant.share.clone(),
            None => {
                let whose = format!("the tenant `{name}`");
                Arc::new(SharedLimits::new(whose, limits.processes, limits.bandwidth))
            }
        };
        let connections = match here {
            Some(here) => here.connections.clone(),
            None => Arc::new(ResizableSemaphore::new(limits.connections())),
        };
        let account = match here {
            Some(here) => here.tenant.account.clone(),
            None => Counters::child_of(&self.account),
        };
        let tenant = Tenant {
            name: name.clone(),
            policies,
            audit: self.audit.clone(),
            state,
            connectors: self.connectors.clone(),
            places,
            admission_timeout: queue_timeout,
            service_places: self.places.clone(),
            share,
            service_share: self.share.clone(),
            group,
            account,
        };
        Ok(TenantRuntime { tenant: Arc::new(tenant), worker, connections, config })
    }

    fn group(&self, name: &str) -> io::Result<Option<Arc<TenantCgroup>>> {
        self.groups.as_ref().map(|groups| groups.create_tenant(name).map(Arc::new)).transpose()
    }

    /// As whom a tenant's processes run: the user of the range whose group its directory has,
    /// or the first one without.
    fn owner(&self, name: &str) -> Result<Option<RunAs>, Failure> {
        let Some(Users { first, count, .. }) = self.users else { return Ok(None) };
        let own = |uid: u32| (first..first + count).contains(&uid);
        let owner = |path: PathBuf| std::fs::metadata(path).ok().map(|meta| meta.gid());
        if let Some(uid) = owner(self.tenants().join(name)).filter(|uid| own(*uid)) {
            return Ok(Some(RunAs { uid, gid: uid }));
        }
        let entries = std::fs::read_dir(self.tenants()).into_iter().flatten().flatten();
        let taken: BTreeSet<u32> = entries.filter_map(|entry| owner(entry.path())).collect();
        let uid = (first..first + count).find(|uid| !taken.contains(uid)).ok_or_else(|| {
            wrong(format!(
                "there is no user left for the tenant `{name}`: raise `count` in [users], or remove what is kept of tenants that are gone from `{}`",
                self.tenants().display()
            ))
        })?;
        Ok(Some(RunAs { uid, gid: uid }))
    }
}

impl TenantRuntime {
    /// Holds what it shares with sessions that run already to its limits.
    fn resize(&self) {
        let limits = &self.config.limits;
        self.tenant.places.resize(limits.sessions, limits.queue);
        self.tenant.share.resize(limits.processes, limits.bandwidth);
        self.tenant.share.buffers.resize(Some(limits.buffers));
        self.connections.resize(limits.connections());
        let memory = limits.memory.map(|size| size.as_u64());
        let threads = u64::from(limits.processes) * MAX_THREADS_PER_PROCESS;
        let limited = self.tenant.group.iter().map(|group| group.set_limits(memory, threads));
        limited.filter_map(Result::err).for_each(|error| {
            tracing::warn!("the control group of `{}` isn't limited: {error}", self.tenant.name);
        });
    }

    /// What its sessions have of memory at present, in bytes: rclone, components, and what
    /// this program holds between them.
    pub fn memory(&self) -> u64 {
        let has = [Count::RcloneMemory, Count::Memory, Count::Buffers];
        has.into_iter().map(|what| self.tenant.account.get(what)).sum()
    }

    pub fn limits(&self) -> &crate::service::config::tenants::Limits {
        &self.config.limits
    }
}

/// Says that sessions may fail half way, which otherwise shows only when all are there.
fn warn_if_scarce(whose: &str, sessions: u32, processes: u32) {
    let needed = sessions.saturating_mul(PROCESSES_PER_SESSION);
    if processes < needed {
        tracing::warn!(
            "{whose}: {sessions} sessions may need {needed} processes, and {processes} are allowed: files may fail half way; set more `processes`, or fewer `sessions`"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(users: Option<Users>) -> (tempfile::TempDir, SharedResources) {
        let directory = tempfile::tempdir().unwrap();
        let text = "version = 1\nstate = \"state\"\ntenants = \"t.toml\"\n[listen]\nsocket = \"s\"\n[limits]\nsessions = 2\n";
        let file = directory.path().join("service.toml");
        std::fs::write(&file, text).unwrap();
        let mut settings = Settings::read(&file).unwrap();
        settings.users = users;
        let shared = SharedResources::new(&settings, None).unwrap();
        (directory, shared)
    }

    #[test]
    fn each_tenant_has_a_user_of_its_own_and_keeps_it() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let (_directory, shared) = shared(Some(Users {
            first: 70_000,
            count: 2,
            service: None,
            namespace: crate::policy::Enforcement::Preferred,
        }));
        let reconcile = |name: &str| -> Result<u32, Failure> {
            let owner = shared.owner(name)?;
            State::open_at(shared.tenants().join(name), owner)?;
            Ok(owner.unwrap().uid)
        };
        assert_eq!(reconcile("a").unwrap(), 70_000);
        assert_eq!(reconcile("b").unwrap(), 70_001);
        assert_eq!(reconcile("a").unwrap(), 70_000);
        let failure = reconcile("c").unwrap_err();
        assert!(failure.message.contains("no user left for the tenant `c`"), "{failure:?}");
    }
}
