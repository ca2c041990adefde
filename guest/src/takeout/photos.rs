//! Photos of one export: its files with what their sidecars say, each photo once, and the places
//! that it is in.

use std::collections::HashMap;

use super::file_names::split_extension;
use super::folders::{Folder, FolderKind, JsonFile, MediaFile, PhotoFolders};
use super::matching::{Match, Matcher, SidecarName};
use super::places::{PlaceId, Places, album_paths, safe_name};
use super::sidecar::{MAX_SIDECAR_BYTES, PhotoData, Sidecar};
use super::{FileInfo, Problem};
use crate::bindings::plakar::connector::types::{Failure, Reason};
use crate::path::join;

/// Photo or video of an export.
#[derive(Clone, Debug)]
pub struct Photo {
    /// Name in the snapshot, unless a twin has it.
    pub name: Box<str>,
    pub info: FileInfo,
    /// Its sidecar, which derived files share with their original.
    pub sidecar: Option<FileInfo>,
    /// What the sidecar says. The title is only kept as [`Self::title`].
    pub data: PhotoData,
    /// Hash of the title; 0 if there is none.
    pub title: u64,
    /// Whether the sidecar is that of its original.
    pub is_derived: bool,
    /// Places in the library: year, archive, trash or another folder.
    pub library: Vec<PlaceId>,
    pub albums: Vec<PlaceId>,
    /// Number of the newest export that has it. The newest export of all has the lowest number.
    pub export: usize,
}

/// Sidecar of which its folder has no photo.
#[derive(Debug)]
pub struct LoneSidecar {
    pub info: FileInfo,
    pub data: PhotoData,
    pub title: u64,
    pub place: PlaceId,
    pub is_album: bool,
    /// Path in the snapshot, if its photo isn't found.
    pub path: String,
    pub export: usize,
}

/// File that is kept as it is.
#[derive(Debug)]
pub struct KeptFile {
    /// Path in the snapshot.
    pub path: String,
    pub info: FileInfo,
    /// Unix time of its modification.
    pub modified: i64,
    pub export: usize,
}

/// Numbers of what was found in an export.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub albums: usize,
    /// Files without a sidecar.
    pub without_sidecar: usize,
    /// Files that fit several sidecars, or of which several fit one; they are without one, too.
    pub ambiguous: usize,
    /// Files of other services, which are left out.
    pub left_out: usize,
}

/// What an export has.
#[derive(Debug, Default)]
pub struct ExportPhotos {
    pub photos: Vec<Photo>,
    pub lone_sidecars: Vec<LoneSidecar>,
    pub kept: Vec<KeptFile>,
    pub counts: Counts,
    pub problems: Vec<Problem>,
}

/// Photos with the same name and bytes.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct ContentKey {
    name: u64,
    size: u64,
    /// CRC-32, or the time taken where it isn't known.
    checksum: (Option<u32>, Option<i64>),
}

impl Photo {
    /// Returns the key that copies of it share.
    pub fn content_key(&self) -> ContentKey {
        let taken = if self.info.crc32.is_none() { self.data.taken } else { None };
        let checksum = (self.info.crc32, taken);
        ContentKey { name: name_hash(&self.name), size: self.info.size, checksum }
    }
}

/// Returns a hash of a name or title.
pub fn name_hash(name: &str) -> u64 {
    siphasher::sip::SipHasher13::new().hash(name.as_bytes()).max(1)
}

/// Reader of an export's folders.
struct Builder<'a> {
    places: &'a mut Places,
    export: usize,
    /// Name of the export, for problems.
    name: &'a str,
    found: ExportPhotos,
    /// Numbers of the photos by their contents.
    by_content: HashMap<ContentKey, usize>,
    /// Photos without a sidecar, which may be copies of others.
    without_sidecar: Vec<Photo>,
}

impl ExportPhotos {
    /// Finds the photos of an export. Exports are numbered from the newest one.
    pub fn find(folders: PhotoFolders, export: usize, name: &str, places: &mut Places) -> Self {
        let mut builder = Builder {
            places,
            export,
            name,
            found: Self::default(),
            by_content: HashMap::new(),
            without_sidecar: Vec::new(),
        };
        builder.found.counts.left_out = folders.left_out;
        let albums = album_paths(&folders.folders);
        for json in folders.loose {
            let path = format!("sidecar/{}.json", safe_name(&json.stem));
            builder.keep(path, json.info);
        }
        for (number, folder) in folders.folders.into_iter().enumerate() {
            let album = albums.get(&number).map(String::as_str);
            builder.add_folder(folder, album);
        }
        builder.add_copies();
        builder.found
    }
}

impl Builder<'_> {
    fn keep(&mut self, path: String, info: FileInfo) {
        self.found.kept.push(KeptFile { path, info, modified: 0, export: self.export });
    }

    fn add_folder(&mut self, mut folder: Folder, album: Option<&str>) {
        let (kind, album_json) = folder.kind();
        let place = match (&kind, album) {
            (FolderKind::Year(year), _) => self.places.year(*year),
            (_, Some(path)) => self.places.album(path),
            _ => self.places.other(&safe_name(folder.name())),
        };
        let is_album = matches!(kind, FolderKind::Album(_));
        self.found.counts.albums += usize::from(is_album);
        if let (Some(number), Some(path)) = (album_json, album) {
            let json = folder.json.remove(number);
            // Each part may have a copy.
            folder.json.retain(|other| !matches!(other.contents, Sidecar::Album(_)));
            self.keep(format!("sidecar/album/{path}.json"), json.info);
        }
        let shown = join(self.name, &folder.path);
        let name = folder.name().to_owned();
        let Folder { media, json, .. } = folder;
        let mut sidecars = Vec::new();
        for json in json {
            self.add_json(json, &shown, &name, &mut sidecars);
        }
        self.add_files(media, sidecars, (place, is_album), &name);
    }

    /// Sorts a JSON file into the sidecars of a folder, or keeps it.
    fn add_json(
        &mut self,
        json: JsonFile,
        shown: &str,
        folder: &str,
        sidecars: &mut Vec<(Box<str>, FileInfo, PhotoData)>,
    ) {
        let JsonFile { stem, info, contents } = json;
        let message = match contents {
            Sidecar::Photo(data) => return sidecars.push((stem, info, data)),
            Sidecar::Broken(message) => message,
            _ if info.size > MAX_SIDECAR_BYTES => "larger than 1 MiB".to_owned(),
            _ => {
                let path =
                    format!("sidecar/unmatched/{}/{}.json", safe_name(folder), safe_name(&stem));
                return self.keep(path, info);
            }
        };
        let message = format!("it can't be read as JSON: {message}");
        let failure = Failure::new(Reason::Corrupted, message)
            .with_help("create another export if the time of its photo matters");
        self.found.problems.push(Problem { path: format!("{shown}/{stem}.json"), failure });
        // Its name still says which photo it is of, so that its bytes are kept beside it.
        sidecars.push((stem, info, PhotoData::default()));
    }

    fn add_files(
        &mut self,
        media: Vec<MediaFile>,
        sidecars: Vec<(Box<str>, FileInfo, PhotoData)>,
        (place, is_album): (PlaceId, bool),
        folder: &str,
    ) {
        let names: Vec<_> = media.iter().map(|file| &*file.name).collect();
        let sidecar_names: Vec<_> =
            sidecars.iter().map(|(stem, _, data)| SidecarName { stem, data }).collect();
        let (matches, is_used) = Matcher::run(&names, &sidecar_names);
        for (file, found) in media.into_iter().zip(matches) {
            let is_ambiguous = found == Match::Ambiguous;
            let (sidecar, ending) = match found {
                Match::None | Match::Ambiguous => (None, None),
                Match::Direct(sidecar) => (Some(sidecar), None),
                Match::Derived { sidecar, ending } => (Some(sidecar), Some(ending)),
            };
            let mut photo = self.photo(file, sidecar.map(|it| &sidecars[it]), ending.as_deref());
            self.found.counts.ambiguous += usize::from(is_ambiguous);
            self.set_place(&mut photo, place, is_album);
            if photo.sidecar.is_some() {
                self.add_photo(photo);
            } else {
                self.without_sidecar.push(photo);
            }
        }
        for ((stem, info, mut data), is_used) in sidecars.into_iter().zip(is_used) {
            if !is_used {
                let title = data.title.take().map_or(0, |title| name_hash(&title));
                let path =
                    format!("sidecar/unmatched/{}/{}.json", safe_name(folder), safe_name(&stem));
                let place = self.library_place(&data, place, is_album);
                let export = self.export;
                let lone = LoneSidecar { info, data, title, place, is_album, path, export };
                self.found.lone_sidecars.push(lone);
            }
        }
    }

    /// Creates a photo. A derived one has an ending in the place of its original's extension.
    fn photo(
        &self,
        file: MediaFile,
        sidecar: Option<&(Box<str>, FileInfo, PhotoData)>,
        ending: Option<&str>,
    ) -> Photo {
        let mut data = sidecar.map(|(_, _, data)| data.clone()).unwrap_or_default();
        let title = data.title.take();
        let name = match (title.as_deref(), ending) {
            (Some(title), None) => title_name(title, &file.name),
            (Some(title), Some(ending)) => [split_title(title).0, ending].concat(),
            (None, _) => file.name.into(),
        };
        Photo {
            name: safe_name(&name).into(),
            info: file.info,
            sidecar: sidecar.map(|(_, info, _)| *info),
            data,
            title: title.map_or(0, |title| name_hash(&title)),
            is_derived: ending.is_some(),
            library: Vec::new(),
            albums: Vec::new(),
            export: self.export,
        }
    }

    fn set_place(&mut self, photo: &mut Photo, place: PlaceId, is_album: bool) {
        let library = self.library_place(&photo.data, place, is_album);
        if is_album {
            photo.albums.push(place);
        }
        if !is_album || library != place {
            photo.library.push(library);
        }
    }

    /// Returns the place of a photo of a folder: archived and deleted ones have their own.
    fn library_place(&mut self, data: &PhotoData, place: PlaceId, is_album: bool) -> PlaceId {
        match data {
            PhotoData { is_trashed: true, .. } => self.places.trash(),
            PhotoData { is_archived: true, .. } if !is_album => self.places.archive(),
            _ => place,
        }
    }

    /// Adds a photo, or the places of a copy to the photo that is already there.
    fn add_photo(&mut self, photo: Photo) {
        match self.by_content.get(&photo.content_key()) {
            Some(number) => self.found.photos[*number].add_places(photo),
            None => {
                self.by_content.insert(photo.content_key(), self.found.photos.len());
                self.found.photos.push(photo);
            }
        }
    }

    /// Adds the photos without a sidecar: those with the bytes of a photo that has one are its
    /// copies.
    fn add_copies(&mut self) {
        let mut by_bytes: HashMap<(u64, u32), Option<usize>> = HashMap::new();
        for (number, photo) in self.found.photos.iter().enumerate() {
            if let Some(crc32) = photo.info.crc32 {
                let photos = by_bytes.entry((photo.info.size, crc32));
                photos.and_modify(|only| *only = None).or_insert(Some(number));
            }
        }
        for photo in std::mem::take(&mut self.without_sidecar) {
            let bytes = photo.info.crc32.map(|crc32| (photo.info.size, crc32));
            let original = bytes.and_then(|bytes| by_bytes.get(&bytes).copied().flatten());
            match original {
                Some(number) => self.found.photos[number].add_places(photo),
                None => {
                    self.found.counts.without_sidecar += 1;
                    self.add_photo(photo);
                }
            }
        }
    }
}

impl Photo {
    /// Adds the places of a copy in the same export.
    fn add_places(&mut self, copy: Photo) {
        add_missing(&mut self.library, copy.library);
        add_missing(&mut self.albums, copy.albums);
    }
}

/// Adds the places that aren't there.
pub fn add_missing(places: &mut Vec<PlaceId>, others: Vec<PlaceId>) {
    for place in others {
        if !places.contains(&place) {
            places.push(place);
        }
    }
}

/// Returns the name of a file by its title. The file may have been given an extension, or be of
/// another kind than its title says.
fn title_name(title: &str, file: &str) -> String {
    let (stem, extension) = split_title(title);
    let (_, own) = split_extension(file);
    if own.is_empty() || extension.eq_ignore_ascii_case(own) {
        return title.to_owned();
    }
    [stem, own].concat()
}

fn split_title(title: &str) -> (&str, &str) {
    split_extension(title)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_title_with_the_extension_of_the_file() {
        for (title, file, name) in [
            ("IMG.jpg", "IMG(1).jpg", "IMG.jpg"),
            ("IMG.JPG", "IMG.jpg", "IMG.JPG"),
            ("IMG.HEIC", "IMG.MP4", "IMG.MP4"),
            ("27/06/12 - 1", "27_06_12 - 1.jpg", "27/06/12 - 1.jpg"),
            ("Mr. Smith", "Mr. Smith.jpg", "Mr. Smith.jpg"),
            ("MVIMG", "MVIMG", "MVIMG"),
        ] {
            assert_eq!(title_name(title, file), name, "{title} {file}");
        }
    }
}
