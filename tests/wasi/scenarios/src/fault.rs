//! What a remote, or its rclone, does wrong or in its own way.

use crate::Reason;

/// Paths are below the session's root, as rclone takes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    // What listings show.
    /// The first listing is cut in two before its first byte, the next one after it...
    CutFurtherEachTime,
    /// It comes in pieces of so many bytes.
    Pieces(usize),
    /// These lines follow those of the remote.
    Lines(Vec<&'static [u8]>),
    /// A line that never ends follows.
    EndlessLine,
    /// Entries follow for ever.
    EndlessListing,
    /// So many files are listed that are nowhere.
    MadeUp(usize),
    /// The closing bracket doesn't come.
    NoBracket,
    /// This comes after the closing bracket.
    After(&'static str),
    /// So many bytes of the listing come, and then it ends well.
    ListingBreaks(usize),
    /// All comes, and then it fails: for this reason, or for the next one each time.
    ListingEnds(Option<Reason>),
    /// The call fails: for the next reason each time.
    NoListing,
    /// A directory that can't be listed, which rclone says.
    Trouble(&'static str, Reason),
    /// A file is removed after it was listed.
    Removed(&'static str),
    /// The look-up of this file ends the run that looks up others with it.
    NoLookUp(&'static str, Reason),

    // What the remote is like.
    /// Sizes aren't known.
    NoSizes,
    /// Objects have IDs.
    Ids,
    /// Times aren't kept.
    NoTimes,
    /// Nothing can be written.
    ReadOnly,
    /// A name with this in it can't be written.
    Refuses(&'static str),

    // What happens to reads.
    /// rclone gives so many bytes of the file, the first times; whether it says why.
    Breaks { path: &'static str, at: usize, said: bool, times: usize },
    /// So many bytes more come than the file has.
    Grows { path: &'static str, by: usize },
    /// Every read of the file fails.
    Refused(&'static str, Reason),
    /// A reader's process is gone after so many reads, as often as this.
    ReaderDies { after: usize, times: usize },
    /// No reader can be started.
    NoReader,
    /// No reader can list what lies below its root.
    NoWarmth,
    /// Each read, and each upload of a batch, takes so many milliseconds.
    Slow(u64),
    /// So many bytes of the file come, and then nothing, for ever.
    Stalls { path: &'static str, at: usize },

    // What only Google Photos does.
    /// Addresses of photos expire after so many downloads by a reader.
    Expires(usize),

    // What happens to writes.
    /// A file's outcome doesn't come.
    Silent(&'static str),
    /// It comes twice, the second time as a failure.
    Twice(&'static str),
    /// Outcomes come of files that nobody knows.
    Strangers,
    /// A file can't be uploaded.
    NotSent(&'static str, Reason),
    /// A batch ends so, after so many outcomes.
    BatchEnds { after: usize, reason: Reason },
    /// No batch can be made.
    NoBatch(Reason),
    /// No entry can be added.
    NotAdded(&'static str, Reason),
}
