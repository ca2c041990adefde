//! State of the run: the scenario, the log of calls, counters.

use scenarios::fault::Fault;
use scenarios::{Failure, Reason, Scenario, list};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::rc::Rc;

use crate::bindings::wasi::clocks::monotonic_clock::wait_for;

/// State of the run.
pub struct RunState {
    pub scenario: Scenario,
    /// Directory of the remote's root.
    pub remote: PathBuf,
    /// Directory of the batches.
    pub batches: PathBuf,
    calls: RefCell<File>,
    /// Counters by name.
    counters: RefCell<HashMap<String, usize>>,
    /// Bytes that are kept, by their keys.
    pub cache: RefCell<HashMap<String, Vec<u8>>>,
    /// Number of reads in progress.
    reads: Cell<usize>,
    /// Number of uploads in progress.
    uploads: Cell<usize>,
    /// Maximum number of reads that were in progress at the same time.
    max_reads: Cell<usize>,
    /// Number of bytes of all parts of objects.
    pub held_bytes: Cell<usize>,
    /// Maximum of that number.
    pub max_held_bytes: Cell<usize>,
}

thread_local! {
    static RUN_STATE: Rc<RunState> = Rc::new(RunState::new());
}

/// Returns the state of the run.
pub fn run_state() -> Rc<RunState> {
    RUN_STATE.with(Rc::clone)
}

impl RunState {
    fn new() -> Self {
        let name = std::env::args().next_back().unwrap();
        let place = list::place(&name);
        let calls = OpenOptions::new().append(true).create(true).open(place.join("calls"));
        Self {
            scenario: list::find(&name).unwrap(),
            remote: place.join("remote"),
            batches: place.join("batches"),
            calls: RefCell::new(calls.unwrap()),
            counters: RefCell::default(),
            cache: RefCell::default(),
            reads: Cell::default(),
            uploads: Cell::default(),
            max_reads: Cell::default(),
            held_bytes: Cell::default(),
            max_held_bytes: Cell::default(),
        }
    }

    /// Logs a call, or an effect of one.
    pub fn log(&self, word: &str, object: &str) {
        writeln!(self.calls.borrow_mut(), "{word} {}", object.escape_debug()).unwrap();
    }

    /// Increments a counter. Returns its value before.
    pub fn increment(&self, name: &str) -> usize {
        let mut counters = self.counters.borrow_mut();
        let counter = counters.entry(name.to_owned()).or_default();
        *counter += 1;
        *counter - 1
    }

    /// Returns the value of a counter.
    pub fn counter(&self, name: &str) -> usize {
        self.counters.borrow().get(name).copied().unwrap_or_default()
    }

    /// Returns the result of `pick` for the first fault that it accepts.
    pub fn find_fault<T>(&self, pick: impl Fn(&Fault) -> Option<T>) -> Option<T> {
        self.scenario.faults.iter().find_map(pick)
    }

    /// Returns the duration of reads and uploads, in milliseconds.
    pub fn delay_ms(&self) -> u64 {
        let slow = |fault: &Fault| match fault {
            Fault::Slow(milliseconds) => Some(*milliseconds),
            _ => None,
        };
        self.find_fault(slow).unwrap_or_default()
    }

    /// Reports whether the scenario has a fault.
    pub fn has_fault(&self, fault: &Fault) -> bool {
        self.scenario.faults.contains(fault)
    }

    /// Counts a read until the guard is dropped. Logs each new maximum of reads in progress.
    pub fn begin_read(self: &Rc<Self>) -> impl Sized + use<> {
        self.reads.set(self.reads.get() + 1);
        if self.reads.get() > self.max_reads.get() {
            self.max_reads.set(self.reads.get());
            self.log("at-once", "");
        }
        OnDrop(self.clone(), |state| state.reads.set(state.reads.get() - 1))
    }

    /// Counts an upload until the guard is dropped. Also returns whether another upload is in
    /// progress.
    pub fn begin_upload(self: &Rc<Self>) -> (impl Sized + use<>, bool) {
        self.uploads.set(self.uploads.get() + 1);
        let end = |state: &RunState| state.uploads.set(state.uploads.get() - 1);
        (OnDrop(self.clone(), end), self.uploads.get() > 1)
    }
}

/// Guard that calls a function when it is dropped.
struct OnDrop<F: Fn(&RunState)>(Rc<RunState>, F);

impl<F: Fn(&RunState)> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.1)(&self.0);
    }
}

/// Waits for a number of milliseconds.
pub async fn wait(milliseconds: u64) {
    wait_for(milliseconds * 1_000_000).await;
}

/// Creates the failure of an I/O error of the fake itself.
pub fn io_failure(error: std::io::Error) -> Failure {
    Failure::new(Reason::Internal, format!("the fake's disk: {error}"))
}

/// Checks a path as the contract requires. An invalid path is denied.
pub fn check_path(path: &str) -> Result<(), Failure> {
    let is_valid =
        !path.contains('\0') && path.split('/').all(|name| !matches!(name, "" | "." | ".."));
    if is_valid {
        return Ok(());
    }
    Err(Failure::new(Reason::Denied, format!("`{path}` is not a path below the root")))
}
