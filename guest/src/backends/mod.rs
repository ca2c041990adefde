//! Facts about rclone's backends.
//!
//! - [`google_photos_names`]: IDs that rclone puts into names of Google Photos

pub mod google_photos_names;

use Feature::{CostlyModTimes, FollowsLinks, FreeHashes, ObjectStore, UniqueNames};

/// rclone's name of the Google Photos backend.
const GOOGLE_PHOTOS: &str = "google photos";

/// Property of a backend on which a scan depends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// Listings lack the modification times that files had when they were uploaded: the
    /// backend's `ModTime()` reads the metadata of each object (see rclone's documentation of
    /// `--use-server-modtime`).
    CostlyModTimes,
    /// Symbolic links are followed without a check for cycles, by the backend itself or by
    /// one that it wraps.
    FollowsLinks,
    /// Listings have content hashes without a further call or a read of the file (rclone's
    /// `Hashes` without `SlowHash`, checked in each backend's `Hash()`). The hashes show
    /// whether a file was replaced.
    FreeHashes,
    /// There are no directories: a directory is the common prefix of some names.
    ObjectStore,
    /// A directory never has two objects of one name, so that duplicates need no memory.
    /// All other backends may have them, Google Drive and its wrappers among them (rclone's
    /// feature `DuplicateFiles`).
    UniqueNames,
}

/// All backends with a feature, by rclone's names of them.
const FEATURES: [(&str, &[Feature]); 30] = [
    ("alias", &[FollowsLinks]),
    ("azureblob", &[FreeHashes, ObjectStore, UniqueNames]),
    ("b2", &[FreeHashes, ObjectStore, UniqueNames]),
    ("box", &[FreeHashes]),
    ("chunker", &[FollowsLinks]),
    ("combine", &[FollowsLinks]),
    ("compress", &[FollowsLinks]),
    ("crypt", &[FollowsLinks]),
    ("drive", &[FreeHashes]),
    ("dropbox", &[FreeHashes]),
    ("ftp", &[UniqueNames]),
    ("google cloud storage", &[FreeHashes, ObjectStore, UniqueNames]),
    ("hasher", &[FollowsLinks]),
    ("http", &[UniqueNames]),
    ("jottacloud", &[FreeHashes]),
    ("local", &[UniqueNames]),
    ("mailru", &[FreeHashes]),
    ("onedrive", &[FreeHashes, UniqueNames]),
    ("oracleobjectstorage", &[ObjectStore]),
    ("pikpak", &[FreeHashes]),
    ("qingstor", &[ObjectStore]),
    ("s3", &[CostlyModTimes, FreeHashes, ObjectStore, UniqueNames]),
    ("sftp", &[FollowsLinks, UniqueNames]),
    ("smb", &[UniqueNames]),
    ("storj", &[ObjectStore]),
    ("swift", &[CostlyModTimes, FreeHashes, ObjectStore, UniqueNames]),
    ("union", &[FollowsLinks]),
    ("webdav", &[UniqueNames]),
    ("yandex", &[FreeHashes]),
    ("zoho", &[FreeHashes]),
];

/// One of rclone's backends.
#[derive(Clone, Copy, Debug)]
pub struct Backend {
    features: &'static [Feature],
    is_google_photos: bool,
}

impl Backend {
    /// Finds a backend by rclone's name of it. An unknown one has no features.
    pub fn find(name: &str) -> Self {
        let row = FEATURES.iter().find(|(backend, _)| *backend == name);
        Self {
            features: row.map_or(&[], |(_, features)| features),
            is_google_photos: name == GOOGLE_PHOTOS,
        }
    }

    /// Reports whether the backend has a feature.
    pub fn has_feature(self, feature: Feature) -> bool {
        self.features.contains(&feature)
    }

    /// Reports whether this is Google Photos.
    pub fn is_google_photos(self) -> bool {
        self.is_google_photos
    }

    /// Directory, relative to `root`, whose listing makes the backend answer. rclone lists
    /// the root of Google Photos without a call, but not the albums.
    pub fn probe_directory(self, root: &str) -> &'static str {
        if self.is_google_photos && root.trim_matches('/').is_empty() { "album" } else { "" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_feature_is_one_of_these_backends() {
        let with = |feature| {
            let rows = FEATURES.iter().filter(|(_, features)| features.contains(&feature));
            rows.map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
        };
        assert!(FEATURES.is_sorted_by_key(|(name, _)| name));
        assert_eq!(with(CostlyModTimes), "s3, swift");
        assert_eq!(
            with(FollowsLinks),
            "alias, chunker, combine, compress, crypt, hasher, sftp, union"
        );
        assert_eq!(
            with(FreeHashes),
            "azureblob, b2, box, drive, dropbox, google cloud storage, jottacloud, mailru, \
             onedrive, pikpak, s3, swift, yandex, zoho"
        );
        assert_eq!(
            with(ObjectStore),
            "azureblob, b2, google cloud storage, oracleobjectstorage, qingstor, s3, storj, swift"
        );
        assert_eq!(
            with(UniqueNames),
            "azureblob, b2, ftp, google cloud storage, http, local, onedrive, s3, sftp, smb, \
             swift, webdav"
        );
    }
}
