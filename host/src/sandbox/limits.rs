//! Limits of a component: memory, and compute time without a pause.

use std::sync::Arc;
use std::thread;
use std::time::Duration;
use wasmtime::{Engine, EngineWeak, ResourceLimiter, Store, UpdateDeadline};

use crate::policy;
use crate::quota::counters::{Count, Counters};

/// Maximum number of bytes that a component may pass to the host with one call, in addition to
/// those of streams.
const MAX_CALL_BYTES: usize = 64 << 20;

/// Interval at which running components are checked.
const EPOCH_INTERVAL: Duration = Duration::from_millis(50);

/// Maximum number of elements of a table.
const MAX_TABLE_ELEMENTS: usize = 1 << 20;

/// The limits of one store.
pub struct Limits {
    /// Maximum memory of the instance, in bytes.
    max_memory: usize,
    /// Maximum time that it may compute without calling the host or waiting for it.
    max_compute_time: Duration,
    /// Number of epochs since the component last called the host or waited for it.
    busy_epochs: u32,
    /// Memory that it has, in bytes, as counted in `account`.
    memory: u64,
    account: Arc<Counters>,
}

impl Limits {
    /// Makes the limits that a policy sets. One that isn't set imposes nothing.
    pub fn new(limits: &policy::Limits, account: Arc<Counters>) -> Self {
        let memory = limits.guest_memory.and_then(|size| size.as_u64().try_into().ok());
        Self {
            max_memory: memory.unwrap_or(usize::MAX),
            max_compute_time: limits.guest_compute_timeout.unwrap_or(Duration::MAX),
            busy_epochs: 0,
            memory: 0,
            account,
        }
    }

    /// Notes that the component called the host or waited for it.
    pub fn note_progress(&mut self) {
        self.busy_epochs = 0;
    }
}

impl ResourceLimiter for Limits {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if desired <= self.max_memory {
            let more = desired.saturating_sub(current) as u64;
            self.memory += more;
            self.account.add(Count::Memory, more);
            return Ok(true);
        }
        let mebibytes = self.max_memory >> 20;
        Err(wasmtime::format_err!("it wanted more than its {mebibytes} MiB of memory"))
    }

    fn table_growing(
        &mut self,
        _: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= MAX_TABLE_ELEMENTS)
    }
}

impl Drop for Limits {
    fn drop(&mut self) {
        self.account.sub(Count::Memory, self.memory);
    }
}

/// Applies the limits to a store.
pub fn apply<T: 'static>(store: &mut Store<T>, limits: fn(&mut T) -> &mut Limits) {
    store.limiter(move |data| limits(data));
    store.set_hostcall_fuel(MAX_CALL_BYTES);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |mut store| {
        let limits = limits(store.data_mut());
        limits.busy_epochs += 1;
        if EPOCH_INTERVAL.saturating_mul(limits.busy_epochs) > limits.max_compute_time {
            let seconds = limits.max_compute_time.as_secs();
            return Err(wasmtime::format_err!("it computed for {seconds} seconds without a pause"));
        }
        Ok(UpdateDeadline::Yield(1))
    });
}

/// Starts the thread that advances the engine's epochs, as long as the engine lives.
pub fn start_epoch_clock(engine: &Engine) {
    let engine: EngineWeak = engine.weak();
    thread::spawn(move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            thread::sleep(EPOCH_INTERVAL);
        }
    });
}
