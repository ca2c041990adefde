//! The scenarios. The name of each function is a promise that a user relies on; it returns how the
//! promise is tested.

pub mod changes;
pub mod custom;
pub mod documents;
pub mod libraries;
pub mod listings;
pub mod reads;
pub mod restores;
pub mod store_behind;
pub mod store_locks;
pub mod store_places;
pub mod store_reads;
pub mod store_writes;
pub mod takeout;
pub mod uploads;

use std::path::PathBuf;

use crate::tree::{Node, directory, file};
use crate::{Named, Scenario};

/// Returns all scenarios.
pub fn all() -> impl Iterator<Item = Named> {
    let modules = [
        reads::SCENARIOS,
        listings::SCENARIOS,
        changes::SCENARIOS,
        libraries::SCENARIOS,
        takeout::SCENARIOS,
        restores::SCENARIOS,
        uploads::SCENARIOS,
        custom::SCENARIOS,
        documents::SCENARIOS,
        store_places::SCENARIOS,
        store_writes::SCENARIOS,
        store_behind::SCENARIOS,
        store_locks::SCENARIOS,
        store_reads::SCENARIOS,
    ];
    modules.into_iter().flatten().copied()
}

/// Returns the scenario with a name.
pub fn find(name: &str) -> Option<Scenario> {
    let (_, scenario) = all().find(|(known, _)| *known == name)?;
    Some(scenario())
}

/// Returns the directory of a scenario's remote, as the components see it.
pub fn place(name: &str) -> PathBuf {
    PathBuf::from("/data").join(name)
}

/// Returns a tree with some of everything.
fn small_tree() -> Vec<Node> {
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

/// Returns files and directories with these names.
fn named(names: &[&str]) -> Vec<Node> {
    let nodes = names.iter().enumerate().flat_map(|(number, name)| {
        let inside = file(&format!("in/{name}/x"), number);
        [directory(&format!("in/{name}")), inside, file(&format!("names/{name}"), number + 1)]
    });
    [directory("in"), directory("names")].into_iter().chain(nodes).collect()
}

/// Returns a number of small files in a directory.
fn many(count: usize) -> Vec<Node> {
    let files = (0..count).map(|number| file(&format!("many/{number:04}"), 100 + number % 900));
    std::iter::once(directory("many")).chain(files).collect()
}
