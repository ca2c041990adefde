//! Folders of an export, joined over all its parts, and their kinds: album, year or other. The
//! kinds come from the contents of sidecars and from numbers, since Google translates names.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use unicode_normalization::{UnicodeNormalization, is_nfc};

use super::FileInfo;
use super::file_names::{is_foreign, strip_json};
use super::sidecar::{MAX_SIDECAR_BYTES, Sidecar};

/// Years that the name of a folder may have.
const YEARS: std::ops::RangeInclusive<u16> = 1800..=2099;

/// First digits of scripts whose digits Google may write years with: Latin, Arabic, Persian,
/// Devanagari, Bengali, full width.
const ZEROS: [u32; 6] = [0x30, 0x660, 0x6f0, 0x966, 0x9e6, 0xff10];

/// File of an export.
#[derive(Clone, Debug)]
pub struct ExportFile {
    /// Path in the archive, or in the unpacked export.
    pub path: String,
    pub info: FileInfo,
    /// Contents of a JSON file that was read.
    pub contents: Option<Sidecar>,
}

/// Photo or video, or anything else that isn't JSON.
#[derive(Clone, Debug)]
pub struct MediaFile {
    pub name: Box<str>,
    pub info: FileInfo,
}

/// JSON file.
#[derive(Clone, Debug)]
pub struct JsonFile {
    /// Name without `.json`.
    pub stem: Box<str>,
    pub info: FileInfo,
    pub contents: Sidecar,
}

/// Folder of an export.
#[derive(Debug, Default)]
pub struct Folder {
    /// Path in the export.
    pub path: Box<str>,
    pub media: Vec<MediaFile>,
    pub json: Vec<JsonFile>,
}

/// Kind of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FolderKind {
    /// Album with its title, which may be empty.
    Album(String),
    /// Photos of a year.
    Year(u16),
    /// Archive, trash, or anything else.
    Other,
}

/// Folders of an export.
#[derive(Debug, Default)]
pub struct Catalogue {
    folders: Vec<Folder>,
    by_path: HashMap<Box<str>, usize>,
}

/// JSON files of an export that may be sidecars, by their paths. If the folders of years are
/// known, those beside them are, and otherwise all.
#[derive(Debug, Default)]
pub struct SidecarCandidates {
    /// Folders that have folders of years.
    services: BTreeSet<String>,
}

impl SidecarCandidates {
    /// Adds the paths of files of the export.
    pub fn add<'a>(&mut self, paths: impl Iterator<Item = &'a str>) {
        let mut last = "";
        for path in paths {
            let (folder, _) = path.rsplit_once('/').unwrap_or_default();
            let (service, name) = folder.rsplit_once('/').unwrap_or(("", folder));
            if folder != last && year(name).is_some() {
                self.services.insert(service.to_owned());
            }
            last = folder;
        }
    }

    /// Reports whether a file is to be read.
    pub fn contains(&self, path: &str, size: u64) -> bool {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let (service, _) = folder.rsplit_once('/').unwrap_or_default();
        size <= MAX_SIDECAR_BYTES
            && strip_json(name).is_some()
            && !is_foreign(name)
            && (self.services.is_empty() || self.services.contains(service))
    }
}

/// Folders of Google Photos in an export.
#[derive(Debug, Default)]
pub struct PhotoFolders {
    pub folders: Vec<Folder>,
    /// JSON files of Google Photos that belong to no folder.
    pub loose: Vec<JsonFile>,
    /// Number of files of other services, which are left out.
    pub left_out: usize,
}

impl Catalogue {
    /// Adds a file. Names that a Mac has decomposed get the form that Google gives them.
    pub fn add(&mut self, file: ExportFile) {
        let path = if is_nfc(&file.path) { file.path } else { file.path.nfc().collect() };
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
        if is_foreign(name) || folder.split('/').next() == Some("__MACOSX") {
            return;
        }
        let number = match self.by_path.get(folder) {
            Some(number) => *number,
            None => {
                self.by_path.insert(folder.into(), self.folders.len());
                self.folders.push(Folder { path: folder.into(), ..Folder::default() });
                self.folders.len() - 1
            }
        };
        let folder = &mut self.folders[number];
        match strip_json(name) {
            Some(stem) => {
                let contents = file.contents.unwrap_or(Sidecar::Other);
                folder.json.push(JsonFile { stem: stem.into(), info: file.info, contents });
            }
            None => folder.media.push(MediaFile { name: name.into(), info: file.info }),
        }
    }

    /// Returns the folders of Google Photos, once all files were added.
    pub fn photo_folders(mut self) -> PhotoFolders {
        for folder in &mut self.folders {
            folder.sort();
        }
        let service = self
            .find_service(|folder| folder.json.iter().filter(|json| json.is_photo()).count())
            .or_else(|| {
                self.find_service(|folder| year(folder.name()).map_or(0, |_| folder.media.len()))
            });
        let mut found = PhotoFolders::default();
        for mut folder in self.folders {
            if service.is_some() && folder.parent() == service.as_deref() {
                found.folders.push(folder);
            } else if service.as_deref() == Some(&*folder.path) {
                found.loose.append(&mut folder.json);
                if !folder.media.is_empty() {
                    found.folders.push(folder);
                }
            } else {
                found.left_out += folder.media.len() + folder.json.len();
            }
        }
        found.folders.sort_by(|one, other| one.path.cmp(&other.path));
        found
    }

    /// Finds the folder whose children have the most of something: that of Google Photos. A copy
    /// of it that another service exports lies deeper.
    fn find_service(&self, count: impl Fn(&Folder) -> usize) -> Option<Box<str>> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for folder in &self.folders {
            let (Some(parent), count) = (folder.parent(), count(folder)) else { continue };
            if count > 0 {
                *counts.entry(parent).or_default() += count;
            }
        }
        let depth = |path: &str| if path.is_empty() { 0 } else { 1 + path.matches('/').count() };
        let best =
            counts.into_iter().min_by_key(|(path, count)| (depth(path), std::cmp::Reverse(*count)));
        best.map(|(path, _)| path.into())
    }
}

impl Folder {
    /// Returns its name.
    pub fn name(&self) -> &str {
        self.path.rsplit_once('/').map_or(&self.path, |(_, name)| name)
    }

    /// Returns the path of the folder that it is in; `None` for the root.
    fn parent(&self) -> Option<&str> {
        let parent = self.path.rsplit_once('/').map_or("", |(parent, _)| parent);
        (!self.path.is_empty()).then_some(parent)
    }

    /// Returns its kind, and the number of the JSON file that makes it an album.
    pub fn kind(&self) -> (FolderKind, Option<usize>) {
        for (number, json) in self.json.iter().enumerate() {
            if let Sidecar::Album(title) = &json.contents {
                return (FolderKind::Album(title.clone()), Some(number));
            }
        }
        (year(self.name()).map_or(FolderKind::Other, FolderKind::Year), None)
    }

    /// Sorts the files, so that their order in the archives doesn't matter, and removes those
    /// that are there twice.
    fn sort(&mut self) {
        self.media.sort_by(|one, other| (&one.name, one.info).cmp(&(&other.name, other.info)));
        self.media.dedup_by(|one, other| one.name == other.name && one.info.is_same(&other.info));
        self.json.sort_by(|one, other| (&one.stem, one.info).cmp(&(&other.stem, other.info)));
        self.json.dedup_by(|one, other| {
            let is_checked = one.info.crc32.is_some() && other.info.crc32.is_some();
            is_checked && one.stem == other.stem && one.info.is_same(&other.info)
        });
    }
}

impl JsonFile {
    fn is_photo(&self) -> bool {
        matches!(self.contents, Sidecar::Photo(_))
    }
}

/// Returns the year in the name of a folder, if it has exactly one.
pub fn year(name: &str) -> Option<u16> {
    let mut years = Vec::new();
    let (mut number, mut digits) = (0_u32, 0);
    for digit in name.chars().map(digit).chain([None]) {
        match digit {
            Some(digit) => {
                number = number.saturating_mul(10).saturating_add(digit);
                digits += 1;
            }
            None => {
                let year = u16::try_from(number).ok().filter(|year| YEARS.contains(year));
                years.extend(year.filter(|_| digits == 4));
                (number, digits) = (0, 0);
            }
        }
    }
    match years[..] {
        [year] => Some(year),
        _ => None,
    }
}

fn digit(char: char) -> Option<u32> {
    let code = u32::from(char);
    ZEROS.iter().find_map(|zero| code.checked_sub(*zero).filter(|digit| *digit < 10))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::takeout::FileSource;

    fn catalogue(paths: &[(&str, &str)]) -> PhotoFolders {
        let mut candidates = SidecarCandidates::default();
        candidates.add(paths.iter().map(|(path, _)| *path));
        let mut catalogue = Catalogue::default();
        for (number, (path, contents)) in (0..).zip(paths) {
            let source = FileSource::Entry { archive: 0, entry: number };
            let info = FileInfo { size: 1, crc32: Some(number), source };
            let is_sidecar = candidates.contains(path, 1);
            let contents = is_sidecar.then(|| Sidecar::parse(contents.as_bytes()));
            catalogue.add(ExportFile { path: (*path).to_owned(), info, contents });
        }
        catalogue.photo_folders()
    }

    fn kinds(found: &PhotoFolders) -> Vec<(&str, FolderKind)> {
        found.folders.iter().map(|folder| (folder.name(), folder.kind().0)).collect()
    }

    const PHOTO: &str = r#"{"title":"a.jpg","photoTakenTime":{"timestamp":"5"}}"#;

    #[test]
    fn a_year_is_one_number_of_four_digits_in_any_script() {
        for (name, expected) in [
            ("Photos from 2023", Some(2023)),
            ("Photos from 2023(1)", Some(2023)),
            ("2023年的照片", Some(2023)),
            ("Zdjęcia z roku 1999", Some(1999)),
            ("صور من ٢٠٢٣", Some(2023)),
            ("2018-06-03", Some(2018)),
            ("Photos from 2022 to 2023", None),
            ("Photos from 20234", None),
            ("Photos from 1799", None),
            ("Archive", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(year(name), expected, "{name}");
        }
    }

    #[test]
    fn kinds_come_from_contents_and_not_from_names() {
        let found = catalogue(&[
            ("Takeout/Google\u{a0}Photos/Photos de 2023/a.jpg", ""),
            ("Takeout/Google\u{a0}Photos/Photos de 2023/a.jpg.json", PHOTO),
            ("Takeout/Google\u{a0}Photos/Été 2023/métadonnées.json", r#"{"title":"Été 2023"}"#),
            ("Takeout/Google\u{a0}Photos/Sans titre(9)/métadonnées.json", r#"{"title":""}"#),
            ("Takeout/Google\u{a0}Photos/Corbeille/b.jpg", ""),
            ("Takeout/Google\u{a0}Photos/print-subscriptions.json", "{}"),
        ]);
        let expected = [
            ("Corbeille", FolderKind::Other),
            ("Photos de 2023", FolderKind::Year(2023)),
            ("Sans titre(9)", FolderKind::Album(String::new())),
            ("Été 2023", FolderKind::Album("Été 2023".to_owned())),
        ];
        assert_eq!(kinds(&found), expected);
        assert_eq!((found.loose.len(), found.left_out), (1, 0));
    }

    #[test]
    fn other_services_are_left_out_and_counted() {
        let found = catalogue(&[
            ("Takeout/Google Photos/Photos from 2023/a.jpg", ""),
            ("Takeout/Google Photos/Photos from 2023/a.jpg.json", PHOTO),
            ("Takeout/Contacts/All Contacts/x.jpg", ""),
            ("Takeout/Keep/note.json", r#"{"title":"Note"}"#),
            ("Takeout/Drive/Old/Google Photos/Photos from 2020/b.jpg", ""),
            ("Takeout/Drive/Old/Google Photos/Photos from 2020/b.jpg.json", PHOTO),
            ("Takeout/Drive/2023/c.jpg", ""),
            ("Takeout/archive_browser.html", ""),
        ]);
        assert_eq!(kinds(&found), [("Photos from 2023", FolderKind::Year(2023))]);
        assert_eq!(found.left_out, 6);
    }

    #[test]
    fn the_folder_of_the_service_may_be_missing() {
        let year = [("Photos from 2023", FolderKind::Year(2023))];
        let json = "Photos from 2023/a.jpg.json";
        assert_eq!(kinds(&catalogue(&[("Photos from 2023/a.jpg", ""), (json, PHOTO)])), year);
        assert_eq!(kinds(&catalogue(&[("Takeout/Photos from 2023/a.jpg", "")])), year);
        let album =
            catalogue(&[("T/x/a.jpg.json", PHOTO), ("T/x/metadata.json", r#"{"title":"x"}"#)]);
        assert_eq!(kinds(&album), [("x", FolderKind::Album("x".to_owned()))]);
        assert_eq!(catalogue(&[("notes.txt", "")]).left_out, 1);
    }

    #[test]
    fn names_of_a_mac_are_those_of_google() {
        let found = catalogue(&[
            ("Takeout/Fotos/Fotos 2023/e\u{301}.jpg", ""),
            ("Takeout/Fotos/Fotos 2023/._e\u{301}.jpg", ""),
            ("Takeout/Fotos/Fotos 2023/.DS_Store", ""),
            ("__MACOSX/Takeout/Fotos/Fotos 2023/x.jpg", ""),
        ]);
        let names: Vec<_> = found.folders[0].media.iter().map(|file| &*file.name).collect();
        assert_eq!((names, found.left_out), (vec!["\u{e9}.jpg"], 0));
    }
}
