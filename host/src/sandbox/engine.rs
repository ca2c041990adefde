//! The engine that components are compiled for and run by, and the state of each instance.

use wasmtime::component::ResourceTable;
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_io::IoView;

use super::limits::Limits;
use crate::connector::Failure;
use crate::rclone::Rclone;

/// The state of one instance: its limits, its handles, an empty WASI and its capability.
pub struct HostState {
    pub limits: Limits,
    pub table: ResourceTable,
    wasi: WasiCtx,
    pub rclone: Rclone,
}

impl HostState {
    /// Makes the state of an instance with this capability.
    pub fn new(rclone: Rclone) -> Self {
        Self {
            limits: Limits::new(&rclone.grant().limits, rclone.account().clone()),
            table: ResourceTable::new(),
            wasi: WasiCtx::builder().build(),
            rclone,
        }
    }
}

impl WasiView for HostState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl IoView for HostState {
    fn table(&mut self) -> &mut ResourceTable {
        &mut self.table
    }
}

/// The target that code is compiled for: the architecture's baseline.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
const TARGET: &str = "x86_64-unknown-linux-gnu";
#[cfg(all(target_arch = "aarch64", target_os = "linux"))]
const TARGET: &str = "aarch64-unknown-linux-gnu";
#[cfg(all(target_arch = "x86_64", target_os = "macos"))]
const TARGET: &str = "x86_64-apple-darwin";
#[cfg(all(target_arch = "aarch64", target_os = "macos"))]
const TARGET: &str = "aarch64-apple-darwin";

/// Makes an engine, with a pool of instances if it is given.
pub fn engine(pool: Option<PoolingAllocationConfig>) -> Result<Engine, Failure> {
    let mut config = Config::new();
    config.epoch_interruption(true);
    config.memory_init_cow(true);
    if let Some(pool) = pool {
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        // Stacks are used again, by sessions of other tenants.
        config.async_stack_zeroing(true);
    }
    // Code for any machine of this architecture, so that it can be compiled ahead.
    config
        .target(TARGET)
        .and_then(|config| Engine::new(config))
        .map_err(|error| Failure::internal(format!("wasmtime doesn't start: {error:#}")))
}
