//! The calls of a Kloset store.

use super::{HostAccessor, PendingCall, Reply, Session};
use crate::connector::{Content, Failure, Location, Remote};
use crate::sandbox::bindings::storage::exports::plakar::connector::store::{
    Guest, Mac, ObjectKind, Range,
};
use crate::sandbox::streams::{lift_content, lower_content};

/// A call of a function of the component's store.
pub enum StoreCall {
    Open(Remote, Reply<Location>),
    Ping(Reply<()>),
    Create(Vec<u8>, Reply<()>),
    Configuration(Reply<Vec<u8>>),
    Size(Reply<u64>),
    List(ObjectKind, Reply<Vec<Mac>>),
    Put(ObjectKind, Mac, Content, Reply<u64>),
    Get(ObjectKind, Mac, Option<Range>, Reply<Content>),
    Delete(ObjectKind, Mac, Reply<()>),
    Finish(Reply<()>),
}

impl StoreCall {
    /// Makes the call, and sends its reply.
    pub async fn run(self, store: &Guest, accessor: &HostAccessor) -> wasmtime::Result<()> {
        // The caller may have dropped the receiver of its reply.
        match self {
            Self::Open(remote, reply) => {
                let _ = reply.send(store.call_open(accessor, remote).await?);
            }
            Self::Ping(reply) => {
                let _ = reply.send(store.call_ping(accessor).await?);
            }
            Self::Create(configuration, reply) => {
                let _ = reply.send(store.call_create(accessor, configuration).await?);
            }
            Self::Configuration(reply) => {
                let _ = reply.send(store.call_configuration(accessor).await?);
            }
            Self::Size(reply) => {
                let _ = reply.send(store.call_size(accessor).await?);
            }
            Self::List(kind, reply) => {
                let _ = reply.send(store.call_list(accessor, kind).await?);
            }
            Self::Put(kind, name, content, reply) => {
                let content = accessor.with(|store| lower_content(store, content))?;
                let _ = reply.send(store.call_put(accessor, kind, name, content).await?);
            }
            Self::Get(kind, name, range, reply) => {
                let content = match store.call_get(accessor, kind, name, range).await? {
                    Ok(content) => Ok(accessor.with(|store| lift_content(store, content))?),
                    Err(failure) => Err(failure),
                };
                let _ = reply.send(content);
            }
            Self::Delete(kind, name, reply) => {
                let _ = reply.send(store.call_delete(accessor, kind, name).await?);
            }
            Self::Finish(reply) => {
                let _ = reply.send(store.call_finish(accessor).await?);
            }
        }
        Ok(())
    }
}

impl Session {
    /// Opens the store on a remote.
    ///
    /// # Errors
    ///
    /// Fails if the component's function does, or the instance has ended.
    pub async fn open_store(&self, remote: Remote) -> Result<Location, Failure> {
        self.call_store(|reply| StoreCall::Open(remote, reply)).await
    }

    /// Reaches the remote once, as a store.
    ///
    /// # Errors
    ///
    /// Fails if the component's function does, or the instance has ended.
    pub async fn ping_store(&self) -> Result<(), Failure> {
        self.call_store(StoreCall::Ping).await
    }

    /// Creates a store with this configuration.
    ///
    /// # Errors
    ///
    /// Fails if the component's function does, or the instance has ended.
    pub async fn create_store(&self, configuration: Vec<u8>) -> Result<(), Failure> {
        self.call_store(|reply| StoreCall::Create(configuration, reply)).await
    }

    /// Returns the configuration of the store.
    ///
    /// # Errors
    ///
    /// Fails if the component's function does, or the instance has ended.
    pub async fn store_configuration(&self) -> Result<Vec<u8>, Failure> {
        self.call_store(StoreCall::Configuration).await
    }

    /// Returns the number of bytes of all objects.
    ///
    /// # Errors
    ///
    /// Fails if the component's function does, or the instance has ended.
    pub async fn store_size(&self) -> Result<u64, Failure> {
        self.call_store(StoreCall::Size).await
    }

    /// Lists the objects of a kind.
    ///
    /// # Errors
    ///
    /// Fails if the component's function does, or the instance has ended.
    pub async fn list_objects(&self, kind: ObjectKind) -> Result<Vec<Mac>, Failure> {
        self.call_store(|reply| StoreCall::List(kind, reply)).await
    }

    /// Starts to upload an object. Its size is known when it is there.
    pub async fn put_object(
        &self,
        kind: ObjectKind,
        name: Mac,
        content: Content,
    ) -> PendingCall<u64> {
        self.start_store_call(|reply| StoreCall::Put(kind, name, content, reply)).await
    }

    /// Opens an object, or a part of it.
    ///
    /// # Errors
    ///
    /// Fails if the component's function does, or the instance has ended.
    pub async fn get_object(
        &self,
        kind: ObjectKind,
        name: Mac,
        range: Option<Range>,
    ) -> Result<Content, Failure> {
        self.call_store(|reply| StoreCall::Get(kind, name, range, reply)).await
    }

    /// Removes an object.
    ///
    /// # Errors
    ///
    /// Fails if the component's function does, or the instance has ended.
    pub async fn delete_object(&self, kind: ObjectKind, name: Mac) -> Result<(), Failure> {
        self.call_store(|reply| StoreCall::Delete(kind, name, reply)).await
    }

    /// Waits for the store's uploads, and removes its locks.
    ///
    /// # Errors
    ///
    /// Fails if the component's function does, or the instance has ended.
    pub async fn finish_store(&self) -> Result<(), Failure> {
        self.call_store(StoreCall::Finish).await
    }
}
