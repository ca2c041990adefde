//! What the whole run knows: the scenario, what was called, what was counted.

use scenarios::fault::Fault;
use scenarios::{Reason as Promised, Scenario, list};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::rc::Rc;

use crate::bindings::plakar::connector::types::{Failure, Reason};
use crate::bindings::wasi::clocks::monotonic_clock::wait_for;

pub struct World {
    pub scenario: Scenario,
    /// Where the remote's root, and where batches are.
    pub remote: PathBuf,
    pub batches: PathBuf,
    calls: RefCell<File>,
    /// How often something happened.
    counts: RefCell<HashMap<String, usize>>,
    /// Reads, and uploads, that are going on.
    pub reading: Cell<usize>,
    pub writing: Cell<usize>,
    most: Cell<usize>,
}

thread_local! {
    static WORLD: Rc<World> = Rc::new(World::new());
}

pub fn world() -> Rc<World> {
    WORLD.with(Rc::clone)
}

impl World {
    fn new() -> Self {
        let name = std::env::args().next_back().unwrap();
        let place = list::place(&name);
        let calls = OpenOptions::new().append(true).create(true).open(place.join("calls"));
        Self {
            scenario: list::find(&name).unwrap(),
            remote: place.join("remote"),
            batches: place.join("batches"),
            calls: RefCell::new(calls.unwrap()),
            counts: RefCell::default(),
            reading: Cell::default(),
            writing: Cell::default(),
            most: Cell::default(),
        }
    }

    /// Writes down a call, or what it led to.
    pub fn note(&self, word: &str, object: &str) {
        writeln!(self.calls.borrow_mut(), "{word} {}", object.escape_debug()).unwrap();
    }

    /// How often this was counted before.
    pub fn count(&self, what: &str) -> usize {
        let mut counts = self.counts.borrow_mut();
        let count = counts.entry(what.to_owned()).or_default();
        *count += 1;
        *count - 1
    }

    pub fn counted(&self, what: &str) -> usize {
        self.counts.borrow().get(what).copied().unwrap_or_default()
    }

    /// What the first fault that `pick` takes gives.
    pub fn fault<T>(&self, pick: impl Fn(&Fault) -> Option<T>) -> Option<T> {
        self.scenario.faults.iter().find_map(pick)
    }

    /// How many milliseconds reads and uploads take.
    pub fn slowness(&self) -> u64 {
        let slow = |fault: &Fault| match fault {
            Fault::Slow(milliseconds) => Some(*milliseconds),
            _ => None,
        };
        self.fault(slow).unwrap_or_default()
    }

    pub fn has(&self, fault: &Fault) -> bool {
        self.scenario.faults.contains(fault)
    }

    /// Notes that a read has begun, until what this gives is dropped; writes down when
    /// there were never as many at the same time.
    pub fn begin_read(self: &Rc<Self>) -> impl Sized + use<> {
        self.reading.set(self.reading.get() + 1);
        if self.reading.get() > self.most.get() {
            self.most.set(self.reading.get());
            self.note("at-once", "");
        }
        During(self.clone(), |world| world.reading.set(world.reading.get() - 1))
    }

    /// The same for an upload; says whether another one is going on.
    pub fn begin_write(self: &Rc<Self>) -> (impl Sized + use<>, bool) {
        self.writing.set(self.writing.get() + 1);
        let end = |world: &World| world.writing.set(world.writing.get() - 1);
        (During(self.clone(), end), self.writing.get() > 1)
    }
}

struct During<F: Fn(&World)>(Rc<World>, F);

impl<F: Fn(&World)> Drop for During<F> {
    fn drop(&mut self) {
        (self.1)(&self.0);
    }
}

/// Waits for so many milliseconds.
pub async fn wait(milliseconds: u64) {
    wait_for(milliseconds * 1_000_000).await;
}

pub fn failure(reason: Promised, message: impl Into<String>) -> Failure {
    let reason = match reason {
        Promised::InvalidConfiguration => Reason::InvalidConfiguration,
        Promised::Unauthenticated => Reason::Unauthenticated,
        Promised::Denied => Reason::Denied,
        Promised::NotFound => Reason::NotFound,
        Promised::Unsupported => Reason::Unsupported,
        Promised::RateLimited => Reason::RateLimited,
        Promised::Unavailable => Reason::Unavailable,
        Promised::Corrupted => Reason::Corrupted,
        Promised::Cancelled => Reason::Cancelled,
        Promised::Internal => Reason::Internal,
    };
    Failure { reason, message: message.into() }
}

/// What the fake itself can't do.
pub fn disk(error: std::io::Error) -> Failure {
    failure(Promised::Internal, format!("the fake's disk: {error}"))
}

/// A path as the contract wants it: anything else is denied.
pub fn sound(path: &str) -> Result<(), Failure> {
    let sound =
        !path.contains('\0') && path.split('/').all(|name| !matches!(name, "" | "." | ".."));
    match sound {
        true => Ok(()),
        false => Err(failure(Promised::Denied, format!("`{path}` is no path below the root"))),
    }
}
