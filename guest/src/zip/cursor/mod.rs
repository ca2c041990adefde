//! Entries of one archive in their order, by one open range that is read forward. Many entries
//! cost one request, and each byte of the archive comes once.
//!
//! A range reaches as far as the reads before it did together: a single entry is read by a range
//! of its own, and a first backup soon by ranges of a gibibyte.

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::rc::Rc;
use wit_bindgen::{StreamWriter, spawn_local};

use super::ZipEntry;
use super::decoder::Decoder;
use super::forward::Forward;
use super::source::RangeSource;
use crate::bindings::plakar::connector::types::{Content, Failure};
use crate::bindings::{wit_future, wit_stream};
use crate::contents;

/// Number of bytes up to which bytes that nothing needs are read, to avoid another request.
const MAX_GAP_BYTES: u64 = 1 << 20;

/// Maximum number of bytes of a range, unless it has a single entry.
const MAX_RANGE_BYTES: u64 = 1 << 30;

/// Number of bytes of an entry that are read before its content is returned: a smaller one is
/// complete by then, or has failed.
const FIRST_BYTES: usize = 1 << 20;

/// Receiver of the bytes of an entry, beside the one that reads its content.
pub trait Tap {
    /// Receives the next bytes.
    fn add(&mut self, bytes: &[u8]);

    /// Notes that the bytes received are all, and those that the directory describes.
    fn complete(self: Box<Self>);
}

/// Offsets of an entry: of its header, and of what follows it.
pub type Span = (u64, u64);

/// Reader of the entries of an archive.
pub struct Cursor<S: RangeSource> {
    source: S,
    /// Entries that may be wanted, in their order.
    spans: Vec<Span>,
    /// Where the last read ended; `None` during a read.
    place: RefCell<Option<Place<S>>>,
}

/// Where a read ended.
struct Place<S: RangeSource> {
    /// Range that is open.
    range: Option<Forward<S>>,
    /// Offset at which the last entry ended.
    offset: u64,
    /// Number of bytes that were read in a row, up to there.
    row: u64,
}

impl<S: RangeSource> Default for Place<S> {
    fn default() -> Self {
        Self { range: None, offset: 0, row: 0 }
    }
}

impl<S: RangeSource + 'static> Cursor<S> {
    /// Creates a cursor. A range ends with one of `spans`, the entries that may be wanted, in
    /// their order. `row` bytes were read in a row before, of other archives.
    pub fn new(source: S, spans: Vec<Span>, row: u64) -> Rc<Self> {
        let start = spans.first().map_or(0, |(start, _)| *start);
        let place = Place { range: None, offset: start, row };
        Rc::new(Self { source, spans, place: RefCell::new(Some(place)) })
    }

    /// Returns the number of bytes that were read in a row, up to the last entry.
    pub fn row(&self) -> u64 {
        self.place.borrow().as_ref().map_or(0, |place| place.row)
    }

    /// Opens an entry, whose bytes also go to `tap`. While the content of another one isn't read
    /// to its end, an entry is read by a range of its own.
    ///
    /// # Errors
    ///
    /// The archive can't be read, or the first bytes aren't those of the entry.
    pub async fn open(
        self: &Rc<Self>,
        entry: &ZipEntry,
        mut tap: Option<Box<dyn Tap>>,
    ) -> Result<Content, Failure> {
        let mut read = self.read(entry);
        let first = read.first_bytes().await?;
        if let Some(tap) = &mut tap {
            tap.add(&first);
        }
        if read.is_done() {
            if let Some(tap) = tap {
                tap.complete();
            }
            return Ok(contents::of_bytes(first));
        }
        let (output, stream) = wit_stream::new();
        let (end_writer, end) = wit_future::new(contents::dropped);
        spawn_local(async move {
            let result = pass_on(read, first, output, tap).await;
            // The reader may have dropped the future.
            let _ = end_writer.write(result).await;
        });
        Ok((stream, end))
    }

    /// Closes the open range. The next entry is read by another one.
    pub fn close(&self) {
        if let Some(place) = &mut *self.place.borrow_mut() {
            *place = Place::default();
        }
    }

    /// Starts to read an entry.
    fn read(self: &Rc<Self>, entry: &ZipEntry) -> EntryRead<S> {
        let place = self.place.borrow_mut().take();
        let (is_lent, mut place) = (place.is_some(), place.unwrap_or_default());
        let gap = entry.header_offset.checked_sub(place.offset);
        if gap.is_none_or(|gap| gap > MAX_GAP_BYTES) {
            place = Place::default();
        }
        if let Some(range) = &mut place.range {
            range.forgive_breaks();
        }
        EntryRead { cursor: self.clone(), is_lent, place, decoder: Decoder::new(entry) }
    }

    /// Returns the end of a range that begins at `position` in an entry, or before it.
    fn range_end(&self, entry: &ZipEntry, position: u64, row: u64) -> u64 {
        let limit = position.saturating_add(row.min(MAX_RANGE_BYTES));
        let mut end = entry.read_end();
        let following = self.spans.partition_point(|(start, _)| *start < entry.end_offset);
        for (start, next_end) in &self.spans[following..] {
            if *next_end > limit || start.saturating_sub(end) > MAX_GAP_BYTES {
                break;
            }
            end = end.max(*next_end);
        }
        end
    }
}

/// Read of one entry.
struct EntryRead<S: RangeSource + 'static> {
    cursor: Rc<Cursor<S>>,
    /// Whether the place is that of the cursor.
    is_lent: bool,
    place: Place<S>,
    decoder: Decoder,
}

impl<S: RangeSource + 'static> Drop for EntryRead<S> {
    fn drop(&mut self) {
        if !self.is_lent {
            return;
        }
        let mut place = std::mem::take(&mut self.place);
        let entry = self.decoder.entry();
        if self.decoder.is_done() {
            place.row += entry.read_end() - entry.header_offset;
            place.offset = entry.end_offset;
        } else {
            place = Place::default();
        }
        *self.cursor.place.borrow_mut() = Some(place);
    }
}

impl<S: RangeSource + 'static> EntryRead<S> {
    /// Reports whether all bytes of the entry were returned.
    fn is_done(&self) -> bool {
        self.decoder.is_done()
    }

    /// Returns the next bytes of the entry; none at its end.
    async fn next(&mut self) -> Result<Vec<u8>, Failure> {
        while !self.decoder.is_done() {
            let step = if self.decoder.needs_input() {
                self.step_with_input().await?
            } else {
                self.decoder.step(&[])?.bytes
            };
            if !step.is_empty() {
                return Ok(step);
            }
        }
        Ok(Vec::new())
    }

    /// Decodes some of the bytes that come next.
    async fn step_with_input(&mut self) -> Result<Vec<u8>, Failure> {
        let Self { cursor, place, decoder, .. } = self;
        let entry = decoder.entry();
        let range = match &mut place.range {
            Some(range) if range.position() < range.end() => range,
            ended => {
                let position = ended.as_ref().map_or(0, Forward::position);
                let position = position.max(entry.header_offset);
                let end = cursor.range_end(entry, position, place.row);
                if position >= end {
                    return Err(entry.damaged("ends early"));
                }
                ended.insert(Forward::new(cursor.source.clone(), position, end))
            }
        };
        range.skip_to(entry.header_offset).await?;
        let input = range.fill().await?;
        if input.is_empty() {
            // The range ended before the entry. The next one begins with it.
            return Ok(Vec::new());
        }
        let step = decoder.step(input)?;
        range.consume(step.consumed);
        Ok(step.bytes)
    }

    /// Returns the first bytes of the entry: all of a small one.
    async fn first_bytes(&mut self) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        while bytes.len() < FIRST_BYTES && !self.is_done() {
            bytes.extend(self.next().await?);
        }
        Ok(bytes)
    }
}

/// Passes on the rest of an entry. Returns how it ended.
async fn pass_on<S: RangeSource + 'static>(
    mut read: EntryRead<S>,
    mut bytes: Vec<u8>,
    mut output: StreamWriter<u8>,
    mut tap: Option<Box<dyn Tap>>,
) -> Result<(), Failure> {
    loop {
        if !output.write_all(bytes).await.is_empty() {
            return contents::dropped();
        }
        bytes = read.next().await?;
        if bytes.is_empty() {
            if let Some(tap) = tap {
                tap.complete();
            }
            return Ok(());
        }
        if let Some(tap) = &mut tap {
            tap.add(&bytes);
        }
    }
}
