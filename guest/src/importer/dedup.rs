//! Detection of two objects with one path, which some backends allow.

use siphasher::sip::SipHasher13;
use std::collections::HashSet;

use crate::backends::{Backend, Feature};

/// Paths that a scan has listed so far.
pub enum SeenPaths {
    /// The last one, which is enough where names are unique: rclone sorts a directory.
    Last(String),
    /// A fingerprint of each: 16 bytes a path, in any order.
    All(HashSet<u128>),
}

impl SeenPaths {
    /// Creates the empty set for a backend.
    pub fn new(backend: Backend) -> Self {
        if backend.has_feature(Feature::UniqueNames) {
            Self::Last(String::new())
        } else {
            Self::All(HashSet::new())
        }
    }

    /// Adds a path. Returns whether it is new.
    pub fn insert(&mut self, path: &str) -> bool {
        match self {
            Self::Last(last) => {
                let is_new = last != path;
                path.clone_into(last);
                is_new
            }
            Self::All(seen) => seen.insert(fingerprint(path)),
        }
    }
}

/// Returns a hash of a path that no other path has, for all practical purposes.
pub fn fingerprint(path: &str) -> u128 {
    let half = |key| SipHasher13::new_with_keys(key, !key).hash(path.as_bytes());
    u128::from(half(1)) << 64 | u128::from(half(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_path_is_detected() {
        let mut drive = SeenPaths::new(Backend::find("drive"));
        assert_eq!(["a", "b", "a", "c"].map(|path| drive.insert(path)), [true, true, false, true]);
        let mut s3 = SeenPaths::new(Backend::find("s3"));
        assert_eq!(["a", "a", "b"].map(|path| s3.insert(path)), [true, false, true]);
    }
}
