//! Snapshot of a library: its directories, and its files with all their paths, in the order in
//! which they are read.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use super::FileInfo;
use super::library::Library;
use super::photos::{KeptFile, Photo, name_hash};
use super::places::{PlaceId, Places};
use super::twin_names::with_time;
use crate::path::join;

/// Directory of albums.
const ALBUMS: &str = "album/";

/// Directory of sidecars.
const SIDECARS: &str = "sidecar/";

/// Directories and files of a library. Paths are relative to the root.
#[derive(Debug)]
pub struct Snapshot {
    pub directories: BTreeSet<String>,
    /// The files, in the order in which they are in their archives.
    pub files: Vec<SnapshotFile>,
    places: Places,
}

/// File of a snapshot.
#[derive(Debug)]
pub struct SnapshotFile {
    pub info: FileInfo,
    /// Unix time of its modification: the time at which the photo was taken.
    pub modified: i64,
    paths: Vec<(PlaceId, Rc<str>)>,
}

impl Snapshot {
    /// Decides on the paths of a library.
    pub fn new(mut library: Library, mut places: Places) -> Self {
        let kept = std::mem::take(&mut library.kept);
        let favorites = places.favorites();
        let mut memberships = Vec::new();
        for (number, photo) in library.photos.iter().enumerate() {
            let favorite = photo.data.is_favorite.then_some(favorites);
            let all = photo.library.iter().chain(&photo.albums).copied().chain(favorite);
            memberships.extend(all.map(|place| Membership { place, photo: number }));
        }
        let names = name_all(&library.photos, &places, memberships);
        let mut paths = Paths::new(&library, &names, &places);
        let mut files = Vec::new();
        for (photo, names) in library.photos.iter().zip(names) {
            if library.has_export(photo.export) {
                let file = paths.photo(photo, names, &places);
                files.extend(sidecar(photo, &file, &mut places));
                files.push(file);
            }
        }
        for kept in kept.iter().filter(|kept| library.has_export(kept.export)) {
            files.extend(paths.kept(kept, &mut places));
        }
        files.sort_by_key(|file| file.info.source);
        let mut directories = paths.directories;
        for file in &files {
            for (place, _) in &file.paths {
                add_directories(&mut directories, places.path(*place));
            }
        }
        Self { directories, files, places }
    }

    /// Returns the paths of a file.
    pub fn paths<'a>(&'a self, file: &'a SnapshotFile) -> impl Iterator<Item = String> + 'a {
        file.paths.iter().map(|(place, name)| join(self.places.path(*place), name))
    }

    /// Reports whether a directory is an album, and not only the begin of an album's title.
    pub fn is_album(&self, directory: &str) -> bool {
        directory.starts_with(ALBUMS) && self.places.contains(directory)
    }
}

/// Photo in a place.
struct Membership {
    place: PlaceId,
    photo: usize,
}

/// Names of a photo by its places.
type Names = Vec<(PlaceId, Rc<str>)>;

/// Names the photos in all their places. The oldest of those that share a name keeps it.
fn name_all(photos: &[Photo], places: &Places, mut memberships: Vec<Membership>) -> Vec<Names> {
    let time = |photo: &Photo| taken(photo, places);
    memberships.sort_by(|one, other| {
        let (first, second) = (&photos[one.photo], &photos[other.photo]);
        let key = |photo: &Photo| (time(photo), checksum(photo), photo.info.source);
        (one.place, &first.name)
            .cmp(&(other.place, &second.name))
            .then_with(|| key(first).cmp(&key(second)))
    });
    let plain: Vec<Rc<str>> = photos.iter().map(|photo| Rc::from(&*photo.name)).collect();
    let mut names: Vec<Names> = Vec::with_capacity(photos.len());
    names.resize_with(photos.len(), Vec::new);
    let mut oldest: Option<&Membership> = None;
    let mut last: Option<&Membership> = None;
    for membership in &memberships {
        let Membership { place, photo: number } = *membership;
        let photo = &photos[number];
        let is_twin_of = |other: &Option<&Membership>| {
            other
                .is_some_and(|other| other.place == place && photos[other.photo].name == photo.name)
        };
        let name = if is_twin_of(&oldest) {
            let has_same_time = last.is_some_and(|last| time(&photos[last.photo]) == time(photo));
            let crc32 = has_same_time.then(|| checksum(photo));
            with_time(&photo.name, time(photo), crc32).into()
        } else {
            oldest = Some(membership);
            plain[number].clone()
        };
        last = Some(membership);
        names[number].push((place, name));
    }
    names
}

/// Returns the time at which a photo was taken, or else the begin of the year in whose folder it
/// is, which is the same at every backup.
fn taken(photo: &Photo, places: &Places) -> i64 {
    let year = || photo.library.iter().filter_map(|place| places.year_of(*place)).min();
    photo.data.taken.or_else(|| year().map(begin_of_year)).unwrap_or_default()
}

fn begin_of_year(year: i16) -> i64 {
    let begin = jiff::civil::date(year, 1, 1).to_datetime(jiff::civil::Time::midnight());
    jiff::tz::Offset::UTC.to_timestamp(begin).map(jiff::Timestamp::as_second).unwrap_or_default()
}

/// Returns a number that tells photos of one name and time apart.
fn checksum(photo: &Photo) -> u32 {
    // Of an unpacked file only the size is known.
    photo.info.crc32.unwrap_or(u32::try_from(photo.info.size & 0xffff_ffff).unwrap_or_default())
}

/// Returns the sidecar of a photo as a file, unless it is that of its original.
fn sidecar(photo: &Photo, file: &SnapshotFile, places: &mut Places) -> Option<SnapshotFile> {
    let info = photo.sidecar.filter(|_| !photo.is_derived)?;
    let (place, name) = file.paths.first()?;
    let directory = [SIDECARS, places.path(*place)].concat();
    let path = (places.place(&directory), [name, ".json"].concat().into());
    Some(SnapshotFile { info, modified: file.modified, paths: vec![path] })
}

/// Paths that are taken.
struct Paths {
    directories: BTreeSet<String>,
    /// Hashes of the paths of files.
    files: HashSet<u64>,
}

impl Paths {
    fn new(library: &Library, names: &[Names], places: &Places) -> Self {
        let mut directories = BTreeSet::new();
        let mut used: BTreeSet<PlaceId> = BTreeSet::new();
        for (photo, names) in library.photos.iter().zip(names) {
            if library.has_export(photo.export) {
                used.extend(names.iter().map(|(place, _)| *place));
            }
        }
        for place in used {
            add_directories(&mut directories, places.path(place));
        }
        for path in places.first(library.place_count(places)) {
            if path.starts_with(ALBUMS) {
                add_directories(&mut directories, path);
            }
        }
        Self { directories, files: HashSet::new() }
    }

    /// Returns a photo with its paths. A name that is already taken gets the time and the
    /// checksum.
    fn photo(&mut self, photo: &Photo, names: Names, places: &Places) -> SnapshotFile {
        let modified = taken(photo, places);
        let mut paths = Names::new();
        // The first path is in the library, if it has any there.
        let order: HashMap<_, _> =
            photo.library.iter().chain(&photo.albums).copied().zip(0..).collect();
        let mut names = names;
        names.sort_by_key(|(place, _)| order.get(place).copied().unwrap_or(usize::MAX));
        for (place, name) in names {
            let directory = places.path(place);
            let name = if self.take(&join(directory, &name)) {
                name
            } else {
                let name = with_time(&photo.name, modified, Some(checksum(photo)));
                self.take(&join(directory, &name));
                name.into()
            };
            paths.push((place, name));
        }
        SnapshotFile { info: photo.info, modified, paths }
    }

    /// Returns a file that is kept, unless a newer one has its path.
    fn kept(&mut self, kept: &KeptFile, places: &mut Places) -> Option<SnapshotFile> {
        let KeptFile { path, info, modified, .. } = kept;
        if !self.take(path) {
            return None;
        }
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        let paths = vec![(places.place(directory), name.into())];
        Some(SnapshotFile { info: *info, modified: *modified, paths })
    }

    /// Takes the path of a file. Returns whether it was free.
    fn take(&mut self, path: &str) -> bool {
        !self.directories.contains(path) && self.files.insert(name_hash(path))
    }
}

/// Adds a directory and those above it.
fn add_directories(directories: &mut BTreeSet<String>, path: &str) {
    let mut path = path;
    while !path.is_empty() && directories.insert(path.to_owned()) {
        path = path.rsplit_once('/').map_or("", |(parent, _)| parent);
    }
}
