//! Zip archives that are read by ranges: their directories, many small entries, and large entries
//! one after the other. Nothing in an archive is trusted: memory is bounded whatever it says, and
//! the bytes of an entry count only if their number and CRC-32 are those of the directory.
//!
//! - [`source`], [`forward`]: parts of an archive, read forward, and again after a break
//! - [`tail`], [`directory`]: the end of an archive in memory, and the directory in it
//! - [`overlap`]: entries that share bytes
//! - [`decoder`]: an entry's bytes, from its header to its checksum
//! - [`small`]: many small entries by few ranges
//! - [`cursor`]: entries in their order by one open range

mod cursor;
mod decoder;
mod directory;
mod forward;
mod overlap;
mod small;
pub mod source;
mod tail;
#[cfg(test)]
mod tests;

pub use cursor::{Cursor, Span, Tap};
pub use directory::read_directory;
pub use small::read_small;

use crate::bindings::plakar::connector::types::{Failure, Reason};

/// Number of bytes of a local header before its name.
///
/// Source: 4.3.7 of PKWARE's APPNOTE.
const LOCAL_HEADER_BYTES: u64 = 30;

/// Maximum number of bytes of a name, and of the extra fields of a header.
const MAX_FIELD_BYTES: u64 = u16::MAX as u64;

/// Way in which an entry is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Not at all.
    Stored,
    /// By DEFLATE.
    Deflated,
}

/// File in an archive, as its directory describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZipEntry {
    /// Path, with `/` between names, none of which is empty, `.` or `..`.
    pub name: String,
    /// Size in bytes.
    pub size: u64,
    /// Number of bytes in the archive.
    pub compressed_size: u64,
    /// CRC-32 of the bytes.
    pub crc32: u32,
    /// Way in which it is compressed.
    pub method: Method,
    /// Offset of its local header.
    pub header_offset: u64,
    /// Offset of what follows it: another entry's header, or the directory.
    pub end_offset: u64,
}

impl ZipEntry {
    /// Returns the offset before which its bytes end, which is exact unless something else
    /// precedes what follows the entry.
    fn read_end(&self) -> u64 {
        let longest = LOCAL_HEADER_BYTES + 2 * MAX_FIELD_BYTES + self.compressed_size;
        self.end_offset.min(self.header_offset.saturating_add(longest))
    }

    /// Creates the failure of an entry that isn't what the directory says.
    fn damaged(&self, how: &str) -> Failure {
        damaged_entry(&self.name, how)
    }
}

/// Creates the failure of a damaged entry.
fn damaged_entry(name: &str, how: &str) -> Failure {
    let message = format!("`{}` in the archive {how}", name.escape_debug());
    Failure::new(Reason::Corrupted, message).with_help("copy the archive there again")
}
