//! Collisions of names: photos of a directory that share a name. rclone puts the ID into the
//! name of each. In a snapshot the oldest photo keeps the plain name: a photo that is added
//! later, under a name that is taken, is newer as a rule, and then no other path changes.

use std::collections::{BTreeMap, HashMap};

use crate::backends::google_photos_names::split_id;
use crate::lsjson::Item;
use crate::path::RemotePath;

/// Photos whose names contain their IDs, by their paths without IDs.
#[derive(Default)]
pub struct NameCollisions {
    by_path: BTreeMap<String, Vec<Item>>,
}

impl NameCollisions {
    /// Keeps an item whose name contains its ID until all are known. Returns any other item.
    pub fn defer(&mut self, item: Item) -> Option<Item> {
        match plain_path(&item) {
            Some(path) => {
                self.by_path.entry(path).or_default().push(item);
                None
            }
            None => Some(item),
        }
    }

    /// Returns all items that were kept, with the paths that they have in a snapshot. Adds
    /// rclone's paths, where they differ, to `remote_paths`.
    pub fn resolve(self, remote_paths: &mut HashMap<String, String>) -> Vec<Item> {
        let mut resolved = Vec::new();
        for (path, mut items) in self.by_path {
            items.sort_by_cached_key(|item| {
                let modified = item.modified();
                (modified.seconds, modified.nanoseconds, item.id().to_owned())
            });
            if let Some(oldest) = items.first_mut().filter(|_| !path.ends_with('/')) {
                let remote_path = std::mem::replace(&mut oldest.path, path.clone());
                remote_paths.insert(path, remote_path);
            }
            resolved.extend(items);
        }
        resolved
    }
}

/// Returns the path without the ID of an item whose name contains its own ID.
fn plain_path(item: &Item) -> Option<String> {
    let path = RemotePath::parse(&item.path).ok()?;
    let name = split_id(path.name()).filter(|name| name.id == item.id())?;
    Some(path.sibling(&name.plain))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backends::google_photos_names::with_id;

    fn item(path: &str, id: &str, time: &str) -> Item {
        let line = serde_json::json!({ "Path": path, "ID": id, "ModTime": time, "Size": -1 });
        serde_json::from_value(line).unwrap()
    }

    #[test]
    fn the_oldest_photo_of_a_name_keeps_it() {
        let ids = ["a", "b", "c"].map(|char| char.repeat(60));
        let shown = |id: &str| with_id("all/IMG.jpg", id);
        let mut collisions = NameCollisions::default();
        for (id, time) in ids.iter().zip(["2024-01-02", "2023-05-01", "2024-01-01"]) {
            let time = format!("{time}T00:00:00Z");
            assert!(collisions.defer(item(&shown(id), id, &time)).is_none());
        }
        assert!(collisions.defer(item("all/other.jpg", &ids[0], "")).is_some());
        let mut remote_paths = HashMap::new();
        let items = collisions.resolve(&mut remote_paths).into_iter();
        let paths: Vec<_> = items.map(|item| item.path).collect();
        assert_eq!(paths, ["all/IMG.jpg", &shown(&ids[2]), &shown(&ids[0])]);
        assert_eq!(remote_paths, [("all/IMG.jpg".to_owned(), shown(&ids[1]))].into());
    }
}
