//! Items of a listing.

use serde::Deserialize;
use siphasher::sip::SipHasher13;
use std::collections::BTreeMap;
use std::hash::Hasher;

use crate::bindings::plakar::connector::types::{Kind, Metadata, Timestamp};

/// Object of a listing, as rclone prints it.
///
/// Source: `ListJSONItem` in rclone's fs/operations/lsjson.go.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Item {
    /// Path relative to the listed directory.
    pub path: String,
    /// Size in bytes; -1 if only a read can show it.
    #[serde(default)]
    size: i64,
    /// RFC 3339, in any time zone; empty if the backend has no times.
    #[serde(default)]
    mod_time: String,
    /// Whether it is a directory.
    #[serde(default)]
    pub is_dir: bool,
    #[serde(default, rename = "ID")]
    id: String,
    #[serde(default)]
    hashes: BTreeMap<String, String>,
}

impl Item {
    /// Returns the backend's ID of the object; empty if the backend has no IDs.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the listed size in bytes; -1 if only a read can show it.
    pub fn size(&self) -> i64 {
        self.size
    }

    /// Returns the modification time.
    pub fn modified(&self) -> Timestamp {
        parse_time(&self.mod_time)
    }

    /// Returns the metadata that a snapshot keeps.
    pub fn metadata(&self) -> Metadata {
        Metadata {
            kind: if self.is_dir { Kind::Directory } else { Kind::File },
            size: if self.is_dir { Some(0) } else { u64::try_from(self.size).ok() },
            permissions: if self.is_dir { 0o755 } else { 0o644 },
            modified: self.modified(),
            identity: if self.is_dir { None } else { self.identity() },
        }
    }

    /// Returns a number that changes when a different object is at the same path: a hash of the
    /// backend's ID and of the content hashes, as far as they were listed.
    pub fn identity(&self) -> Option<u64> {
        if self.id.is_empty() && self.hashes.is_empty() {
            return None;
        }
        let hashes = self.hashes.iter().flat_map(|(name, value)| [name, value]);
        Some(hash([&self.id].into_iter().chain(hashes)))
    }
}

/// Returns the identity of an object of which only the ID is listed.
pub fn identity_from_id(id: &str) -> u64 {
    hash([id])
}

fn hash(parts: impl IntoIterator<Item = impl AsRef<str>>) -> u64 {
    let mut hasher = SipHasher13::new();
    for part in parts {
        hasher.write(part.as_ref().as_bytes());
        hasher.write_u8(0xff);
    }
    hasher.finish()
}

/// Parses an RFC 3339 time. Returns the epoch if there is none, so that it is at least the same
/// at every backup.
fn parse_time(text: &str) -> Timestamp {
    let time = text.parse::<jiff::Timestamp>().unwrap_or_default();
    // Timestamps before the epoch count their nanoseconds backwards.
    let nanoseconds = time.as_nanosecond();
    Timestamp {
        seconds: i64::try_from(nanoseconds.div_euclid(1_000_000_000)).unwrap_or_default(),
        nanoseconds: u32::try_from(nanoseconds.rem_euclid(1_000_000_000)).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_keeps_nanoseconds_unknown_sizes_and_identity() {
        let lines = [
            r#"{"Path":"a","Size":-1,"ModTime":"2000-01-01T00:00:00.000000000Z","IsDir":true}"#,
            r#"{"Path":"b","Size":3,"ModTime":"2001-02-03T05:05:06.000000007+01:00","ID":"x1"}"#,
            r#"{"Path":"c","Size":-1,"ModTime":"1969-12-31T23:59:59.5Z","IsDir":false}"#,
        ];
        let [directory, file, old] =
            lines.map(|line| serde_json::from_str::<Item>(line).unwrap().metadata());
        assert!(matches!(directory.kind, Kind::Directory));
        assert_eq!((file.size, file.modified.seconds), (Some(3), 981_173_106));
        assert_eq!(file.modified.nanoseconds, 7);
        assert!(file.identity.is_some());
        assert_eq!((old.size, old.identity), (None, None));
        assert_eq!((old.modified.seconds, old.modified.nanoseconds), (-1, 500_000_000));
    }

    #[test]
    fn identity_tells_ids_and_hashes_apart() {
        let item = |id: &str, hashes: &[(&str, &str)]| Item {
            path: String::new(),
            size: 0,
            mod_time: String::new(),
            is_dir: false,
            id: id.into(),
            hashes: hashes.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect(),
        };
        let all = [
            item("1", &[]),
            item("2", &[]),
            item("1", &[("md5", "aa")]),
            item("", &[("md5", "aa")]),
            item("", &[("md5a", "a")]),
        ]
        .map(|item| item.identity().unwrap());
        for (at, one) in all.iter().enumerate() {
            assert!(!all[..at].contains(one));
        }
    }
}
