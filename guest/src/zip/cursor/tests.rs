//! Tests of the cursor.

use super::super::Method;
use super::super::tests::{Archive, MemorySource, entries_of, now};
use super::*;
use crate::bindings::plakar::connector::types::Reason;

fn photo(number: usize) -> Vec<u8> {
    (0..100_000 + number).map(|at| (at * (number + 3) / 5) as u8).collect()
}

/// An archive of photos, every second one compressed, with some bytes between them.
fn photos(count: usize) -> Vec<u8> {
    let mut archive = Archive::default();
    for number in 0..count {
        let method = if number % 2 == 0 { Method::Stored } else { Method::Deflated };
        archive = archive.file(&format!("{number}.jpg"), &photo(number), method);
        archive = archive.file(&format!("{number}.json"), &vec![7; 500], Method::Stored);
    }
    archive.bytes()
}

fn cursor(source: &MemorySource, entries: &[ZipEntry]) -> Rc<Cursor<MemorySource>> {
    let spans = entries.iter().map(|it| (it.header_offset, it.end_offset)).collect();
    Cursor::new(source.clone(), spans, 0)
}

fn read(cursor: &Rc<Cursor<MemorySource>>, entry: &ZipEntry) -> Result<Vec<u8>, Failure> {
    now(async {
        let mut read = cursor.read(entry);
        let mut bytes = Vec::new();
        while !read.is_done() {
            bytes.extend(read.next().await?);
        }
        Ok(bytes)
    })
}

/// Photos of an archive, and their numbers.
fn photo_entries(bytes: &[u8]) -> Vec<(usize, ZipEntry)> {
    let entries = entries_of(bytes).into_iter();
    let number = |it: ZipEntry| Some((it.name.strip_suffix(".jpg")?.parse().ok()?, it));
    entries.filter_map(number).collect()
}

#[test]
fn entries_in_their_order_come_by_ranges_that_double_and_each_byte_once() {
    let bytes = photos(200);
    let entries = photo_entries(&bytes);
    let source = MemorySource::new(&bytes);
    let wanted: Vec<_> = entries.iter().map(|(_, entry)| entry.clone()).collect();
    let cursor = cursor(&source, &wanted);
    for (number, entry) in &entries {
        assert!(read(&cursor, entry).unwrap() == photo(*number), "{number}");
    }
    let requests = source.requests();
    assert!(requests.len() < 14, "{requests:?}");
    let fetched: u64 = requests.iter().map(|(_, length)| length).sum();
    assert!(fetched <= bytes.len() as u64, "{fetched}");
}

#[test]
fn a_row_of_reads_goes_on_in_the_next_archive_if_that_is_read_from_its_first_entry() {
    let bytes = photos(50);
    let entries = photo_entries(&bytes);
    let spans: Vec<_> =
        entries.iter().map(|(_, entry)| (entry.header_offset, entry.end_offset)).collect();
    for (first, requests) in [(0, 1), (49, 1), (40, 2)] {
        let source = MemorySource::new(&bytes);
        let cursor = Cursor::new(source.clone(), spans.clone(), 1 << 30);
        for (number, entry) in entries.iter().skip(first).take(2) {
            assert!(read(&cursor, entry).unwrap() == photo(*number));
        }
        assert_eq!(source.requests().len(), requests, "{first}");
    }
}

#[test]
fn a_single_entry_costs_its_own_bytes() {
    let bytes = photos(50);
    let entries = photo_entries(&bytes);
    let source = MemorySource::new(&bytes);
    let wanted: Vec<_> = entries.iter().map(|(_, entry)| entry.clone()).collect();
    let cursor = cursor(&source, &wanted);
    for index in [10, 40, 20] {
        let (number, entry) = &entries[index];
        assert!(read(&cursor, entry).unwrap() == photo(*number));
        let request = *source.requests().last().unwrap();
        let length = entry.end_offset - entry.header_offset;
        assert_eq!(request, (entry.header_offset, length));
    }
    assert_eq!(source.requests().len(), 3);
}

#[test]
fn a_range_ends_before_what_is_not_wanted() {
    let mut archive = Archive::default();
    for number in 0..12 {
        archive = archive.file(&format!("{number}.jpg"), &photo(number), Method::Stored);
        if number == 6 {
            archive = archive.file("film", &vec![1; 3 << 20], Method::Stored);
        }
    }
    let bytes = archive.bytes();
    let entries = photo_entries(&bytes);
    let source = MemorySource::new(&bytes);
    let wanted: Vec<_> = entries.iter().map(|(_, entry)| entry.clone()).collect();
    let cursor = cursor(&source, &wanted);
    for (number, entry) in &entries {
        assert!(read(&cursor, entry).unwrap() == photo(*number));
    }
    let fetched: u64 = source.requests().iter().map(|(_, length)| length).sum();
    assert!(fetched < 2 << 20, "{fetched}: the film was read");
}

#[test]
fn an_entry_during_the_read_of_another_one_has_a_range_of_its_own() {
    let bytes = photos(5);
    let entries = photo_entries(&bytes);
    let source = MemorySource::new(&bytes);
    let cursor = cursor(&source, &[]);
    let mut first = cursor.read(&entries[0].1);
    let start = now(first.next()).unwrap();
    assert!(read(&cursor, &entries[1].1).unwrap() == photo(1));
    assert!(read(&cursor, &entries[0].1).unwrap() == photo(0));
    let mut whole = start;
    while !first.is_done() {
        whole.extend(now(first.next()).unwrap());
    }
    assert!(whole == photo(0));
    assert_eq!(source.requests().len(), 3);
}

#[test]
fn a_range_that_breaks_is_continued_three_times_for_each_entry() {
    let bytes = photos(5);
    let entries = photo_entries(&bytes);
    let source = MemorySource::new(&bytes);
    let starts: Vec<_> = entries.iter().map(|(_, entry)| entry.header_offset).collect();
    let breaks: Vec<_> =
        starts.iter().flat_map(|start| [10, 50, 100].map(|more| start + more)).collect();
    source.break_at(&breaks);
    let cursor = cursor(&source, &[]);
    for (number, entry) in &entries {
        assert!(read(&cursor, entry).unwrap() == photo(*number));
    }
    source.break_at(&[10, 20, 30, 40].map(|more| starts[2] + more));
    assert_eq!(read(&cursor, &entries[2].1).unwrap_err().reason, Reason::Unavailable);
    assert!(read(&cursor, &entries[2].1).unwrap() == photo(2));
}

#[test]
fn a_damaged_entry_fails_and_the_next_one_is_read() {
    let mut bytes = photos(5);
    let entries = photo_entries(&bytes);
    bytes[entries[0].1.header_offset as usize + 5000] ^= 1;
    let source = MemorySource::new(&bytes);
    let cursor = cursor(&source, &[]);
    assert_eq!(read(&cursor, &entries[0].1).unwrap_err().reason, Reason::Corrupted);
    assert!(read(&cursor, &entries[1].1).unwrap() == photo(1));
}
