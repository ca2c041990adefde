//! The interface `cache`.

use wasmtime::Result;
use wasmtime::component::HasSelf;

use super::{CallResult, HostAccessor, call, capability};
use crate::sandbox::bindings::plakar::connector::cache;
use crate::sandbox::bindings::plakar::connector::cache::Content;
use crate::sandbox::engine::HostState;
use crate::sandbox::streams::{lift_content, lower_content};

impl cache::Host for HostState {}

impl cache::HostWithStore<HostState> for HasSelf<HostState> {
    async fn recall(accessor: &HostAccessor, key: String) -> Result<Option<Content>> {
        let recalled = capability(accessor).recall(&key).await;
        let lower = |content| accessor.with(|store| lower_content(store, content));
        recalled.map(lower).transpose()
    }

    async fn remember(accessor: &HostAccessor, key: String, content: Content) -> CallResult<()> {
        call(async {
            let content = accessor.with(|store| lift_content(store, content))?;
            Ok(capability(accessor).remember(&key, content).await?)
        })
        .await
    }
}
