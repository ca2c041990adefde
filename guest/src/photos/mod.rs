//! Google Photos, as rclone shows it: a tree of views in which one photo has several
//! paths, no known size, and an address that is good for an hour.
//!
//! - [`names`]: the IDs that rclone puts into names
//! - [`views`]: which parts of the tree are listed, and how
//! - [`scan`]: the paths of one photo next to each other
//! - [`once`]: one download for all paths of a photo
//! - [`read`]: reads that need no look-up, by addresses that are fresh
//! - [`layout`], [`albums`], [`restore`]: where a restore puts what, and how

pub mod albums;
pub mod layout;
pub mod names;
pub mod once;
pub mod read;
pub mod restore;
pub mod scan;
pub mod views;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

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
    readers: read::Readers,
    restored: restore::Restored,
}

impl Photos {
    /// The path, below the session's root, that rclone knows the file by.
    fn remote_path(&self, path: &str) -> String {
        self.renamed.borrow().get(path).cloned().unwrap_or_else(|| path.to_owned())
    }
}
