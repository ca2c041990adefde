//! Cycles of symbolic links: a server that follows a link to a directory above it shows that
//! directory again below itself, without end.

use siphasher::sip::SipHasher13;
use std::collections::HashMap;
use std::hash::Hasher;

use crate::bindings::plakar::connector::types::{Failure, Reason};
use crate::listing::Item;

/// Backends that follow links without noticing a cycle.
const FOLLOWING: [&str; 1] = ["sftp"];

/// How many directories above one may hold just the same before it is taken for a cycle: a
/// tree may well hold a directory in one of the same name and time.
const ALIKE: usize = 3;

/// The directories that a listing has shown, by what they hold: 16 bytes each.
#[derive(Default)]
pub struct Cycles {
    follows: bool,
    /// Digests of what directories hold, by those of their paths.
    held: HashMap<u64, u64>,
    /// The directory that is being listed, and the digest of what it holds so far. rclone
    /// prints what lies in one directory together.
    directory: String,
    holds: SipHasher13,
}

impl Cycles {
    /// Watches a listing of this backend.
    pub fn on(backend: &str) -> Self {
        Self { follows: FOLLOWING.contains(&backend), ..Self::default() }
    }

    /// Takes the next item.
    ///
    /// # Errors
    ///
    /// Its directory holds the same as several above it.
    pub fn add(&mut self, item: &Item) -> Result<(), Failure> {
        if !self.follows {
            return Ok(());
        }
        let (directory, name) = item.path.rsplit_once('/').unwrap_or(("", &item.path));
        if directory != self.directory {
            self.close()?;
            directory.clone_into(&mut self.directory);
        }
        let modified = item.modified();
        self.holds.write(name.as_bytes());
        self.holds.write_u8(u8::from(item.is_dir));
        self.holds.write_i64(modified.seconds);
        self.holds.write_i64(item.size());
        Ok(())
    }

    /// Compares the directory that is complete with those above it.
    fn close(&mut self) -> Result<(), Failure> {
        let holds = std::mem::take(&mut self.holds).finish();
        self.held.insert(digest(&self.directory), holds);
        let above = self.directory.match_indices('/').map(|(at, _)| &self.directory[..at]);
        let above = above.chain(std::iter::once("").filter(|_| !self.directory.is_empty()));
        let alike = above.filter(|above| self.held.get(&digest(above)) == Some(&holds));
        if alike.count() < ALIKE {
            return Ok(());
        }
        Err(Failure::new(
            Reason::Unsupported,
            format!(
                "a symbolic link leads back to a directory above it, at `{}`: remove it, or set `skip_links` on the remote, which leaves out all links",
                self.directory.escape_debug()
            ),
        ))
    }
}

fn digest(path: &str) -> u64 {
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

    /// Lists directories that hold the same; the number of those that were taken.
    fn taken(backend: &str, directories: &[&str], holds: &[(&str, bool)]) -> usize {
        let mut cycles = Cycles::on(backend);
        for (count, directory) in directories.iter().enumerate() {
            for (name, is_dir) in holds {
                let slash = if directory.is_empty() { "" } else { "/" };
                let path = format!("{directory}{slash}{name}");
                if cycles.add(&item(&path, *is_dir)).is_err() {
                    return count;
                }
            }
        }
        directories.len()
    }

    #[test]
    fn a_directory_that_shows_itself_again_and_again_is_a_cycle() {
        let directories = ["", "l", "l/l", "l/l/l", "l/l/l/l", "l/l/l/l/l"];
        let holds = [("l", true), ("file", false)];
        assert_eq!(taken("sftp", &directories, &holds), 4);
        assert_eq!(taken("s3", &directories, &holds), 6);
        // Three links, as they are listed.
        let three = ["", "a", "b", "c", "a/a", "a/b", "b/a", "a/b/a", "a/b/a/c", "x"];
        let holds = [("a", true), ("b", true), ("c", true)];
        assert_eq!(taken("sftp", &three, &holds), 8);
    }

    #[test]
    fn directories_side_by_side_may_hold_the_same() {
        let directories = ["", "a", "b", "c", "a/d", "b/d", "c/d", "z"];
        assert_eq!(taken("sftp", &directories, &[("d", true), ("file", false)]), 8);
    }
}
