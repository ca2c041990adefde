//! Detection of cycles of symbolic links: a server that follows a link to a directory above it
//! lists that directory again below itself, without end.

use siphasher::sip::SipHasher13;
use std::collections::HashMap;
use std::hash::Hasher;

use crate::bindings::plakar::connector::types::{Failure, Reason};
use crate::lsjson::Item;

/// Number of directories above one with the same contents that make a cycle. Fewer may be there
/// without any link: a directory may well have a child of the same name and time.
const MIN_EQUAL_ANCESTORS: usize = 3;

/// Link that leads back to a directory above it.
#[derive(Debug, thiserror::Error)]
#[error("a symbolic link leads back to a directory above it, at `{}`", path.escape_debug())]
pub struct LinkCycle {
    /// Path of the directory that the link shows, below which nothing else is to be listed.
    pub path: String,
}

impl From<LinkCycle> for Failure {
    fn from(cycle: LinkCycle) -> Self {
        Self::new(Reason::Unsupported, cycle.to_string())
            .with_help("remove it, or set `skip_links` on the remote, which leaves out all links")
    }
}

/// Detector of link cycles in a listing, and in further passes that leave out the cycles found
/// so far. It needs 16 bytes a directory.
#[derive(Default)]
pub struct CycleDetector {
    is_enabled: bool,
    /// Hashes of the contents of directories, by hashes of their paths.
    contents: HashMap<u64, u64>,
    /// Directory that is being listed. rclone prints the children of a directory together.
    current: Option<String>,
    /// Whether an earlier pass listed it.
    is_current_known: bool,
    /// Hash of its contents so far.
    current_contents: SipHasher13,
}

impl CycleDetector {
    /// Creates a detector, which does nothing unless it is enabled.
    pub fn new(is_enabled: bool) -> Self {
        Self { is_enabled, ..Self::default() }
    }

    /// Starts another pass over the same remote.
    pub fn start_pass(&mut self) {
        self.current = None;
        self.current_contents = SipHasher13::default();
    }

    /// Adds the next items of the listing, and removes those that an earlier pass listed.
    ///
    /// # Errors
    ///
    /// A directory has the same contents as several above it. The items after it are removed.
    pub fn add(&mut self, items: &mut Vec<Item>) -> Result<(), LinkCycle> {
        if !self.is_enabled {
            return Ok(());
        }
        let mut result = Ok(());
        items.retain(|item| {
            if result.is_err() {
                return false;
            }
            match self.add_item(item) {
                Ok(is_new) => is_new,
                Err(cycle) => {
                    result = Err(cycle);
                    false
                }
            }
        });
        result
    }

    /// Adds the next item. Returns whether it is new in this pass.
    fn add_item(&mut self, item: &Item) -> Result<bool, LinkCycle> {
        let (directory, name) = item.path.rsplit_once('/').unwrap_or(("", &item.path));
        if self.current.as_deref() != Some(directory) {
            self.finish_directory()?;
            self.is_current_known = self.contents.contains_key(&path_hash(directory));
            self.current = Some(directory.to_owned());
        }
        let modified = item.modified();
        self.current_contents.write(name.as_bytes());
        self.current_contents.write_u8(u8::from(item.is_dir));
        self.current_contents.write_i64(modified.seconds);
        self.current_contents.write_u32(modified.nanoseconds);
        self.current_contents.write_i64(item.size());
        Ok(!self.is_current_known)
    }

    /// Compares the directory that is complete with those above it.
    fn finish_directory(&mut self) -> Result<(), LinkCycle> {
        let contents = std::mem::take(&mut self.current_contents).finish();
        let Some(directory) = self.current.take() else { return Ok(()) };
        // A later pass leaves out the link, so the contents of the first pass count.
        let contents = *self.contents.entry(path_hash(&directory)).or_insert(contents);
        let mut equal = Vec::new();
        for ancestor in ancestors(&directory) {
            if self.contents.get(&path_hash(ancestor)) == Some(&contents) {
                equal.push(ancestor);
            }
        }
        if equal.len() < MIN_EQUAL_ANCESTORS {
            return Ok(());
        }
        // The first is the directory itself, the second is where the link shows it.
        Err(LinkCycle { path: equal[1].to_owned() })
    }
}

/// Returns the directories above one, the root first.
fn ancestors(directory: &str) -> impl Iterator<Item = &str> {
    let root = (!directory.is_empty()).then_some("");
    root.into_iter().chain(directory.match_indices('/').map(|(at, _)| &directory[..at]))
}

/// Returns a hash of a path.
pub fn path_hash(path: &str) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(path.as_bytes());
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(path: &str, is_dir: bool) -> Item {
        let line = serde_json::json!({ "Path": path, "Size": 1, "IsDir": is_dir });
        serde_json::from_value(line).unwrap()
    }

    /// Lists directories of equal contents. Returns the number of those that are kept, and the
    /// path of the cycle.
    fn list(
        detector: &mut CycleDetector,
        directories: &[&str],
        contents: &[(&str, bool)],
    ) -> (usize, Option<String>) {
        let (mut kept, mut cycle) = (0, None);
        for directory in directories {
            let slash = if directory.is_empty() { "" } else { "/" };
            let paths = contents.iter();
            let mut items: Vec<_> = paths
                .map(|(name, is_dir)| item(&format!("{directory}{slash}{name}"), *is_dir))
                .collect();
            let result = detector.add(&mut items);
            kept += items.len().div_euclid(contents.len());
            if let Err(found) = result {
                cycle = Some(found.path);
                break;
            }
        }
        (kept, cycle)
    }

    #[test]
    fn a_directory_listed_repeatedly_below_itself_is_a_cycle() {
        let directories = ["", "l", "l/l", "l/l/l", "l/l/l/l", "l/l/l/l/l"];
        let contents = [("l", true), ("file", false)];
        let cycle = Some("l".to_owned());
        assert_eq!(list(&mut CycleDetector::new(true), &directories, &contents), (4, cycle));
        assert_eq!(list(&mut CycleDetector::new(false), &directories, &contents), (6, None));
        // Three links, as they are listed.
        let three = ["", "a", "b", "c", "a/a", "a/b", "b/a", "a/b/a", "a/b/a/c", "x"];
        let contents = [("a", true), ("b", true), ("c", true)];
        let cycle = Some("a".to_owned());
        assert_eq!(list(&mut CycleDetector::new(true), &three, &contents), (8, cycle));
    }

    #[test]
    fn another_pass_keeps_only_new_items() {
        let mut detector = CycleDetector::new(true);
        let contents = [("l", true), ("d", true)];
        let first = ["", "l", "l/l", "l/l/l", "d", "d/d"];
        assert_eq!(list(&mut detector, &first, &contents), (4, Some("l".to_owned())));
        detector.start_pass();
        let second = ["", "d", "d/x"];
        assert_eq!(list(&mut detector, &second, &contents), (2, None));
    }

    #[test]
    fn sibling_directories_may_have_equal_contents() {
        let directories = ["", "a", "b", "c", "a/d", "b/d", "c/d", "z"];
        let contents = [("d", true), ("file", false)];
        assert_eq!(list(&mut CycleDetector::new(true), &directories, &contents), (8, None));
    }
}
