//! A restore: what is written, what was observed, and what is promised.

use std::collections::BTreeMap;

use crate::tree::{Node, Time};
use crate::{Check, Failure, Reason, Scenario};

/// Plan of a restore, and its promises.
#[derive(Debug, Clone)]
pub struct Restore {
    /// In the order in which Plakar walks a snapshot.
    pub entries: Vec<Entry>,
    /// Paths that fail, with their reasons. All others have to exist afterwards.
    pub fails: BTreeMap<String, Reason>,
    /// Nodes that exist afterwards, if they are not the entries that succeed.
    pub leaves: Option<Vec<Node>>,
    /// Whether opening the session fails.
    pub opens: Result<(), Reason>,
    /// Properties of the entries that are kept.
    pub keeps: Keeps,
    /// End of the restore.
    pub finishes: Result<(), Reason>,
}

/// Properties that a remote keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeps {
    /// Files and directories, with their times.
    Everything,
    /// Names and bytes of files, but no directories and no times.
    Bytes,
}

/// One entry of a snapshot.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The file or directory.
    pub node: Node,
    /// Kind of the entry.
    pub kind: Kind,
    /// Inode in the snapshot.
    pub identity: Option<u64>,
    /// Number of bytes after which the content breaks.
    pub breaks: Option<usize>,
    /// Size in the metadata, if it isn't that of the content.
    pub announced: Option<u64>,
}

/// Kind of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file or a directory.
    Node,
    /// A symbolic link.
    Symlink,
    /// An entry that no remote can store.
    Other,
}

impl Entry {
    /// Creates the entry of a node.
    pub fn new(node: Node) -> Self {
        Self { node, kind: Kind::Node, identity: None, breaks: None, announced: None }
    }
}

impl Restore {
    /// Creates a restore that succeeds.
    pub fn new(nodes: Vec<Node>) -> Self {
        Self {
            entries: nodes.into_iter().map(Entry::new).collect(),
            fails: BTreeMap::new(),
            leaves: None,
            opens: Ok(()),
            keeps: Keeps::Everything,
            finishes: Ok(()),
        }
    }

    /// Makes one path fail.
    pub fn fails(&mut self, path: &str, reason: Reason) {
        self.fails.insert(path.to_owned(), reason);
    }

    /// Changes one entry.
    pub fn entry(&mut self, path: &str, change: impl FnOnce(&mut Entry)) {
        change(self.entries.iter_mut().find(|entry| entry.node.path == path).unwrap());
    }
}

/// Observations of a restore.
#[derive(Debug)]
pub struct Observed {
    /// Result of opening the session.
    pub opened: Result<(), Failure>,
    /// Result of each entry, in the order of their arrival.
    pub outcomes: Vec<(String, Result<(), Failure>)>,
    /// End of the restore, if it was observed.
    pub finished: Option<Result<(), Failure>>,
    /// Contents of the destination.
    pub left: BTreeMap<String, Node>,
}

/// Checks the observations of a restore.
pub fn judge(scenario: &Scenario, restore: &Restore, seen: &Observed) -> Vec<Check> {
    let mut checks = vec![Check::end("opening", restore.opens, &seen.opened)];
    if let Some(finished) = &seen.finished {
        checks.push(Check::end("the end", restore.finishes, finished));
    }
    if restore.opens.is_ok() {
        checks.push(Check::new("each entry has its result", outcomes(restore, seen)));
    }
    checks
        .push(Check::new("the destination contains what succeeded", left(scenario, restore, seen)));
    checks
}

fn outcomes(restore: &Restore, seen: &Observed) -> Vec<String> {
    let mut wrong = Vec::new();
    if seen.outcomes.len() != restore.entries.len() {
        wrong.push(format!("{} of {}", seen.outcomes.len(), restore.entries.len()));
    }
    for (path, outcome) in &seen.outcomes {
        let same = match (restore.fails.get(path), outcome) {
            (None, Ok(())) => true,
            (Some(reason), Err(failure)) => {
                *reason == failure.reason && failure.has_valid_message()
            }
            _ => false,
        };
        if !same {
            wrong.push(format!("`{path}`: {outcome:?}"));
        }
    }
    wrong
}

fn left(scenario: &Scenario, restore: &Restore, seen: &Observed) -> Vec<String> {
    let succeeds = |node: &&Node| !restore.fails.contains_key(&node.path);
    let entries = || restore.entries.iter().map(|entry| &entry.node).filter(succeeds);
    let nodes: Vec<&Node> = match (&restore.leaves, restore.opens) {
        (Some(leaves), _) => leaves.iter().collect(),
        (None, Ok(())) => entries().collect(),
        (None, Err(_)) => Vec::new(),
    };
    let below = |node: &&Node| format!("{}{}", prefix(scenario), node.path);
    let promised: BTreeMap<String, &Node> =
        nodes.iter().filter(|node| kept(restore, node)).map(|node| (below(node), *node)).collect();
    let mut wrong = Vec::new();
    for (path, node) in &promised {
        match seen.left.get(path) {
            None => wrong.push(format!("`{path}` is missing")),
            Some(found) if found.bytes != node.bytes => {
                wrong.push(format!("`{path}` has wrong bytes"));
            }
            Some(found) if time(restore, found) != time(restore, node) => {
                wrong.push(format!(
                    "`{path}` has the time {:?}, not {:?}",
                    found.modified, node.modified
                ));
            }
            Some(_) => {}
        }
    }
    let implied = |path: &str| promised.keys().any(|below| below.starts_with(&format!("{path}/")));
    for (path, node) in &seen.left {
        let counts = kept(restore, node) && !(node.bytes.is_none() && implied(path));
        if counts && !promised.contains_key(path) {
            wrong.push(format!("`{path}` is unexpected"));
        }
    }
    wrong
}

fn prefix(scenario: &Scenario) -> String {
    if scenario.root.is_empty() { String::new() } else { format!("{}/", scenario.root) }
}

fn kept(restore: &Restore, node: &Node) -> bool {
    restore.keeps == Keeps::Everything || node.bytes.is_some()
}

fn time(restore: &Restore, node: &Node) -> Option<Time> {
    (restore.keeps == Keeps::Everything).then_some(node.modified)
}
