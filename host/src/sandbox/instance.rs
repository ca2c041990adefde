//! One instance of a component at work: a task that owns its store, and a handle
//! by which the rest of the host calls it.

use std::pin::{Pin, pin};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Instant;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::Instrument;
use wasmtime::component::{Accessor, AccessorTask, HasSelf};
use wasmtime::{AsContextMut, Store};

use super::engine::{Cell, Connector};
use super::limits;
use super::streams::{content_in, content_out, end_out, items_in, items_out};
use crate::connector::bindings::Connector as Instance;
use crate::connector::bindings::exports::plakar::connector::importer::Discovery;
use crate::connector::{Content, Entry, Failure, Location, Remote};
use crate::quota::buffers::Buffers;
use crate::quota::counters::{Count, Counters};
use crate::rclone::Rclone;

type Border = Accessor<Cell, HasSelf<Cell>>;
type Answer<T> = oneshot::Sender<Result<T, Failure>>;

/// How many acknowledgements may wait for the component.
const SETTLED: usize = 4096;

/// A scan as it comes.
pub struct Scan {
    pub found: mpsc::Receiver<Vec<Discovery>>,
    /// Takes the paths that Plakar is done with.
    pub settled: mpsc::Sender<String>,
    pub end: oneshot::Receiver<Result<(), Failure>>,
}

/// A call of an exported function, and where its answer goes.
enum Call {
    OpenImporter(Remote, Answer<Location>),
    PingImporter(Answer<()>),
    Scan(Answer<Scan>),
    Read(String, Answer<Content>),
    OpenExporter(Remote, Answer<Location>),
    PingExporter(Answer<()>),
    Write(Entry, Option<Content>, Answer<()>),
    Finish(Answer<()>),
}

/// A handle on an instance, which ends with the last one.
#[derive(Clone)]
pub struct Session {
    calls: mpsc::Sender<Call>,
    /// What ended the instance before its time.
    fault: Arc<OnceLock<Failure>>,
    account: Arc<Counters>,
    buffers: Arc<Buffers>,
}

/// Why somebody ended an instance.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.message)]
struct Stopped(Failure);

/// Waits for the word that a session has to end; for ever, where nobody says it.
pub async fn stopped(stop: Option<watch::Receiver<Option<Failure>>>) -> Failure {
    let Some(mut stop) = stop else { return std::future::pending().await };
    let why = stop.wait_for(Option::is_some).await.ok().and_then(|why| why.clone());
    match why {
        Some(why) => why,
        None => std::future::pending().await,
    }
}

/// Counts the time that a session computes.
struct Computed<'a, F> {
    work: Pin<&'a mut F>,
    account: Arc<Counters>,
}

impl<F: Future> Future for Computed<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let start = Instant::now();
        let polled = self.work.as_mut().poll(context);
        let nanoseconds = start.elapsed().as_nanos().try_into().unwrap_or(u64::MAX);
        self.account.add(Count::Computed, nanoseconds);
        polled
    }
}

impl Session {
    /// Starts an instance with this capability. It ends before its time once `stop` says why.
    pub fn start(
        connector: &Connector,
        rclone: Rclone,
        stop: Option<watch::Receiver<Option<Failure>>>,
    ) -> Self {
        let (calls, received) = mpsc::channel(16);
        let fault = Arc::new(OnceLock::new());
        let wall_time = rclone.grant().limits.wall_time;
        let account = rclone.account().clone();
        let (computed, buffers) = (account.clone(), rclone.buffers().clone());
        let mut store = Store::new(connector.engine(), Cell::new(rclone));
        limits::apply(&mut store, |cell| &mut cell.limits);
        let pre = connector.pre().clone();
        let told = fault.clone();
        let task = async move {
            let work = async {
                match pre.instantiate_async(&mut store).await {
                    Ok(instance) => serve(store, instance, received).await,
                    Err(error) => Err(error),
                }
            };
            let work = Computed { work: pin!(work), account: computed };
            let work = async {
                tokio::select! {
                    result = work => result,
                    why = stopped(stop) => Err(Stopped(why).into()),
                }
            };
            let result = match wall_time {
                Some(time) => tokio::time::timeout(time, work).await.unwrap_or_else(|_| {
                    let time =
                        jiff::fmt::friendly::SpanPrinter::new().unsigned_duration_to_string(&time);
                    Err(wasmtime::format_err!("the policy lets a session last {time}"))
                }),
                None => work.await,
            };
            if let Err(error) = result {
                tracing::debug!("the component ended: {error:?}");
                // The handles' answers were dropped with the store; this is why.
                let _ = told.set(match error.downcast::<Stopped>() {
                    Ok(Stopped(why)) => why,
                    Err(error) => {
                        let why = error.root_cause().to_string();
                        Failure::internal(format!("the connector was stopped: {why}"))
                    }
                });
            }
        };
        tokio::spawn(task.in_current_span());
        Self { calls, fault, account, buffers }
    }

    /// What is counted of the session.
    pub fn account(&self) -> &Counters {
        &self.account
    }

    /// What this program may hold of the session's bytes on their way.
    pub fn buffers(&self) -> &Arc<Buffers> {
        &self.buffers
    }

    async fn call<T>(&self, call: impl FnOnce(Answer<T>) -> Call) -> Result<T, Failure> {
        self.begin(call).await.answer().await
    }

    /// Begins a call: calls reach the component in the order in which they begin.
    async fn begin<T>(&self, call: impl FnOnce(Answer<T>) -> Call) -> Begun<T> {
        let (answer, answered) = oneshot::channel();
        // A component that is gone drops the answer, which tells.
        let _ = self.calls.send(call(answer)).await;
        Begun { session: self.clone(), answered }
    }

    /// Why the instance doesn't answer.
    pub async fn fault(&self) -> Failure {
        // The store is dropped a moment before the reason is noted.
        for _ in 0..100 {
            if let Some(fault) = self.fault.get() {
                return fault.clone();
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        Failure::internal("the connector went away without a word")
    }

    pub async fn open_importer(&self, remote: Remote) -> Result<Location, Failure> {
        self.call(|answer| Call::OpenImporter(remote, answer)).await
    }

    pub async fn ping_importer(&self) -> Result<(), Failure> {
        self.call(Call::PingImporter).await
    }

    pub async fn scan(&self) -> Result<Scan, Failure> {
        self.call(Call::Scan).await
    }

    pub async fn read(&self, path: String) -> Result<Content, Failure> {
        self.call(|answer| Call::Read(path, answer)).await
    }

    pub async fn open_exporter(&self, remote: Remote) -> Result<Location, Failure> {
        self.call(|answer| Call::OpenExporter(remote, answer)).await
    }

    pub async fn ping_exporter(&self) -> Result<(), Failure> {
        self.call(Call::PingExporter).await
    }

    /// Begins to write an entry; its fate may be known much later.
    pub async fn write(&self, entry: Entry, content: Option<Content>) -> Begun<()> {
        self.begin(|answer| Call::Write(entry, content, answer)).await
    }

    pub async fn finish(&self) -> Result<(), Failure> {
        self.call(Call::Finish).await
    }
}

/// A call that the component has got.
pub struct Begun<T> {
    session: Session,
    answered: oneshot::Receiver<Result<T, Failure>>,
}

impl<T> Begun<T> {
    /// Waits for the component's answer.
    pub async fn answer(self) -> Result<T, Failure> {
        match self.answered.await {
            Ok(answer) => answer,
            Err(_) => Err(self.session.fault().await),
        }
    }
}

/// Lets the instance run until nobody has a handle on it, or it traps.
async fn serve(
    mut store: Store<Cell>,
    instance: Instance,
    mut calls: mpsc::Receiver<Call>,
) -> wasmtime::Result<()> {
    let instance = Arc::new(instance);
    store
        .run_concurrent(async |border| {
            while let Some(call) = calls.recv().await {
                border.spawn(Task { instance: instance.clone(), call })?;
            }
            Ok(())
        })
        .await?
}

/// One call on its way through the component.
struct Task {
    instance: Arc<Instance>,
    call: Call,
}

impl AccessorTask<Cell> for Task {
    async fn run(self, border: &Border) -> wasmtime::Result<()> {
        let importer = self.instance.plakar_connector_importer();
        let exporter = self.instance.plakar_connector_exporter();
        border.with(|mut access| access.get().limits.progress());
        // Whoever asked may have gone away: answers go nowhere then.
        match self.call {
            Call::OpenImporter(remote, answer) => {
                let _ = answer.send(importer.call_open(border, remote).await?);
            }
            Call::PingImporter(answer) => {
                let _ = answer.send(importer.call_ping(border).await?);
            }
            Call::Scan(answer) => {
                let (settled, acknowledged) = mpsc::channel(SETTLED);
                let stream = border.with(|store| items_in(store, acknowledged))?;
                let (found, end) = importer.call_scan(border, stream).await?;
                let scan = border.with(|mut store| -> wasmtime::Result<_> {
                    let found = items_out(store.as_context_mut(), found)?;
                    Ok(Scan { found, settled, end: end_out(store, end)? })
                })?;
                let _ = answer.send(Ok(scan));
            }
            Call::Read(path, answer) => {
                let content = match importer.call_read(border, path).await? {
                    Ok(content) => Ok(border.with(|store| content_out(store, content))?),
                    Err(failure) => Err(failure),
                };
                let _ = answer.send(content);
            }
            Call::OpenExporter(remote, answer) => {
                let _ = answer.send(exporter.call_open(border, remote).await?);
            }
            Call::PingExporter(answer) => {
                let _ = answer.send(exporter.call_ping(border).await?);
            }
            Call::Write(entry, content, answer) => {
                let content =
                    content.map(|content| border.with(|store| content_in(store, content)));
                let written = exporter.call_write(border, entry, content.transpose()?).await?;
                let _ = answer.send(written);
            }
            Call::Finish(answer) => {
                let _ = answer.send(exporter.call_finish(border).await?);
            }
        }
        Ok(())
    }
}
