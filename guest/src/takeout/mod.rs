//! Exports of Google Takeout as one library: which files of which archives are photos, when they
//! were taken, in which albums they are, and at which paths a snapshot has them. It is a model of
//! names, sizes and sidecars, and reads nothing itself.
//!
//! - [`exports`]: files of a directory into exports
//! - [`folders`], [`file_names`]: folders of an export, and the names in them
//! - [`sidecar`]: what JSON files say
//! - [`matching`]: files to their sidecars
//! - [`photos`]: photos of an export
//! - [`library`]: photos of all exports
//! - [`snapshot`], [`places`], [`twin_names`], [`marks`]: paths of a snapshot

pub mod exports;
mod file_names;
pub mod folders;
pub mod library;
pub mod marks;
mod matching;
pub mod photos;
pub mod places;
pub mod sidecar;
pub mod snapshot;
#[cfg(test)]
mod tests;
pub mod twin_names;

use serde::{Deserialize, Serialize};

use crate::bindings::plakar::connector::types::Failure;

/// Where a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum FileSource {
    /// In an archive: the number of the archive in the listing, and that of the entry in the
    /// archive, in the order of their offsets.
    Entry { archive: u32, entry: u32 },
    /// Unpacked: its number in the listing.
    Unpacked(u32),
}

/// File of an export, whatever its name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileInfo {
    /// Size in bytes.
    pub size: u64,
    /// Checksum of its bytes; unknown for an unpacked file.
    pub crc32: Option<u32>,
    pub source: FileSource,
}

/// Path of the directory of exports that can't be backed up as it should, and why.
#[derive(Clone, Debug)]
pub struct Problem {
    /// Path relative to the directory.
    pub path: String,
    pub failure: Failure,
}

/// Maximum length of the name of a problem, in characters.
const MAX_NAME_CHARS: usize = 200;

impl Problem {
    /// Returns the path as a single name. Plakar keeps an error only in a directory that the
    /// snapshot has, and it has none of those of an export.
    pub fn name(&self) -> String {
        let plain = |char| if char == '/' { '／' } else { char };
        self.path.chars().map(plain).take(MAX_NAME_CHARS).collect()
    }
}

impl FileInfo {
    /// Reports whether two files have the same bytes, as far as that is known.
    pub fn is_same(&self, other: &Self) -> bool {
        let has_same_crc32 = match (self.crc32, other.crc32) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        };
        self.size == other.size && has_same_crc32
    }
}
