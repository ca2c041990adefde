//! The interface `rclone`.

use wasmtime::component::{FutureReader, HasSelf, Resource, StreamReader};
use wasmtime::{AsContextMut, Result};

use super::{CallResult, HostAccessor, call, capability};
use crate::rclone::{Batch, Reader};
use crate::sandbox::bindings::plakar::connector::rclone;
use crate::sandbox::bindings::plakar::connector::rclone::{
    Content, Entry, Failure, ListOptions, Listing, Outcome, Timestamp,
};
use crate::sandbox::engine::HostState;
use crate::sandbox::streams::{lift_content, lower_chunks, lower_content, lower_end, lower_items};

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

    async fn read_range(
        accessor: &HostAccessor,
        reader: Resource<Reader>,
        path: String,
        offset: u64,
        length: u64,
    ) -> CallResult<Content> {
        capability(accessor);
        call(async {
            let reader = accessor.with(|mut access| access.get().table.get(&reader).cloned())?;
            let content = reader.read_range(&path, offset, length).await?;
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
