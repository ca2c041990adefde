//! Exports of Google Takeout as a library of Google Photos: archives are read where they are.
//!
//! - [`scan`], [`directory`]: exports in a directory, and what they have
//! - [`index`]: directory and sidecars of an archive, kept between backups
//! - [`entries`]: entries of the snapshot
//! - [`reader`]: files of the snapshot, and where their bytes are
//! - [`archives`], [`archive_file`]: entries of archives, each archive read in one direction

mod archive_file;
mod archives;
mod directory;
mod entries;
mod index;
mod reader;
mod scan;

use std::cell::RefCell;
use std::rc::Rc;

use super::events::EventSender;
use super::reader_pool::ReaderPool;
use crate::backends::Backend;
use crate::bindings::plakar::connector::types::{Content, Failure, Reason};
use crate::takeout::library::Selection;
use reader::TakeoutReader;
use scan::TakeoutScan;

/// Importer of exports.
pub struct Takeout {
    pool: Rc<ReaderPool>,
    selection: Selection,
    /// Reader of the files that the last scan found.
    reader: RefCell<Option<Rc<TakeoutReader>>>,
}

impl Takeout {
    /// Creates an importer of the exports in a remote. Nothing is started yet.
    pub fn new(pool: Rc<ReaderPool>, selection: Selection) -> Self {
        Self { pool, selection, reader: RefCell::default() }
    }

    /// Lists the library that the exports make.
    ///
    /// # Errors
    ///
    /// The directory can't be listed, or has no photo.
    pub async fn scan(&self, backend: Backend, events: EventSender) -> Result<(), Failure> {
        let scan = TakeoutScan::start(&self.pool, backend, events).await?;
        let set_reader = |reader| {
            let reader = Rc::new(reader);
            *self.reader.borrow_mut() = Some(Rc::clone(&reader));
            reader
        };
        scan.run(self.selection, set_reader).await
    }

    /// Reads the file at an absolute path.
    ///
    /// # Errors
    ///
    /// The scan found no such file, or it can't be read.
    pub async fn read(&self, path: &str) -> Result<Content, Failure> {
        let reader = self.reader.borrow().clone();
        match reader {
            Some(reader) => reader.read(path).await,
            None => Err(Failure::new(Reason::NotFound, "the scan hasn't found any file yet")),
        }
    }

    /// Notes that Plakar is done with an absolute path.
    pub fn acknowledge(&self, path: &str) {
        if let Some(reader) = &*self.reader.borrow() {
            reader.acknowledge(path);
        }
    }
}
