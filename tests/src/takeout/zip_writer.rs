//! A writer of zip archives with switches for what Google may do, and for what is wrong.
//!
//! Source: PKWARE's APPNOTE.TXT 6.3.10.

use std::fs::File;
use std::io::{self, BufWriter, Seek, Write};
use std::path::Path;

use super::content::Content;

/// How entries are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ZipStyle {
    /// Deflated, or stored as they are.
    pub deflated: bool,
    /// The sizes follow the data, and the local header has none.
    pub descriptors: bool,
    /// Sizes and offsets have 64 bits though they would fit in 32.
    pub zip64: bool,
    /// Names aren't marked as UTF-8, though they are.
    pub without_utf8_flag: bool,
}

/// What is wrong with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryFault {
    /// The CRC-32 is that of other bytes.
    WrongCrc,
    /// It inflates to more than its size says: by this number of zeros.
    Longer(u64),
    /// Its size is larger than what it inflates to.
    Shorter,
    /// It begins where the entry before it begins.
    Overlapping,
    /// It is marked as encrypted.
    Encrypted,
    /// It has a method that doesn't exist.
    UnknownMethod,
    /// The local header isn't one.
    NoLocalHeader,
}

/// Where an entry is in its archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Name of the entry.
    pub name: String,
    /// Offset of the local header.
    pub start: u64,
    /// Offset behind the data.
    pub end: u64,
}

/// An archive that is being written.
pub struct ZipWriter {
    file: BufWriter<File>,
    style: ZipStyle,
    directory: Vec<u8>,
    placed: Vec<Placed>,
}

/// The sizes of an entry, as they are written.
struct Sizes {
    crc32: u32,
    compressed: u64,
    plain: u64,
}

const MAX_16: u16 = u16::MAX;
const MAX_32: u32 = u32::MAX;

impl ZipWriter {
    /// Creates the archive.
    pub fn create(path: &Path, style: ZipStyle) -> io::Result<Self> {
        let file = BufWriter::with_capacity(1 << 20, File::create(path)?);
        Ok(Self { file, style, directory: Vec::new(), placed: Vec::new() })
    }

    /// Adds a file.
    pub fn add(
        &mut self,
        name: &str,
        content: &Content,
        fault: Option<EntryFault>,
    ) -> io::Result<()> {
        let start = self.file.stream_position()?;
        let wide = self.style.zip64 || content.size() >= u64::from(MAX_32);
        let (sizes, data) = self.pack(content, fault);
        let flags = self.flags(fault);
        let method = self.method(fault);
        self.local_header(name, flags, method, &sizes, wide, fault)?;
        match data {
            Some(data) => self.file.write_all(&data)?,
            None => content.write(&mut self.file)?,
        }
        let end = self.file.stream_position()?;
        if self.style.descriptors {
            self.descriptor(&sizes, wide)?;
        }
        let start = match (fault, self.placed.last()) {
            (Some(EntryFault::Overlapping), Some(last)) => last.start,
            _ => start,
        };
        self.central_header(name, flags, method, &sizes, wide, start);
        self.placed.push(Placed { name: name.to_owned(), start, end });
        Ok(())
    }

    /// The sizes that are written, and the data unless they are the content itself.
    fn pack(&self, content: &Content, fault: Option<EntryFault>) -> (Sizes, Option<Vec<u8>>) {
        let mut sizes =
            Sizes { crc32: content.crc32(), compressed: content.size(), plain: content.size() };
        let mut data = None;
        if self.style.deflated || matches!(fault, Some(EntryFault::Longer(_))) {
            let mut bytes = content.bytes();
            if let Some(EntryFault::Longer(more)) = fault {
                bytes.resize(bytes.len() + usize::try_from(more).unwrap(), 0);
            }
            let deflated = miniz_oxide::deflate::compress_to_vec(&bytes, 6);
            sizes.compressed = deflated.len() as u64;
            data = Some(deflated);
        }
        match fault {
            Some(EntryFault::WrongCrc) => sizes.crc32 ^= 1,
            Some(EntryFault::Shorter) => sizes.plain += 1000,
            _ => {}
        }
        (sizes, data)
    }

    fn flags(&self, fault: Option<EntryFault>) -> u16 {
        let encrypted = fault == Some(EntryFault::Encrypted);
        u16::from(encrypted)
            | u16::from(self.style.descriptors) << 3
            | u16::from(!self.style.without_utf8_flag) << 11
    }

    fn method(&self, fault: Option<EntryFault>) -> u16 {
        match fault {
            Some(EntryFault::UnknownMethod) => 77,
            Some(EntryFault::Longer(_)) => 8,
            _ if self.style.deflated => 8,
            _ => 0,
        }
    }

    fn local_header(
        &mut self,
        name: &str,
        flags: u16,
        method: u16,
        sizes: &Sizes,
        wide: bool,
        fault: Option<EntryFault>,
    ) -> io::Result<()> {
        let mut header = Vec::with_capacity(64 + name.len());
        let signature = if fault == Some(EntryFault::NoLocalHeader) { 0 } else { 0x0403_4b50 };
        push_32(&mut header, signature);
        common(&mut header, flags, method, wide);
        let later = self.style.descriptors;
        push_32(&mut header, if later { 0 } else { sizes.crc32 });
        for size in [sizes.compressed, sizes.plain] {
            push_32(
                &mut header,
                if wide {
                    MAX_32
                } else if later {
                    0
                } else {
                    narrow(size)
                },
            );
        }
        push_16(&mut header, u16::try_from(name.len()).unwrap());
        push_16(&mut header, if wide { 20 } else { 0 });
        header.extend_from_slice(name.as_bytes());
        if wide {
            let [plain, compressed] =
                [sizes.plain, sizes.compressed].map(|size| if later { 0 } else { size });
            extra(&mut header, &[plain, compressed]);
        }
        self.file.write_all(&header)
    }

    fn descriptor(&mut self, sizes: &Sizes, wide: bool) -> io::Result<()> {
        let mut descriptor = Vec::new();
        push_32(&mut descriptor, 0x0807_4b50);
        push_32(&mut descriptor, sizes.crc32);
        for size in [sizes.compressed, sizes.plain] {
            if wide {
                descriptor.extend_from_slice(&size.to_le_bytes());
            } else {
                push_32(&mut descriptor, narrow(size));
            }
        }
        self.file.write_all(&descriptor)
    }

    fn central_header(
        &mut self,
        name: &str,
        flags: u16,
        method: u16,
        sizes: &Sizes,
        wide: bool,
        start: u64,
    ) {
        let wide = wide || start >= u64::from(MAX_32);
        let header = &mut self.directory;
        push_32(header, 0x0201_4b50);
        push_16(header, 0x0300 | 45);
        common(header, flags, method, wide);
        push_32(header, sizes.crc32);
        for size in [sizes.compressed, sizes.plain] {
            push_32(header, if wide { MAX_32 } else { narrow(size) });
        }
        push_16(header, u16::try_from(name.len()).unwrap());
        push_16(header, if wide { 28 } else { 0 });
        // Comment, disk, internal and external attributes.
        header.extend_from_slice(&[0; 6]);
        push_32(header, 0o100_644 << 16);
        push_32(header, if wide { MAX_32 } else { narrow(start) });
        header.extend_from_slice(name.as_bytes());
        if wide {
            extra(header, &[sizes.plain, sizes.compressed, start]);
        }
    }

    /// Writes the central directory; returns where the entries are.
    pub fn finish(mut self) -> io::Result<Vec<Placed>> {
        let start = self.file.stream_position()?;
        let (length, count) = (self.directory.len() as u64, self.placed.len() as u64);
        self.file.write_all(&self.directory)?;
        let wide = self.style.zip64 || start >= u64::from(MAX_32) || count >= u64::from(MAX_16);
        let mut tail = Vec::new();
        if wide {
            push_32(&mut tail, 0x0606_4b50);
            tail.extend_from_slice(&44_u64.to_le_bytes());
            push_16(&mut tail, 45);
            push_16(&mut tail, 45);
            push_32(&mut tail, 0);
            push_32(&mut tail, 0);
            for number in [count, count, length, start] {
                tail.extend_from_slice(&number.to_le_bytes());
            }
            push_32(&mut tail, 0x0706_4b50);
            push_32(&mut tail, 0);
            tail.extend_from_slice(&(start + length).to_le_bytes());
            push_32(&mut tail, 1);
        }
        push_32(&mut tail, 0x0605_4b50);
        push_32(&mut tail, 0);
        let short_count = if wide { MAX_16 } else { u16::try_from(count).unwrap() };
        push_16(&mut tail, short_count);
        push_16(&mut tail, short_count);
        push_32(&mut tail, if wide { MAX_32 } else { narrow(length) });
        push_32(&mut tail, if wide { MAX_32 } else { narrow(start) });
        push_16(&mut tail, 0);
        self.file.write_all(&tail)?;
        self.file.flush()?;
        Ok(self.placed)
    }
}

/// What both headers of an entry have at their beginning: the version, flags, method and time.
fn common(header: &mut Vec<u8>, flags: u16, method: u16, wide: bool) {
    push_16(header, if wide { 45 } else { 20 });
    push_16(header, flags);
    push_16(header, method);
    // 2025-01-01 00:00:00, as all entries of an export have its time.
    push_16(header, 0);
    push_16(header, (45 << 9) | (1 << 5) | 1);
}

/// The extra field of zip64.
fn extra(header: &mut Vec<u8>, numbers: &[u64]) {
    push_16(header, 1);
    push_16(header, u16::try_from(numbers.len() * 8).unwrap());
    numbers.iter().for_each(|number| header.extend_from_slice(&number.to_le_bytes()));
}

fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap()
}

fn push_16(to: &mut Vec<u8>, number: u16) {
    to.extend_from_slice(&number.to_le_bytes());
}

fn push_32(to: &mut Vec<u8>, number: u32) {
    to.extend_from_slice(&number.to_le_bytes());
}
