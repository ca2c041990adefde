//! Listings of all objects of a kind: complete, or a failure. A listing that is too short would
//! make Plakar forget what is in the store.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::layout::{Layout, parse};
use super::names::{CONFIG, to_hex};
use super::retry::{LIST_RETRY_MS, is_final, retry};
use crate::bindings::exports::plakar::connector::store::{Mac, ObjectKind};
use crate::bindings::plakar::connector::objects;
use crate::bindings::plakar::connector::rclone::ListOptions;
use crate::bindings::plakar::connector::types::{Failure, Reason};
use crate::lsjson::{Item, run};

/// Maximum number of objects of a kind. Plakar's protocol has one message for all names, of at
/// most 4 MiB, and 34 bytes for each name.
const MAX_OBJECTS: usize = 120_000;

/// Object of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    pub name: Mac,
    /// Size in bytes, where the listing has it.
    pub size: Option<u64>,
    pub layout: Layout,
    /// Time of the object, as the backend has it: Unix time in seconds and nanoseconds.
    pub modified: (i64, u32),
}

/// Objects of a kind, in the order in which they were listed.
struct Objects {
    kind: ObjectKind,
    listed: Vec<Listed>,
    /// Positions in the list.
    positions: HashMap<Mac, usize>,
    /// Why the listing is of no use.
    failure: Option<Failure>,
}

/// Lists all objects of a kind.
///
/// # Errors
///
/// The listing isn't complete, or contradicts itself, or the store doesn't exist.
pub async fn list(kind: ObjectKind) -> Result<Vec<Listed>, Failure> {
    let objects = retry(LIST_RETRY_MS, is_final, async || list_once(kind).await).await?;
    let listed = objects.end()?;
    let stat = async || objects::stat(CONFIG.to_owned()).await;
    if listed.is_empty() && retry(LIST_RETRY_MS, is_final, stat).await?.is_none() {
        let message = format!("no {} was found, and there is no `{CONFIG}`", kind.noun());
        let help = "check that the path still leads to the store, and that it can be listed";
        return Err(Failure::new(Reason::NotFound, message).with_help(help));
    }
    Ok(listed)
}

async fn list_once(kind: ObjectKind) -> Result<Objects, Failure> {
    let mut objects = Objects::new(kind);
    let directory = kind.directory();
    let options = match kind {
        ObjectKind::Lock => ListOptions::children(directory),
        _ => ListOptions { server_times: true, ..ListOptions::descendants(directory) },
    };
    let mut is_empty = true;
    let end = run::for_each(options, |item| {
        is_empty = false;
        objects.add(&item);
    })
    .await;
    if !(is_empty && end.is_missing_directory()) {
        end.complete()?;
    }
    Ok(objects)
}

impl Objects {
    fn new(kind: ObjectKind) -> Self {
        Self { kind, listed: Vec::new(), positions: HashMap::new(), failure: None }
    }

    /// Adds an item if it is an object. Other files may be anywhere.
    fn add(&mut self, item: &Item) {
        let Some((name, layout)) = parse(self.kind, &item.path).filter(|_| !item.is_dir) else {
            return;
        };
        let modified = item.modified();
        let object = Listed {
            name,
            size: u64::try_from(item.size()).ok(),
            layout,
            modified: (modified.seconds, modified.nanoseconds),
        };
        match self.positions.entry(name) {
            Entry::Vacant(_) if self.listed.len() >= MAX_OBJECTS => {
                self.failure.get_or_insert_with(|| too_many(self.kind));
            }
            Entry::Vacant(entry) => {
                entry.insert(self.listed.len());
                self.listed.push(object);
            }
            Entry::Occupied(entry) => {
                let other = self.listed[*entry.get()];
                if other.size != object.size {
                    self.failure.get_or_insert_with(|| different_objects(self.kind, name));
                }
            }
        }
    }

    /// Returns the objects.
    ///
    /// # Errors
    ///
    /// Plakar can't have them.
    fn end(self) -> Result<Vec<Listed>, Failure> {
        match self.failure {
            Some(failure) => Err(failure),
            None => Ok(self.listed),
        }
    }
}

fn too_many(kind: ObjectKind) -> Failure {
    let message = format!(
        "the store has more than {MAX_OBJECTS} {}s, which Plakar can't receive in one message",
        kind.noun()
    );
    let help = "start a new store: Plakar's protocol has this limit for every connector";
    Failure::new(Reason::Unsupported, message).with_help(help)
}

fn different_objects(kind: ObjectKind, name: Mac) -> Failure {
    let message = format!("there are different {}s called `{}`", kind.noun(), to_hex(name));
    let help = "remove one of them, with `rclone dedupe` or at the provider";
    Failure::new(Reason::Corrupted, message).with_help(help)
}

/// Returns the layouts of some objects, each once.
pub fn layouts_of(listed: &[Listed]) -> Vec<Layout> {
    let is_used = |layout: &Layout| listed.iter().any(|object| object.layout == *layout);
    [Layout::Flat, Layout::Nested].into_iter().filter(is_used).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "ab112233445566778899aabbccddeeff0123456789abcdeffedcba9876543210";

    fn item(path: &str, size: i64) -> Item {
        serde_json::from_str(&format!(r#"{{"Path":"{path}","Size":{size}}}"#)).unwrap()
    }

    fn objects(items: &[Item]) -> Result<Vec<Listed>, Failure> {
        let mut objects = Objects::new(ObjectKind::Packfile);
        items.iter().for_each(|item| objects.add(item));
        objects.end()
    }

    #[test]
    fn two_objects_of_one_name_are_one_if_they_have_one_size() {
        let nested = format!("ab/{HEX}");
        assert_eq!(objects(&[item(HEX, 5), item(HEX, 5), item(&nested, 5)]).unwrap().len(), 1);
        let failure = objects(&[item(HEX, 5), item(&nested, 6)]).unwrap_err();
        assert!(failure.reason == Reason::Corrupted && failure.message.contains(HEX));
        assert!(failure.help.unwrap().contains("dedupe"));
    }

    #[test]
    fn more_names_than_fit_in_a_message_are_refused() {
        let name = |number: usize| item(&format!("{number:064x}"), 1);
        let mut objects = Objects::new(ObjectKind::State);
        (0..MAX_OBJECTS).for_each(|number| objects.add(&name(number)));
        assert!(objects.failure.is_none());
        objects.add(&name(MAX_OBJECTS));
        assert_eq!(objects.end().unwrap_err().reason, Reason::Unsupported);
    }
}
