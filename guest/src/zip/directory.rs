//! The directory of an archive: which entries there are, and which of them can be read.

use rawzip::{
    CompressionMethod, MAX_CENTRAL_DIRECTORY_RECORD_SIZE, ZipArchive, ZipFileHeaderRecord,
    ZipLocator,
};
use std::collections::HashSet;

use super::overlap::{Extent, find_overlaps};
use super::source::RangeSource;
use super::tail::{FIRST_BYTES, Tail};
use super::{LOCAL_HEADER_BYTES, Method, ZipEntry, damaged_entry};
use crate::bindings::plakar::connector::types::{Failure, Reason};
use crate::path::RemotePath;

/// Maximum number of times that more of the archive's end is read.
const MAX_EXTENSIONS: usize = 3;

/// Maximum number of entries.
const MAX_ENTRIES: usize = 500_000;

/// Maximum number of entries that can't be read, before the archive counts as damaged.
const MAX_REJECTED: usize = 1000;

/// Number of bytes that DEFLATE makes of one byte at most, and of an empty input.
///
/// Source: <https://www.zlib.net/zlib_tech.html>
const MAX_DEFLATE_RATIO: u64 = 1032;

/// Entries of an archive.
#[derive(Debug, Default)]
pub struct Directory {
    /// Files, in the order of their bytes in the archive.
    pub entries: Vec<ZipEntry>,
    /// Names of the files that can't be read, and why.
    pub rejected: Vec<(String, Failure)>,
}

/// Entry of the directory, before it is compared with the others.
struct Record {
    entry: ZipEntry,
    /// Why it can't be read.
    failure: Option<Box<Failure>>,
    is_directory: bool,
}

/// Reads the directory of an archive of `size` bytes, with two or three requests. Its memory is
/// bounded by 64 MiB and half a million entries.
///
/// # Errors
///
/// The archive can't be read, is cut off or damaged, or its directory is too large.
pub async fn read_directory(source: &impl RangeSource, size: u64) -> Result<Directory, Failure> {
    let mut tail = Tail::read(source, size).await?;
    for _ in 0..MAX_EXTENSIONS {
        let parsed = parse(&tail, size);
        if !tail.is_short() {
            drop(tail);
            return sort_out(parsed?);
        }
        drop(parsed);
        tail.extend(source).await?;
    }
    Err(damaged("its directory leads to several places"))
}

/// Parses the directory. The result counts only if nothing is missing in the tail.
fn parse(tail: &Tail, size: u64) -> Result<Vec<Record>, Failure> {
    let mut buffer = vec![0; MAX_CENTRAL_DIRECTORY_RECORD_SIZE];
    let locator = ZipLocator::new().max_search_space(FIRST_BYTES);
    let located = locator.locate_in_reader(tail, &mut buffer, size);
    let archive = located.map_err(|(_, error)| incomplete(&error))?;
    if tail.is_short() {
        return Ok(Vec::new());
    }
    let count = archive.entries_hint();
    if count > MAX_ENTRIES as u64 {
        return Err(too_many_entries());
    }
    let records = parse_entries(&archive, &mut buffer)?;
    // Writers without zip64 count up to 65,535 and begin again.
    let is_wrapped = count <= u16::MAX.into() && records.len() as u64 % (1 << 16) == count;
    if records.len() as u64 != count && !is_wrapped {
        let message = format!("it has {} entries where it says {count}", records.len());
        return Err(damaged(&message));
    }
    Ok(records)
}

fn parse_entries(archive: &ZipArchive<&Tail>, buffer: &mut [u8]) -> Result<Vec<Record>, Failure> {
    let directory_offset = archive.directory_offset();
    let mut records = Vec::new();
    let mut failures = 0;
    let mut entries = archive.entries(buffer);
    while let Some(header) = entries
        .next_entry()
        .map_err(|error| damaged(&format!("its directory ends early: {error}")))?
    {
        if records.len() == MAX_ENTRIES {
            return Err(too_many_entries());
        }
        let record = Record::new(&header, directory_offset);
        failures += usize::from(record.failure.is_some());
        if failures > MAX_REJECTED {
            return Err(too_many_damaged());
        }
        records.push(record);
    }
    Ok(records)
}

impl Record {
    fn new(header: &ZipFileHeaderRecord<'_>, directory_offset: u64) -> Self {
        let path = header.file_path();
        let name = String::from_utf8_lossy(path.as_ref()).into_owned();
        let method = match header.compression_method() {
            CompressionMethod::DEFLATE => Method::Deflated,
            _ => Method::Stored,
        };
        let entry = ZipEntry {
            name,
            size: header.uncompressed_size_hint(),
            compressed_size: header.compressed_size_hint(),
            crc32: header.crc32(),
            method,
            header_offset: header.local_header_offset(),
            end_offset: directory_offset,
        };
        let is_directory = entry.name.ends_with('/') && entry.size == 0;
        let failure = check(header, &entry, is_directory).err().map(Box::new);
        Self { entry, failure, is_directory }
    }

    /// Returns the bytes that the entry has at least.
    fn extent(&self) -> Extent {
        let ZipEntry { header_offset, compressed_size, .. } = self.entry;
        let end = header_offset.saturating_add(LOCAL_HEADER_BYTES);
        Extent { start: header_offset, end: end.saturating_add(compressed_size) }
    }
}

/// Checks an entry by itself.
fn check(
    header: &ZipFileHeaderRecord<'_>,
    entry: &ZipEntry,
    is_directory: bool,
) -> Result<(), Failure> {
    let path = header.file_path();
    if is_directory {
        return Ok(());
    }
    if str::from_utf8(path.as_ref()).is_err() || RemotePath::parse(&entry.name).is_err() {
        return Err(unsupported(entry, "has a name that isn't a path"));
    }
    let flags = header.flags();
    if flags.is_encrypted() || flags.has_strong_encryption() || flags.is_masked() {
        return Err(unsupported(entry, "is encrypted"));
    }
    let method = header.compression_method();
    if ![CompressionMethod::STORE, CompressionMethod::DEFLATE].contains(&method) {
        return Err(unsupported(
            entry,
            &format!("is compressed in a way that isn't known: {method}"),
        ));
    }
    if entry.method == Method::Stored && entry.size != entry.compressed_size {
        return Err(entry.damaged("isn't compressed and has two sizes"));
    }
    let max_size = entry.compressed_size.saturating_add(1).saturating_mul(MAX_DEFLATE_RATIO);
    if entry.size > max_size {
        return Err(entry.damaged("claims to have more bytes than it can have"));
    }
    let end = entry.header_offset.checked_add(LOCAL_HEADER_BYTES);
    let end = end.and_then(|start| start.checked_add(entry.compressed_size));
    if end.is_none_or(|end| end > entry.end_offset) {
        return Err(entry.damaged("would reach into the directory of the archive"));
    }
    Ok(())
}

/// Compares the entries with each other: they must not share bytes or names.
fn sort_out(mut records: Vec<Record>) -> Result<Directory, Failure> {
    records.sort_by_key(|record| record.entry.header_offset);
    let extents: Vec<_> = records.iter().map(Record::extent).collect();
    for index in find_overlaps(&extents) {
        let record = &mut records[index];
        let failure = record.entry.damaged("shares bytes with another entry");
        record.failure.get_or_insert(Box::new(failure));
    }
    for (record, next) in records.iter_mut().zip(extents.iter().skip(1)) {
        record.entry.end_offset = record.entry.end_offset.min(next.start);
    }
    for index in find_duplicates(&records) {
        let record = &mut records[index];
        let failure = record.entry.damaged("is there more than once");
        record.failure.get_or_insert(Box::new(failure));
    }
    let mut directory = Directory::default();
    for Record { entry, failure, is_directory } in records {
        match failure {
            Some(failure) => directory.rejected.push((entry.name, *failure)),
            None if is_directory => {}
            None => directory.entries.push(entry),
        }
        if directory.rejected.len() > MAX_REJECTED {
            return Err(too_many_damaged());
        }
    }
    Ok(directory)
}

/// Returns the positions of the records that have a name in common with another one.
fn find_duplicates(records: &[Record]) -> Vec<usize> {
    let mut seen = HashSet::with_capacity(records.len());
    let mut twice = HashSet::new();
    for record in records {
        if !seen.insert(record.entry.name.as_str()) {
            twice.insert(record.entry.name.as_str());
        }
    }
    let is_twice = |record: &Record| twice.contains(record.entry.name.as_str());
    (0..records.len()).filter(|index| is_twice(&records[*index])).collect()
}

fn unsupported(entry: &ZipEntry, how: &str) -> Failure {
    Failure { reason: Reason::Unsupported, help: None, ..damaged_entry(&entry.name, how) }
}

fn incomplete(error: &rawzip::Error) -> Failure {
    let message = format!("it isn't a complete zip archive: {error}");
    Failure::new(Reason::Corrupted, message)
        .with_help("wait until it has arrived, or copy it there again")
}

fn damaged(how: &str) -> Failure {
    Failure::new(Reason::Corrupted, format!("the archive is damaged: {how}"))
        .with_help("copy it there again")
}

fn too_many_damaged() -> Failure {
    damaged(&format!("more than {MAX_REJECTED} of its entries can't be read"))
}

fn too_many_entries() -> Failure {
    let message = format!("the archive has more than {MAX_ENTRIES} entries");
    Failure::new(Reason::Unsupported, message)
        .with_help("choose smaller archives for the export, or unpack this one")
}
