//! A part of an archive that is read forward. A transfer that breaks is continued where it broke.

use super::source::{RangeSource, RangeStream};
use crate::bindings::plakar::connector::types::{Failure, Reason};

/// Number of breaks after which a read fails.
const MAX_BREAKS: u32 = 3;

/// Open part of an archive.
pub struct Forward<S: RangeSource> {
    source: S,
    stream: Option<S::Stream>,
    /// Bytes that arrived, of which the first `consumed` are used up.
    chunk: Vec<u8>,
    consumed: usize,
    /// Offset of the next byte that isn't consumed.
    position: u64,
    end: u64,
    breaks: u32,
}

impl<S: RangeSource> Forward<S> {
    /// Creates the part between two offsets. Nothing is requested yet.
    pub fn new(source: S, position: u64, end: u64) -> Self {
        Self { source, stream: None, chunk: Vec::new(), consumed: 0, position, end, breaks: 0 }
    }

    /// Returns the offset of the next byte.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Returns the offset at which the part ends.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Allows as many breaks as at the beginning.
    pub fn forgive_breaks(&mut self) {
        self.breaks = 0;
    }

    /// Returns the bytes that arrived and aren't consumed; none only at the end of the part.
    ///
    /// # Errors
    ///
    /// The part can't be read.
    pub async fn fill(&mut self) -> Result<&[u8], Failure> {
        while self.consumed == self.chunk.len() && self.position < self.end {
            match self.receive().await {
                Ok(chunk) => (self.chunk, self.consumed) = (chunk, 0),
                Err(failure) => {
                    self.stream = None;
                    self.breaks += 1;
                    if self.breaks > MAX_BREAKS || !may_continue(&failure) {
                        return Err(failure);
                    }
                }
            }
        }
        Ok(&self.chunk[self.consumed..])
    }

    /// Receives the next bytes.
    async fn receive(&mut self) -> Result<Vec<u8>, Failure> {
        let left = self.end - self.position;
        if self.stream.is_none() {
            self.stream = Some(self.source.open(self.position, left).await?);
        }
        let Some(stream) = &mut self.stream else { return Err(ended_early()) };
        let chunk = stream.next().await?.ok_or_else(ended_early)?;
        if chunk.len() as u64 > left {
            return Err(Failure::internal("more bytes came than were asked for"));
        }
        Ok(chunk)
    }

    /// Consumes bytes that [`Self::fill`] returned.
    pub fn consume(&mut self, count: usize) {
        self.consumed += count;
        self.position += count as u64;
    }

    /// Consumes bytes up to an offset, or to the end of the part.
    ///
    /// # Errors
    ///
    /// The part can't be read.
    pub async fn skip_to(&mut self, offset: u64) -> Result<(), Failure> {
        while self.position < offset {
            let wanted = offset - self.position;
            let count = self.fill().await?.len();
            if count == 0 {
                return Ok(());
            }
            self.consume(usize::try_from(wanted).unwrap_or(count).min(count));
        }
        Ok(())
    }
}

/// Reads all bytes between two offsets, and appends them.
///
/// # Errors
///
/// They can't be read.
pub async fn append_range<S: RangeSource>(
    source: &S,
    start: u64,
    end: u64,
    bytes: &mut Vec<u8>,
) -> Result<(), Failure> {
    let mut part = Forward::new(source.clone(), start, end);
    loop {
        let arrived = part.fill().await?;
        if arrived.is_empty() {
            return Ok(());
        }
        bytes.extend_from_slice(arrived);
        let count = arrived.len();
        part.consume(count);
    }
}

/// Reports whether a part may be readable although a read of it failed.
fn may_continue(failure: &Failure) -> bool {
    matches!(
        failure.reason,
        Reason::Unavailable
            | Reason::Corrupted
            | Reason::Cancelled
            | Reason::RateLimited
            | Reason::Internal
    )
}

fn ended_early() -> Failure {
    let message = "a part of the archive ended early";
    Failure::new(Reason::Unavailable, message).with_help("run the backup again")
}

#[cfg(test)]
mod tests {
    use super::super::tests::{MemorySource, now};
    use super::*;

    fn numbers(count: usize) -> Vec<u8> {
        (0..count).map(|number| (number / 7) as u8).collect()
    }

    #[test]
    fn a_part_that_breaks_is_continued_three_times_where_it_broke() {
        let bytes = numbers(1000);
        let source = MemorySource::new(&bytes);
        source.break_at(&[200, 300, 400]);
        let mut read = Vec::new();
        now(append_range(&source, 100, 900, &mut read)).unwrap();
        assert_eq!(read, &bytes[100..900]);
        assert_eq!(source.requests(), [(100, 800), (200, 700), (300, 600), (400, 500)]);

        let source = MemorySource::new(&bytes);
        source.break_at(&[200, 300, 400, 500]);
        let failed = now(append_range(&source, 100, 900, &mut read)).unwrap_err();
        assert_eq!(failed.reason, Reason::Unavailable);
    }

    #[test]
    fn a_failure_that_would_come_again_is_not_tried_again() {
        let source = MemorySource::new(b"0123");
        source.fail_with(Reason::Denied);
        let mut read = Vec::new();
        assert_eq!(now(append_range(&source, 0, 4, &mut read)).unwrap_err().reason, Reason::Denied);
        assert_eq!(source.requests().len(), 1);
    }

    #[test]
    fn bytes_are_skipped_up_to_the_end_of_the_part() {
        let bytes = numbers(1000);
        let source = MemorySource::new(&bytes);
        let mut part = Forward::new(source, 100, 200);
        now(part.skip_to(150)).unwrap();
        assert_eq!((part.position(), now(part.fill()).unwrap()[0]), (150, bytes[150]));
        now(part.skip_to(300)).unwrap();
        assert_eq!(part.position(), 200);
        assert!(now(part.fill()).unwrap().is_empty());
    }
}
