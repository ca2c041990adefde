//! The calls of an importer and an exporter.

use tokio::sync::{mpsc, oneshot};
use wasmtime::AsContextMut;

use super::store_calls::StoreCall;
use super::{HostAccessor, PendingCall, Reply, Session};
use crate::connector::{Content, Entry, Failure, Location, Remote};
use crate::sandbox::bindings::exports::plakar::connector::importer::ScanEvent;
use crate::sandbox::connectors::Instance;
use crate::sandbox::streams::{lift_content, lift_end, lift_items, lower_content, lower_items};

/// Maximum number of acknowledgements that wait for the component.
const ACKNOWLEDGEMENTS_CAPACITY: usize = 4096;

/// A scan in progress.
pub struct Scan {
    pub found: mpsc::Receiver<Vec<ScanEvent>>,
    /// Takes the paths that Plakar has acknowledged.
    pub acknowledged: mpsc::Sender<String>,
    pub end: oneshot::Receiver<Result<(), Failure>>,
}

/// A call of an exported function, with the channel for its reply.
pub enum Call {
    OpenImporter(Remote, Reply<Location>),
    PingImporter(Reply<()>),
    Scan(Reply<Scan>),
    Read(String, Reply<Content>),
    OpenExporter(Remote, Reply<Location>),
    PingExporter(Reply<()>),
    Write(Entry, Option<Content>, Reply<()>),
    Finish(Reply<()>),
    Store(StoreCall),
}

impl Session {
    /// Calls a function of the interface `store`, and waits for its result.
    ///
    /// # Errors
    ///
    /// Fails if the component's function does, or the instance has ended.
    pub(super) async fn call_store<T>(
        &self,
        call: impl FnOnce(Reply<T>) -> StoreCall,
    ) -> Result<T, Failure> {
        self.start_store_call(call).await.wait().await
    }

    /// Starts a call of a function of the interface `store`.
    pub(super) async fn start_store_call<T>(
        &self,
        call: impl FnOnce(Reply<T>) -> StoreCall,
    ) -> PendingCall<T> {
        self.start_call(|reply| Call::Store(call(reply))).await
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

impl Call {
    /// Makes the call, and sends its reply.
    pub async fn run(self, instance: &Instance, accessor: &HostAccessor) -> wasmtime::Result<()> {
        let importer = instance.importer();
        let exporter = instance.exporter();
        // The caller may have dropped the receiver of its reply.
        match self {
            Self::OpenImporter(remote, reply) => {
                let _ = reply.send(importer.call_open(accessor, remote).await?);
            }
            Self::PingImporter(reply) => {
                let _ = reply.send(importer.call_ping(accessor).await?);
            }
            Self::Scan(reply) => {
                let (acknowledged, receiver) = mpsc::channel(ACKNOWLEDGEMENTS_CAPACITY);
                let stream = accessor.with(|store| lower_items(store, receiver))?;
                let (found, end) = importer.call_scan(accessor, stream).await?;
                let scan = accessor.with(|mut store| -> wasmtime::Result<_> {
                    let found = lift_items(store.as_context_mut(), found)?;
                    Ok(Scan { found, acknowledged, end: lift_end(store, end)? })
                })?;
                let _ = reply.send(Ok(scan));
            }
            Self::Read(path, reply) => {
                let content = match importer.call_read(accessor, path).await? {
                    Ok(content) => Ok(accessor.with(|store| lift_content(store, content))?),
                    Err(failure) => Err(failure),
                };
                let _ = reply.send(content);
            }
            Self::OpenExporter(remote, reply) => {
                let _ = reply.send(exporter.call_open(accessor, remote).await?);
            }
            Self::PingExporter(reply) => {
                let _ = reply.send(exporter.call_ping(accessor).await?);
            }
            Self::Write(entry, content, reply) => {
                let content =
                    content.map(|content| accessor.with(|store| lower_content(store, content)));
                let written = exporter.call_write(accessor, entry, content.transpose()?).await?;
                let _ = reply.send(written);
            }
            Self::Finish(reply) => {
                let _ = reply.send(exporter.call_finish(accessor).await?);
            }
            Self::Store(call) => call.run(instance.store()?, accessor).await?,
        }
        Ok(())
    }
}
