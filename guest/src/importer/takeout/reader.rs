//! Files of the snapshot, and where their bytes are: in an archive, or in a file of the directory
//! that exports were unpacked to. A file with several paths is read once.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use super::archives::Archives;
use crate::bindings::plakar::connector::types::{Content, Failure, Reason};
use crate::importer::dedup::fingerprint;
use crate::importer::reader_pool::ReaderPool;
use crate::importer::shared_download::{
    CacheBudget, CacheWriter, ReadClaim, ReadPlan, SharedDownload,
};
use crate::path::RemotePath;
use crate::zip::Tap;

/// Where the bytes of a file are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileLocation {
    /// In an archive: number of the archive, and of the entry in it.
    Entry { archive: u32, entry: u32 },
    /// In a file of the remote.
    Unpacked(RemotePath),
}

/// File of the snapshot.
#[derive(Clone)]
struct SnapshotFile {
    location: FileLocation,
    size: u64,
}

/// Files of the snapshot. A library has hundreds of thousands, so that each takes little memory.
#[derive(Default)]
struct Files {
    files: Vec<SnapshotFile>,
    /// Numbers of files by fingerprints of those of their absolute paths that Plakar hasn't
    /// acknowledged.
    by_path: HashMap<u128, u32>,
    /// Downloads of the files with several paths.
    shared: HashMap<u32, Rc<SharedDownload>>,
}

impl Files {
    /// Finds the file at a path, and its download if it has several paths.
    fn find(&self, path: &str) -> Option<(SnapshotFile, Option<Rc<SharedDownload>>)> {
        let number = self.by_path.get(&fingerprint(path))?;
        let file = self.files.get(usize::try_from(*number).ok()?)?.clone();
        Some((file, self.shared.get(number).cloned()))
    }
}

/// Reader of the files of the snapshot.
pub struct TakeoutReader {
    pool: Rc<ReaderPool>,
    archives: Archives,
    files: RefCell<Files>,
    budget: CacheBudget,
}

impl TakeoutReader {
    /// Creates a reader of the entries of these archives, and of unpacked files.
    pub fn new(pool: Rc<ReaderPool>, archives: Archives) -> Self {
        let (files, budget) = (RefCell::default(), CacheBudget::default());
        Self { pool, archives, files, budget }
    }

    /// Adds a file with all of its absolute paths, before they are reported. To be read in one
    /// direction, files are reported in the order of their archives and entries.
    pub fn add(&self, location: FileLocation, size: u64, paths: &[String]) {
        let Files { files, by_path, shared } = &mut *self.files.borrow_mut();
        // More files than this have no room in memory.
        let number = u32::try_from(files.len()).unwrap_or(u32::MAX);
        files.push(SnapshotFile { location, size });
        by_path.extend(paths.iter().map(|path| (fingerprint(path), number)));
        if paths.len() > 1 {
            let download = SharedDownload::new(paths.len(), self.budget.clone());
            shared.insert(number, Rc::new(download));
        }
    }

    /// Notes that Plakar is done with an absolute path.
    pub fn acknowledge(&self, path: &str) {
        let Files { by_path, shared, .. } = &mut *self.files.borrow_mut();
        let number = by_path.remove(&fingerprint(path));
        if let Some(download) = number.and_then(|number| shared.get(&number)) {
            download.acknowledge();
        }
    }

    /// Reads the file at an absolute path.
    ///
    /// # Errors
    ///
    /// There is no such file, or it cannot be read.
    pub async fn read(&self, path: &str) -> Result<Content, Failure> {
        let Some((file, download)) = self.files.borrow().find(path) else {
            return Err(Failure::new(Reason::NotFound, "the scan found no such file"));
        };
        let Some(download) = download else {
            return self.open(&file, path, None).await;
        };
        match download.plan_read().await {
            ReadPlan::Download(claim) => self.open(&file, path, Some(claim)).await,
            ReadPlan::Cached(cached) => Ok(cached.content()),
        }
    }

    /// Opens a file, and caches its bytes if there is a claim.
    async fn open(
        &self,
        file: &SnapshotFile,
        path: &str,
        claim: Option<ReadClaim>,
    ) -> Result<Content, Failure> {
        match &file.location {
            FileLocation::Entry { archive, entry } => {
                let tap = claim.map(|claim| Box::new(CacheWriter::new(claim)) as Box<dyn Tap>);
                self.archives.open((*archive, *entry), path, tap).await
            }
            FileLocation::Unpacked(path) => {
                let content = self.pool.open(path, Some(file.size)).await?;
                Ok(match claim {
                    Some(claim) => claim.tee(content),
                    None => content,
                })
            }
        }
    }
}

impl Tap for CacheWriter {
    fn add(&mut self, bytes: &[u8]) {
        Self::add(self, bytes);
    }

    fn complete(self: Box<Self>) {
        Self::complete(*self);
    }
}
