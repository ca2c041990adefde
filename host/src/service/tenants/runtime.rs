//! Runtime resources of tenants: a directory, a user, a thread, a control group, limits and
//! counters.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::worker::Worker;
use crate::confinement::MAX_THREADS_PER_PROCESS;
use crate::connector::{Failure, Reason};
use crate::kernel::UserIds;
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

/// Maximum memory of a component, whatever policies allow: the size of each slot of the pool.
const MAX_GUEST_MEMORY_BYTES: usize = 256 << 20;

/// Number of processes that a session needs: to list, to read small files, and to read a large
/// one.
const PROCESSES_PER_SESSION: u32 = 3;

/// A tenant and its runtime resources.
pub struct TenantRuntime {
    pub tenant: Arc<Tenant>,
    pub worker: Arc<Worker>,
    /// Permits for connections, whether they have a session or not.
    pub connections: Arc<ResizableSemaphore>,
    config: TenantConfig,
}

/// The resources of a tenant that it keeps when its configuration is reloaded.
struct KeptResources {
    worker: Arc<Worker>,
    connections: Arc<ResizableSemaphore>,
    state: State,
    admission: Arc<AdmissionQueue>,
    limits: Arc<SharedLimits>,
    cgroup: Option<Arc<TenantCgroup>>,
    counters: Arc<Counters>,
}

/// Resources that all tenants share.
pub struct SharedResources {
    state: PathBuf,
    users: Option<Users>,
    cgroup: Option<ServiceCgroup>,
    audit: BTreeSet<Destination>,
    connectors: Arc<Connectors>,
    /// Number of sessions that the pool of components has slots for.
    max_sessions: u32,
    /// The queue for the sessions of all tenants.
    pub admission: Arc<AdmissionQueue>,
    limits: Arc<SharedLimits>,
    counters: Arc<Counters>,
}

impl SharedResources {
    /// Creates the resources and the directories of a service.
    ///
    /// # Errors
    ///
    /// The connectors can't be found, or a directory can't be created.
    pub fn new(settings: &Settings, cgroup: Option<ServiceCgroup>) -> Result<Self, Failure> {
        let limits = &settings.limits;
        let directory = settings.connectors.clone().map_or_else(sandbox::program_directory, Ok)?;
        let connectors = Connectors::new(directory, limits.sessions, MAX_GUEST_MEMORY_BYTES)?;
        let shared = Self {
            state: settings.state.clone(),
            users: settings.users,
            cgroup,
            audit: settings.audit.as_ref().and_then(Audit::destination).into_iter().collect(),
            connectors: Arc::new(connectors),
            max_sessions: limits.sessions,
            admission: Arc::new(AdmissionQueue::new(limits.sessions, limits.queue)),
            limits: Arc::new(SharedLimits::new(
                "all tenants".to_owned(),
                limits.processes,
                limits.bandwidth,
            )),
            counters: Arc::default(),
        };
        // Tenants' users traverse these directories to their own.
        let mode = if shared.users.is_some() { 0o711 } else { 0o700 };
        for directory in [&shared.state, &shared.tenants_dir()] {
            let mut builder = std::fs::DirBuilder::new();
            builder.recursive(true).mode(mode).create(directory).map_err(|error| {
                let message =
                    format!("the directory `{}` can't be used: {error}", directory.display());
                Failure::new(Reason::Unavailable, message)
                    .with_help("make it writable, or set a different `state`")
            })?;
        }
        Ok(shared)
    }

    /// Returns the audit destinations of the service.
    pub fn audit(&self) -> &BTreeSet<Destination> {
        &self.audit
    }

    fn tenants_dir(&self) -> PathBuf {
        self.state.join("tenants")
    }

    /// Creates the runtimes of all configured tenants. `limits` apply to all tenants together.
    /// Tenants of `existing` keep their thread, directory, sessions and counters.
    ///
    /// # Errors
    ///
    /// `limits` has more sessions than at the start, or a tenant's resources can't be created.
    /// Nothing has changed then.
    pub fn reconcile(
        &self,
        tenants: &Tenants,
        limits: &config::Limits,
        existing: &BTreeMap<String, Arc<TenantRuntime>>,
    ) -> Result<BTreeMap<String, Arc<TenantRuntime>>, Failure> {
        if limits.sessions > self.max_sessions {
            return Err(wrong(format!(
                "`sessions` in [limits] can't be above the {} that the service was started with",
                self.max_sessions
            ))
            .with_help("restart it, or set fewer"));
        }
        let mut runtimes = BTreeMap::new();
        for (config, policies) in tenants.iter() {
            let kept = match existing.get(&config.name) {
                Some(runtime) => runtime.kept_resources(),
                None => self.create_resources(config)?,
            };
            let runtime = self.runtime(config.clone(), policies.clone(), limits.wait, kept);
            runtimes.insert(config.name.clone(), Arc::new(runtime));
        }
        warn_if_scarce("[limits]", limits.sessions, limits.processes);
        for (config, _) in tenants.iter() {
            let subject = format!("the tenant `{}`", config.name);
            let sessions = config.limits.sessions.min(limits.sessions);
            warn_if_scarce(&subject, sessions, config.limits.processes);
        }
        // Limits of running sessions change only now that no error is possible any more.
        self.admission.resize(limits.sessions, limits.queue);
        self.limits.resize(limits.processes, limits.bandwidth);
        self.limits.buffers.resize(Some(limits.buffers));
        for runtime in runtimes.values() {
            runtime.apply_limits();
        }
        Ok(runtimes)
    }

    /// Creates the resources of a new tenant.
    fn create_resources(&self, config: &TenantConfig) -> Result<KeptResources, Failure> {
        let TenantConfig { name, limits, .. } = config;
        let failed = |error: io::Error| {
            Failure::internal(format!("the tenant `{name}` can't be set up: {error}"))
        };
        let worker = Arc::new(Worker::start(name).map_err(failed)?);
        let state = State::open_at(self.tenants_dir().join(name), self.assign_user(name)?)?;
        let cgroup = self.cgroup.as_ref().map(|cgroup| cgroup.create_tenant(name)).transpose();
        let subject = format!("the tenant `{name}`");
        Ok(KeptResources {
            worker,
            connections: Arc::new(ResizableSemaphore::new(limits.connections())),
            state,
            admission: Arc::new(AdmissionQueue::new(limits.sessions, limits.queue)),
            limits: Arc::new(SharedLimits::new(subject, limits.processes, limits.bandwidth)),
            cgroup: cgroup.map_err(failed)?.map(Arc::new),
            counters: Counters::child_of(&self.counters),
        })
    }

    /// Combines a tenant's configuration with its resources.
    fn runtime(
        &self,
        config: TenantConfig,
        policies: Arc<Policies>,
        admission_timeout: Duration,
        kept: KeptResources,
    ) -> TenantRuntime {
        let KeptResources { worker, connections, state, admission, limits, cgroup, counters } =
            kept;
        let tenant = Tenant {
            name: config.name.clone(),
            policies,
            audit: self.audit.clone(),
            state,
            connectors: self.connectors.clone(),
            queue: admission,
            admission_timeout,
            service_queue: self.admission.clone(),
            limits,
            service_limits: self.limits.clone(),
            group: cgroup,
            account: counters,
        };
        TenantRuntime { tenant: Arc::new(tenant), worker, connections, config }
    }

    /// Returns the user for a tenant's processes: the one whose group owns its directory, or the
    /// first free one of the range.
    fn assign_user(&self, name: &str) -> Result<Option<UserIds>, Failure> {
        let Some(Users { first, count, .. }) = self.users else { return Ok(None) };
        let is_in_range = |uid: &u32| (first..first + count).contains(uid);
        let owner = |path: PathBuf| std::fs::metadata(path).ok().map(|meta| meta.gid());
        if let Some(uid) = owner(self.tenants_dir().join(name)).filter(is_in_range) {
            return Ok(Some(UserIds { uid, gid: uid }));
        }
        let entries = std::fs::read_dir(self.tenants_dir()).into_iter().flatten().flatten();
        let assigned: BTreeSet<u32> = entries.filter_map(|entry| owner(entry.path())).collect();
        let uid = (first..first + count).find(|uid| !assigned.contains(uid)).ok_or_else(|| {
            wrong(format!("no user is left for the tenant `{name}`")).with_help(format!(
                "raise `count` in [users], or remove the directories of removed tenants from \
                 `{}`",
                self.tenants_dir().display()
            ))
        })?;
        Ok(Some(UserIds { uid, gid: uid }))
    }
}

impl TenantRuntime {
    /// Returns the resources that the tenant keeps after a reload.
    fn kept_resources(&self) -> KeptResources {
        let Tenant { state, queue, limits, group, account, .. } = &*self.tenant;
        KeptResources {
            worker: self.worker.clone(),
            connections: self.connections.clone(),
            state: state.clone(),
            admission: queue.clone(),
            limits: limits.clone(),
            cgroup: group.clone(),
            counters: account.clone(),
        }
    }

    /// Applies the configured limits, also to running sessions.
    fn apply_limits(&self) {
        let limits = &self.config.limits;
        self.tenant.queue.resize(limits.sessions, limits.queue);
        self.tenant.limits.resize(limits.processes, limits.bandwidth);
        self.tenant.limits.buffers.resize(Some(limits.buffers));
        self.connections.resize(limits.connections());
        let memory = limits.memory.map(|size| size.as_u64());
        let threads = u64::from(limits.processes) * MAX_THREADS_PER_PROCESS;
        if let Some(cgroup) = &self.tenant.group
            && let Err(error) = cgroup.set_limits(memory, threads)
        {
            let name = &self.tenant.name;
            tracing::warn!("the limits of the control group of `{name}` can't be set: {error}");
        }
    }

    /// Returns the memory of the tenant's sessions in bytes: of rclone, components and buffers.
    pub fn memory(&self) -> u64 {
        let counts = [Count::RcloneMemory, Count::Memory, Count::Buffers];
        counts.into_iter().map(|count| self.tenant.account.get(count)).sum()
    }

    /// Returns the tenant's configured limits.
    pub fn limits(&self) -> &config::tenants::Limits {
        &self.config.limits
    }
}

/// Warns that concurrent sessions may run out of processes.
fn warn_if_scarce(subject: &str, sessions: u32, processes: u32) {
    let needed = sessions.saturating_mul(PROCESSES_PER_SESSION);
    if processes < needed {
        tracing::warn!(
            "{subject}: {sessions} sessions may need {needed} processes, and {processes} are \
             allowed, so that files may fail half way; help: set more `processes`, or fewer \
             `sessions`"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(users: Option<Users>) -> (tempfile::TempDir, SharedResources) {
        let directory = tempfile::tempdir().unwrap();
        let text = "version = 1\nstate = \"state\"\ntenants = \"t.toml\"\n[listen]\n\
                    socket = \"s\"\n[limits]\nsessions = 2\n";
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
        let add = |name: &str| -> Result<u32, Failure> {
            let owner = shared.assign_user(name)?;
            State::open_at(shared.tenants_dir().join(name), owner)?;
            Ok(owner.unwrap().uid)
        };
        assert_eq!(add("a").unwrap(), 70_000);
        assert_eq!(add("b").unwrap(), 70_001);
        assert_eq!(add("a").unwrap(), 70_000);
        let failure = add("c").unwrap_err();
        assert!(failure.message.contains("no user is left for the tenant `c`"), "{failure:?}");
    }
}
