//! Archives in memory for the tests of this room, and tests of directories.

use futures::FutureExt;
use rawzip::{CompressionMethod, ZipArchiveWriter};
use std::cell::RefCell;
use std::io::Write;
use std::rc::Rc;

use super::directory::Directory;
use super::source::{RangeSource, RangeStream};
use super::{Method, ZipEntry, read_directory, read_small};
use crate::bindings::plakar::connector::types::{Failure, Reason};

/// Number of bytes that a stream returns at once.
const PIECE_BYTES: usize = 10_000;

/// Returns the result of work that waits for nothing.
pub fn now<T>(work: impl Future<Output = T>) -> T {
    work.now_or_never().unwrap()
}

/// Archive in memory, which notes what is read.
#[derive(Clone)]
pub struct MemorySource {
    bytes: Rc<Vec<u8>>,
    requests: Rc<RefCell<Vec<(u64, u64)>>>,
    /// Offsets at which a transfer breaks, once each, in this order.
    breaks: Rc<RefCell<Vec<u64>>>,
    reason: Rc<RefCell<Option<Reason>>>,
}

impl MemorySource {
    pub fn new(bytes: &[u8]) -> Self {
        Self {
            bytes: Rc::new(bytes.to_vec()),
            requests: Rc::default(),
            breaks: Rc::default(),
            reason: Rc::default(),
        }
    }

    /// Returns the offset and length of each request.
    pub fn requests(&self) -> Vec<(u64, u64)> {
        self.requests.borrow().clone()
    }

    pub fn break_at(&self, offsets: &[u64]) {
        *self.breaks.borrow_mut() = offsets.to_vec();
    }

    pub fn fail_with(&self, reason: Reason) {
        *self.reason.borrow_mut() = Some(reason);
    }
}

impl RangeSource for MemorySource {
    type Stream = MemoryStream;

    async fn open(&self, offset: u64, length: u64) -> Result<MemoryStream, Failure> {
        self.requests.borrow_mut().push((offset, length));
        if let Some(reason) = *self.reason.borrow() {
            return Err(Failure::new(reason, "refused"));
        }
        let end = offset.checked_add(length).filter(|end| *end <= self.bytes.len() as u64);
        let end = end.ok_or_else(|| Failure::new(Reason::Denied, "there are fewer bytes"))?;
        Ok(MemoryStream { source: self.clone(), position: offset, end })
    }
}

/// Part of an archive in memory.
pub struct MemoryStream {
    source: MemorySource,
    position: u64,
    end: u64,
}

impl RangeStream for MemoryStream {
    async fn next(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let mut breaks = self.source.breaks.borrow_mut();
        let mut end = self.end.min(self.position + PIECE_BYTES as u64);
        if let Some(offset) = breaks.first().copied()
            && (self.position..self.end).contains(&offset)
        {
            if offset == self.position {
                breaks.remove(0);
                return Err(Failure::new(Reason::Unavailable, "it broke"));
            }
            end = end.min(offset);
        }
        if self.position == end {
            return Ok(None);
        }
        let piece = self.source.bytes[self.position as usize..end as usize].to_vec();
        self.position = end;
        Ok(Some(piece))
    }
}

/// Archive that is being made.
#[derive(Default)]
pub struct Archive {
    files: Vec<(String, Vec<u8>, Method)>,
}

impl Archive {
    pub fn file(mut self, name: &str, bytes: &[u8], method: Method) -> Self {
        self.files.push((name.to_owned(), bytes.to_vec(), method));
        self
    }

    pub fn bytes(self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut archive = ZipArchiveWriter::new(&mut bytes);
        for (name, content, method) in &self.files {
            let (method, data) = match method {
                Method::Stored => (CompressionMethod::STORE, content.clone()),
                Method::Deflated => {
                    let data = miniz_oxide::deflate::compress_to_vec(content, 6);
                    (CompressionMethod::DEFLATE, data)
                }
            };
            let file = archive.new_file(name).compression_method(method);
            let (mut entry, config) = file.start().unwrap();
            // The CRC-32 and the size are of what was written before it was compressed.
            let mut counted = config.wrap(std::io::sink());
            counted.write_all(content).unwrap();
            let (_, descriptor) = counted.finish().unwrap();
            entry.write_all(&data).unwrap();
            entry.finish(descriptor).unwrap();
        }
        archive.finish().unwrap();
        bytes
    }
}

pub fn directory_of(bytes: &[u8]) -> Result<Directory, Failure> {
    now(read_directory(&MemorySource::new(bytes), bytes.len() as u64))
}

pub fn entries_of(bytes: &[u8]) -> Vec<ZipEntry> {
    let directory = directory_of(bytes).unwrap();
    assert!(directory.rejected.is_empty(), "{:?}", directory.rejected);
    directory.entries
}

fn two_files() -> Vec<u8> {
    let archive = Archive::default().file("Takeout/a b.jpg", b"photo", Method::Stored);
    archive.file("Takeout/Google\u{a0}Photos/ü.json", &[b'x'; 500], Method::Deflated).bytes()
}

/// Changes the bytes of a record of the directory: the first one whose name has this beginning.
fn change_record(bytes: &mut [u8], name: &str, change: impl Fn(&mut [u8])) {
    let starts = |at: &usize| {
        bytes[*at..].starts_with(b"PK\x01\x02") && bytes[at + 46..].starts_with(name.as_bytes())
    };
    let at = (0..bytes.len() - 46 - name.len()).find(starts).unwrap();
    change(&mut bytes[at..]);
}

fn rejected(bytes: &[u8]) -> Vec<(String, Reason, String)> {
    let directory = directory_of(bytes).unwrap();
    let rejected = directory.rejected.into_iter();
    rejected.map(|(name, failure)| (name, failure.reason, failure.message)).collect()
}

#[test]
fn a_directory_has_the_files_of_the_archive_in_their_order() {
    let bytes = two_files();
    let entries = entries_of(&bytes);
    let seen: Vec<_> = entries.iter().map(|it| (it.name.as_str(), it.size, it.method)).collect();
    assert_eq!(
        seen,
        [
            ("Takeout/a b.jpg", 5, Method::Stored),
            ("Takeout/Google\u{a0}Photos/ü.json", 500, Method::Deflated)
        ]
    );
    assert_eq!(entries[0].crc32, crc32fast::hash(b"photo"));
    assert_eq!(entries[0].end_offset, entries[1].header_offset);
    assert!(entries_of(&Archive::default().bytes()).is_empty());
}

#[test]
fn a_large_directory_costs_two_requests_and_its_own_bytes() {
    let mut archive = Archive::default();
    for number in 0..70_000 {
        archive = archive.file(&format!("Takeout/{number}.jpg"), b"x", Method::Stored);
    }
    let bytes = archive.bytes();
    let source = MemorySource::new(&bytes);
    let directory = now(read_directory(&source, bytes.len() as u64)).unwrap();
    assert_eq!((directory.entries.len(), directory.rejected.len()), (70_000, 0));
    let requests = source.requests();
    assert_eq!(requests.len(), 2);
    let start = directory.entries.last().unwrap().end_offset;
    assert_eq!(requests[1].0, start, "the directory from its beginning on");
}

#[test]
fn an_archive_that_is_cut_off_or_is_none_is_a_failure_with_help() {
    let bytes = two_files();
    for length in 0..bytes.len() {
        let failed = directory_of(&bytes[..length]).unwrap_err();
        assert_eq!(failed.reason, Reason::Corrupted, "{length}");
        assert!(failed.help.is_some());
    }
    assert!(directory_of(&vec![0; 500_000]).is_err());
}

#[test]
fn names_that_lead_elsewhere_are_rejected() {
    for name in ["../../../a b.jpg", "/akeout/a b.jpg", "Takeout//a b.jp", "Takeout\0a b.jpg"] {
        let name = &name[..15];
        let mut bytes = two_files();
        change_record(&mut bytes, "Takeout/a b.jpg", |record| {
            record[46..61].copy_from_slice(name.as_bytes());
        });
        let rejected = rejected(&bytes);
        assert_eq!((rejected.len(), rejected[0].0.as_str()), (1, name));
        assert_eq!(rejected[0].1, Reason::Unsupported);
    }
    let mut bytes = two_files();
    change_record(&mut bytes, "Takeout/a", |record| record[50] = 0xff);
    assert_eq!(rejected(&bytes).len(), 1);
}

#[test]
fn entries_that_cannot_be_read_are_rejected_and_others_are_not() {
    let put = |at: usize, value: u32, size: usize| {
        move |record: &mut [u8]| record[at..at + size].copy_from_slice(&value.to_le_bytes()[..size])
    };
    for (at, value, size, why) in [
        (8, 0x0801, 2, "encrypted"),
        (10, 12, 2, "isn't known"),
        (20, 7, 4, "two sizes"),
        (42, 0x00ff_ffff, 4, "into the directory"),
    ] {
        let mut bytes = two_files();
        change_record(&mut bytes, "Takeout/a", put(at, value, size));
        let rejected = rejected(&bytes);
        assert_eq!(rejected.len(), 1, "{why}");
        assert!(rejected[0].2.contains(why), "{rejected:?}");
    }
    let mut bytes = two_files();
    change_record(&mut bytes, "Takeout/G", put(24, 1 << 30, 4));
    assert!(rejected(&bytes)[0].2.contains("claims"));
}

#[test]
fn entries_that_share_bytes_or_names_are_all_rejected() {
    let three = |names: [&str; 3]| {
        names.iter().fold(Archive::default(), |it, name| it.file(name, b"12345", Method::Stored))
    };
    let mut bytes = three(["a", "b", "c"]).bytes();
    let first = entries_of(&bytes)[0].header_offset as u32;
    change_record(&mut bytes, "c", |record| {
        record[42..46].copy_from_slice(&(first + 3).to_le_bytes());
    });
    let names: Vec<_> = rejected(&bytes).into_iter().map(|(name, ..)| name).collect();
    assert_eq!(names, ["a", "c"]);
    let names: Vec<_> =
        rejected(&three(["a", "b", "a"]).bytes()).into_iter().map(|it| it.0).collect();
    assert_eq!(names, ["a", "a"]);
}

#[test]
fn a_wrong_count_of_entries_is_a_failure() {
    let mut bytes = two_files();
    let at = bytes.len() - 22;
    assert!(bytes[at..].starts_with(b"PK\x05\x06"));
    bytes[at + 8..at + 12].copy_from_slice(&[3, 0, 3, 0]);
    assert!(directory_of(&bytes).unwrap_err().message.contains("2 entries where it says 3"));
}

#[test]
fn a_directory_that_would_take_too_much_memory_is_not_read() {
    let mut bytes = vec![0; 70 << 20];
    bytes.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
    bytes.extend((70_u32 << 20).to_le_bytes());
    bytes.extend([0; 6]);
    let source = MemorySource::new(&bytes);
    let failed = now(read_directory(&source, bytes.len() as u64)).unwrap_err();
    assert_eq!(failed.reason, Reason::Unsupported);
    let read: u64 = source.requests().iter().map(|(_, length)| length).sum();
    assert!(read < 1 << 20, "{read}");
}

#[test]
fn whatever_an_archive_says_nothing_but_its_files_is_returned() {
    use proptest::prelude::*;
    let change = (any::<prop::sample::Index>(), any::<u8>());
    let input = (
        prop::collection::vec((0_usize..300, any::<bool>()), 0..6),
        prop::collection::vec(change, 0..4),
        prop::option::of(any::<prop::sample::Index>()),
    );
    crate::random_inputs::check_property(input, |(files, changes, cut)| {
        let mut archive = Archive::default();
        for (number, (size, is_stored)) in files.iter().enumerate() {
            let method = if *is_stored { Method::Stored } else { Method::Deflated };
            archive = archive.file(&number.to_string(), &vec![number as u8; *size], method);
        }
        let mut bytes = archive.bytes();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let Ok(directory) = directory_of(&bytes) else { return };
        let entries: Vec<_> = directory.entries.iter().collect();
        let read = now(read_small(&MemorySource::new(&bytes), &entries, |index, read| {
            if let Ok(read) = read {
                assert_eq!(read.len() as u64, entries[index].size);
                assert_eq!(crc32fast::hash(&read), entries[index].crc32);
            }
        }));
        read.unwrap();
    });
}
