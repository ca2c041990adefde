//! What a connector promises, as data: a remote, what goes wrong with it, what is done,
//! and what must be seen then. The same data make the fake rclone's remote, tell the
//! driver what to expect, and are tried with the real rclone.
//!
//! - [`tree`]: files and directories, made, laid out and read back
//! - [`photos`]: an account of Google Photos in a directory
//! - [`fault`]: what a remote or its rclone does wrong
//! - [`backup`], [`restore`]: what is done, what was seen, and what was promised
//! - [`list`]: the scenarios

pub mod backup;
pub mod fault;
pub mod list;
pub mod photos;
pub mod restore;
pub mod tree;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::Path;

use backup::Backup;
use fault::Fault;
use photos::Photo;
use restore::Restore;
use tree::Node;

/// One promise, and how it is tried.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// rclone's name of the backend.
    pub backend: &'static str,
    /// The path inside the remote that is backed up or restored to.
    pub root: &'static str,
    pub options: Vec<(&'static str, &'static str)>,
    /// What lies at the remote, below its own root and not the session's.
    pub remote: Vec<Node>,
    /// The same where the remote is Google Photos.
    pub photos: Vec<Photo>,
    pub faults: Vec<Fault>,
    pub act: Act,
    /// How often the fake rclone may be called for what: see [`Scenario::calls`].
    pub calls: Vec<(&'static str, RangeInclusive<usize>)>,
    /// Whether it is tried with the real rclone, too.
    pub real: bool,
}

/// What is done.
#[derive(Debug, Clone)]
pub enum Act {
    Backup(Backup),
    Restore(Restore),
    /// What only the driver can do: its code for this has the scenario's name.
    Own,
}

/// A scenario by its name, which is its promise.
pub type Named = (&'static str, fn() -> Scenario);

/// Why something failed: the contract's `reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    InvalidConfiguration,
    Unauthenticated,
    Denied,
    NotFound,
    Unsupported,
    RateLimited,
    Unavailable,
    Corrupted,
    Cancelled,
    Internal,
}

impl Reason {
    pub const ALL: [Self; 10] = [
        Self::InvalidConfiguration,
        Self::Unauthenticated,
        Self::Denied,
        Self::NotFound,
        Self::Unsupported,
        Self::RateLimited,
        Self::Unavailable,
        Self::Corrupted,
        Self::Cancelled,
        Self::Internal,
    ];
}

/// A failure as it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub reason: Reason,
    pub message: String,
}

/// One thing that was promised, and what is wrong if it wasn't kept.
#[derive(Debug)]
pub struct Check {
    pub promise: String,
    pub broken: Option<String>,
}

impl Check {
    /// Checks that nothing is wrong; `wrong` says what is.
    pub fn new(promise: impl Into<String>, wrong: Vec<String>) -> Self {
        const SHOWN: usize = 5;
        let more = wrong.len().saturating_sub(SHOWN);
        let mut text = wrong[..wrong.len() - more].join("; ");
        if more > 0 {
            text += &format!("; and {more} more");
        }
        Self { promise: promise.into(), broken: (!wrong.is_empty()).then_some(text) }
    }

    /// The same for one thing.
    pub fn that(promise: impl Into<String>, kept: bool, otherwise: impl Into<String>) -> Self {
        Self::new(promise, if kept { Vec::new() } else { vec![otherwise.into()] })
    }

    /// A failure, or none, is as promised.
    pub fn end(what: &str, promised: Result<(), Reason>, seen: &Result<(), Failure>) -> Self {
        let promise = match promised {
            Ok(()) => format!("{what} ends well"),
            Err(reason) => format!("{what} fails: {reason:?}"),
        };
        let same = match (promised, seen) {
            (Ok(()), Ok(())) => true,
            (Err(reason), Err(failure)) => reason == failure.reason && failure.is_sound(),
            _ => false,
        };
        Self::that(promise, same, format!("{seen:?}"))
    }
}

impl Failure {
    /// Whether its message is a line for a person.
    pub fn is_sound(&self) -> bool {
        !self.message.trim().is_empty() && !self.message.contains(['\n', '\r'])
    }
}

impl Scenario {
    fn with(act: Act, remote: Vec<Node>) -> Self {
        Self {
            backend: "webdav",
            root: "",
            options: Vec::new(),
            remote,
            photos: Vec::new(),
            faults: Vec::new(),
            act,
            calls: Vec::new(),
            real: false,
        }
    }

    /// Backs up a remote that holds this.
    pub fn backup(remote: Vec<Node>) -> Self {
        let tree = remote.clone();
        Self::with(Act::Backup(Backup { tree, ..Backup::default() }), remote)
    }

    /// Restores this to an empty remote.
    pub fn restore(nodes: Vec<Node>) -> Self {
        Self::with(Act::Restore(Restore::of(nodes)), Vec::new())
    }

    /// What the driver has code for.
    pub fn own(remote: Vec<Node>) -> Self {
        Self::with(Act::Own, remote)
    }

    pub fn on(mut self, backend: &'static str) -> Self {
        self.backend = backend;
        self
    }

    pub fn below(mut self, root: &'static str) -> Self {
        self.root = root;
        self
    }

    pub fn option(mut self, key: &'static str, value: &'static str) -> Self {
        self.options.push((key, value));
        self
    }

    pub fn fault(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }

    /// The fake rclone writes down what it is called for, one word and an object a
    /// line; this word may come so many times.
    pub fn calls(mut self, word: &'static str, times: RangeInclusive<usize>) -> Self {
        self.calls.push((word, times));
        self
    }

    /// The real rclone shows the same.
    pub fn and_real(mut self) -> Self {
        self.real = true;
        self
    }

    /// Changes what a backup does or promises.
    pub fn backing_up(mut self, change: impl FnOnce(&mut Backup)) -> Self {
        if let Act::Backup(backup) = &mut self.act {
            change(backup);
        }
        self
    }

    /// Changes what a restore does or promises.
    pub fn restoring(mut self, change: impl FnOnce(&mut Restore)) -> Self {
        if let Act::Restore(restore) = &mut self.act {
            change(restore);
        }
        self
    }

    pub fn is_photos(&self) -> bool {
        self.backend == photos::BACKEND
    }

    /// Makes the remote in a directory.
    pub fn lay(&self, directory: &Path) -> std::io::Result<()> {
        match self.is_photos() {
            true => photos::lay(directory, &self.photos),
            false => tree::lay(directory, &self.remote),
        }
    }

    /// Compares what the fake rclone was called for with what was promised.
    pub fn judge_calls(&self, log: &str) -> Vec<Check> {
        let mut counts = BTreeMap::<&str, usize>::new();
        for word in log.lines().filter_map(|line| line.split(' ').next()) {
            *counts.entry(word).or_default() += 1;
        }
        let checks = self.calls.iter().map(|(word, times)| {
            let count = counts.get(word).copied().unwrap_or_default();
            let (least, most) = (times.start(), times.end());
            let promise = match least == most {
                true => format!("`{word}` is needed {least} times"),
                false => format!("`{word}` is needed {least} to {most} times"),
            };
            Check::that(promise, times.contains(&count), format!("it was {count} times"))
        });
        checks.collect()
    }
}

/// Makes the table of scenarios of a module: each function's name is its promise.
#[macro_export]
macro_rules! scenarios {
    ($($name:ident),* $(,)?) => {
        pub const SCENARIOS: &[$crate::Named] = &[$((stringify!($name), $name)),*];
    };
}
