//! Photos of a library that were found, by their paths.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use super::name_collisions::NameCollisions;
use crate::importer::shared_download::{CacheBudget, SharedDownload};
use crate::lsjson::Item;

/// Photo with one or more paths.
pub struct Photo {
    id: String,
    /// Whether one of its paths was found.
    is_found: Cell<bool>,
    download: Rc<SharedDownload>,
}

impl Photo {
    /// Returns Google's ID of it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Notes that one of its paths was found. Returns whether it is the first one.
    pub fn mark_found(&self) -> bool {
        !self.is_found.replace(true)
    }

    /// Returns the download of it, which its paths share.
    pub fn download(&self) -> &Rc<SharedDownload> {
        &self.download
    }
}

/// Photos that a scan found.
#[derive(Default)]
pub struct Library {
    /// Paths at which rclone shows files that have a different path in the snapshot, by the
    /// latter.
    remote_paths: RefCell<HashMap<String, String>>,
    /// Photos by those of their absolute paths that Plakar hasn't acknowledged.
    photos: RefCell<HashMap<String, Rc<Photo>>>,
    /// Number of paths of photos that were found so far.
    path_count: Cell<usize>,
    budget: CacheBudget,
}

impl Library {
    /// Creates a photo with this number of paths.
    pub fn create_photo(&self, id: &str, path_count: usize) -> Rc<Photo> {
        let download = Rc::new(SharedDownload::new(path_count, self.budget.clone()));
        Rc::new(Photo { id: id.to_owned(), is_found: Cell::new(false), download })
    }

    /// Adds an absolute path of a photo.
    pub fn add_path(&self, path: &str, photo: &Rc<Photo>) {
        self.path_count.set(self.path_count.get() + 1);
        self.photos.borrow_mut().insert(path.to_owned(), photo.clone());
    }

    /// Resolves collisions. Returns the items with their paths in the snapshot.
    pub fn resolve(&self, collisions: NameCollisions) -> Vec<Item> {
        collisions.resolve(&mut self.remote_paths.borrow_mut())
    }

    /// Returns the path at which rclone shows a file, given its path in the snapshot, both
    /// relative to the root.
    pub fn remote_path(&self, path: &str) -> String {
        self.remote_paths.borrow().get(path).cloned().unwrap_or_else(|| path.to_owned())
    }

    /// Returns the photo at an absolute path.
    pub fn photo(&self, path: &str) -> Option<Rc<Photo>> {
        self.photos.borrow().get(path).cloned()
    }

    /// Returns the number of paths of photos that were found so far.
    pub fn path_count(&self) -> usize {
        self.path_count.get()
    }

    /// Notes that Plakar is done with an absolute path.
    pub fn acknowledge(&self, path: &str) {
        if let Some(photo) = self.photos.borrow_mut().remove(path) {
            photo.download.acknowledge();
        }
    }
}
