//! Many small entries by few requests: those that are close to each other are read at once.

use futures::StreamExt;

use super::ZipEntry;
use super::decoder::Decoder;
use super::forward::append_range;
use super::source::RangeSource;
use crate::bindings::plakar::connector::types::{Failure, Reason};

/// Maximum size of a small entry.
const MAX_SMALL_BYTES: u64 = 1 << 20;

/// Number of bytes between two entries up to which they are read at once. More bytes that nothing
/// needs would cost as much as another request.
const MAX_GAP_BYTES: u64 = 64 << 10;

/// Number of bytes after which a range takes no further entry.
const MAX_RANGE_BYTES: u64 = 1 << 20;

/// Number of ranges that are read at the same time.
const MAX_CONCURRENT: usize = 16;

/// Entries that are read at once.
struct Group {
    start: u64,
    end: u64,
    /// Positions of the entries.
    indexes: Vec<usize>,
}

/// Reads small entries, in any order. Calls `receive` with the position of each among `entries`,
/// and its bytes: once for each, in any order. Memory is bounded by some 40 MiB.
///
/// # Errors
///
/// The archive can't be read. What was received before is complete.
pub async fn read_small<S: RangeSource>(
    source: &S,
    entries: &[&ZipEntry],
    mut receive: impl FnMut(usize, Result<Vec<u8>, Failure>),
) -> Result<(), Failure> {
    let is_small = |entry: &ZipEntry| entry.size.max(entry.compressed_size) <= MAX_SMALL_BYTES;
    for (index, entry) in entries.iter().enumerate().filter(|(_, entry)| !is_small(entry)) {
        receive(index, Err(too_large(entry)));
    }
    let mut indexes: Vec<usize> = (0..entries.len()).filter(|it| is_small(entries[*it])).collect();
    indexes.sort_by_key(|index| entries[*index].header_offset);
    let reads = join_groups(entries, indexes).into_iter().map(|group| async move {
        let mut bytes = Vec::new();
        append_range(source, group.start, group.end, &mut bytes).await?;
        Ok::<_, Failure>((group, bytes))
    });
    let mut reads = futures::stream::iter(reads).buffer_unordered(MAX_CONCURRENT);
    while let Some(read) = reads.next().await {
        let (group, bytes) = read?;
        for index in group.indexes {
            let entry = entries[index];
            let start = usize::try_from(entry.header_offset - group.start).unwrap_or_default();
            receive(index, decode(&bytes[start..], entry));
        }
    }
    Ok(())
}

/// Joins entries, which are in the order of their offsets.
fn join_groups(entries: &[&ZipEntry], indexes: Vec<usize>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for index in indexes {
        let (start, end) = (entries[index].header_offset, entries[index].read_end());
        if let Some(last) = groups.last_mut()
            && start.saturating_sub(last.end) < MAX_GAP_BYTES
            && last.end - last.start < MAX_RANGE_BYTES
        {
            last.end = last.end.max(end);
            last.indexes.push(index);
        } else {
            groups.push(Group { start, end, indexes: vec![index] });
        }
    }
    groups
}

/// Decodes an entry whose bytes begin with these.
fn decode(mut rest: &[u8], entry: &ZipEntry) -> Result<Vec<u8>, Failure> {
    let mut decoder = Decoder::new(entry);
    let mut bytes = Vec::new();
    while !decoder.is_done() {
        if decoder.needs_input() && rest.is_empty() {
            return Err(entry.damaged("ends early"));
        }
        let step = decoder.step(rest)?;
        rest = &rest[step.consumed..];
        bytes.extend(step.bytes);
    }
    Ok(bytes)
}

fn too_large(entry: &ZipEntry) -> Failure {
    let message = format!("`{}` is larger than {MAX_SMALL_BYTES} bytes", entry.name.escape_debug());
    Failure::new(Reason::Unsupported, message)
}

#[cfg(test)]
mod tests {
    use super::super::Method;
    use super::super::tests::{Archive, MemorySource, entries_of, now};
    use super::*;

    #[test]
    fn close_entries_are_read_at_once_and_distant_ones_are_not() {
        let text = |number: usize| format!("sidecar {number}").repeat(20).into_bytes();
        let mut archive = Archive::default();
        for number in 0..40 {
            let method = if number % 2 == 0 { Method::Stored } else { Method::Deflated };
            archive = archive.file(&format!("{number}.json"), &text(number), method);
            let photo = if number % 10 == 9 { 300_000 } else { 2000 };
            archive = archive.file(&format!("{number}.jpg"), &vec![7; photo], Method::Stored);
        }
        let bytes = archive.bytes();
        let entries = entries_of(&bytes);
        let wanted: Vec<_> = entries.iter().filter(|it| it.name.ends_with(".json")).rev().collect();
        let source = MemorySource::new(&bytes);
        let mut received = vec![None; wanted.len()];
        now(read_small(&source, &wanted, |index, read| {
            assert!(received[index].replace(read.unwrap()).is_none(), "twice");
        }))
        .unwrap();
        for (entry, received) in wanted.iter().zip(received) {
            let number = entry.name.trim_end_matches(".json").parse().unwrap();
            assert!(received.unwrap() == text(number), "{}", entry.name);
        }
        assert_eq!(source.requests().len(), 4);
        let count: u64 = source.requests().iter().map(|(_, length)| length).sum();
        assert!(count < 200_000, "{count}");
    }

    #[test]
    fn an_entry_that_is_damaged_or_large_fails_alone() {
        let mut archive = Archive::default().file("a", b"first", Method::Stored);
        archive = archive.file("b", &vec![1; MAX_SMALL_BYTES as usize + 1], Method::Deflated);
        let mut bytes = archive.file("c", b"third", Method::Stored).bytes();
        let entries = entries_of(&bytes);
        let at = bytes.windows(5).position(|window| window == b"first").unwrap();
        bytes[at] = b'F';
        let mut received = Vec::new();
        let all: Vec<_> = entries.iter().collect();
        now(read_small(&MemorySource::new(&bytes), &all, |index, read| {
            received.push((index, read.map_err(|failure| failure.reason)));
        }))
        .unwrap();
        received.sort_by_key(|(index, _)| *index);
        let expected = [
            (0, Err(Reason::Corrupted)),
            (1, Err(Reason::Unsupported)),
            (2, Ok(b"third".to_vec())),
        ];
        assert_eq!(received, expected);
    }

    #[test]
    fn an_archive_that_cannot_be_read_is_a_failure() {
        let bytes = Archive::default().file("a", b"first", Method::Stored).bytes();
        let entries = entries_of(&bytes);
        let source = MemorySource::new(&bytes);
        source.fail_with(Reason::NotFound);
        let failed = now(read_small(&source, &[&entries[0]], |_, _| panic!("received")));
        assert_eq!(failed.unwrap_err().reason, Reason::NotFound);
    }
}
