//! Faults and peculiarities of a remote or of its rclone.

use crate::Reason;

/// Fault. Its paths are relative to the session's root, as rclone takes them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the comment of a fault describes its fields")]
pub enum Fault {
    // Listings.
    /// The first listing is cut in two before its first byte, the next one after it...
    CutFurtherEachTime,
    /// The listing arrives in pieces of this number of bytes.
    Pieces(usize),
    /// These lines follow those of the remote.
    Lines(Vec<&'static [u8]>),
    /// A line without end follows.
    EndlessLine,
    /// Entries follow without end.
    EndlessListing,
    /// This number of files is listed, none of which exists.
    SyntheticFiles(usize),
    /// The closing bracket is missing.
    NoBracket,
    /// This follows the closing bracket.
    After(&'static str),
    /// The listing ends after this number of bytes, without a failure.
    ListingBreaks(usize),
    /// The listing is complete and then fails for this reason, or for the next one each time.
    ListingEnds(Option<Reason>),
    /// The call fails, for the next reason each time.
    NoListing,
    /// A directory cannot be listed, which rclone reports.
    ListError(&'static str, Reason),
    /// A file is removed after it was listed.
    Removed(&'static str),
    /// The lookup of this file ends the run that looks up others with it.
    NoLookUp(&'static str, Reason),

    // The remote.
    /// Sizes are unknown.
    NoSizes,
    /// Objects have IDs.
    Ids,
    /// Times aren't kept.
    NoTimes,
    /// Nothing can be written.
    ReadOnly,
    /// A name that contains this can't be written.
    Refuses(&'static str),

    // Reads.
    /// The first reads of the file end after `at` bytes, with or without a failure.
    Breaks { path: &'static str, at: usize, reported: bool, times: usize },
    /// The file has this number of bytes more than were listed.
    Grows { path: &'static str, by: usize },
    /// Every read of the file fails.
    Refused(&'static str, Reason),
    /// The process of a reader ends after a number of reads, a number of times.
    ReaderDies { after: usize, times: usize },
    /// No reader can be started.
    NoReader,
    /// No reader can list everything below its root.
    NoWarmUp,
    /// Each read, and each upload of a batch, takes this number of milliseconds.
    Slow(u64),
    /// A read of the file stalls after `at` bytes.
    Stalls { path: &'static str, at: usize },

    // Google Photos.
    /// Addresses of photos expire after this number of downloads by a reader.
    Expires(usize),

    // Writes.
    /// The outcome of a file is not reported.
    NoOutcome(&'static str),
    /// The outcome of a file is reported twice, the second time as a failure.
    TwoOutcomes(&'static str),
    /// Outcomes of unknown files are reported.
    UnknownOutcomes,
    /// A file can't be uploaded.
    NotSent(&'static str, Reason),
    /// A batch fails after a number of outcomes.
    BatchEnds { after: usize, reason: Reason },
    /// No batch can be created.
    NoBatch(Reason),
    /// No entry can be added.
    NotAdded(&'static str, Reason),

    // Objects of a store. The paths are beginnings of those of the objects.
    /// The first uploads fail; nothing is there afterwards.
    PutFails { below: &'static str, reason: Reason, times: usize },
    /// The object is replaced by a different one right after it was uploaded.
    Overwritten(&'static str),
    /// The first fetches fail.
    FetchFails { below: &'static str, reason: Reason, times: usize },
    /// The first fetches return this number of bytes, as if the object ended there.
    FetchShort { below: &'static str, to: usize, times: usize },
    /// Parts of objects can't have more than this number of bytes together.
    ExtentBudget(usize),
    /// The first removals fail.
    DeleteFails { below: &'static str, reason: Reason, times: usize },
    /// The first lookups of single objects fail.
    StatFails { below: &'static str, reason: Reason, times: usize },
    /// The first listings are complete and then fail.
    ListingsFail { reason: Reason, times: usize },
}
