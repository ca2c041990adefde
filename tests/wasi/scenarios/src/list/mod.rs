//! The scenarios. Each function's name is a promise that a user relies on; what it
//! gives says how the promise is tried.

pub mod changes;
pub mod documents;
pub mod libraries;
pub mod listings;
pub mod own;
pub mod reads;
pub mod restores;
pub mod uploads;

use std::path::PathBuf;

use crate::tree::{Node, directory, file};
use crate::{Named, Scenario};

/// All of them.
pub fn all() -> impl Iterator<Item = Named> {
    let modules = [
        reads::SCENARIOS,
        listings::SCENARIOS,
        changes::SCENARIOS,
        libraries::SCENARIOS,
        restores::SCENARIOS,
        uploads::SCENARIOS,
        own::SCENARIOS,
        documents::SCENARIOS,
    ];
    modules.into_iter().flatten().copied()
}

/// The one with this name.
pub fn find(name: &str) -> Option<Scenario> {
    let (_, scenario) = all().find(|(known, _)| *known == name)?;
    Some(scenario())
}

/// Where a scenario's remote lies, for the components.
pub fn place(name: &str) -> PathBuf {
    PathBuf::from("/data").join(name)
}

/// A tree with a bit of everything.
fn some() -> Vec<Node> {
    vec![
        file("a.txt", 10),
        directory("dir"),
        directory("dir/deep"),
        directory("dir/deep/er"),
        file("dir/deep/er/three", 5),
        file("dir/one", 3000),
        file("dir/two", 60_000),
        file("empty", 0),
        directory("hollow"),
    ]
}

/// Files and directories of these names.
fn named(names: &[&str]) -> Vec<Node> {
    let nodes = names.iter().enumerate().flat_map(|(number, name)| {
        let inside = file(&format!("in/{name}/x"), number);
        [directory(&format!("in/{name}")), inside, file(&format!("names/{name}"), number + 1)]
    });
    [directory("in"), directory("names")].into_iter().chain(nodes).collect()
}

/// So many small files in a directory.
fn many(count: usize) -> Vec<Node> {
    let files = (0..count).map(|number| file(&format!("many/{number:04}"), 100 + number % 900));
    std::iter::once(directory("many")).chain(files).collect()
}
