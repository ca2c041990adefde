//! Marks of directories of a snapshot. A restore to Google Photos treats these in a way of their
//! own, unlike directories of a disk that have the same names.

use crate::bindings::plakar::connector::types::{Metadata, Timestamp};

/// Time of a marked directory. Albums have an identity, too, but not this time.
const TIME: Timestamp = Timestamp { seconds: 1, nanoseconds: 0 };

/// Directory with a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mark {
    /// Photos that are archived at Google.
    Archive,
    /// Files that Google Photos is not to have again: deleted ones, those of other folders, and
    /// sidecars.
    LeftOut,
}

/// Marked directories by their paths in a snapshot, and their identities: `takeout` in ASCII, and
/// a number. They are in snapshots and must stay as they are.
const MARKS: [(&str, Mark, u64); 4] = [
    ("archive", Mark::Archive, 0x7461_6b65_6f75_7401),
    ("trash", Mark::LeftOut, 0x7461_6b65_6f75_7402),
    ("other", Mark::LeftOut, 0x7461_6b65_6f75_7403),
    ("sidecar", Mark::LeftOut, 0x7461_6b65_6f75_7404),
];

impl Mark {
    /// Returns the identity and the time that mark a directory, if it has a mark.
    pub fn metadata(path: &str) -> Option<(u64, Timestamp)> {
        let (_, _, identity) = MARKS.iter().find(|(marked, _, _)| *marked == path)?;
        Some((*identity, TIME))
    }

    /// Finds the mark of a directory with this metadata.
    pub fn find(path: &str, metadata: &Metadata) -> Option<Self> {
        let Timestamp { seconds, nanoseconds } = metadata.modified;
        let is_marked = (seconds, nanoseconds) == (TIME.seconds, TIME.nanoseconds);
        let (_, mark, identity) = MARKS.iter().find(|(marked, _, _)| *marked == path)?;
        Some(*mark).filter(|_| is_marked && metadata.identity == Some(*identity))
    }
}
