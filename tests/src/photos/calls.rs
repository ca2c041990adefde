//! Counts every call by its kind, and each photo's downloads and uploads.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Instant;

use super::media::Digest;

/// A kind of call.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Call {
    /// `GET /v1/albums`
    Albums,
    /// `GET /v1/sharedAlbums`
    SharedAlbums,
    /// `POST /v1/mediaItems:search`
    Search,
    /// `GET /v1/mediaItems/ID`
    Get,
    /// `POST /v1/albums`
    CreateAlbum,
    /// `POST /v1/mediaItems:batchCreate`
    BatchCreate,
    /// `POST /v1/albums/ID:batchAddMediaItems`
    AddToAlbum,
    /// `POST /v1/albums/ID:batchRemoveMediaItems`
    RemoveFromAlbum,
    /// `POST /v1/uploads`
    Upload,
    /// Anything else that the API was asked for: it isn't there.
    Unknown,
    /// An item's bytes, or their size.
    Download,
    /// A new access token for a refresh token.
    Refresh,
    /// A host that isn't Google's.
    Foreign,
}

impl Call {
    /// Whether it counts towards the day's calls of the API, as uploads do.
    pub fn of_api(self) -> bool {
        !matches!(self, Self::Download | Self::Refresh | Self::Foreign)
    }
}

/// The calls since the start, or since they were taken last; those that were refused
/// are among them.
#[derive(Clone, Default, Debug)]
pub struct Calls {
    counts: BTreeMap<Call, u64>,
    /// When a kind was asked for, first and last.
    times: BTreeMap<Call, (Instant, Instant)>,
    /// Number of downloads of each item, by its id.
    pub downloads: BTreeMap<String, u64>,
    /// Number of uploads of the same bytes.
    pub uploads: BTreeMap<Digest, u64>,
    /// Number of items in each `batchCreate`.
    pub batches: Vec<usize>,
    /// The most `batchCreate` calls at one time.
    pub batches_at_once: usize,
    /// The hosts that were asked for and aren't Google's.
    pub foreign: Vec<String>,
}

impl Calls {
    pub(super) fn note(&mut self, call: Call) {
        *self.counts.entry(call).or_default() += 1;
        let now = Instant::now();
        self.times.entry(call).or_insert((now, now)).1 = now;
    }

    /// When the first and the last call of a kind came.
    pub fn times(&self, call: Call) -> Option<(Instant, Instant)> {
        self.times.get(&call).copied()
    }

    /// The calls of one kind.
    pub fn of(&self, call: Call) -> u64 {
        self.counts.get(&call).copied().unwrap_or_default()
    }

    /// The calls that count towards the day's.
    pub fn api(&self) -> u64 {
        self.counts.iter().filter(|(call, _)| call.of_api()).map(|(_, count)| count).sum()
    }

    /// Number of downloads of the photo that was downloaded most.
    pub fn most_downloads(&self) -> u64 {
        self.downloads.values().copied().max().unwrap_or_default()
    }

    /// Number of uploads of the photo that was uploaded most.
    pub fn most_uploads(&self) -> u64 {
        self.uploads.values().copied().max().unwrap_or_default()
    }
}

impl fmt::Display for Calls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (call, count) in &self.counts {
            writeln!(formatter, "{count:8} {call:?}")?;
        }
        writeln!(formatter, "{:8} calls of the API", self.api())?;
        writeln!(
            formatter,
            "{:8} photos downloaded, one of them {} times",
            self.downloads.len(),
            self.most_downloads()
        )?;
        writeln!(
            formatter,
            "{:8} photos uploaded, one of them {} times",
            self.uploads.len(),
            self.most_uploads()
        )
    }
}
