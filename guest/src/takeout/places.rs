//! Places: the directories of a snapshot that photos are in, and names that such a directory can
//! have.

use std::collections::{BTreeMap, HashMap};

use super::file_names::split_number;
use super::folders::{Folder, FolderKind};

/// Number of a place.
pub type PlaceId = u32;

/// All places of a snapshot, by their paths.
#[derive(Debug, Default)]
pub struct Places {
    paths: Vec<Box<str>>,
    by_path: HashMap<Box<str>, PlaceId>,
}

impl Places {
    /// Returns the place of a year.
    pub fn year(&mut self, year: u16) -> PlaceId {
        self.place(&format!("media/by-year/{year:04}"))
    }

    /// Returns the place of an album, given its path below the directory of albums.
    pub fn album(&mut self, path: &str) -> PlaceId {
        self.place(&["album/", path].concat())
    }

    /// Returns the place of archived photos.
    pub fn archive(&mut self) -> PlaceId {
        self.place("archive")
    }

    /// Returns the place of deleted photos.
    pub fn trash(&mut self) -> PlaceId {
        self.place("trash")
    }

    /// Returns the place of favourite photos.
    pub fn favorites(&mut self) -> PlaceId {
        self.place("feature/favorites")
    }

    /// Returns the place of a folder of any other kind.
    pub fn other(&mut self, name: &str) -> PlaceId {
        self.place(&["other/", name].concat())
    }

    /// Returns the place with a path.
    pub fn place(&mut self, path: &str) -> PlaceId {
        if let Some(place) = self.by_path.get(path) {
            return *place;
        }
        // More places than this have no room in memory.
        let place = PlaceId::try_from(self.paths.len()).unwrap_or(PlaceId::MAX);
        self.paths.push(path.into());
        self.by_path.insert(path.into(), place);
        place
    }

    /// Reports whether a path is that of a place.
    pub fn contains(&self, path: &str) -> bool {
        self.by_path.contains_key(path)
    }

    /// Returns the number of places.
    pub fn len(&self) -> usize {
        self.paths.len()
    }

    /// Returns the paths of the places that were added first.
    pub fn first(&self, count: usize) -> impl Iterator<Item = &str> {
        self.paths.iter().take(count).map(|path| &**path)
    }

    /// Returns the path of a place.
    pub fn path(&self, place: PlaceId) -> &str {
        let place = usize::try_from(place).ok();
        place.and_then(|place| self.paths.get(place)).map_or("", |path| path)
    }

    /// Returns the year of a place that is one.
    pub fn year_of(&self, place: PlaceId) -> Option<i16> {
        self.path(place).strip_prefix("media/by-year/")?.parse().ok()
    }
}

/// Returns the paths of the albums among some folders, by the numbers of the folders. Of albums
/// with the same title the first keeps it, and others have the numbers of their folders.
pub fn album_paths(folders: &[Folder]) -> HashMap<usize, String> {
    let mut by_title: BTreeMap<String, Vec<(u32, usize)>> = BTreeMap::new();
    for (number, folder) in folders.iter().enumerate() {
        if let FolderKind::Album(title) = folder.kind().0 {
            let path = title_path(&title);
            let path = if path.is_empty() { title_path(folder.name()) } else { path };
            let folder_number = split_number(folder.name()).map_or(0, |split| split.number);
            by_title.entry(path).or_default().push((folder_number, number));
        }
    }
    let mut paths = HashMap::new();
    for (path, mut albums) in by_title {
        albums.sort_unstable();
        for (at, (folder_number, number)) in albums.into_iter().enumerate() {
            let path = if at == 0 { path.clone() } else { format!("{path} ({folder_number})") };
            paths.insert(number, path);
        }
    }
    paths
}

/// Returns the path of an album with a title: as rclone shows it, a `/` separates directories.
fn title_path(title: &str) -> String {
    let names = title.split('/').filter(|name| !name.is_empty());
    names.map(safe_name).collect::<Vec<_>>().join("/")
}

/// Returns a name that a snapshot can have. Google replaces `/`, and rclone shows the others by
/// characters that look like them.
///
/// Source: `EncodeDot` and `EncodeZero` in rclone's lib/encoder.
pub fn safe_name(name: &str) -> String {
    match name {
        "" => "_".to_owned(),
        "." => "．".to_owned(),
        ".." => "．．".to_owned(),
        _ => name.replace('/', "_").replace('\0', "␀"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::takeout::folders::JsonFile;
    use crate::takeout::sidecar::Sidecar;
    use crate::takeout::{FileInfo, FileSource};

    fn paths(albums: &[(&str, &str)]) -> Vec<String> {
        let info = FileInfo { size: 1, crc32: None, source: FileSource::Unpacked(0) };
        let folder = |(path, title): &(&str, &str)| Folder {
            path: format!("Takeout/Google Photos/{path}").into(),
            json: vec![JsonFile {
                stem: "metadata".into(),
                info,
                contents: Sidecar::Album((*title).to_owned()),
            }],
            ..Folder::default()
        };
        let folders: Vec<_> = albums.iter().map(folder).collect();
        let paths = album_paths(&folders);
        (0..albums.len()).map(|number| paths[&number].clone()).collect()
    }

    #[test]
    fn an_album_has_the_path_of_its_title() {
        assert_eq!(paths(&[("Album test 6-10-23", "Album test 6/10/23")]), ["Album test 6/10/23"]);
        assert_eq!(paths(&[("Untitled(3)", ""), ("x", "//")]), ["Untitled(3)", "x"]);
        assert_eq!(paths(&[("_", "../a/./b\0")]), ["．．/a/．/b␀"]);
    }

    #[test]
    fn albums_of_one_title_have_the_numbers_of_their_folders() {
        assert_eq!(
            paths(&[("Trip(2)", "Trip"), ("Trip", "Trip"), ("Trip(1)", "Trip")]),
            ["Trip (2)", "Trip", "Trip (1)"]
        );
        assert_eq!(paths(&[("Trip(1)", "Trip")]), ["Trip"]);
    }

    #[test]
    fn a_place_has_one_number() {
        let mut places = Places::default();
        let year = places.year(2023);
        assert_eq!((places.path(year), places.year_of(year)), ("media/by-year/2023", Some(2023)));
        assert_eq!(places.year(2023), year);
        let album = places.album("media/by-year/2023");
        assert_ne!(album, year);
        assert_eq!(places.year_of(album), None);
    }
}
