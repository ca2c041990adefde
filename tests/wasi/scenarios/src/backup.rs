//! A backup: what is read in which order, what was seen, and what was promised.

use std::collections::BTreeMap;

use crate::tree::{Node, Time};
use crate::{Check, Failure, Reason, Scenario};

/// What is done, and what is promised of it.
#[derive(Debug, Clone)]
pub struct Backup {
    /// How the files are read.
    pub reading: Reading,
    /// How many times the remote is scanned, one scan after the other.
    pub scans: usize,
    /// What must be found: paths below the remote's own root.
    pub tree: Vec<Node>,
    /// What is found or read otherwise than the tree says.
    pub but: BTreeMap<String, Fate>,
    /// How each scan ends; the last one said is that of all that follow.
    pub ends: Vec<Result<(), Reason>>,
    /// Whether sizes are known before files are read.
    pub sizes: bool,
    /// Whether directories have times.
    pub directory_times: bool,
    /// Whether each object has an identity of its own; where not, none has any.
    pub identities: bool,
}

/// How files are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// As Plakar does: each when its record comes, the next one after that.
    InTurn,
    /// All at the same time, once all are found.
    AtOnce,
    /// One after the other, in the order that nobody expects.
    Backwards,
    /// None: all are unchanged.
    Nothing,
}

/// What becomes of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is nothing but an error.
    Failed(Reason),
    /// It is found, and an error besides.
    FoundAndFailed(Reason),
    /// It is found, and its read fails.
    Unread(Reason),
    /// Nobody hears of it.
    Absent,
}

impl Default for Backup {
    fn default() -> Self {
        Self {
            reading: Reading::InTurn,
            scans: 1,
            tree: Vec::new(),
            but: BTreeMap::new(),
            ends: vec![Ok(())],
            sizes: true,
            directory_times: true,
            identities: false,
        }
    }
}

impl Backup {
    /// One path fares otherwise.
    pub fn but(&mut self, path: &str, fate: Fate) {
        self.but.insert(path.to_owned(), fate);
    }
}

/// What a scan showed.
#[derive(Debug)]
pub struct Observed {
    /// In their order; absolute paths.
    pub records: Vec<(String, Record)>,
    pub end: Result<(), Failure>,
}

#[derive(Debug)]
pub enum Record {
    Found(Seen),
    Failed(Failure),
}

/// An entry, and what came of reading it.
#[derive(Debug)]
pub struct Seen {
    pub directory: bool,
    pub size: Option<u64>,
    pub modified: Time,
    pub identity: Option<u64>,
    /// What came before the end, and the end.
    pub read: Option<(Vec<u8>, Result<(), Failure>)>,
}

/// What was seen of one path.
#[derive(Default)]
struct Known<'a> {
    found: Vec<&'a Seen>,
    failed: Vec<&'a Failure>,
}

/// Compares what a scan showed with what was promised. `number` counts scans from 0.
pub fn judge(scenario: &Scenario, backup: &Backup, number: usize, seen: &Observed) -> Vec<Check> {
    let end = backup.ends.get(number).or(backup.ends.last()).copied().unwrap_or(Ok(()));
    let mut known = BTreeMap::<&str, Known>::new();
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
        Check::new("a directory comes before what is in it", order(&root(scenario), seen)),
        Check::new("what is found is as the remote has it", found(backup, &expected, &known)),
        Check::new("what can't be had is an error of its path", failed(backup, &known)),
        Check::new(
            "what may have changed is told by its identity",
            identities(scenario, backup, &known),
        ),
        Check::new(
            "nothing is left out",
            match end {
                Ok(()) => missing(backup, scenario, &expected, &known),
                Err(_) => Vec::new(),
            },
        ),
        Check::new("each file has its own bytes or fails", read(backup, &expected, &known)),
    ]
}

/// The absolute path of the session's root, without its last slash.
fn root(scenario: &Scenario) -> String {
    let names = scenario.root.split('/').filter(|name| !name.is_empty());
    names.fold(String::new(), |path, name| path + "/" + name)
}

/// The nodes below the session's root, by their absolute paths.
fn expected<'a>(scenario: &Scenario, backup: &'a Backup) -> BTreeMap<String, &'a Node> {
    let root = root(scenario) + "/";
    let nodes = backup.tree.iter().map(|node| (absolute(&node.path), node));
    nodes.filter(|(path, _)| path.starts_with(&root)).collect()
}

/// Where a path below the remote's own root lies in a snapshot.
fn absolute(path: &str) -> String {
    ["/", path].concat()
}

/// What becomes of an absolute path.
fn fate(backup: &Backup, path: &str) -> Option<Fate> {
    backup.but.get(path.strip_prefix('/').unwrap_or(path)).copied()
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
    known: &BTreeMap<&str, Known>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    for (path, Known { found, .. }) in known {
        let Some(entry) = found.first() else { continue };
        if found.len() > 1 {
            wrong.push(format!("`{path}` was found {} times", found.len()));
        }
        let Some(node) = expected.get(*path) else {
            // The root itself is no node of the tree.
            if !entry.directory || expected.keys().any(|below| !below.starts_with(*path)) {
                wrong.push(format!("`{path}` is none of the remote's"));
            }
            continue;
        };
        if matches!(fate(backup, path), Some(Fate::Failed(_) | Fate::Absent)) {
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

fn failed(backup: &Backup, known: &BTreeMap<&str, Known>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (path, Known { failed, .. }) in known {
        for failure in failed {
            let promised = match fate(backup, path) {
                Some(Fate::Failed(reason) | Fate::FoundAndFailed(reason)) => Some(reason),
                _ => None,
            };
            if promised != Some(failure.reason) || !failure.is_sound() {
                wrong.push(format!("`{path}` failed: {failure:?}"));
            }
        }
    }
    for (path, fate) in &backup.but {
        let path = absolute(path);
        if let Fate::Failed(_) | Fate::FoundAndFailed(_) = fate
            && known.get(path.as_str()).is_none_or(|known| known.failed.is_empty())
        {
            wrong.push(format!("nothing is said of `{path}`"));
        }
    }
    wrong
}

fn missing(
    backup: &Backup,
    scenario: &Scenario,
    expected: &BTreeMap<String, &Node>,
    known: &BTreeMap<&str, Known>,
) -> Vec<String> {
    let root = root(scenario);
    let root = if root.is_empty() { "/" } else { &root };
    let paths = expected.keys().map(String::as_str).chain([root]);
    let found = |path: &str| known.get(path).is_some_and(|known| !known.found.is_empty());
    let due = |path: &str| !matches!(fate(backup, path), Some(Fate::Failed(_) | Fate::Absent));
    paths.filter(|path| due(path) && !found(path)).map(|path| format!("`{path}`")).collect()
}

fn identities(scenario: &Scenario, backup: &Backup, known: &BTreeMap<&str, Known>) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut seen = BTreeMap::new();
    for (path, known) in known {
        let Some(entry) = known.found.first() else { continue };
        // An album of Google Photos has the ID that the real one gives it.
        let is_album = entry.directory && scenario.is_photos();
        if !is_album && entry.identity.is_some() != (backup.identities && !entry.directory) {
            wrong.push(format!("`{path}` has the identity {:?}", entry.identity));
        }
        // A photo is the same under all its paths.
        if let Some(other) = entry.identity.and_then(|identity| seen.insert(identity, path))
            && !scenario.is_photos()
        {
            wrong.push(format!("`{path}` has the identity of `{other}`"));
        }
    }
    wrong
}

fn read(
    backup: &Backup,
    expected: &BTreeMap<String, &Node>,
    known: &BTreeMap<&str, Known>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    for (path, node) in expected {
        let Some(own) = &node.bytes else { continue };
        let seen = known.get(path.as_str()).and_then(|known| known.found.first());
        let Some(seen) = seen else { continue };
        let Some((bytes, end)) = &seen.read else {
            if backup.reading != Reading::Nothing {
                wrong.push(format!("`{path}` was not read"));
            }
            continue;
        };
        match (fate(backup, path), end) {
            (Some(Fate::Unread(reason)), Err(failure)) if failure.reason == reason => {
                if !failure.is_sound() {
                    wrong.push(format!("`{path}` failed: {failure:?}"));
                }
            }
            (Some(Fate::Unread(reason)), end) => {
                wrong.push(format!("`{path}` should fail: {reason:?}, and came: {end:?}"));
            }
            (_, Err(failure)) => wrong.push(format!("`{path}` can't be read: {failure:?}")),
            (_, Ok(())) if bytes == own => {}
            (_, Ok(())) => wrong.push(format!(
                "`{path}` has other bytes: {} instead of {}",
                bytes.len(),
                own.len()
            )),
        }
    }
    wrong
}
