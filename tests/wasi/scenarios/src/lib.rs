//! Promises of a connector, as data: a remote, its faults, the actions, and the expected results.
//! The fake rclone creates its remote from these data, the driver checks results against them,
//! and they are tested with the real rclone, too.
//!
//! - [`tree`]: files and directories, generated, written and read
//! - [`photos`]: an account of Google Photos in a directory
//! - [`exports`]: exports of Google Takeout
//! - [`fault`]: faults of a remote or of its rclone
//! - [`backup`], [`restore`], [`store`]: actions, observations and checks
//! - [`list`]: the scenarios
//! - [`types`]: the contract's types

pub mod backup;
pub mod exports;
pub mod fault;
pub mod list;
pub mod photos;
pub mod restore;
pub mod store;
pub mod tree;
pub mod types;

pub use types::{Failure, Reason};

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::Path;

use backup::Backup;
use fault::Fault;
use photos::Photo;
use restore::Restore;
use store::Step;
use tree::Node;

/// Number of files that the remote is said to serve concurrently.
const STREAMS: u32 = 64;

/// One promise, and how it is tested.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// rclone's name of the backend.
    pub backend: &'static str,
    /// The path inside the remote that is backed up or restored to.
    pub root: &'static str,
    /// Options of the user.
    pub options: Vec<(&'static str, &'static str)>,
    /// Contents of the remote, with paths relative to its own root and not to the session's.
    pub remote: Vec<Node>,
    /// Contents of the remote if it is Google Photos.
    pub photos: Vec<Photo>,
    /// Faults of the remote or of its rclone.
    pub faults: Vec<Fault>,
    /// The action, and its expected results.
    pub act: Act,
    /// Expected numbers of calls of the fake rclone: see [`Scenario::calls`].
    pub calls: Vec<(&'static str, RangeInclusive<usize>)>,
    /// Whether it is tested with the real rclone, too.
    pub real: bool,
}

/// Action.
#[derive(Debug, Clone)]
pub enum Act {
    /// A backup of the remote.
    Backup(Backup),
    /// A restore to the remote.
    Restore(Restore),
    /// Steps of a session of a store.
    Store(Vec<Step>),
    /// Code of the driver, which has the scenario's name.
    Custom,
}

/// Scenario with its name, which is its promise.
pub type Named = (&'static str, fn() -> Scenario);

/// Check of one promise.
#[derive(Debug)]
pub struct Check {
    /// The promise, as a sentence.
    pub promise: String,
    /// The error, if the promise is broken.
    pub broken: Option<String>,
}

impl Check {
    /// Creates a check that passes without errors.
    pub fn new(promise: impl Into<String>, errors: Vec<String>) -> Self {
        const MAX_SHOWN: usize = 5;
        let more = errors.len().saturating_sub(MAX_SHOWN);
        let mut text = errors[..errors.len() - more].join("; ");
        if more > 0 {
            text += &format!("; and {more} more");
        }
        Self { promise: promise.into(), broken: (!errors.is_empty()).then_some(text) }
    }

    /// Creates a check of a condition, with the error to show if it is false.
    pub fn that(promise: impl Into<String>, is_kept: bool, error: impl Into<String>) -> Self {
        Self::new(promise, if is_kept { Vec::new() } else { vec![error.into()] })
    }

    /// Creates a check that something succeeds, or fails for a reason.
    pub fn end(what: &str, promised: Result<(), Reason>, seen: &Result<(), Failure>) -> Self {
        let promise = match promised {
            Ok(()) => format!("{what} succeeds"),
            Err(reason) => format!("{what} fails: {reason:?}"),
        };
        let same = match (promised, seen) {
            (Ok(()), Ok(())) => true,
            (Err(reason), Err(failure)) => reason == failure.reason && failure.has_valid_message(),
            _ => false,
        };
        Self::that(promise, same, format!("{seen:?}"))
    }
}

/// Prints the checks of a scenario. Reports whether all of them passed.
pub fn report(name: &str, checks: &[Check]) -> bool {
    for Check { promise, broken } in checks {
        match broken {
            None => println!("kept    {promise}"),
            Some(why) => println!("BROKEN  {promise}: {why}"),
        }
    }
    let failed = checks.iter().filter(|check| check.broken.is_some()).count();
    println!("{name}: {} passed, {failed} failed", checks.len() - failed);
    failed == 0
}

impl Scenario {
    fn new(act: Act, remote: Vec<Node>) -> Self {
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

    /// Creates a backup of a remote with these contents.
    pub fn backup(remote: Vec<Node>) -> Self {
        let tree = remote.clone();
        Self::new(Act::Backup(Backup { tree, ..Backup::default() }), remote)
    }

    /// Creates a restore to an empty remote.
    pub fn restore(nodes: Vec<Node>) -> Self {
        Self::new(Act::Restore(Restore::new(nodes)), Vec::new())
    }

    /// Creates a session of a store.
    pub fn store(remote: Vec<Node>, steps: Vec<Step>) -> Self {
        Self::new(Act::Store(steps), remote)
    }

    /// Creates a scenario for which the driver has code.
    pub fn custom(remote: Vec<Node>) -> Self {
        Self::new(Act::Custom, remote)
    }

    /// Sets the backend.
    pub fn with_backend(mut self, backend: &'static str) -> Self {
        self.backend = backend;
        self
    }

    /// Sets the path inside the remote.
    pub fn with_root(mut self, root: &'static str) -> Self {
        self.root = root;
        self
    }

    /// Adds an option of the user.
    pub fn option(mut self, key: &'static str, value: &'static str) -> Self {
        self.options.push((key, value));
        self
    }

    /// Adds a fault.
    pub fn fault(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }

    /// Adds an expected number of calls. The fake rclone logs each call as a word and an object.
    pub fn calls(mut self, word: &'static str, times: RangeInclusive<usize>) -> Self {
        self.calls.push((word, times));
        self
    }

    /// Makes it a test of the real rclone, too.
    pub fn and_real(mut self) -> Self {
        self.real = true;
        self
    }

    /// Changes the backup.
    pub fn backing_up(mut self, change: impl FnOnce(&mut Backup)) -> Self {
        if let Act::Backup(backup) = &mut self.act {
            change(backup);
        }
        self
    }

    /// Changes the restore.
    pub fn restoring(mut self, change: impl FnOnce(&mut Restore)) -> Self {
        if let Act::Restore(restore) = &mut self.act {
            change(restore);
        }
        self
    }

    /// Creates the remote that the connector receives.
    pub fn granted_remote(&self) -> types::Remote {
        let to_owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        types::Remote {
            backend: self.backend.to_owned(),
            root: self.root.to_owned(),
            streams: STREAMS,
            options: self.options.iter().map(to_owned).collect(),
        }
    }

    /// Reports whether the remote is Google Photos.
    pub fn is_photos(&self) -> bool {
        self.backend == photos::BACKEND
    }

    /// Reports whether the snapshot is that of a library, in which a photo has several paths.
    pub fn is_library(&self) -> bool {
        self.is_photos() || self.options.contains(&("view", "takeout"))
    }

    /// Creates the remote in a directory.
    pub fn lay(&self, directory: &Path) -> std::io::Result<()> {
        if self.is_photos() {
            photos::lay(directory, &self.photos)
        } else {
            tree::lay(directory, &self.remote)
        }
    }

    /// Checks the log of calls of the fake rclone.
    pub fn judge_calls(&self, log: &str) -> Vec<Check> {
        let mut counts = BTreeMap::<&str, usize>::new();
        for word in log.lines().filter_map(|line| line.split(' ').next()) {
            *counts.entry(word).or_default() += 1;
        }
        let checks = self.calls.iter().map(|(word, times)| {
            let count = counts.get(word).copied().unwrap_or_default();
            let (min, max) = (times.start(), times.end());
            let promise = if min == max {
                format!("`{word}` is called {min} times")
            } else {
                format!("`{word}` is called {min} to {max} times")
            };
            Check::that(promise, times.contains(&count), format!("it is called {count} times"))
        });
        checks.collect()
    }
}

/// Creates the table of scenarios of a module. The name of each function is its promise.
#[macro_export]
macro_rules! scenarios {
    ($($name:ident),* $(,)?) => {
        /// The scenarios of this module.
        pub const SCENARIOS: &[$crate::Named] = &[$((stringify!($name), $name)),*];
    };
}
