//! Looks for texts where programs could have left them: in their memory, their environment
//! and arguments, and in files.

use memchr::memmem;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use crate::env::files_below;

/// Number of bytes that are read at once.
const PIECE_BYTES: u64 = 4 << 20;

/// Minimum of the bytes of address space that wasmtime leaves unused after a linear memory.
const RESERVED_BYTES: u64 = 3 << 30;

/// A part of a process's address space.
struct Mapping {
    start: u64,
    end: u64,
    permissions: String,
}

/// Those of `texts` that are anywhere in the memory that a process can write.
pub fn memory<'a>(id: u32, texts: &[&'a str]) -> Vec<&'a str> {
    let writable = mappings(id).into_iter().filter(|it| it.permissions.starts_with("rw"));
    held(id, writable, texts)
}

/// The same for each linear memory of a component that is at work in a process: what is
/// accessible of one is followed by gigabytes of address space that isn't.
pub fn components<'a>(id: u32, texts: &[&'a str]) -> Vec<Vec<&'a str>> {
    let mut components = Vec::new();
    let mut accessible: Vec<Mapping> = Vec::new();
    for mapping in mappings(id) {
        if accessible.last().is_some_and(|last| last.end != mapping.start) {
            accessible.clear();
        }
        if mapping.permissions.starts_with("rw") {
            accessible.push(mapping);
            continue;
        }
        let reserved =
            mapping.permissions == "---p" && mapping.end - mapping.start > RESERVED_BYTES;
        let memory = std::mem::take(&mut accessible);
        if reserved && !memory.is_empty() {
            components.push(held(id, memory.into_iter(), texts));
        }
    }
    components
}

/// Those that are in a process's environment or arguments.
pub fn said<'a>(id: u32, texts: &[&'a str]) -> Vec<&'a str> {
    let read = |name: &str| fs::read(format!("/proc/{id}/{name}")).unwrap_or_default();
    found(&[read("environ"), read("cmdline")].concat(), texts)
}

/// Those that are in a file below this directory, or in the name of one.
pub fn files<'a>(directory: &Path, texts: &[&'a str]) -> Vec<&'a str> {
    let text = |path: &Path| {
        let bytes = fs::read(path).unwrap_or_default();
        [path.as_os_str().as_encoded_bytes(), &bytes].concat()
    };
    union(files_below(directory).iter().map(|path| found(&text(path), texts)))
}

/// Those that are in these bytes.
pub fn found<'a>(bytes: &[u8], texts: &[&'a str]) -> Vec<&'a str> {
    let is_in = |text: &&&str| memmem::find(bytes, text.as_bytes()).is_some();
    texts.iter().filter(is_in).copied().collect()
}

fn union<'a>(all: impl Iterator<Item = Vec<&'a str>>) -> Vec<&'a str> {
    let mut all: Vec<_> = all.flatten().collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// The mappings of a process; none once it has ended.
fn mappings(id: u32) -> Vec<Mapping> {
    let text = fs::read_to_string(format!("/proc/{id}/maps")).unwrap_or_default();
    let mapping = |line: &str| {
        let mut words = line.split_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        let number = |text| u64::from_str_radix(text, 16).ok();
        let permissions = words.next()?.to_owned();
        Some(Mapping { start: number(start)?, end: number(end)?, permissions })
    };
    text.lines().filter_map(mapping).collect()
}

/// Those of `texts` that are in these mappings, as far as they can be read: a process may
/// give memory back meanwhile.
fn held<'a>(id: u32, mappings: impl Iterator<Item = Mapping>, texts: &[&'a str]) -> Vec<&'a str> {
    let Ok(mut memory) = File::open(format!("/proc/{id}/mem")) else { return Vec::new() };
    // What lies across the border of two pieces is in both.
    let overlap = texts.iter().map(|text| text.len() as u64).max().unwrap_or(0);
    let pieces = mappings.flat_map(|Mapping { start, end, .. }| {
        let starts = (start..end).step_by(usize::try_from(PIECE_BYTES).unwrap());
        starts.map(move |at| (at, (at + PIECE_BYTES + overlap).min(end)))
    });
    union(pieces.map(|(start, end)| {
        let mut bytes = Vec::new();
        if memory.seek(SeekFrom::Start(start)).is_ok() {
            let _ = memory.by_ref().take(end - start).read_to_end(&mut bytes);
        }
        found(&bytes, texts)
    }))
}
