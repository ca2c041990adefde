//! Index of an archive: its directory and its sidecars, as they were read. It is kept between
//! backups, since an archive never changes: then a backup costs one listing.

use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::decompress_to_vec_with_limit;
use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher13;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::archive_file::ArchiveFile;
use crate::bindings::plakar::connector::types::{Failure, Reason};
use crate::cache;
use crate::importer::reader_pool::ReaderPool;
use crate::path::RemotePath;
use crate::takeout::folders::SidecarCandidates;
use crate::takeout::sidecar::Sidecar;
use crate::zip::{Method, ZipEntry, read_directory, read_small};

/// Version of the form in which an index is kept. Others are ignored.
const FORM: &str = "takeout 1";

/// Maximum size of an index, in bytes. One of 20,000 entries has some 2 MB, and a third of it
/// when it is compressed.
const MAX_INDEX_BYTES: usize = 48 << 20;

/// Level of compression, from 0 to 10.
const COMPRESSION: u8 = 3;

/// Archive in the listing.
pub struct ListedArchive {
    pub path: RemotePath,
    pub size: u64,
    /// What the listing says of its version: time, hashes, ID.
    pub version: String,
}

/// Index of an archive.
pub struct ArchiveIndex {
    archive: ArchiveFile,
    key: String,
    pub entries: Vec<ZipEntry>,
    /// Entries that can't be read, and why.
    pub rejected: Vec<(String, Failure)>,
    /// Sidecars by the numbers of their entries.
    pub sidecars: BTreeMap<u32, Sidecar>,
    is_changed: bool,
    /// Whether a sidecar couldn't be read, which may succeed the next time.
    is_damaged: bool,
}

/// Form of an index that is kept.
#[derive(Serialize, Deserialize)]
struct KeptIndex {
    entries: Vec<KeptEntry>,
    sidecars: BTreeMap<u32, Sidecar>,
    rejected: Vec<KeptFailure>,
}

/// Form of an entry that can't be read.
#[derive(Serialize, Deserialize)]
struct KeptFailure {
    name: String,
    is_unsupported: bool,
    message: String,
    help: Option<String>,
}

/// Form of a [`ZipEntry`] that is kept.
#[derive(Serialize, Deserialize)]
struct KeptEntry {
    name: String,
    size: u64,
    compressed_size: u64,
    crc32: u32,
    is_deflated: bool,
    header_offset: u64,
    end_offset: u64,
}

impl ArchiveIndex {
    /// Returns the index that was kept of an archive, or else reads its directory.
    ///
    /// # Errors
    ///
    /// The archive can't be read, or has no valid directory.
    pub async fn load(pool: &Rc<ReaderPool>, listed: &ListedArchive) -> Result<Self, Failure> {
        let archive = ArchiveFile::new(pool.clone(), listed.path.clone());
        let key = listed.key();
        if let Some(bytes) = cache::recall(&key).await
            && let Ok(bytes) = decompress_to_vec_with_limit(&bytes, MAX_INDEX_BYTES)
            && let Ok(KeptIndex { entries, sidecars, rejected }) = postcard::from_bytes(&bytes)
        {
            return Ok(Self {
                archive,
                key,
                entries: entries.into_iter().map(ZipEntry::from).collect(),
                rejected: rejected.into_iter().map(KeptFailure::into_failure).collect(),
                sidecars,
                is_changed: false,
                is_damaged: false,
            });
        }
        let directory = read_directory(&archive, listed.size).await?;
        Ok(Self {
            archive,
            key,
            entries: directory.entries,
            rejected: directory.rejected,
            sidecars: BTreeMap::new(),
            is_changed: true,
            is_damaged: false,
        })
    }

    /// Reads the sidecars among some candidates that weren't read before.
    ///
    /// # Errors
    ///
    /// The archive can't be read.
    pub async fn read_sidecars(&mut self, candidates: &SidecarCandidates) -> Result<(), Failure> {
        let Self { archive, entries, sidecars, is_changed, is_damaged, .. } = self;
        let (mut numbers, mut wanted) = (Vec::new(), Vec::new());
        for (number, entry) in (0_u32..).zip(entries.iter()) {
            if candidates.contains(&entry.name, entry.size) && !sidecars.contains_key(&number) {
                numbers.push(number);
                wanted.push(entry);
            }
        }
        let mut failure = None;
        read_small(archive, &wanted, |index, read| match read {
            Ok(bytes) => {
                sidecars.insert(numbers[index], Sidecar::parse(&bytes));
                *is_changed = true;
            }
            Err(broken) if broken.reason == Reason::Corrupted => {
                sidecars.insert(numbers[index], Sidecar::Broken(broken.message));
                *is_damaged = true;
            }
            Err(other) => failure = Some(other),
        })
        .await?;
        failure.map_or(Ok(()), Err)
    }

    /// Keeps the index for the next backups, unless a sidecar couldn't be read.
    pub async fn keep(&self) {
        if !self.is_changed || self.is_damaged {
            return;
        }
        let entries = self.entries.iter().map(KeptEntry::from).collect();
        let rejected = self.rejected.iter().map(KeptFailure::new).collect();
        let kept = KeptIndex { entries, sidecars: self.sidecars.clone(), rejected };
        if let Ok(bytes) = postcard::to_allocvec(&kept) {
            drop(kept);
            cache::remember(&self.key, compress_to_vec(&bytes, COMPRESSION)).await;
        }
    }
}

impl ListedArchive {
    /// Returns the key of its index, which differs for each version of the archive.
    fn key(&self) -> String {
        let path = SipHasher13::new_with_keys(1, 2).hash(self.path.as_str().as_bytes());
        let version = SipHasher13::new_with_keys(3, 4).hash(self.version.as_bytes());
        format!("{FORM} {path:016x} {version:016x} {}", self.size)
    }
}

impl KeptFailure {
    fn new((name, failure): &(String, Failure)) -> Self {
        Self {
            name: name.clone(),
            is_unsupported: failure.reason == Reason::Unsupported,
            message: failure.message.clone(),
            help: failure.help.clone(),
        }
    }

    fn into_failure(self) -> (String, Failure) {
        let Self { name, is_unsupported, message, help } = self;
        let reason = if is_unsupported { Reason::Unsupported } else { Reason::Corrupted };
        (name, Failure { reason, message, help })
    }
}

impl From<KeptEntry> for ZipEntry {
    fn from(kept: KeptEntry) -> Self {
        Self {
            name: kept.name,
            size: kept.size,
            compressed_size: kept.compressed_size,
            crc32: kept.crc32,
            method: if kept.is_deflated { Method::Deflated } else { Method::Stored },
            header_offset: kept.header_offset,
            end_offset: kept.end_offset,
        }
    }
}

impl From<&ZipEntry> for KeptEntry {
    fn from(entry: &ZipEntry) -> Self {
        Self {
            name: entry.name.clone(),
            size: entry.size,
            compressed_size: entry.compressed_size,
            crc32: entry.crc32,
            is_deflated: entry.method == Method::Deflated,
            header_offset: entry.header_offset,
            end_offset: entry.end_offset,
        }
    }
}
