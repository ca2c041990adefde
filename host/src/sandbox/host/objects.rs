//! The interface `objects`.

use std::time::Duration;
use wasmtime::Result;
use wasmtime::component::{Access, HasSelf, Resource};

use super::{CallResult, HostAccessor, call, capability};
use crate::connector::{self, Failure};
use crate::rclone::{self, Extent, Parcel};
use crate::sandbox::bindings::storage::plakar::connector::objects;
use crate::sandbox::bindings::storage::plakar::connector::objects::{Content, PutOutcome};
use crate::sandbox::engine::HostState;
use crate::sandbox::streams::{lift_content, lower_content};

type HostAccess<'a> = Access<'a, HostState, HasSelf<HostState>>;

/// Longest time that a component may wait at once.
const MAX_WAIT_MILLIS: u32 = 60_000;

impl From<rclone::PutOutcome> for PutOutcome {
    fn from(outcome: rclone::PutOutcome) -> Self {
        match outcome {
            rclone::PutOutcome::Stored => Self::Stored,
            rclone::PutOutcome::Present => Self::Present,
        }
    }
}

/// Lowers a content, or the failure in its place.
fn lower_result(
    access: HostAccess<'_>,
    content: core::result::Result<connector::Content, Failure>,
) -> CallResult<Content> {
    match content {
        Ok(content) => lower_content(access, content).map(Ok),
        Err(failure) => Ok(Err(failure)),
    }
}

impl objects::Host for HostState {}
impl objects::HostParcel for HostState {}
impl objects::HostExtent for HostState {}

impl objects::HostWithStore<HostState> for HasSelf<HostState> {
    async fn read(accessor: &HostAccessor, path: String, size: Option<u64>) -> CallResult<Content> {
        call(async {
            let content = capability(accessor).objects()?.read(&path, size).await?;
            Ok(accessor.with(|store| lower_content(store, content))?)
        })
        .await
    }

    async fn stat(accessor: &HostAccessor, path: String) -> CallResult<Option<u64>> {
        call(async { Ok(capability(accessor).objects()?.stat(&path).await?) }).await
    }

    async fn delete(accessor: &HostAccessor, path: String) -> CallResult<()> {
        call(async { Ok(capability(accessor).objects()?.delete(&path).await?) }).await
    }

    async fn create_directories(accessor: &HostAccessor, paths: Vec<String>) -> CallResult<()> {
        call(async { Ok(capability(accessor).objects()?.create_directories(&paths).await?) }).await
    }

    async fn wait(accessor: &HostAccessor, milliseconds: u32) -> Result<()> {
        capability(accessor);
        tokio::time::sleep(Duration::from_millis(milliseconds.min(MAX_WAIT_MILLIS).into())).await;
        capability(accessor);
        Ok(())
    }
}

impl objects::HostParcelWithStore<HostState> for HasSelf<HostState> {
    async fn receive(accessor: &HostAccessor, content: Content) -> CallResult<Resource<Parcel>> {
        call(async {
            let content = accessor.with(|store| lift_content(store, content))?;
            let parcel = capability(accessor).objects()?.receive(content).await?;
            Ok(accessor.with(|mut access| access.get().table.push(parcel))?)
        })
        .await
    }

    async fn put(
        accessor: &HostAccessor,
        parcel: Resource<Parcel>,
        path: String,
    ) -> CallResult<PutOutcome> {
        capability(accessor);
        call(async {
            let parcel = accessor.with(|mut access| access.get().table.get(&parcel).cloned())?;
            Ok(parcel.put(&path).await?.into())
        })
        .await
    }

    async fn size(mut access: HostAccess<'_>, parcel: Resource<Parcel>) -> Result<u64> {
        Ok(access.get().table.get(&parcel)?.size())
    }

    async fn read(mut access: HostAccess<'_>, parcel: Resource<Parcel>) -> CallResult<Content> {
        let content = access.get().table.get(&parcel)?.read();
        lower_content(access, content).map(Ok)
    }

    async fn drop(accessor: &HostAccessor, parcel: Resource<Parcel>) -> Result<()> {
        accessor.with(|mut access| access.get().table.delete(parcel))?;
        Ok(())
    }
}

impl objects::HostExtentWithStore<HostState> for HasSelf<HostState> {
    async fn fetch(
        accessor: &HostAccessor,
        path: String,
        offset: u64,
        length: u64,
    ) -> CallResult<Resource<Extent>> {
        call(async {
            let extent = capability(accessor).objects()?.fetch(&path, offset, length).await?;
            Ok(accessor.with(|mut access| access.get().table.push(extent))?)
        })
        .await
    }

    async fn size(mut access: HostAccess<'_>, extent: Resource<Extent>) -> Result<u64> {
        Ok(access.get().table.get(&extent)?.size())
    }

    async fn join(
        mut access: HostAccess<'_>,
        ranges: Vec<(Resource<Extent>, u64, u64)>,
    ) -> CallResult<Content> {
        let table = &access.get().table;
        let mut parts = Vec::with_capacity(ranges.len());
        for (extent, offset, length) in ranges {
            parts.push((table.get(&extent)?.clone(), offset, length));
        }
        lower_result(access, Extent::join(&parts))
    }

    async fn drop(accessor: &HostAccessor, extent: Resource<Extent>) -> Result<()> {
        accessor.with(|mut access| access.get().table.delete(extent))?;
        Ok(())
    }
}
