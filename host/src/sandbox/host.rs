//! The host's side of the WIT interface `rclone`: each call goes to [`crate::rclone`], which
//! checks its arguments.

use wasmtime::component::{Accessor, FutureReader, HasSelf, Resource, StreamReader};
use wasmtime::{AsContextMut, Result};

use super::bindings::plakar::connector::rclone;
use super::bindings::plakar::connector::rclone::{
    Content, Entry, Failure, ListOptions, Listing, Outcome, Timestamp,
};
use super::engine::HostState;
use super::streams::{lift_content, lower_chunks, lower_content, lower_end, lower_items};
use crate::connector::types;
use crate::rclone::{Batch, Rclone, Reader};

/// Access to the store from an asynchronous function of the host.
pub type HostAccessor = Accessor<HostState, HasSelf<HostState>>;

/// The reason why a call has no result.
pub enum HostError {
    /// The component receives a failure.
    Failure(Failure),
    /// The component traps.
    Trap(wasmtime::Error),
}

impl From<Failure> for HostError {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<wasmtime::Error> for HostError {
    fn from(error: wasmtime::Error) -> Self {
        Self::Trap(error)
    }
}

impl From<wasmtime::component::ResourceTableError> for HostError {
    fn from(error: wasmtime::component::ResourceTableError) -> Self {
        Self::Trap(error.into())
    }
}

/// The result of a call as bindings have it: errors of the outer kind are traps.
pub type CallResult<T> = Result<core::result::Result<T, Failure>>;

/// Runs a call, and sorts its errors into failures and traps.
pub async fn call<T>(
    work: impl Future<Output = core::result::Result<T, HostError>>,
) -> CallResult<T> {
    match work.await {
        Ok(value) => Ok(Ok(value)),
        Err(HostError::Failure(failure)) => Ok(Err(failure)),
        Err(HostError::Trap(error)) => Err(error),
    }
}

/// Notes that the component made progress, and returns its capability.
pub fn capability(accessor: &HostAccessor) -> Rclone {
    accessor.with(|mut access| {
        let state = access.get();
        state.limits.note_progress();
        state.rclone.clone()
    })
}

impl types::Host for HostState {}
impl rclone::Host for HostState {}
impl rclone::HostReader for HostState {}
impl rclone::HostBatch for HostState {}

impl rclone::HostWithStore<HostState> for HasSelf<HostState> {
    async fn list(accessor: &HostAccessor, options: ListOptions) -> CallResult<Listing> {
        call(async {
            let listing = capability(accessor).list(options).await?;
            Ok(accessor.with(|mut store| -> Result<_> {
                Ok((
                    lower_chunks(store.as_context_mut(), listing.lines)?,
                    lower_items(store.as_context_mut(), listing.errors)?,
                    lower_end(store.as_context_mut(), listing.end)?,
                ))
            })?)
        })
        .await
    }

    async fn cat(accessor: &HostAccessor, path: String, size: Option<u64>) -> CallResult<Content> {
        call(async {
            let content = capability(accessor).cat(&path, size).await?;
            Ok(accessor.with(|store| lower_content(store, content))?)
        })
        .await
    }

    async fn upload(
        accessor: &HostAccessor,
        path: String,
        size: u64,
        modified: Timestamp,
        content: Content,
    ) -> CallResult<()> {
        call(async {
            let content = accessor.with(|store| lift_content(store, content))?;
            Ok(capability(accessor).upload(&path, size, modified, content).await?)
        })
        .await
    }
}

impl rclone::HostReaderWithStore<HostState> for HasSelf<HostState> {
    async fn start(accessor: &HostAccessor, root: String) -> CallResult<Resource<Reader>> {
        call(async {
            let reader = capability(accessor).reader(&root).await?;
            Ok(accessor.with(|mut access| access.get().table.push(reader))?)
        })
        .await
    }

    async fn warm_up(accessor: &HostAccessor, reader: Resource<Reader>) -> CallResult<()> {
        capability(accessor);
        call(async {
            let reader = accessor.with(|mut access| access.get().table.get(&reader).cloned())?;
            Ok(reader.warm_up().await?)
        })
        .await
    }

    async fn read(
        accessor: &HostAccessor,
        reader: Resource<Reader>,
        path: String,
        size: Option<u64>,
    ) -> CallResult<Content> {
        capability(accessor);
        call(async {
            let reader = accessor.with(|mut access| access.get().table.get(&reader).cloned())?;
            let content = reader.read(&path, size).await?;
            Ok(accessor.with(|store| lower_content(store, content))?)
        })
        .await
    }

    async fn drop(accessor: &HostAccessor, reader: Resource<Reader>) -> Result<()> {
        accessor.with(|mut access| access.get().table.delete(reader))?;
        Ok(())
    }
}

impl rclone::HostBatchWithStore<HostState> for HasSelf<HostState> {
    async fn create(accessor: &HostAccessor) -> CallResult<Resource<Batch>> {
        call(async {
            let batch = capability(accessor).batch()?;
            Ok(accessor.with(|mut access| access.get().table.push(batch))?)
        })
        .await
    }

    async fn add(
        accessor: &HostAccessor,
        batch: Resource<Batch>,
        entry: Entry,
        content: Option<Content>,
    ) -> CallResult<()> {
        capability(accessor);
        call(async {
            let (batch, content) = accessor.with(|mut access| -> Result<_> {
                let batch = access.get().table.get(&batch)?.clone();
                let content = content.map(|content| lift_content(access.as_context_mut(), content));
                Ok((batch, content.transpose()?))
            })?;
            Ok(batch.add(entry, content).await?)
        })
        .await
    }

    async fn send(
        accessor: &HostAccessor,
        batch: Resource<Batch>,
    ) -> Result<(StreamReader<Outcome>, FutureReader<core::result::Result<(), Failure>>)> {
        capability(accessor);
        let batch = accessor.with(|mut access| access.get().table.delete(batch))?;
        let sending = batch.send();
        accessor.with(|mut store| {
            Ok((
                lower_items(store.as_context_mut(), sending.outcomes)?,
                lower_end(store.as_context_mut(), sending.end)?,
            ))
        })
    }

    async fn drop(accessor: &HostAccessor, batch: Resource<Batch>) -> Result<()> {
        accessor.with(|mut access| access.get().table.delete(batch))?;
        Ok(())
    }
}
