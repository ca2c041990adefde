//! Scan of a directory of exports: the directory of each archive and the sidecars in it, then all
//! exports as one library.

use futures::StreamExt;
use std::rc::Rc;

use super::archives::Archives;
use super::directory::ExportDirectory;
use super::entries;
use super::index::ArchiveIndex;
use super::reader::TakeoutReader;
use crate::backends::Backend;
use crate::bindings::plakar::connector::types::{Failure, Reason};
use crate::contents;
use crate::importer::events::EventSender;
use crate::importer::reader_pool::ReaderPool;
use crate::path::RemotePath;
use crate::takeout::exports::{Export, Exports};
use crate::takeout::folders::{Catalogue, ExportFile, SidecarCandidates};
use crate::takeout::library::{Library, Selection};
use crate::takeout::photos::ExportPhotos;
use crate::takeout::places::Places;
use crate::takeout::sidecar::{MAX_SIDECAR_BYTES, Sidecar};
use crate::takeout::snapshot::Snapshot;
use crate::takeout::{FileInfo, FileSource, Problem};

/// Number of unpacked sidecars that are read at the same time.
const CONCURRENT_SIDECARS: usize = 16;

/// Scan of the exports of one remote.
pub struct TakeoutScan<'a> {
    pool: &'a Rc<ReaderPool>,
    directory: ExportDirectory,
    archives: Archives,
    problems: Vec<Problem>,
    events: EventSender,
}

impl<'a> TakeoutScan<'a> {
    /// Lists the exports.
    ///
    /// # Errors
    ///
    /// The listing is not complete.
    pub async fn start(
        pool: &'a Rc<ReaderPool>,
        backend: Backend,
        events: EventSender,
    ) -> Result<Self, Failure> {
        let directory = ExportDirectory::list(backend, events.root()).await?;
        let archives = Archives::new(pool.clone());
        Ok(Self { pool, directory, archives, problems: Vec::new(), events })
    }

    /// Runs the scan. The reader of the files is passed to `set_reader` before the first entry is
    /// sent.
    ///
    /// # Errors
    ///
    /// No photo was found.
    pub async fn run(
        mut self,
        selection: Selection,
        set_reader: impl FnOnce(TakeoutReader) -> Rc<TakeoutReader>,
    ) -> Result<(), Failure> {
        let Exports { exports, problems } = Exports::group(&self.directory.files);
        self.problems = std::mem::take(&mut self.directory.problems);
        self.problems.extend(problems);
        let (mut places, mut library) = (Places::default(), Library::new(selection));
        for (number, export) in exports.iter().enumerate() {
            let before = self.problems.len();
            let folders = self.catalogue(export).await.photo_folders();
            let is_complete = export.is_complete && self.problems.len() == before;
            let photos = ExportPhotos::find(folders, number, &export.name, &mut places);
            library.add(photos, number, is_complete, &places);
        }
        let mut library = library.finish();
        self.problems.append(&mut library.problems);
        if library.photos.is_empty() {
            return Err(self.nothing_found());
        }
        let snapshot = Snapshot::new(library, places);
        self.archives.want(snapshot.files.iter().filter_map(|file| match file.info.source {
            FileSource::Entry { archive, entry } => Some((archive, entry)),
            FileSource::Unpacked(_) => None,
        }));
        let Self { pool, directory, archives, problems, mut events } = self;
        let reader = set_reader(TakeoutReader::new(pool.clone(), archives));
        let problems = problems.into_iter();
        let errors = problems.map(|problem| events.error(&problem.name(), problem.failure));
        let errors = errors.collect();
        events.send(errors).await;
        entries::send(snapshot, &directory, &reader, &mut events).await
    }

    /// Returns the failure of a scan without any photo: a library that had photos yesterday must
    /// not become an empty snapshot.
    fn nothing_found(self) -> Failure {
        let problem = self.problems.into_iter().next();
        let problem = problem.map(|Problem { path, failure }| {
            let message = format!("`{}`: {}", path.escape_debug(), failure.message);
            Failure { message, ..failure }
        });
        problem.unwrap_or_else(|| {
            let message = "no export of Google Photos was found";
            Failure::new(Reason::NotFound, message).with_help(
                "set the location to the directory with `takeout-20260102T030405Z-001.zip` or the \
                 like",
            )
        })
    }

    /// Reads what the archives and the unpacked files of an export are.
    async fn catalogue(&mut self, export: &Export) -> Catalogue {
        let (mut catalogue, mut candidates) = (Catalogue::default(), SidecarCandidates::default());
        candidates.add(export.unpacked.iter().map(|(_, path)| &**path));
        for archive in &export.archives {
            if let Err(failure) = self.add_archive(*archive, &mut catalogue, &mut candidates).await
            {
                let path = self.directory.files[*archive].path.clone();
                self.problems.push(Problem { path, failure });
            }
        }
        self.add_unpacked(export, &mut catalogue, &candidates).await;
        catalogue
    }

    /// Adds the files of an archive to the catalogue of its export.
    async fn add_archive(
        &mut self,
        number: usize,
        catalogue: &mut Catalogue,
        candidates: &mut SidecarCandidates,
    ) -> Result<(), Failure> {
        let listed = self.directory.archive(number)?;
        let mut index = ArchiveIndex::load(self.pool, &listed).await?;
        candidates.add(index.entries.iter().map(|entry| &*entry.name));
        let read = index.read_sidecars(candidates).await;
        if read.is_ok() {
            index.keep().await;
        }
        for (name, failure) in std::mem::take(&mut index.rejected) {
            let path = format!("{}/{name}", listed.path);
            self.problems.push(Problem { path, failure });
        }
        let archive = u32::try_from(number).unwrap_or(u32::MAX);
        self.archives.add(archive, listed.path, &index.entries);
        for (entry, file) in (0_u32..).zip(index.entries) {
            let contents = index.sidecars.remove(&entry);
            let source = FileSource::Entry { archive, entry };
            let info = FileInfo { size: file.size, crc32: Some(file.crc32), source };
            catalogue.add(ExportFile { path: file.name, info, contents });
        }
        read
    }

    /// Adds unpacked files to the catalogue of their export.
    async fn add_unpacked(
        &mut self,
        export: &Export,
        catalogue: &mut Catalogue,
        candidates: &SidecarCandidates,
    ) {
        let (pool, files) = (self.pool, &self.directory.files);
        let reads = export.unpacked.iter().map(|(number, path)| async move {
            let listed = &files[*number];
            let is_sidecar = candidates.contains(path, listed.size);
            let read = if is_sidecar { Some(read_json(pool, &listed.path).await) } else { None };
            (*number, path.clone(), read)
        });
        let mut reads = futures::stream::iter(reads).buffer_unordered(CONCURRENT_SIDECARS);
        while let Some((number, path, read)) = reads.next().await {
            let contents = read.and_then(|read| match read {
                Ok(sidecar) => Some(sidecar),
                Err(failure) => {
                    let path = files[number].path.clone();
                    self.problems.push(Problem { path, failure });
                    None
                }
            });
            let source = FileSource::Unpacked(u32::try_from(number).unwrap_or(u32::MAX));
            let info = FileInfo { size: files[number].size, crc32: None, source };
            catalogue.add(ExportFile { path, info, contents });
        }
    }
}

async fn read_json(pool: &ReaderPool, path: &str) -> Result<Sidecar, Failure> {
    let content = pool.open(&RemotePath::parse(path)?, None).await?;
    let max_bytes = usize::try_from(MAX_SIDECAR_BYTES).unwrap_or(usize::MAX);
    Ok(Sidecar::parse(&contents::collect(content, max_bytes).await?))
}
