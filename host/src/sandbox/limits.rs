//! What a component may use up: memory, and time without a pause.

use std::sync::Arc;
use std::thread;
use std::time::Duration;
use wasmtime::{Engine, EngineWeak, ResourceLimiter, Store, UpdateDeadline};

use crate::policy;
use crate::quota::counters::{Count, Counters};

/// How many bytes a component may pass to the host with one call, beside those of streams.
const PASSED: usize = 64 << 20;

/// How often a running component is looked at.
const TICK: Duration = Duration::from_millis(50);

/// The limits of one store.
pub struct Limits {
    /// How much memory the instance may have, in bytes.
    memory: usize,
    /// How long it may compute without once calling the host or waiting for it.
    pause: Duration,
    /// Ticks since the component last had to do with the host.
    busy: u32,
    /// What memory it has, and where that is counted.
    had: u64,
    account: Arc<Counters>,
}

impl Limits {
    /// Those that a policy sets; none where it sets none.
    pub fn of(limits: &policy::Limits, account: Arc<Counters>) -> Self {
        let memory = limits.guest_memory.and_then(|size| size.as_u64().try_into().ok());
        Self {
            memory: memory.unwrap_or(usize::MAX),
            pause: limits.guest_compute_timeout.unwrap_or(Duration::MAX),
            busy: 0,
            had: 0,
            account,
        }
    }

    /// Notes that the component had to do with the host.
    pub fn progress(&mut self) {
        self.busy = 0;
    }
}

impl ResourceLimiter for Limits {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if desired <= self.memory {
            let more = desired.saturating_sub(current) as u64;
            self.had += more;
            self.account.add(Count::Memory, more);
            return Ok(true);
        }
        Err(wasmtime::format_err!("it wanted more than its {} MiB of memory", self.memory >> 20))
    }

    fn table_growing(
        &mut self,
        _: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= 1 << 20)
    }
}

impl Drop for Limits {
    fn drop(&mut self) {
        self.account.sub(Count::Memory, self.had);
    }
}

/// Puts a store under its limits.
pub fn apply<T: 'static>(store: &mut Store<T>, limits: fn(&mut T) -> &mut Limits) {
    store.limiter(move |data| limits(data));
    store.set_hostcall_fuel(PASSED);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |mut store| {
        let limits = limits(store.data_mut());
        limits.busy += 1;
        if TICK.saturating_mul(limits.busy) > limits.pause {
            let seconds = limits.pause.as_secs();
            return Err(wasmtime::format_err!("it computed for {seconds} seconds without a pause"));
        }
        Ok(UpdateDeadline::Yield(1))
    });
}

/// Keeps the clock by which stores are looked at, as long as the engine lives.
pub fn tick(engine: &Engine) {
    let engine: EngineWeak = engine.weak();
    thread::spawn(move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            thread::sleep(TICK);
        }
    });
}
