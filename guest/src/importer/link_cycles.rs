//! Cycles of symbolic links: a server that follows a link to a directory above it shows that
//! directory again below itself, without end.

use siphasher::sip::SipHasher13;
use std::collections::HashMap;
use std::hash::Hasher;

use crate::bindings::plakar::connector::types::{Failure, Reason};
use crate::lsjson::parser::Item;

/// Backends that follow links without noticing a cycle, and those that show what another
/// backend lists.
const FOLLOWING: [&str; 8] =
    ["sftp", "alias", "chunker", "combine", "compress", "crypt", "hasher", "union"];

/// How many directories above one may hold just the same before it is taken for a cycle: a
/// tree may well hold a directory in one of the same name and time.
const ALIKE: usize = 3;

/// A link that leads back to a directory above it.
#[derive(Debug, thiserror::Error)]
#[error(
    "a symbolic link leads back to a directory above it, at `{}`: remove it, or set `skip_links` on the remote, which leaves out all links",
    path.escape_debug()
)]
pub struct Cycle {
    /// The directory that the link shows, below which nothing else is to be listed.
    pub path: String,
}

impl From<Cycle> for Failure {
    fn from(cycle: Cycle) -> Self {
        Self::new(Reason::Unsupported, cycle.to_string())
    }
}

/// The directories that a listing has shown, by what they hold: 16 bytes each.
#[derive(Default)]
pub struct Cycles {
    follows: bool,
    /// Digests of what directories hold, by those of their paths.
    held: HashMap<u64, u64>,
    /// The directory that is being listed. rclone prints what lies in one directory
    /// together.
    directory: Option<String>,
    /// It was shown by a pass before this one.
    is_known: bool,
    /// The digest of what it holds so far.
    holds: SipHasher13,
}

impl Cycles {
    /// Watches a listing of this backend.
    pub fn on(backend: &str) -> Self {
        Self { follows: FOLLOWING.contains(&backend), ..Self::default() }
    }

    /// Whether there may be a cycle, and another pass around it.
    pub fn follows(&self) -> bool {
        self.follows
    }

    /// Begins another pass over the same remote.
    pub fn begin_pass(&mut self) {
        self.directory = None;
        self.holds = SipHasher13::default();
    }

    /// Takes the next items, and leaves those that no pass before this one has shown.
    ///
    /// # Errors
    ///
    /// A directory holds the same as several above it. What comes after it isn't left.
    pub fn follow(&mut self, items: &mut Vec<Item>) -> Result<(), Cycle> {
        if !self.follows {
            return Ok(());
        }
        let mut found = Ok(());
        items.retain(|item| {
            if found.is_err() {
                return false;
            }
            match self.add(item) {
                Ok(is_new) => is_new,
                Err(cycle) => {
                    found = Err(cycle);
                    false
                }
            }
        });
        found
    }

    /// Takes the next item; says whether no pass before this one has shown it.
    fn add(&mut self, item: &Item) -> Result<bool, Cycle> {
        let (directory, name) = item.path.rsplit_once('/').unwrap_or(("", &item.path));
        if self.directory.as_deref() != Some(directory) {
            self.close()?;
            self.is_known = self.held.contains_key(&digest(directory));
            self.directory = Some(directory.to_owned());
        }
        let modified = item.modified();
        self.holds.write(name.as_bytes());
        self.holds.write_u8(u8::from(item.is_dir));
        self.holds.write_i64(modified.seconds);
        self.holds.write_u32(modified.nanoseconds);
        self.holds.write_i64(item.size());
        Ok(!self.is_known)
    }

    /// Compares the directory that is complete with those above it.
    fn close(&mut self) -> Result<(), Cycle> {
        let holds = std::mem::take(&mut self.holds).finish();
        let Some(directory) = self.directory.take() else { return Ok(()) };
        // A pass around a cycle doesn't show the link to it.
        let holds = *self.held.entry(digest(&directory)).or_insert(holds);
        let root = std::iter::once("").filter(|_| !directory.is_empty());
        let above = directory.match_indices('/').map(|(at, _)| &directory[..at]);
        let alike = root.chain(above).filter(|above| self.held.get(&digest(above)) == Some(&holds));
        let alike: Vec<_> = alike.collect();
        if alike.len() < ALIKE {
            return Ok(());
        }
        // The first is the directory itself, the second where the link shows it.
        Err(Cycle { path: alike[1].to_owned() })
    }
}

pub fn digest(path: &str) -> u64 {
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

    /// Lists directories that hold the same: the number of those that were taken, and the
    /// cycle.
    fn follow(
        cycles: &mut Cycles,
        directories: &[&str],
        holds: &[(&str, bool)],
    ) -> (usize, Option<String>) {
        let (mut taken, mut cycle) = (0, None);
        for directory in directories {
            let slash = if directory.is_empty() { "" } else { "/" };
            let paths = holds.iter();
            let mut items: Vec<_> = paths
                .map(|(name, is_dir)| item(&format!("{directory}{slash}{name}"), *is_dir))
                .collect();
            let result = cycles.follow(&mut items);
            taken += items.len().div_euclid(holds.len());
            if let Err(found) = result {
                cycle = Some(found.path);
                break;
            }
        }
        (taken, cycle)
    }

    #[test]
    fn a_directory_that_shows_itself_again_and_again_is_a_cycle() {
        let directories = ["", "l", "l/l", "l/l/l", "l/l/l/l", "l/l/l/l/l"];
        let holds = [("l", true), ("file", false)];
        let cycle = Some("l".to_owned());
        assert_eq!(follow(&mut Cycles::on("sftp"), &directories, &holds), (4, cycle));
        assert_eq!(follow(&mut Cycles::on("s3"), &directories, &holds), (6, None));
        // Three links, as they are listed.
        let three = ["", "a", "b", "c", "a/a", "a/b", "b/a", "a/b/a", "a/b/a/c", "x"];
        let holds = [("a", true), ("b", true), ("c", true)];
        let cycle = Some("a".to_owned());
        assert_eq!(follow(&mut Cycles::on("sftp"), &three, &holds), (8, cycle));
    }

    #[test]
    fn another_pass_shows_only_what_none_before_it_has_shown() {
        let mut cycles = Cycles::on("sftp");
        let holds = [("l", true), ("d", true)];
        let first = ["", "l", "l/l", "l/l/l", "d", "d/d"];
        assert_eq!(follow(&mut cycles, &first, &holds), (4, Some("l".to_owned())));
        cycles.begin_pass();
        let second = ["", "d", "d/x"];
        assert_eq!(follow(&mut cycles, &second, &holds), (2, None));
    }

    #[test]
    fn directories_side_by_side_may_hold_the_same() {
        let directories = ["", "a", "b", "c", "a/d", "b/d", "c/d", "z"];
        let holds = [("d", true), ("file", false)];
        assert_eq!(follow(&mut Cycles::on("sftp"), &directories, &holds), (8, None));
    }
}
