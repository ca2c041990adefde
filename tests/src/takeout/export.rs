//! One export of an account: its files in the order in which Google fetched them, cut into parts.

use time::OffsetDateTime;
use time::macros::format_description;

use super::content::Content;
use super::languages::{Language, Names};
use super::library::{Copy, Library, Photo, Place, Seconds, Sidecar};
use super::names::{FileNames, Folder, NumberPlace, Request, SidecarForm};
use super::sidecars;
use fastrand::Rng;

/// How an account is exported.
#[derive(Debug, Clone)]
pub struct Export {
    /// When: the time in the archives' names.
    pub at: Seconds,
    /// Only what was changed since then, as the later exports of a series have it.
    pub since: Option<Seconds>,
    /// Language of the account.
    pub language: Language,
    /// Whether the folders of years have English names in all languages.
    pub old_years: bool,
    /// Form of the names of sidecars.
    pub form: SidecarForm,
    /// Place of the number in the names of sidecars.
    pub number_place: NumberPlace,
    /// Number behind the time in the archives' names, as since 2025.
    pub series: Option<u32>,
    /// How the files are divided among archives.
    pub cut: Cut,
    /// Seed of the order, and of the fields that differ from export to export.
    pub seed: u64,
    /// Whether the numbers of files depend on the seed.
    pub renumbered: bool,
    /// Files of other services, with their paths below `Takeout`.
    pub others: Vec<(String, Content)>,
}

/// How the files are divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Into parts of at most this number of bytes of content.
    Bytes(u64),
    /// Into this number of parts, each sidecar in the one after that of its photo.
    Apart(usize),
}

/// A file of an export.
#[derive(Debug, Clone)]
pub struct File {
    /// Path, from `Takeout` on.
    pub path: String,
    /// Bytes of the file.
    pub content: Content,
    /// Number of the photo that it belongs to.
    pub photo: Option<usize>,
}

impl File {
    /// Whether the file is JSON.
    pub fn is_json(&self) -> bool {
        self.path.ends_with(".json")
    }

    /// Returns the last name of its path.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

impl Default for Export {
    fn default() -> Self {
        Self {
            at: 1_735_689_600,
            since: None,
            language: Language::English,
            old_years: false,
            form: SidecarForm::New,
            number_place: NumberPlace::Moved,
            series: None,
            cut: Cut::Bytes(2 << 30),
            seed: 1,
            renumbered: false,
            others: Vec::new(),
        }
    }
}

impl Export {
    /// The name of a part, which counts from 1.
    pub fn archive(&self, part: usize) -> String {
        let series = self.series.map(|number| format!("{number}-")).unwrap_or_default();
        format!("takeout-{}-{series}{part:03}.zip", self.stamp())
    }

    /// The time in the archives' names.
    pub fn stamp(&self) -> String {
        let at = OffsetDateTime::from_unix_timestamp(self.at).unwrap();
        at.format(format_description!("[year][month][day]T[hour][minute][second]Z")).unwrap()
    }

    /// All files, one folder after the other.
    pub fn files(&self, library: &Library) -> Vec<File> {
        let mut files = vec![self.file("archive_browser.html", Content::text("<html>"), None)];
        for (path, content) in &self.others {
            files.push(self.file(path, content.clone(), None));
        }
        self.add_places(library, &mut files);
        self.add_albums(library, &mut files);
        files
    }

    fn file(&self, path: &str, content: Content, photo: Option<usize>) -> File {
        File { path: format!("Takeout/{path}"), content, photo }
    }

    /// Adds the folders of the years, and those of what is in none.
    fn add_places(&self, library: &Library, files: &mut Vec<File>) {
        let mut folders = std::collections::BTreeMap::<String, Folder>::new();
        for number in self.order(library) {
            let photo = &library.photos[number];
            if let Some(folder) = self.folder(photo).filter(|_| self.has(photo)) {
                let used = folders.entry(folder.clone()).or_default();
                self.add_photo(&folder, used, number, photo, Copy::Bytes, files);
            }
        }
    }

    /// Numbers of all photos, in the order in which names are given.
    fn order(&self, library: &Library) -> Vec<usize> {
        let mut order: Vec<usize> = (0..library.photos.len()).collect();
        if self.renumbered {
            let mut random = Rng::with_seed(self.seed);
            order.sort_by_cached_key(|_| random.u64(..));
        }
        order
    }

    /// Whether the export has a photo.
    fn has(&self, photo: &Photo) -> bool {
        !photo.deleted && self.since.is_none_or(|since| photo.changed >= since)
    }

    /// The folder of a photo below that of the service, if it isn't only in albums.
    fn folder(&self, photo: &Photo) -> Option<String> {
        let names = self.language.names();
        Some(match photo.place {
            Place::Year => self.language.year(photo.year(), self.old_years),
            Place::Archive => names.archive.to_owned(),
            Place::Trash => names.trash.to_owned(),
            Place::FailedVideos => names.failed_videos.to_owned(),
            Place::Albums => return None,
        })
    }

    fn add_albums(&self, library: &Library, files: &mut Vec<File>) {
        let Names { service, album: description, untitled, .. } = self.language.names();
        let mut albums = Folder::default();
        for album in &library.albums {
            let name = albums.album(&album.title, untitled);
            let mut members: Vec<_> = album.members.clone();
            members.retain(|(number, _)| self.has(&library.photos[*number]));
            if members.is_empty() && (self.since.is_some() || !album.members.is_empty()) {
                continue;
            }
            let path = format!("{service}/{name}/{description}");
            files.push(self.file(
                &path,
                Content::text(sidecars::of_album(album, self.language)),
                None,
            ));
            let mut used = Folder::default();
            for (number, copy) in members {
                self.add_photo(&name, &mut used, number, &library.photos[number], copy, files);
            }
        }
    }

    fn add_photo(
        &self,
        folder: &str,
        used: &mut Folder,
        number: usize,
        photo: &Photo,
        copy: Copy,
        files: &mut Vec<File>,
    ) {
        let names = self.language.names();
        let FileNames { photo: name, edited, video, sidecar } = used.choose(&Request {
            title: &photo.title,
            added_extension: photo.added_extension,
            edited: photo.edited.as_ref().map(|_| names.edited),
            video: photo.video.as_ref().map(|(extension, _)| *extension),
            form: self.form,
            number_place: self.number_place,
        });
        let mut add = |name: &str, content: Content| {
            let path = format!("{}/{folder}/{name}", names.service);
            files.push(self.file(&path, content, Some(number)));
        };
        if photo.sidecar != Sidecar::Missing {
            let variant = self.seed * 31 + folder.len() as u64 + number as u64;
            let text = sidecars::of_photo(photo, number, self.language, variant);
            add(&sidecar, Content::text(text));
        }
        if copy == Copy::SidecarOnly || photo.sidecar == Sidecar::WithoutMedia {
            return;
        }
        add(&name, photo.content.clone());
        if let (Some(name), Some(content)) = (edited, &photo.edited) {
            add(&name, content.clone());
        }
        if let (Some(name), Some((_, content))) = (video, &photo.video) {
            add(&name, content.clone());
        }
    }

    /// The files of each part, in their order: sidecars are fetched sooner than photos, as a
    /// rule shortly before theirs, and sometimes much sooner.
    pub fn parts(&self, library: &Library) -> Vec<Vec<File>> {
        let files = self.files(library);
        let mut random = Rng::with_seed(self.seed ^ 0xface);
        let mut places = std::collections::HashMap::new();
        let mut keyed: Vec<(u64, File)> = Vec::with_capacity(files.len());
        for file in files {
            let place = match file.photo {
                Some(number) => *places.entry(number).or_insert_with(|| random.u64(..) >> 8),
                None => random.u64(..) >> 8,
            };
            let early = match (file.is_json(), random.u64(..) % 20) {
                (false, _) => 0,
                (true, 0) => place / 2,
                (true, near) => near << 40,
            };
            keyed.push((place.saturating_sub(early), file));
        }
        keyed.sort_by(|(one, left), (other, right)| (one, &left.path).cmp(&(other, &right.path)));
        let sorted = keyed.into_iter().map(|(_, file)| file);
        match self.cut {
            Cut::Bytes(limit) => by_size(sorted, limit),
            Cut::Apart(count) => apart(sorted, count),
        }
    }
}

fn by_size(files: impl Iterator<Item = File>, limit: u64) -> Vec<Vec<File>> {
    let mut parts = vec![Vec::new()];
    let mut size = 0;
    for file in files {
        if size > 0 && size + file.content.size() > limit {
            parts.push(Vec::new());
            size = 0;
        }
        size += file.content.size();
        parts.last_mut().unwrap().push(file);
    }
    parts
}

fn apart(files: impl Iterator<Item = File>, count: usize) -> Vec<Vec<File>> {
    let mut parts = vec![Vec::new(); count];
    for file in files {
        let number = file.photo.unwrap_or_default() + usize::from(file.is_json());
        parts[number % count].push(file);
    }
    parts
}
