//! Finds two objects under one name, which some backends allow.

use siphasher::sip::SipHasher13;
use std::collections::HashSet;

/// Backends whose directories never hold a name twice, and which therefore cost no
/// memory here. Every other one may, Google Drive and whatever wraps it among them
/// (rclone's feature `DuplicateFiles`).
const UNIQUE_NAMES: [&str; 12] = [
    "local",
    "s3",
    "webdav",
    "sftp",
    "ftp",
    "smb",
    "http",
    "azureblob",
    "google cloud storage",
    "b2",
    "swift",
    "onedrive",
];

/// The paths that a listing has named so far.
pub enum Seen {
    /// The last one is enough, as rclone sorts a directory and names can't repeat.
    Last(String),
    /// A fingerprint of each: 16 bytes a path, in any order.
    All(HashSet<u128>),
}

impl Seen {
    pub fn on(backend: &str) -> Self {
        if UNIQUE_NAMES.contains(&backend) {
            Self::Last(String::new())
        } else {
            Self::All(HashSet::new())
        }
    }

    /// Whether the path is new.
    pub fn insert(&mut self, path: &str) -> bool {
        match self {
            Self::Last(last) => {
                let new = last != path;
                path.clone_into(last);
                new
            }
            Self::All(seen) => seen.insert(fingerprint(path)),
        }
    }
}

fn fingerprint(path: &str) -> u128 {
    let half = |key| SipHasher13::new_with_keys(key, !key).hash(path.as_bytes());
    u128::from(half(1)) << 64 | u128::from(half(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_comes_twice_is_noticed() {
        let mut drive = Seen::on("drive");
        assert_eq!(["a", "b", "a", "c"].map(|path| drive.insert(path)), [true, true, false, true]);
        let mut s3 = Seen::on("s3");
        assert_eq!(["a", "a", "b"].map(|path| s3.insert(path)), [true, false, true]);
    }
}
