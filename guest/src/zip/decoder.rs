//! The bytes of one entry, from its local header to its end: inflated, counted, and compared with
//! the size and the CRC-32 of the directory.

use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZError, MZFlush, MZStatus};

use super::{LOCAL_HEADER_BYTES, Method, ZipEntry};
use crate::bindings::plakar::connector::types::Failure;

/// Maximum number of bytes that one step returns.
const STEP_BYTES: usize = 256 << 10;

/// First bytes of a local header.
const LOCAL_HEADER_SIGNATURE: [u8; 4] = *b"PK\x03\x04";

/// Decoder of one entry.
pub struct Decoder {
    entry: ZipEntry,
    stage: Stage,
    crc32: crc32fast::Hasher,
    /// Number of bytes that were returned.
    size: u64,
}

enum Stage {
    /// The local header, as far as it is known.
    Header(Vec<u8>),
    /// Number of bytes of the local header that are still to be skipped.
    Fields(u64),
    /// Number of compressed bytes that are still to come.
    Data(u64, Decompressor),
    Done,
}

enum Decompressor {
    Stored,
    Deflated(Box<Inflater>),
}

/// State of DEFLATE, and room for its output.
struct Inflater {
    state: InflateState,
    output: Vec<u8>,
}

/// Result of a step.
#[derive(Debug, Default)]
pub struct Step {
    /// Number of bytes that were used up. The others have to be given again.
    pub consumed: usize,
    /// Bytes of the file.
    pub bytes: Vec<u8>,
    /// Whether no more bytes of the file come.
    is_last: bool,
}

impl Decoder {
    /// Creates the decoder of an entry.
    pub fn new(entry: &ZipEntry) -> Self {
        let header = Vec::with_capacity(LOCAL_HEADER_BYTES as usize);
        let stage = Stage::Header(header);
        Self { entry: entry.clone(), stage, crc32: crc32fast::Hasher::new(), size: 0 }
    }

    /// Returns the entry.
    pub fn entry(&self) -> &ZipEntry {
        &self.entry
    }

    /// Reports whether all bytes were returned, and are as they should be.
    pub fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done)
    }

    /// Reports whether the next step needs some of the bytes that come next.
    pub fn needs_input(&self) -> bool {
        match self.stage {
            Stage::Header(_) | Stage::Fields(_) => true,
            Stage::Data(left, _) => left > 0,
            Stage::Done => false,
        }
    }

    /// Takes some of the bytes that come next, the first ones being those of the local header.
    ///
    /// # Errors
    ///
    /// The bytes aren't those of the entry. What was returned before isn't a file then.
    pub fn step(&mut self, input: &[u8]) -> Result<Step, Failure> {
        let step = match &mut self.stage {
            Stage::Header(header) => {
                let missing = LOCAL_HEADER_BYTES as usize - header.len();
                let consumed = missing.min(input.len());
                header.extend_from_slice(&input[..consumed]);
                if header.len() == LOCAL_HEADER_BYTES as usize {
                    self.stage = Stage::Fields(check_header(header, &self.entry)?);
                }
                Step { consumed, ..Step::default() }
            }
            Stage::Fields(left) => {
                let consumed = at_most(*left, input.len());
                *left -= consumed as u64;
                Step { consumed, ..Step::default() }
            }
            Stage::Data(left, decompressor) => {
                let input = &input[..at_most(*left, input.len())];
                let step = decompressor.step(input, &self.entry)?;
                *left -= step.consumed as u64;
                if step.is_last && *left > 0 {
                    return Err(self.entry.damaged("ends before its compressed bytes"));
                }
                step
            }
            Stage::Done => Step::default(),
        };
        self.size += step.bytes.len() as u64;
        if self.size > self.entry.size {
            return Err(self.entry.damaged("has more bytes than its directory says"));
        }
        self.crc32.update(&step.bytes);
        self.advance(step.is_last)?;
        Ok(step)
    }

    /// Goes to the next stage if this one is complete.
    fn advance(&mut self, is_last: bool) -> Result<(), Failure> {
        if let Stage::Fields(0) = self.stage {
            let size = self.entry.compressed_size;
            self.stage = Stage::Data(size, Decompressor::new(&self.entry));
        }
        let is_empty = matches!(self.stage, Stage::Data(0, Decompressor::Stored));
        if !is_last && !is_empty {
            return Ok(());
        }
        if self.size != self.entry.size {
            return Err(self.entry.damaged("has fewer bytes than its directory says"));
        }
        if self.crc32.clone().finalize() != self.entry.crc32 {
            return Err(self.entry.damaged("isn't what it was: its CRC-32 differs"));
        }
        self.stage = Stage::Done;
        Ok(())
    }
}

impl Decompressor {
    fn new(entry: &ZipEntry) -> Self {
        if entry.method == Method::Stored || entry.compressed_size == 0 {
            return Self::Stored;
        }
        // One byte more than expected, so that a larger file is noticed.
        let room = at_most(entry.size.saturating_add(1), STEP_BYTES);
        let state = InflateState::new(DataFormat::Raw);
        Self::Deflated(Box::new(Inflater { state, output: vec![0; room] }))
    }

    fn step(&mut self, input: &[u8], entry: &ZipEntry) -> Result<Step, Failure> {
        let Self::Deflated(inflater) = self else {
            let bytes = &input[..input.len().min(STEP_BYTES)];
            return Ok(Step { consumed: bytes.len(), bytes: bytes.to_vec(), is_last: false });
        };
        let Inflater { state, output } = &mut **inflater;
        let inflated = inflate(state, input, output, MZFlush::None);
        let step = Step {
            consumed: inflated.bytes_consumed,
            bytes: output[..inflated.bytes_written].to_vec(),
            is_last: inflated.status == Ok(MZStatus::StreamEnd),
        };
        let is_stuck = step.consumed == 0 && step.bytes.is_empty() && !step.is_last;
        match inflated.status {
            Ok(_) | Err(MZError::Buf) if !is_stuck => Ok(step),
            _ if input.is_empty() => Err(entry.damaged("ends in the middle")),
            _ => Err(entry.damaged("can't be decompressed")),
        }
    }
}

/// Returns the number of bytes that are available, or the limit if that is smaller.
fn at_most(limit: u64, available: usize) -> usize {
    usize::try_from(limit).map_or(available, |limit| limit.min(available))
}

/// Checks a local header. Returns the number of bytes between it and the compressed bytes.
///
/// Source: 4.3.7 of PKWARE's APPNOTE.
fn check_header(header: &[u8], entry: &ZipEntry) -> Result<u64, Failure> {
    let number = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
    if !header.starts_with(&LOCAL_HEADER_SIGNATURE) {
        return Err(entry.damaged("isn't where its directory says"));
    }
    let method = match entry.method {
        Method::Stored => 0,
        Method::Deflated => 8,
    };
    if number(8) != method {
        return Err(entry.damaged("isn't compressed as its directory says"));
    }
    let fields = u64::from(number(26)) + u64::from(number(28));
    let end = entry.header_offset + LOCAL_HEADER_BYTES + fields + entry.compressed_size;
    if end > entry.end_offset {
        return Err(entry.damaged("shares bytes with what follows it"));
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Archive, entries_of};
    use super::*;

    /// Decodes an entry whose bytes come in pieces of this size.
    fn decode(archive: &[u8], entry: &ZipEntry, piece: usize) -> Result<Vec<u8>, Failure> {
        let mut decoder = Decoder::new(entry);
        let mut rest = &archive[entry.header_offset as usize..];
        let mut decoded = Vec::new();
        while !decoder.is_done() {
            let input = if decoder.needs_input() { &rest[..piece.min(rest.len())] } else { &[] };
            assert!(!(decoder.needs_input() && input.is_empty()), "it wants more than there is");
            let step = decoder.step(input)?;
            assert!(step.bytes.len() <= STEP_BYTES);
            rest = &rest[step.consumed..];
            decoded.extend(step.bytes);
        }
        Ok(decoded)
    }

    #[test]
    fn an_entry_is_the_same_in_whatever_pieces_it_comes() {
        let large: Vec<u8> = (0..900_000_u32).map(|number| (number / 1000 * 7) as u8).collect();
        for bytes in [b"".as_slice(), b"x", b"hello hello hello hello", &large] {
            for method in [Method::Stored, Method::Deflated] {
                let archive = Archive::default().file("a/b", bytes, method).bytes();
                let entry = entries_of(&archive).remove(0);
                for piece in [1, 2, 7, 4096, 1 << 20] {
                    if piece < 7 && bytes.len() > 1000 {
                        continue;
                    }
                    assert!(
                        decode(&archive, &entry, piece).unwrap() == bytes,
                        "{piece} {method:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn an_entry_that_is_not_what_its_directory_says_fails() {
        let text = b"some text, some text, some text, some more text";
        for method in [Method::Stored, Method::Deflated] {
            let archive = Archive::default().file("a", text, method).bytes();
            let entry = entries_of(&archive).remove(0);
            let fails = |entry: &ZipEntry, why: &str| {
                let message = decode(&archive, entry, 16).unwrap_err().message;
                assert!(message.contains(why), "{message}");
            };
            fails(&ZipEntry { crc32: entry.crc32 ^ 1, ..entry.clone() }, "CRC-32");
            fails(&ZipEntry { size: entry.size - 1, ..entry.clone() }, "more bytes");
            fails(&ZipEntry { size: entry.size + 1, ..entry.clone() }, "fewer bytes");
            fails(&ZipEntry { header_offset: 1, ..entry.clone() }, "isn't where");
            let end_offset = entry.header_offset + 40;
            fails(&ZipEntry { end_offset, ..entry.clone() }, "shares bytes");
            let other = match method {
                Method::Stored => Method::Deflated,
                Method::Deflated => Method::Stored,
            };
            fails(&ZipEntry { method: other, ..entry.clone() }, "isn't compressed as");
        }
        let archive = Archive::default().file("a", text, Method::Deflated).bytes();
        let entry = entries_of(&archive).remove(0);
        let cut = ZipEntry { compressed_size: entry.compressed_size - 2, ..entry };
        let message = decode(&archive, &cut, 16).unwrap_err().message;
        assert!(message.contains("ends in the middle"), "{message}");
    }

    #[test]
    fn a_changed_byte_never_passes_as_the_file() {
        let text = b"some text, some text, some text, some more text";
        let archive = Archive::default().file("a", text, Method::Deflated).bytes();
        let entry = entries_of(&archive).remove(0);
        let mut noticed = 0;
        for at in entry.header_offset as usize..entry.end_offset as usize {
            for bit in 0..8 {
                let mut changed = archive.clone();
                changed[at] ^= 1 << bit;
                match decode(&changed, &entry, 1 << 20) {
                    Ok(read) => assert_eq!(read, text, "byte {at}, bit {bit}"),
                    Err(_) => noticed += 1,
                }
            }
        }
        assert!(noticed > 4 * entry.compressed_size, "{noticed}");
    }
}
