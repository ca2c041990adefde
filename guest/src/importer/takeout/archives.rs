//! Entries of archives: the files of an archive are read in their order, as far as they are opened
//! so, and of at most two archives at a time.

use std::cell::RefCell;
use std::rc::Rc;

use super::archive_file::ArchiveFile;
use crate::bindings::plakar::connector::types::{Content, Failure};
use crate::importer::reader_pool::ReaderPool;
use crate::path::RemotePath;
use crate::zip::{Cursor, Method, Span, Tap, ZipEntry};

/// Maximum number of archives that have a range open.
const MAX_CURSORS: usize = 2;

/// Archives whose entries are files of the snapshot.
pub struct Archives {
    pool: Rc<ReaderPool>,
    archives: Vec<Option<Archive>>,
    /// Cursors by the numbers of their archives, the one that was used last at the end.
    cursors: RefCell<Vec<(u32, Rc<Cursor<ArchiveFile>>)>>,
}

struct Archive {
    path: RemotePath,
    entries: Vec<Location>,
    /// Entries that are files of the snapshot, in their order.
    wanted: Vec<Span>,
}

/// Where an entry is in an archive, and what it is there: a [`ZipEntry`] without its name.
struct Location {
    size: u64,
    compressed_size: u64,
    header_offset: u64,
    end_offset: u64,
    crc32: u32,
    method: Method,
}

impl Archives {
    /// Creates the archives of a directory, none of which is known yet.
    pub fn new(pool: Rc<ReaderPool>) -> Self {
        Self { pool, archives: Vec::new(), cursors: RefCell::default() }
    }

    /// Adds an archive with the number that its entries are opened by, and all of its entries.
    pub fn add(&mut self, number: u32, path: RemotePath, entries: &[ZipEntry]) {
        let index = number as usize;
        if self.archives.len() <= index {
            self.archives.resize_with(index + 1, || None);
        }
        let entries = entries.iter().map(Location::new).collect();
        self.archives[index] = Some(Archive { path, entries, wanted: Vec::new() });
    }

    /// Notes which entries are files of the snapshot: numbers of archives, and of entries in them.
    pub fn want(&mut self, wanted: impl Iterator<Item = (u32, u32)>) {
        for (archive, entry) in wanted {
            if let Some(Some(archive)) = self.archives.get_mut(archive as usize)
                && let Some(Location { header_offset, end_offset, .. }) =
                    archive.entries.get(entry as usize)
            {
                archive.wanted.push((*header_offset, *end_offset));
            }
        }
        for archive in self.archives.iter_mut().flatten() {
            archive.wanted.sort_unstable();
            archive.wanted.dedup();
            archive.wanted.shrink_to_fit();
        }
    }

    /// Opens an entry, whose bytes also go to `tap`. `name` is what failures call it.
    ///
    /// # Errors
    ///
    /// The archive can't be read, or the entry isn't what it was when its directory was read.
    pub async fn open(
        &self,
        (number, entry): (u32, u32),
        name: &str,
        tap: Option<Box<dyn Tap>>,
    ) -> Result<Content, Failure> {
        let archive = self.archives.get(number as usize).and_then(Option::as_ref);
        let location = archive.and_then(|archive| archive.entries.get(entry as usize));
        let Some((archive, location)) = archive.zip(location) else {
            return Err(Failure::internal("a file of an archive that isn't known was opened"));
        };
        self.cursor(number, archive).open(&location.entry(name), tap).await
    }

    /// Returns the cursor of an archive. The range of the one that was used before the last one is
    /// closed.
    fn cursor(&self, number: u32, archive: &Archive) -> Rc<Cursor<ArchiveFile>> {
        let mut cursors = self.cursors.borrow_mut();
        let cursor = match cursors.iter().position(|(known, _)| *known == number) {
            Some(index) => cursors.remove(index).1,
            None => {
                let file = ArchiveFile::new(self.pool.clone(), archive.path.clone());
                let row = cursors.last().map_or(0, |(_, last)| last.row());
                Cursor::new(file, archive.wanted.clone(), row)
            }
        };
        if cursors.len() == MAX_CURSORS {
            let (_, oldest) = cursors.remove(0);
            oldest.close();
        }
        cursors.push((number, cursor.clone()));
        cursor
    }
}

impl Location {
    fn new(entry: &ZipEntry) -> Self {
        let ZipEntry { size, compressed_size, header_offset, end_offset, crc32, method, .. } =
            *entry;
        Self { size, compressed_size, header_offset, end_offset, crc32, method }
    }

    fn entry(&self, name: &str) -> ZipEntry {
        let Self { size, compressed_size, header_offset, end_offset, crc32, method } = *self;
        let name = name.to_owned();
        ZipEntry { name, size, compressed_size, crc32, method, header_offset, end_offset }
    }
}
