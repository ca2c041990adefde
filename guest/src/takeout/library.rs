//! Library of all exports: the photos of each, the newest first. An export can't say that a photo
//! was deleted, and scheduled ones hold only what is new, so that the library is their union.

use std::collections::{HashMap, HashSet};

use super::photos::{ContentKey, Counts, ExportPhotos, KeptFile, LoneSidecar, Photo, add_missing};
use super::places::Places;
use super::{FileInfo, FileSource, Problem};

/// Exports that make the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// All exports.
    All,
    /// The newest complete one, or the newest one if none is complete. The others decide on
    /// names only, so that these stay the same when a twin is deleted.
    Newest,
}

/// Photos of all exports.
#[derive(Debug)]
pub struct Library {
    selection: Selection,
    /// Number of the first export that was added, and the number of places that it has.
    newest: Option<(usize, usize)>,
    pub photos: Vec<Photo>,
    pub kept: Vec<KeptFile>,
    pub summary: Summary,
    pub problems: Vec<Problem>,
    lone_sidecars: Vec<LoneSidecar>,
    /// Photos by their names and bytes; those of former versions included.
    by_content: HashMap<ContentKey, usize>,
    /// Photos by their bytes, as far as only one has them.
    by_bytes: HashMap<(u64, u32), Option<usize>>,
    /// Photos by their names and the times at which they were taken.
    by_taken: HashMap<(u64, i64), Vec<usize>>,
    /// The last export in which a photo was found, by its number.
    seen: Vec<usize>,
    /// Exports that are used only if none is complete.
    incomplete: Vec<(ExportPhotos, usize, usize)>,
}

/// Numbers of what a library has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub exports: usize,
    pub counts: Counts,
    /// Sidecars without a photo.
    pub lone_sidecars: usize,
}

impl Library {
    /// Creates a library without exports.
    pub fn new(selection: Selection) -> Self {
        Self {
            selection,
            newest: None,
            photos: Vec::new(),
            kept: Vec::new(),
            summary: Summary::default(),
            problems: Vec::new(),
            lone_sidecars: Vec::new(),
            by_content: HashMap::new(),
            by_bytes: HashMap::new(),
            by_taken: HashMap::new(),
            seen: Vec::new(),
            incomplete: Vec::new(),
        }
    }

    /// Adds an export with its number. The newest one is added first.
    pub fn add(&mut self, export: ExportPhotos, number: usize, is_complete: bool, places: &Places) {
        if self.selection == Selection::Newest && self.newest.is_none() && !is_complete {
            self.incomplete.push((export, number, places.len()));
            return;
        }
        self.incomplete.clear();
        self.merge(export, number, places.len());
    }

    /// Finds the photos of the sidecars that are without one in their folder. Returns the library.
    pub fn finish(mut self) -> Self {
        for (export, number, place_count) in std::mem::take(&mut self.incomplete) {
            self.merge(export, number, place_count);
        }
        self.by_content = HashMap::new();
        self.by_bytes = HashMap::new();
        self.by_taken = HashMap::new();
        self.resolve_lone_sidecars();
        self
    }

    /// Reports whether a photo or file of an export is in the snapshot.
    pub fn has_export(&self, number: usize) -> bool {
        self.selection == Selection::All || self.newest.is_some_and(|(newest, _)| newest == number)
    }

    /// Returns the number of places, from the first one, whose albums are in the snapshot even
    /// without a photo.
    pub fn place_count(&self, places: &Places) -> usize {
        match (self.selection, self.newest) {
            (Selection::Newest, Some((_, count))) => count,
            _ => places.len(),
        }
    }

    fn merge(&mut self, export: ExportPhotos, number: usize, place_count: usize) {
        self.newest.get_or_insert((number, place_count));
        self.summary.exports += 1;
        let ExportPhotos { photos, lone_sidecars, kept, counts, problems } = export;
        if self.has_export(number) {
            self.summary.counts.add(counts);
            self.lone_sidecars.extend(lone_sidecars);
            self.kept.extend(kept);
        }
        self.problems.extend(problems);
        let mut shared: HashMap<(u64, i64), usize> = HashMap::new();
        for photo in &photos {
            if let Some(key) = photo.taken_key() {
                *shared.entry(key).or_default() += 1;
            }
        }
        for photo in photos {
            let is_alone = photo.taken_key().is_some_and(|key| shared.get(&key) == Some(&1));
            self.add_photo(photo, number, is_alone);
        }
    }

    /// Adds a photo of an export, or what it says to the photo that it is an older version of.
    fn add_photo(&mut self, photo: Photo, export: usize, is_alone: bool) {
        let known = self.by_content.get(&photo.content_key()).copied();
        let known = known
            .or_else(|| self.find_edited(&photo, export, is_alone))
            .or_else(|| self.find_without_sidecar(&photo));
        let number = known.unwrap_or(self.photos.len());
        self.by_content.insert(photo.content_key(), number);
        match known {
            Some(number) => {
                self.seen[number] = export;
                let has_places = self.has_export(export);
                self.photos[number].add_older(photo, has_places);
            }
            None => {
                if let Some(bytes) = photo.bytes_key() {
                    let photos = self.by_bytes.entry(bytes);
                    photos.and_modify(|only| *only = None).or_insert(Some(number));
                }
                if let Some(key) = photo.taken_key() {
                    self.by_taken.entry(key).or_default().push(number);
                }
                self.seen.push(export);
                self.photos.push(photo);
            }
        }
    }

    /// Finds the newer version of a photo that was edited: it has the name and the time taken, and
    /// each is the only one in its export. The address decides if there are several.
    fn find_edited(&self, photo: &Photo, export: usize, is_alone: bool) -> Option<usize> {
        let url = photo.data.url;
        let candidates = self.by_taken.get(&photo.taken_key()?)?.iter().copied();
        let candidates: Vec<_> = candidates.filter(|it| self.seen[*it] != export).collect();
        let is_same_page = |other: &usize| url.is_some() && self.photos[*other].data.url == url;
        let same_page: Vec<_> = candidates.iter().copied().filter(is_same_page).collect();
        match (&candidates[..], &same_page[..]) {
            (_, [same]) => Some(*same),
            ([only], []) if is_alone => {
                let has_other_page = url.is_some() && self.photos[*only].data.url.is_some();
                Some(*only).filter(|_| !has_other_page)
            }
            _ => None,
        }
    }

    /// Finds the only photo with the same bytes, if either has no sidecar and so no title.
    fn find_without_sidecar(&self, photo: &Photo) -> Option<usize> {
        let only = self.by_bytes.get(&photo.bytes_key()?).copied().flatten()?;
        let lacks_sidecar = photo.sidecar.is_none() || self.photos[only].sidecar.is_none();
        lacks_sidecar.then_some(only)
    }

    /// Adds the albums of sidecars whose photo is in another folder or export, and keeps the
    /// sidecars without any photo.
    fn resolve_lone_sidecars(&mut self) {
        let lone_sidecars = std::mem::take(&mut self.lone_sidecars);
        if lone_sidecars.is_empty() {
            return;
        }
        let index = TitleIndex::new(&self.photos);
        let mut updated = HashSet::new();
        for lone in lone_sidecars {
            let Some(photo) = index.find(&self.photos, &lone) else {
                self.summary.lone_sidecars += 1;
                let modified = lone.data.taken.unwrap_or_default();
                let LoneSidecar { info, path, export, .. } = lone;
                self.kept.push(KeptFile { path, info, modified, export });
                continue;
            };
            // A newer sidecar without the photo: only what it says has changed.
            let is_update =
                !lone.is_album && lone.export < self.photos[photo].export && updated.insert(photo);
            let source = self.photos[photo].sidecar.map(|sidecar| sidecar.source);
            for number in index.with_sidecar(source).chain([photo]) {
                let photo = &mut self.photos[number];
                if lone.is_album {
                    add_missing(&mut photo.albums, vec![lone.place]);
                } else if is_update {
                    photo.update(&lone);
                }
            }
        }
    }
}

impl Photo {
    /// Returns its name and the time at which it was taken.
    fn taken_key(&self) -> Option<(u64, i64)> {
        Some((super::photos::name_hash(&self.name), self.data.taken?))
    }

    fn bytes_key(&self) -> Option<(u64, u32)> {
        Some((self.info.size, self.info.crc32?))
    }

    /// Adds what an older export says of it.
    fn add_older(&mut self, older: Self, has_places: bool) {
        if self.sidecar.is_none() && older.sidecar.is_some() {
            self.name = older.name;
            self.sidecar = older.sidecar;
            self.data = older.data;
            self.title = older.title;
            self.is_derived = older.is_derived;
        }
        if has_places {
            add_missing(&mut self.albums, older.albums);
            if self.library.is_empty() {
                self.library = older.library;
            }
        }
    }

    /// Replaces what its sidecar said by what a newer one says.
    fn update(&mut self, lone: &LoneSidecar) {
        self.sidecar = Some(lone.info);
        self.data = lone.data.clone();
        self.library = vec![lone.place];
    }
}

impl Counts {
    fn add(&mut self, other: Self) {
        let Self { albums, without_sidecar, ambiguous, left_out } = other;
        self.albums += albums;
        self.without_sidecar += without_sidecar;
        self.ambiguous += ambiguous;
        self.left_out += left_out;
    }
}

/// Photos by what their sidecars say.
struct TitleIndex {
    by_title: HashMap<(u64, i64), Vec<usize>>,
    by_url: HashMap<u64, Vec<usize>>,
    /// Photos and what is derived of them, by their sidecars.
    by_sidecar: HashMap<FileSource, Vec<usize>>,
}

impl TitleIndex {
    fn new(photos: &[Photo]) -> Self {
        let mut index =
            Self { by_title: HashMap::new(), by_url: HashMap::new(), by_sidecar: HashMap::new() };
        for (number, photo) in photos.iter().enumerate() {
            if let Some(FileInfo { source, .. }) = photo.sidecar {
                index.by_sidecar.entry(source).or_default().push(number);
            }
            if photo.is_derived {
                continue;
            }
            if let Some(taken) = photo.data.taken {
                index.by_title.entry((photo.title, taken)).or_default().push(number);
            }
            if let Some(url) = photo.data.url {
                index.by_url.entry(url).or_default().push(number);
            }
        }
        index
    }

    /// Finds the photo of a sidecar, if there is only one that it can be of.
    fn find(&self, photos: &[Photo], lone: &LoneSidecar) -> Option<usize> {
        let url = lone.data.url;
        let title = lone.data.taken.and_then(|taken| self.by_title.get(&(lone.title, taken)));
        match title.filter(|_| lone.title != 0).map(Vec::as_slice) {
            Some([only]) => Some(*only),
            Some(several) => {
                let same =
                    several.iter().filter(|it| url.is_some() && photos[**it].data.url == url);
                let same: Vec<_> = same.collect();
                (same.len() == 1).then(|| *same[0])
            }
            None => match self.by_url.get(&url?).map(Vec::as_slice) {
                Some([only]) => Some(*only),
                _ => None,
            },
        }
    }

    fn with_sidecar(&self, source: Option<FileSource>) -> impl Iterator<Item = usize> {
        let numbers = source.and_then(|source| self.by_sidecar.get(&source));
        numbers.into_iter().flatten().copied()
    }
}
