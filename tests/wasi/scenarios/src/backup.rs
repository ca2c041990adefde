//! A backup: how files are read, what was observed, and what is promised.

use std::collections::BTreeMap;

use crate::tree::{Node, Time};
use crate::{Check, Failure, Reason, Scenario};

/// Plan of a backup, and its promises.
#[derive(Debug, Clone)]
pub struct Backup {
    /// Order of the reads.
    pub reading: Reading,
    /// Number of scans, one after the other.
    pub scans: usize,
    /// Nodes that have to be found, with paths relative to the remote's own root.
    pub tree: Vec<Node>,
    /// Paths whose outcome differs from the tree.
    pub exceptions: BTreeMap<String, Outcome>,
    /// End of each scan. The last element also applies to all further scans.
    pub ends: Vec<Result<(), Reason>>,
    /// Whether sizes are known before files are read.
    pub sizes: bool,
    /// Whether directories have times.
    pub directory_times: bool,
    /// Whether each object has a unique identity. If not, none has one.
    pub identities: bool,
}

/// Order in which files are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// As Plakar does: each when its entry arrives, one after the other.
    InTurn,
    /// All at the same time, after the scan.
    AtOnce,
    /// One after the other, in reverse order.
    Backwards,
    /// None, as if all were unchanged.
    Nothing,
}

/// Outcome of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is only an error.
    Failed(Reason),
    /// It is found, and also an error.
    FoundAndFailed(Reason),
    /// It is found, and its read fails.
    Unread(Reason),
    /// It is neither found nor an error.
    Absent,
}

impl Default for Backup {
    fn default() -> Self {
        Self {
            reading: Reading::InTurn,
            scans: 1,
            tree: Vec::new(),
            exceptions: BTreeMap::new(),
            ends: vec![Ok(())],
            sizes: true,
            directory_times: true,
            identities: false,
        }
    }
}

impl Backup {
    /// Sets the outcome of one path.
    pub fn except(&mut self, path: &str, outcome: Outcome) {
        self.exceptions.insert(path.to_owned(), outcome);
    }
}

/// Observations of one scan.
#[derive(Debug)]
pub struct Observed {
    /// Absolute paths and records, in the order of the scan.
    pub records: Vec<(String, Record)>,
    /// End of the scan.
    pub end: Result<(), Failure>,
}

/// Event of a scan.
#[derive(Debug)]
pub enum Record {
    /// An entry that was found.
    Found(Seen),
    /// A path that failed.
    Failed(Failure),
}

/// Entry, and the result of its read.
#[derive(Debug)]
pub struct Seen {
    /// Whether it is a directory.
    pub directory: bool,
    /// Size in bytes, if it is known.
    pub size: Option<u64>,
    /// Modification time.
    pub modified: Time,
    /// Identity of the object.
    pub identity: Option<u64>,
    /// Bytes read, and how the read ended.
    pub read: Option<(Vec<u8>, Result<(), Failure>)>,
}

/// Records of one path.
#[derive(Default)]
struct PathRecords<'a> {
    found: Vec<&'a Seen>,
    failed: Vec<&'a Failure>,
}

/// Checks the observations of a scan. `number` counts scans from 0.
pub fn judge(scenario: &Scenario, backup: &Backup, number: usize, seen: &Observed) -> Vec<Check> {
    let end = backup.ends.get(number).or(backup.ends.last()).copied().unwrap_or(Ok(()));
    let mut known = BTreeMap::<&str, PathRecords>::new();
    for (path, record) in &seen.records {
        let known = known.entry(path).or_default();
        match record {
            Record::Found(entry) => known.found.push(entry),
            Record::Failed(failure) => known.failed.push(failure),
        }
    }
    let expected = expected(scenario, backup);
    vec![
        Check::end("the scan", end, &seen.end),
        Check::new("a directory comes before its contents", order(&root(scenario), seen)),
        Check::new("entries are as at the remote", found(backup, &expected, &known)),
        Check::new("a failure is an error of its path", failed(backup, &known)),
        Check::new("identities are unique", identities(scenario, backup, &known)),
        Check::new(
            "nothing is left out",
            match end {
                Ok(()) => missing(backup, scenario, &expected, &known),
                Err(_) => Vec::new(),
            },
        ),
        Check::new("each file has its bytes or fails", read(backup, &expected, &known)),
    ]
}

/// Returns the absolute path of the session's root, without its last slash.
fn root(scenario: &Scenario) -> String {
    let names = scenario.root.split('/').filter(|name| !name.is_empty());
    names.fold(String::new(), |path, name| path + "/" + name)
}

/// Returns the nodes below the session's root, by their absolute paths.
fn expected<'a>(scenario: &Scenario, backup: &'a Backup) -> BTreeMap<String, &'a Node> {
    let root = root(scenario) + "/";
    let nodes = backup.tree.iter().map(|node| (absolute(&node.path), node));
    nodes.filter(|(path, _)| path.starts_with(&root)).collect()
}

/// Returns the path in a snapshot of a path relative to the remote's own root.
fn absolute(path: &str) -> String {
    ["/", path].concat()
}

/// Returns the exceptional outcome of an absolute path.
fn exception(backup: &Backup, path: &str) -> Option<Outcome> {
    backup.exceptions.get(path.strip_prefix('/').unwrap_or(path)).copied()
}

fn order(root: &str, seen: &Observed) -> Vec<String> {
    let mut directories = Vec::new();
    let mut wrong = Vec::new();
    for (path, record) in &seen.records {
        let Record::Found(entry) = record else { continue };
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        if path.len() > root.len().max(1)
            && parent.len() > root.len()
            && !directories.contains(&parent)
        {
            wrong.push(format!("`{path}` came before `{parent}`"));
        }
        if entry.directory {
            directories.push(path);
        }
    }
    wrong
}

fn found(
    backup: &Backup,
    expected: &BTreeMap<String, &Node>,
    known: &BTreeMap<&str, PathRecords>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    for (path, PathRecords { found, .. }) in known {
        let Some(entry) = found.first() else { continue };
        if found.len() > 1 {
            wrong.push(format!("`{path}` was found {} times", found.len()));
        }
        let Some(node) = expected.get(*path) else {
            // The root itself is not a node of the tree.
            if !entry.directory || expected.keys().any(|below| !below.starts_with(*path)) {
                wrong.push(format!("`{path}` is not at the remote"));
            }
            continue;
        };
        if matches!(exception(backup, path), Some(Outcome::Failed(_) | Outcome::Absent)) {
            wrong.push(format!("`{path}` was found"));
        }
        let size =
            node.bytes.as_ref().map_or(Some(0), |bytes| backup.sizes.then_some(bytes.len() as u64));
        let directory = node.bytes.is_none();
        let time = if directory && !backup.directory_times { (0, 0) } else { node.modified };
        if (entry.directory, entry.size, entry.modified) != (directory, size, time) {
            wrong.push(format!(
                "`{path}` is {:?} and not {:?}",
                (entry.directory, entry.size, entry.modified),
                (directory, size, time)
            ));
        }
    }
    wrong
}

fn failed(backup: &Backup, known: &BTreeMap<&str, PathRecords>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (path, PathRecords { failed, .. }) in known {
        for failure in failed {
            let promised = match exception(backup, path) {
                Some(Outcome::Failed(reason) | Outcome::FoundAndFailed(reason)) => Some(reason),
                _ => None,
            };
            if promised != Some(failure.reason) || !failure.has_valid_message() {
                wrong.push(format!("`{path}` failed: {failure:?}"));
            }
        }
    }
    for (path, outcome) in &backup.exceptions {
        let path = absolute(path);
        if let Outcome::Failed(_) | Outcome::FoundAndFailed(_) = outcome
            && known.get(path.as_str()).is_none_or(|known| known.failed.is_empty())
        {
            wrong.push(format!("`{path}` is not an error"));
        }
    }
    wrong
}

fn missing(
    backup: &Backup,
    scenario: &Scenario,
    expected: &BTreeMap<String, &Node>,
    known: &BTreeMap<&str, PathRecords>,
) -> Vec<String> {
    let root = root(scenario);
    let root = if root.is_empty() { "/" } else { &root };
    let paths = expected.keys().map(String::as_str).chain([root]);
    let found = |path: &str| known.get(path).is_some_and(|known| !known.found.is_empty());
    let is_expected =
        |path: &str| !matches!(exception(backup, path), Some(Outcome::Failed(_) | Outcome::Absent));
    paths.filter(|path| is_expected(path) && !found(path)).map(|path| format!("`{path}`")).collect()
}

fn identities(
    scenario: &Scenario,
    backup: &Backup,
    known: &BTreeMap<&str, PathRecords>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut seen = BTreeMap::new();
    for (path, known) in known {
        let Some(entry) = known.found.first() else { continue };
        // An album of Google Photos has the ID that the real one gives it.
        let is_album = entry.directory && scenario.is_library();
        if !is_album && entry.identity.is_some() != (backup.identities && !entry.directory) {
            wrong.push(format!("`{path}` has the identity {:?}", entry.identity));
        }
        // A photo is the same under all its paths.
        if let Some(other) = entry.identity.and_then(|identity| seen.insert(identity, path))
            && !scenario.is_library()
        {
            wrong.push(format!("`{path}` has the identity of `{other}`"));
        }
    }
    wrong
}

fn read(
    backup: &Backup,
    expected: &BTreeMap<String, &Node>,
    known: &BTreeMap<&str, PathRecords>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    for (path, node) in expected {
        let Some(expected) = &node.bytes else { continue };
        let seen = known.get(path.as_str()).and_then(|known| known.found.first());
        let Some(seen) = seen else { continue };
        let Some((bytes, end)) = &seen.read else {
            if backup.reading != Reading::Nothing {
                wrong.push(format!("`{path}` was not read"));
            }
            continue;
        };
        match (exception(backup, path), end) {
            (Some(Outcome::Unread(reason)), Err(failure)) if failure.reason == reason => {
                if !failure.has_valid_message() {
                    wrong.push(format!("`{path}` failed: {failure:?}"));
                }
            }
            (Some(Outcome::Unread(reason)), end) => {
                wrong.push(format!("`{path}` should fail: {reason:?}, but: {end:?}"));
            }
            (_, Err(failure)) => wrong.push(format!("`{path}` can't be read: {failure:?}")),
            (_, Ok(())) if bytes == expected => {}
            (_, Ok(())) => wrong.push(format!(
                "`{path}` has wrong bytes: {} instead of {}",
                bytes.len(),
                expected.len()
            )),
        }
    }
    wrong
}
