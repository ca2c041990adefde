//! The multi-tenant service: one process that runs the sessions of many tenants, each
//! under its tenant's policy, on its tenant's thread, as its tenant's user.
//!
//! - [`config`]: the operator's configuration files
//! - [`start`]: the steps that need root's rights, and giving these up
//! - [`server`]: connections of clients
//! - [`tenants`]: runtime resources of each tenant
//! - [`admin`]: the operators' interface
//! - [`client`]: the client in Plakar's package

pub mod admin;
pub mod client;
mod config;
pub mod server;
mod start;
pub mod tenants;

pub use start::prepare;

use anyhow::Context;
use sd_notify::NotifyState;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{error, info, warn};

use crate::audit::{AuditLog, Event, Subject};
use crate::connector::{Failure, Reason};
use crate::kernel;
use admin::sessions::Sessions;
use admin::{http, metrics};
use config::Settings;
use config::tenants::{Identity, Tenants};
use server::accept::Listeners;
use server::listener::{self, SocketFile};
use server::pending::{PendingConnections, PendingLimits, Source};
use server::rejections::{Rejection, Rejections};
use server::tls;
use start::Start;
use tenants::memory_watchdog;
use tenants::runtime::{SharedResources, TenantRuntime};

/// Divisor of the limit of open files: the pending connections of each listener get at most this
/// part of it, so that all listeners together leave at least half for tenants.
const DESCRIPTOR_SHARE_DIVISOR: usize = 8;
/// Time limit for cancelled sessions to end at shutdown.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);
/// Interval of checks that users can still be told apart.
const USERS_CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// Interval at which the end of sessions is polled.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// Maximum age of metrics on the public address.
const METRICS_MAX_AGE: Duration = Duration::from_secs(1);

/// A running service.
pub struct Service {
    /// Path of its configuration file.
    file: PathBuf,
    /// Settings that it was started with.
    startup_settings: Settings,
    shared: SharedResources,
    loaded: RwLock<LoadedConfig>,
    sessions: Sessions,
    rejections: Rejections,
    /// Connections that haven't sent a request yet.
    pending: PendingConnections,
    /// Network connections that haven't completed the TLS handshake yet.
    handshakes: PendingConnections,
    /// Text of the metrics for the public address, and the time of its creation.
    cached_metrics: Mutex<Option<(Instant, Arc<str>)>>,
    /// Limit of open files of this process.
    max_open_files: usize,
    draining: AtomicBool,
}

/// The part of the configuration that a running service can reload.
struct LoadedConfig {
    tenants: Tenants,
    runtimes: BTreeMap<String, Arc<TenantRuntime>>,
    tls: Option<tls::Server>,
    settings: Settings,
    /// Reopened at each reload, because the file may have been rotated.
    audit_log: AuditLog,
}

/// The signals that control the service.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }
}

/// Runs a prepared service until a signal stops it. `file` is its configuration.
///
/// # Errors
///
/// The tenants, certificates or directories are invalid or unusable, or the process that tells
/// users apart has ended.
pub async fn serve(file: &Path, start: Start) -> anyhow::Result<()> {
    let Start { settings, sockets, cgroup } = start;
    let max_open_files = raise_descriptor_limit();
    let shared = SharedResources::new(&settings, cgroup)?;
    let loaded = load(&shared, settings.clone(), &BTreeMap::new())?;
    let listeners = Listeners::new(sockets.clients)?;
    let service = Arc::new(Service {
        file: file.to_owned(),
        startup_settings: settings.clone(),
        shared,
        loaded: RwLock::new(loaded),
        sessions: Sessions::default(),
        rejections: Rejections::default(),
        pending: PendingConnections::default(),
        handshakes: PendingConnections::default(),
        cached_metrics: Mutex::default(),
        max_open_files,
        draining: AtomicBool::new(false),
    });
    let _admin_socket = serve_admin(&service, sockets.operators)?;
    tokio::spawn(memory_watchdog::watch(service.clone()));
    tokio::spawn(service.clone().summarize());
    let signals = Signals::listen()?;
    info!(tenants = service.runtimes().len(), "the service is ready");
    // Fails if the service wasn't started by systemd.
    let _ = sd_notify::notify(&[NotifyState::Ready]);
    let result = service.clone().run(&listeners, signals).await;
    // New clients get a refused connection from now on.
    drop(listeners);
    service.end().await;
    service.write_summaries();
    result
}

/// Loads what can be reloaded. Tenants of `existing` keep their resources.
fn load(
    shared: &SharedResources,
    settings: Settings,
    existing: &BTreeMap<String, Arc<TenantRuntime>>,
) -> Result<LoadedConfig, Failure> {
    let tenants = Tenants::read(&settings.tenants)?;
    let tls = settings.listen.tls.as_ref().map(tls::server).transpose()?;
    let runtimes = shared.reconcile(&tenants, &settings.limits, existing)?;
    let audit_log = AuditLog::open(shared.audit(), Subject::local())?;
    Ok(LoadedConfig { tenants, runtimes, tls, settings, audit_log })
}

/// Raises the limit of open files to its maximum, as each session needs several; returns it.
fn raise_descriptor_limit() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let before = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: before.maximum, ..before });
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(limit).unwrap_or(usize::MAX)
}

/// Starts the operators' interface. The caller keeps the returned file while the service runs.
fn serve_admin(
    service: &Arc<Service>,
    listeners: listener::Listeners,
) -> anyhow::Result<Option<SocketFile>> {
    if let Some(listener) = listeners.socket {
        let listener = UnixListener::from_std(listener)?;
        let router = http::router().with_state(service.clone());
        // The mode of the socket admits the service's own user only.
        let own_user = Source::User(rustix::process::geteuid().as_raw());
        let source = move |_: &_| own_user.clone();
        tokio::spawn(http::serve(service.clone(), listener, router, source));
    }
    if let Some(listener) = listeners.address {
        let listener = TcpListener::from_std(listener)?;
        let router = http::public_router().with_state(service.clone());
        let source = |address: &SocketAddr| address.ip().into();
        tokio::spawn(http::serve(service.clone(), listener, router, source));
    }
    Ok(listeners.file)
}

impl Service {
    fn loaded(&self) -> RwLockReadGuard<'_, LoadedConfig> {
        self.loaded.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the tenant that a client belongs to.
    fn find_runtime(&self, identity: &Identity) -> Option<Arc<TenantRuntime>> {
        let loaded = self.loaded();
        loaded.tenants.tenant_of(identity).and_then(|name| loaded.runtimes.get(name)).cloned()
    }

    /// Returns the runtimes of all current tenants.
    fn runtimes(&self) -> Vec<Arc<TenantRuntime>> {
        self.loaded().runtimes.values().cloned().collect()
    }

    /// Lowers limits of pending connections where the service may open few files.
    fn pending_limits(&self, limits: PendingLimits) -> PendingLimits {
        let total = limits.total.min(self.max_open_files / DESCRIPTOR_SHARE_DIVISOR).max(1);
        PendingLimits { total, per_source: limits.per_source.min(total.div_ceil(2)) }
    }

    /// Returns the limits of connections of clients that haven't identified themselves yet.
    fn client_limits(&self) -> PendingLimits {
        let loaded = self.loaded();
        let limits = &loaded.settings.limits;
        self.pending_limits(PendingLimits {
            total: limits.pending_connections as usize,
            per_source: limits.pending_per_client as usize,
        })
    }

    /// Counts a rejection, and logs it unless it is left to the next summary.
    fn reject(&self, source: &str, rejection: &Rejection) {
        let Rejection { cause, failure } = rejection;
        if self.rejections.add(*cause, source) {
            warn!("{source} is refused: {failure}");
            self.record(source.to_owned(), failure.to_string());
        }
    }

    fn record(&self, who: String, why: String) {
        self.loaded().audit_log.record_best_effort(Event::Refusal { who, why });
    }

    /// Logs summaries of rejections at the configured interval.
    async fn summarize(self: Arc<Self>) {
        loop {
            let interval = self.loaded().settings.limits.rejection_summaries;
            tokio::time::sleep(interval).await;
            self.write_summaries();
        }
    }

    fn write_summaries(&self) {
        for (source, summary) in self.rejections.summaries() {
            warn!("{summary}");
            self.record(source, summary);
        }
    }

    /// Whether the service is stopping and refuses new sessions.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Returns the current metrics as text.
    fn metrics(&self) -> Result<String, std::fmt::Error> {
        let runtimes = self.runtimes();
        let runtimes = runtimes.iter().map(Arc::as_ref);
        metrics::encode_text(runtimes, self.shared.admission.waiting(), &self.rejections)
    }

    /// Returns metrics of the last second, so that frequent requests cost little.
    fn recent_metrics(&self) -> Result<Arc<str>, std::fmt::Error> {
        let mut cached = self.cached_metrics.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((created, text)) = &*cached
            && created.elapsed() < METRICS_MAX_AGE
        {
            return Ok(text.clone());
        }
        let text: Arc<str> = self.metrics()?.into();
        *cached = Some((Instant::now(), text.clone()));
        Ok(text)
    }

    /// Accepts clients until a signal stops the service.
    async fn run(self: Arc<Self>, listeners: &Listeners, signals: Signals) -> anyhow::Result<()> {
        let Signals { mut terminate, mut interrupt, mut hangup } = signals;
        let mut check = tokio::time::interval(USERS_CHECK_INTERVAL);
        loop {
            tokio::select! {
                biased;
                _ = terminate.recv() => return self.drain(&mut terminate, listeners).await,
                _ = interrupt.recv() => return Ok(()),
                _ = hangup.recv() => self.reload(),
                _ = check.tick() => kernel::check_users().map_err(|error| {
                    Failure::internal(error.to_string()).with_help("restart the service")
                })?,
                () = self.accept_one(listeners) => {}
            }
        }
    }

    /// Reloads limits, tenants, policies and certificates: all of them, or none.
    fn reload(&self) {
        // Required by Type=notify-reload (systemd.service(5)).
        let _ = NotifyState::monotonic_usec_now()
            .and_then(|now| sd_notify::notify(&[NotifyState::Reloading, now]));
        let loaded = Settings::read(&self.file).and_then(|settings| {
            let existing = self.loaded().runtimes.clone();
            load(&self.shared, settings, &existing)
        });
        match loaded {
            Ok(new) => self.apply(new),
            Err(failure) => error!("the reload failed, nothing has changed: {failure}"),
        }
        let _ = sd_notify::notify(&[NotifyState::Ready]);
    }

    /// Replaces the loaded configuration, and logs the changes.
    fn apply(&self, new: LoadedConfig) {
        let mut changes = new.settings.changes(&self.loaded().settings, &self.startup_settings);
        changes.extend(new.tenants.changes(&self.loaded().tenants));
        let mut loaded = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *loaded, new);
        drop(loaded);
        for change in &changes {
            info!("{change}");
        }
        info!(changes = changes.len(), "limits, tenants, policies and certificates were reloaded");
        drop(old);
        self.close_removed_tenants();
    }

    /// Refuses new sessions until all have ended, the drain time is over, or a second signal
    /// arrives.
    async fn drain(
        self: Arc<Self>,
        terminate: &mut Signal,
        listeners: &Listeners,
    ) -> anyhow::Result<()> {
        self.draining.store(true, Ordering::Relaxed);
        let _ = sd_notify::notify(&[NotifyState::Stopping]);
        let timeout = self.loaded().settings.limits.drain;
        info!(sessions = self.sessions.count(), "draining: new sessions are refused");
        let refusing = async {
            loop {
                self.clone().accept_one(listeners).await;
            }
        };
        tokio::select! {
            () = self.wait_until_empty() => info!("all sessions have ended"),
            () = refusing => (),
            () = tokio::time::sleep(timeout) => {
                warn!("the drain time is over: the remaining sessions are ended");
            }
            _ = terminate.recv() => {
                warn!("second signal to stop: the remaining sessions are ended");
            }
        }
        Ok(())
    }

    /// Waits until the last session has ended.
    async fn wait_until_empty(&self) {
        while self.sessions.count() > 0 {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Ends the remaining sessions and the tenants' threads.
    async fn end(&self) {
        let failure = Failure::new(Reason::Unavailable, "the service was stopped")
            .with_help("run the command again when it is back");
        self.sessions.cancel_all(&failure);
        let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT, self.wait_until_empty()).await;
        self.runtimes().iter().for_each(|runtime| runtime.worker.end());
    }
}
