//! The multi-tenant service: one process that runs the sessions of many tenants, each
//! under its tenant's policy, on its tenant's thread, as its tenant's user.
//!
//! - [`config`]: the files that an operator writes
//! - [`start`]: what takes root's rights, before they are given up
//! - [`server`]: connections of clients
//! - [`tenants`]: what each tenant has while the service runs
//! - [`admin`]: the operators' interface
//! - [`client`]: the other side, in Plakar's package

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

/// Which part of the descriptors that the service may have goes to those who haven't said yet
/// who they are, at each place where they come in: all of them leave half for tenants.
const DESCRIPTOR_SHARE_DIVISOR: usize = 8;
/// How long sessions may take to end when they were told to.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);

/// A service at work.
pub struct Service {
    file: PathBuf,
    /// What was set when it was started.
    started: Settings,
    shared: SharedResources,
    loaded: RwLock<LoadedConfig>,
    pub(self) sessions: Sessions,
    pub(self) rejections: Rejections,
    /// Places for those who haven't said yet what they want.
    pub(self) pending: PendingConnections,
    /// And for those who come over the network, until they have shown a certificate.
    pub(self) handshakes: PendingConnections,
    /// The metrics that were made last for pending, and when.
    shown: Mutex<Option<(Instant, Arc<str>)>>,
    /// How many files it may have open.
    open_files: usize,
    draining: AtomicBool,
}

/// What can be read anew while it works.
struct LoadedConfig {
    tenants: Tenants,
    runtimes: BTreeMap<String, Arc<TenantRuntime>>,
    tls: Option<tls::Server>,
    settings: Settings,
    /// Opened anew, too, as the file may have been moved away.
    trail: AuditLog,
}

/// What the service is told by signals.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        let to = |kind| signal(kind).context("signals can't be listened to");
        Ok(Self {
            terminate: to(SignalKind::terminate())?,
            interrupt: to(SignalKind::interrupt())?,
            hangup: to(SignalKind::hangup())?,
        })
    }
}

/// Runs the service that a file describes, and that was prepared, until it is told to stop.
pub async fn serve(file: &Path, start: Start) -> anyhow::Result<()> {
    let Start { settings, sockets, cgroup } = start;
    let open_files = raise_descriptor_limit();
    let shared = SharedResources::new(&settings, cgroup)?;
    let loaded = load(&shared, settings.clone(), &BTreeMap::new())?;
    let listeners = Listeners::new(sockets.clients)?;
    let service = Arc::new(Service {
        file: file.to_owned(),
        started: settings.clone(),
        shared,
        loaded: RwLock::new(loaded),
        sessions: Sessions::default(),
        rejections: Rejections::default(),
        pending: PendingConnections::default(),
        handshakes: PendingConnections::default(),
        shown: Mutex::default(),
        open_files,
        draining: AtomicBool::new(false),
    });
    let _operators = serve_admin(&service, sockets.operators)?;
    tokio::spawn(memory_watchdog::watch(service.clone()));
    tokio::spawn(service.clone().summarize());
    let signals = Signals::listen()?;
    info!(tenants = service.runtimes().len(), "the service is ready");
    // Nobody may be listening to that.
    let _ = sd_notify::notify(&[NotifyState::Ready]);
    let result = service.clone().run(&listeners, signals).await;
    // Whoever comes now is told by the closed door.
    drop(listeners);
    service.end().await;
    service.write_summaries();
    result
}

/// Reads what can be read anew.
fn load(
    shared: &SharedResources,
    settings: Settings,
    here: &BTreeMap<String, Arc<TenantRuntime>>,
) -> Result<LoadedConfig, Failure> {
    let tenants = Tenants::read(&settings.tenants)?;
    let tls = settings.listen.tls.as_ref().map(tls::server).transpose()?;
    let runtimes = shared.reconcile(&tenants, &settings.limits, here)?;
    let trail = AuditLog::open(shared.audit(), Subject::local())?;
    Ok(LoadedConfig { tenants, runtimes, tls, settings, trail })
}

/// As many as we may, as each session has a few; says how many.
fn raise_descriptor_limit() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let have = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: have.maximum, ..have });
    let most = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(most).unwrap_or(usize::MAX)
}

/// Answers operators; what is given back has to be kept as long as they are answered.
fn serve_admin(
    service: &Arc<Service>,
    listeners: listener::Listeners,
) -> anyhow::Result<Option<SocketFile>> {
    if let Some(listener) = listeners.socket {
        let listener = UnixListener::from_std(listener)?;
        let router = http::router().with_state(service.clone());
        // Who may connect is whom we run as.
        let ourselves = Source::User(rustix::process::geteuid().as_raw());
        let source = move |_: &_| ourselves.clone();
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

    /// The tenant that somebody is of.
    fn runtime(&self, identity: &Identity) -> Option<Arc<TenantRuntime>> {
        let loaded = self.loaded();
        loaded.tenants.tenant_of(identity).and_then(|name| loaded.runtimes.get(name)).cloned()
    }

    /// The tenants at present.
    fn runtimes(&self) -> Vec<Arc<TenantRuntime>> {
        self.loaded().runtimes.values().cloned().collect()
    }

    /// As many places for pending, or fewer where the service has few descriptors.
    fn pending_limits(&self, most: PendingLimits) -> PendingLimits {
        let total = most.total.min(self.open_files / DESCRIPTOR_SHARE_DIVISOR).max(1);
        PendingLimits { total, per_source: most.per_source.min(total.div_ceil(2)) }
    }

    /// How many places there are for clients that haven't said yet who they are.
    fn client_limits(&self) -> PendingLimits {
        let loaded = self.loaded();
        let limits = &loaded.settings.limits;
        let [total, per_source] = [limits.pending_connections, limits.pending_per_client];
        self.pending_limits(PendingLimits {
            total: total as usize,
            per_source: per_source as usize,
        })
    }

    /// Counts a rejection, and writes it, unless one like it was written already.
    fn reject(&self, source: &str, rejection: &Rejection) {
        let Rejection { cause, message } = rejection;
        if self.rejections.add(*cause, source) {
            warn!("{source} is refused: {message}");
            self.record(source.to_owned(), message.clone());
        }
    }

    fn record(&self, who: String, why: String) {
        self.loaded().trail.record_best_effort(Event::Refusal { who, why });
    }

    /// Writes summaries of rejections, from time to time.
    async fn summarize(self: Arc<Self>) {
        loop {
            let interval = self.loaded().settings.limits.rejection_summaries;
            tokio::time::sleep(interval).await;
            self.write_summaries();
        }
    }

    fn write_summaries(&self) {
        for (source, sum) in self.rejections.summaries() {
            warn!("{sum}");
            self.record(source, sum);
        }
    }

    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// The metrics of now.
    fn metrics(&self) -> Result<String, std::fmt::Error> {
        let runtimes = self.runtimes();
        let runtimes = runtimes.iter().map(Arc::as_ref);
        metrics::text(runtimes, self.shared.places.waiting(), &self.rejections)
    }

    /// The metrics of the last second: whoever asks for them more often costs nothing.
    fn recent_metrics(&self) -> Result<Arc<str>, std::fmt::Error> {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = shown.as_ref().filter(|(made, _)| made.elapsed() < Duration::from_secs(1));
        if let Some((_, text)) = recent {
            return Ok(text.clone());
        }
        let text: Arc<str> = self.metrics()?.into();
        *shown = Some((Instant::now(), text.clone()));
        Ok(text)
    }

    /// Takes clients in until somebody says that it is enough.
    async fn run(self: Arc<Self>, listeners: &Listeners, signals: Signals) -> anyhow::Result<()> {
        let Signals { mut terminate, mut interrupt, mut hangup } = signals;
        loop {
            tokio::select! {
                _ = terminate.recv() => return self.drain(&mut terminate, listeners).await,
                _ = interrupt.recv() => return Ok(()),
                _ = hangup.recv() => self.reload(),
                () = self.accept_one(listeners) => kernel::check_users()?,
            }
        }
    }

    /// Reads limits, tenants, policies and certificates again: all of them, or nothing.
    fn reload(&self) {
        // As Type=notify-reload wants it (systemd.service(5)).
        let _ = NotifyState::monotonic_usec_now()
            .and_then(|now| sd_notify::notify(&[NotifyState::Reloading, now]));
        let read = Settings::read(&self.file).and_then(|settings| {
            let here = self.loaded().runtimes.clone();
            load(&self.shared, settings, &here)
        });
        match read {
            Err(failure) => {
                error!("nothing has changed, as it can't be read: {}", failure);
            }
            Ok(new) => {
                let mut changes = new.settings.changes(&self.loaded().settings, &self.started);
                changes.extend(new.tenants.changes(&self.loaded().tenants));
                let old = std::mem::replace(
                    &mut *self.loaded.write().unwrap_or_else(PoisonError::into_inner),
                    new,
                );
                changes.iter().for_each(|change| info!("{change}"));
                info!(
                    changes = changes.len(),
                    "limits, tenants, policies and certificates were read again"
                );
                drop(old);
                self.close_removed_tenants();
            }
        }
        let _ = sd_notify::notify(&[NotifyState::Ready]);
    }

    /// Refuses whoever comes until all sessions have ended, or time is up, or somebody
    /// insists.
    async fn drain(
        self: Arc<Self>,
        insists: &mut Signal,
        listeners: &Listeners,
    ) -> anyhow::Result<()> {
        self.draining.store(true, Ordering::Relaxed);
        let _ = sd_notify::notify(&[NotifyState::Stopping]);
        let (left, patience) = (self.sessions.count(), self.loaded().settings.limits.drain);
        info!(sessions = left, "no more sessions are taken; those that run may end");
        let ended = async {
            while self.sessions.count() > 0 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let refusing = async {
            loop {
                self.clone().accept_one(listeners).await;
            }
        };
        tokio::select! {
            () = ended => info!("all sessions have ended"),
            () = refusing => (),
            () = tokio::time::sleep(patience) => warn!("time is up for those that run"),
            _ = insists.recv() => warn!("told twice to stop"),
        }
        Ok(())
    }

    /// Ends what is left.
    async fn end(&self) {
        let why = "the service was stopped: run it again when it is back";
        self.sessions.cancel_all(&Failure::new(Reason::Unavailable, why));
        let gone = async {
            while self.sessions.count() > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT, gone).await;
        self.runtimes().iter().for_each(|runtime| runtime.worker.end());
    }
}
