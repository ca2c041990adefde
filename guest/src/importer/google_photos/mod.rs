//! Google Photos, as rclone shows it: a tree of views in which one photo has several
//! paths, no known size, and an address that is good for an hour.
//!
//! - [`views`]: which parts of the tree are listed, and how
//! - [`scan`]: the paths of one photo next to each other
//! - [`shared_download`]: one download for all paths of a photo
//! - [`reader`]: reads that need no look-up, by addresses that are fresh

pub mod reader;
pub mod scan;
pub mod shared_download;
pub mod views;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use crate::exporter::google_photos::writer::Restored;

/// rclone's name of the backend.
pub const BACKEND: &str = "google photos";

/// What a session of this backend knows beside what every session knows.
#[derive(Default)]
pub struct Photos {
    /// Paths in the snapshot that rclone knows by another name, and that name.
    renamed: RefCell<HashMap<String, String>>,
    /// Bytes of photos that are held for their other paths.
    held: Rc<Cell<u64>>,
    /// How many photos were asked for by their IDs.
    asked: Cell<usize>,
    readers: reader::Readers,
    pub restored: Restored,
}

impl Photos {
    /// The path, below the session's root, that rclone knows the file by.
    fn remote_path(&self, path: &str) -> String {
        self.renamed.borrow().get(path).cloned().unwrap_or_else(|| path.to_owned())
    }
}
