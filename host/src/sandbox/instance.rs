//! One instance of a component at work: a task that owns its store, and a handle by which the
//! rest of the host calls it.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::{SetOnce, mpsc, oneshot, watch};
use tracing::Instrument;
use wasmtime::component::{Accessor, AccessorTask, HasSelf};
use wasmtime::{AsContextMut, Store};

use super::bindings::exports::plakar::connector::importer::ScanEvent;
use super::bindings::{Connector as Instance, ConnectorPre};
use super::connectors::Connector;
use super::engine::HostState;
use super::limits;
use super::streams::{lift_content, lift_end, lift_items, lower_content, lower_items};
use crate::connector::{Content, Entry, Failure, Location, Remote};
use crate::quota::buffers::Buffers;
use crate::quota::counters::{Count, Counters};
use crate::rclone::Rclone;

type HostAccessor = Accessor<HostState, HasSelf<HostState>>;
type Reply<T> = oneshot::Sender<Result<T, Failure>>;

/// Maximum number of acknowledgements that wait for the component.
const ACKNOWLEDGEMENTS_CAPACITY: usize = 4096;

/// Maximum number of calls that wait for the component.
const CALLS_CAPACITY: usize = 16;

/// Time limit of the wait for the reason of an instance's end: its store is dropped a moment
/// before.
const FAULT_TIMEOUT: Duration = Duration::from_millis(500);

/// Receives the reason when a session has to stop.
pub type StopSignal = watch::Receiver<Option<Failure>>;

/// A scan in progress.
pub struct Scan {
    pub found: mpsc::Receiver<Vec<ScanEvent>>,
    /// Takes the paths that Plakar has acknowledged.
    pub acknowledged: mpsc::Sender<String>,
    pub end: oneshot::Receiver<Result<(), Failure>>,
}

/// A call of an exported function, with the channel for its reply.
enum Call {
    OpenImporter(Remote, Reply<Location>),
    PingImporter(Reply<()>),
    Scan(Reply<Scan>),
    Read(String, Reply<Content>),
    OpenExporter(Remote, Reply<Location>),
    PingExporter(Reply<()>),
    Write(Entry, Option<Content>, Reply<()>),
    Finish(Reply<()>),
}

/// A handle on an instance. The instance ends when the last handle is dropped.
#[derive(Clone)]
pub struct Session {
    calls: mpsc::Sender<Call>,
    /// The reason why the instance was ended.
    fault: Arc<SetOnce<Failure>>,
    account: Arc<Counters>,
    buffers: Arc<Buffers>,
}

/// The error of an instance that was stopped from outside.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Stopped(Failure);

/// Waits until a session has to stop, and returns the reason; waits for ever if there is no
/// signal, or its sender is dropped.
pub async fn wait_for_stop(stop: Option<StopSignal>) -> Failure {
    let Some(mut stop) = stop else { return std::future::pending().await };
    let reason = stop.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
    match reason {
        Some(reason) => reason,
        None => std::future::pending().await,
    }
}

/// A future whose compute time is counted.
struct Metered<'a, F> {
    future: Pin<&'a mut F>,
    account: Arc<Counters>,
}

impl<F: Future> Future for Metered<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let start = Instant::now();
        let polled = self.future.as_mut().poll(context);
        let nanoseconds = start.elapsed().as_nanos().try_into().unwrap_or(u64::MAX);
        self.account.add(Count::Computed, nanoseconds);
        polled
    }
}

impl Session {
    /// Starts an instance with this capability. It is stopped when `stop` receives a reason.
    pub fn start(connector: &Connector, rclone: Rclone, stop: Option<StopSignal>) -> Self {
        let (calls, received) = mpsc::channel(CALLS_CAPACITY);
        let fault = Arc::new(SetOnce::new());
        let account = rclone.account().clone();
        let buffers = rclone.buffers().clone();
        let wall_time = rclone.grant().limits.wall_time;
        let mut store = Store::new(connector.engine(), HostState::new(rclone));
        limits::apply(&mut store, |state| &mut state.limits);
        let pre = connector.pre().clone();
        let handle = Self { calls, fault: fault.clone(), account: account.clone(), buffers };
        let task = async move {
            let work = serve(store, pre, received);
            let work = Metered { future: pin!(work), account };
            if let Err(error) = run_limited(work, stop, wall_time).await {
                tracing::debug!("the component ended: {error:?}");
                // The replies to the handles were dropped with the store; this is the reason.
                let _ = fault.set(into_failure(error));
            }
        };
        tokio::spawn(task.in_current_span());
        handle
    }

    /// Returns the counters of the session.
    pub fn account(&self) -> &Counters {
        &self.account
    }

    /// Returns the budget for the session's bytes that this program holds.
    pub fn buffers(&self) -> &Arc<Buffers> {
        &self.buffers
    }

    async fn call<T>(&self, call: impl FnOnce(Reply<T>) -> Call) -> Result<T, Failure> {
        self.start_call(call).await.wait().await
    }

    /// Starts a call. Calls reach the component in the order in which they start.
    async fn start_call<T>(&self, call: impl FnOnce(Reply<T>) -> Call) -> PendingCall<T> {
        let (sender, reply) = oneshot::channel();
        // The sender is dropped if the instance has ended.
        let _ = self.calls.send(call(sender)).await;
        PendingCall { session: self.clone(), reply }
    }

    /// Returns the reason why the instance doesn't reply.
    pub async fn fault(&self) -> Failure {
        match tokio::time::timeout(FAULT_TIMEOUT, self.fault.wait()).await {
            Ok(fault) => fault.clone(),
            Err(_) => Failure::internal("the connector exited without reporting an error"),
        }
    }

    /// Opens the importer on a remote.
    ///
    /// # Errors
    ///
    /// Fails if the component's function does, or the instance has ended.
    pub async fn open_importer(&self, remote: Remote) -> Result<Location, Failure> {
        self.call(|reply| Call::OpenImporter(remote, reply)).await
    }

    /// Reaches the remote once, as an importer.
    ///
    /// # Errors
    ///
    /// Fails if the component's function does, or the instance has ended.
    pub async fn ping_importer(&self) -> Result<(), Failure> {
        self.call(Call::PingImporter).await
    }

    /// Starts the scan.
    ///
    /// # Errors
    ///
    /// Fails if the component's function does, or the instance has ended.
    pub async fn scan(&self) -> Result<Scan, Failure> {
        self.call(Call::Scan).await
    }

    /// Opens a file.
    ///
    /// # Errors
    ///
    /// Fails if the component's function does, or the instance has ended.
    pub async fn read(&self, path: String) -> Result<Content, Failure> {
        self.call(|reply| Call::Read(path, reply)).await
    }

    /// Opens the exporter on a remote.
    ///
    /// # Errors
    ///
    /// Fails if the component's function does, or the instance has ended.
    pub async fn open_exporter(&self, remote: Remote) -> Result<Location, Failure> {
        self.call(|reply| Call::OpenExporter(remote, reply)).await
    }

    /// Reaches the remote once, as an exporter.
    ///
    /// # Errors
    ///
    /// Fails if the component's function does, or the instance has ended.
    pub async fn ping_exporter(&self) -> Result<(), Failure> {
        self.call(Call::PingExporter).await
    }

    /// Starts to write an entry; the result may be known much later.
    pub async fn write(&self, entry: Entry, content: Option<Content>) -> PendingCall<()> {
        self.start_call(|reply| Call::Write(entry, content, reply)).await
    }

    /// Finishes the restore, and waits for its writes.
    ///
    /// # Errors
    ///
    /// Fails if the component's function does, or the instance has ended.
    pub async fn finish(&self) -> Result<(), Failure> {
        self.call(Call::Finish).await
    }
}

/// A call that was sent to the component.
pub struct PendingCall<T> {
    session: Session,
    reply: oneshot::Receiver<Result<T, Failure>>,
}

impl<T> PendingCall<T> {
    /// Waits for the component's reply.
    ///
    /// # Errors
    ///
    /// Fails if the call does, or the instance ends before it replies.
    pub async fn wait(self) -> Result<T, Failure> {
        match self.reply.await {
            Ok(reply) => reply,
            Err(_) => Err(self.session.fault().await),
        }
    }
}

/// Instantiates the component and runs it until its last handle is dropped, or it traps.
async fn serve(
    mut store: Store<HostState>,
    pre: ConnectorPre<HostState>,
    mut calls: mpsc::Receiver<Call>,
) -> wasmtime::Result<()> {
    let instance = Arc::new(pre.instantiate_async(&mut store).await?);
    store
        .run_concurrent(async |accessor| {
            while let Some(call) = calls.recv().await {
                accessor.spawn(Task { instance: instance.clone(), call })?;
            }
            Ok(())
        })
        .await?
}

/// Runs an instance until it ends, is stopped, or the time of its session is over.
async fn run_limited(
    work: impl Future<Output = wasmtime::Result<()>>,
    stop: Option<StopSignal>,
    wall_time: Option<Duration>,
) -> wasmtime::Result<()> {
    let work = async {
        tokio::select! {
            result = work => result,
            reason = wait_for_stop(stop) => Err(Stopped(reason).into()),
        }
    };
    let Some(time) = wall_time else { return work.await };
    tokio::time::timeout(time, work).await.unwrap_or_else(|_| {
        let time = jiff::fmt::friendly::SpanPrinter::new().unsigned_duration_to_string(&time);
        Err(wasmtime::format_err!("the policy lets a session last {time}"))
    })
}

/// Makes the failure of an instance that ended with this error.
fn into_failure(error: wasmtime::Error) -> Failure {
    match error.downcast::<Stopped>() {
        Ok(Stopped(reason)) => reason,
        Err(error) => {
            let cause = error.root_cause().to_string();
            Failure::internal(format!("the connector was stopped: {cause}"))
        }
    }
}

/// One call in progress.
struct Task {
    instance: Arc<Instance>,
    call: Call,
}

impl AccessorTask<HostState> for Task {
    async fn run(self, accessor: &HostAccessor) -> wasmtime::Result<()> {
        let importer = self.instance.plakar_connector_importer();
        let exporter = self.instance.plakar_connector_exporter();
        accessor.with(|mut access| access.get().limits.note_progress());
        // The caller may have dropped the receiver of its reply.
        match self.call {
            Call::OpenImporter(remote, reply) => {
                let _ = reply.send(importer.call_open(accessor, remote).await?);
            }
            Call::PingImporter(reply) => {
                let _ = reply.send(importer.call_ping(accessor).await?);
            }
            Call::Scan(reply) => {
                let (acknowledged, receiver) = mpsc::channel(ACKNOWLEDGEMENTS_CAPACITY);
                let stream = accessor.with(|store| lower_items(store, receiver))?;
                let (found, end) = importer.call_scan(accessor, stream).await?;
                let scan = accessor.with(|mut store| -> wasmtime::Result<_> {
                    let found = lift_items(store.as_context_mut(), found)?;
                    Ok(Scan { found, acknowledged, end: lift_end(store, end)? })
                })?;
                let _ = reply.send(Ok(scan));
            }
            Call::Read(path, reply) => {
                let content = match importer.call_read(accessor, path).await? {
                    Ok(content) => Ok(accessor.with(|store| lift_content(store, content))?),
                    Err(failure) => Err(failure),
                };
                let _ = reply.send(content);
            }
            Call::OpenExporter(remote, reply) => {
                let _ = reply.send(exporter.call_open(accessor, remote).await?);
            }
            Call::PingExporter(reply) => {
                let _ = reply.send(exporter.call_ping(accessor).await?);
            }
            Call::Write(entry, content, reply) => {
                let content =
                    content.map(|content| accessor.with(|store| lower_content(store, content)));
                let written = exporter.call_write(accessor, entry, content.transpose()?).await?;
                let _ = reply.send(written);
            }
            Call::Finish(reply) => {
                let _ = reply.send(exporter.call_finish(accessor).await?);
            }
        }
        Ok(())
    }
}
