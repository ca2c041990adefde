//! The host's side of the WIT interfaces that a component imports: each call goes to
//! [`crate::rclone`], which checks its arguments.
//!
//! - [`rclone`], [`objects`], [`cache`]: the interfaces of these names

mod cache;
mod objects;
mod rclone;

use wasmtime::Result;
use wasmtime::component::{Accessor, HasSelf};

use super::engine::HostState;
use crate::connector::{Failure, types};
use crate::rclone::Rclone;

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
