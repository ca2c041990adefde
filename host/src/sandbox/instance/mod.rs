//! One instance of a component at work: a task that owns its store, and a handle by which the
//! rest of the host calls it.
//!
//! - [`calls`]: the calls of an importer and an exporter
//! - [`store_calls`]: the calls of a Kloset store

mod calls;
mod store_calls;

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::{SetOnce, mpsc, oneshot, watch};
use tracing::Instrument;
use wasmtime::Store;
use wasmtime::component::{Accessor, AccessorTask, HasSelf};

use super::connectors::{Connector, ConnectorPre, Instance};
use super::engine::HostState;
use super::limits;
use crate::connector::Failure;
use crate::quota::buffers::Buffers;
use crate::quota::counters::{Count, Counters};
use crate::rclone::Rclone;
use calls::Call;
pub use calls::Scan;

type HostAccessor = Accessor<HostState, HasSelf<HostState>>;
type Reply<T> = oneshot::Sender<Result<T, Failure>>;

/// Maximum number of calls that wait for the component.
const CALLS_CAPACITY: usize = 16;

/// Time limit of the wait for the reason of an instance's end: its store is dropped a moment
/// before.
const FAULT_TIMEOUT: Duration = Duration::from_millis(500);

/// Receives the reason when a session has to stop.
pub type StopSignal = watch::Receiver<Option<Failure>>;

/// A handle on an instance. The instance ends when the last handle is dropped.
#[derive(Clone)]
pub struct Session {
    calls: mpsc::Sender<Call>,
    /// The reason why the instance was ended.
    fault: Arc<SetOnce<Failure>>,
    account: Arc<Counters>,
    buffers: Arc<Buffers>,
    /// Whether the policy lets the remote be written.
    is_writable: bool,
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
        let is_writable = rclone.grant().write;
        let wall_time = rclone.grant().limits.wall_time;
        let mut store = Store::new(connector.engine(), HostState::new(rclone));
        limits::apply(&mut store, |state| &mut state.limits);
        let pre = connector.pre().clone();
        let handle =
            Self { calls, fault: fault.clone(), account: account.clone(), buffers, is_writable };
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

    /// Returns whether the policy lets the remote be written.
    pub fn is_writable(&self) -> bool {
        self.is_writable
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
    pre: ConnectorPre,
    mut calls: mpsc::Receiver<Call>,
) -> wasmtime::Result<()> {
    let instance = Arc::new(pre.instantiate(&mut store).await?);
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
        accessor.with(|mut access| access.get().limits.note_progress());
        self.call.run(&self.instance, accessor).await
    }
}
