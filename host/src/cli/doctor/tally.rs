//! Numbers and samples of what a listing shows.

use bytesize::ByteSize;

use crate::connector::Entry;

/// Number of items of which each is printed.
const MAX_PRINTED: usize = 5;

/// Number and size of files.
#[derive(Debug, Default)]
pub struct Total {
    pub count: u64,
    pub bytes: u64,
}

impl Total {
    /// Counts a file.
    pub fn add(&mut self, entry: &Entry) {
        self.count += 1;
        self.bytes += entry.metadata.size.unwrap_or_default();
    }

    /// Displays both, for files that are called `what`.
    pub fn text(&self, what: &str) -> String {
        format!("{} {what} ({})", self.count, ByteSize(self.bytes).display().iec())
    }
}

/// The first of many, and how many there are.
#[derive(Debug)]
pub struct Sample<T> {
    pub first: Vec<T>,
    pub count: usize,
}

impl<T> Default for Sample<T> {
    fn default() -> Self {
        Self { first: Vec::new(), count: 0 }
    }
}

impl<T> Sample<T> {
    /// Counts an item, and keeps it if it is one of the first.
    pub fn add(&mut self, item: T) {
        self.count += 1;
        if self.first.len() < MAX_PRINTED {
            self.first.push(item);
        }
    }

    /// The number of items that aren't kept.
    pub fn more(&self) -> usize {
        self.count - self.first.len()
    }
}
