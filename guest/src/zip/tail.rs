//! The end of an archive in memory, which grows towards its beginning as the reader of the
//! directory asks for it.

use rawzip::ReaderAt;
use std::cell::Cell;
use std::io;

use super::forward::append_range;
use super::source::RangeSource;
use crate::bindings::plakar::connector::types::{Failure, Reason};

/// Number of bytes that are read first. The record that leads to the directory is in the last
/// 66 KiB, and the directory of a thousand entries in the rest.
pub const FIRST_BYTES: u64 = 128 << 10;

/// Maximum number of bytes that are read: the directory of half a million entries.
const MAX_BYTES: u64 = 64 << 20;

/// Bytes at the end of an archive.
pub struct Tail {
    bytes: Vec<u8>,
    /// Offset of the first one.
    start: u64,
    /// Lowest offset that was asked for and is before `start`.
    missing: Cell<Option<u64>>,
}

impl Tail {
    /// Reads the end of an archive of `size` bytes.
    ///
    /// # Errors
    ///
    /// It can't be read.
    pub async fn read(source: &impl RangeSource, size: u64) -> Result<Self, Failure> {
        let start = size.saturating_sub(FIRST_BYTES);
        let mut bytes = Vec::new();
        append_range(source, start, size, &mut bytes).await?;
        Ok(Self { bytes, start, missing: Cell::default() })
    }

    /// Reads what was asked for and is before the bytes. Returns whether there was anything.
    ///
    /// # Errors
    ///
    /// It can't be read, or is too much.
    pub async fn extend(&mut self, source: &impl RangeSource) -> Result<bool, Failure> {
        let Some(start) = self.missing.take() else { return Ok(false) };
        let total = self.start - start + self.bytes.len() as u64;
        if total > MAX_BYTES {
            let message = format!(
                "the directory of the archive would begin {total} bytes before its end, and at \
                 most {MAX_BYTES} are read"
            );
            return Err(Failure::new(Reason::Unsupported, message)
                .with_help("choose smaller archives for the export, or unpack this one"));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(total).unwrap_or_default());
        append_range(source, start, self.start, &mut bytes).await?;
        bytes.extend_from_slice(&self.bytes);
        (self.bytes, self.start) = (bytes, start);
        Ok(true)
    }

    /// Reports whether something was asked for that isn't there.
    pub fn is_short(&self) -> bool {
        self.missing.get().is_some()
    }
}

impl ReaderAt for Tail {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let Some(skipped) = offset.checked_sub(self.start) else {
            let lowest = self.missing.get().map_or(offset, |known| known.min(offset));
            self.missing.set(Some(lowest));
            return Err(io::Error::other("these bytes aren't there yet"));
        };
        let rest = usize::try_from(skipped).ok().and_then(|skipped| self.bytes.get(skipped..));
        let rest = rest.unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}
