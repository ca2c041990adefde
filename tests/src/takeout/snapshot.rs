//! The snapshot that a library must give, by the model alone.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use time::OffsetDateTime;
use time::macros::format_description;

use super::content::Content;
use super::languages::Language;
use super::library::{Library, Photo, Place, Seconds, Sidecar};
use super::names::{Folder, sanitise, split_extension};

/// Which photos are in a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Union {
    /// Those of all exports (`exports=all`).
    All,
    /// Those of the newest export (`exports=newest`).
    Newest,
}

/// What is known of a file: its size, its CRC-32 and its time.
pub type Known = (u64, u32, Seconds);

/// The files of a snapshot by their paths, without those of `/sidecar`.
pub type Snapshot = BTreeMap<String, Known>;

/// A photo, edited copy or video, as a directory of the snapshot has it.
#[derive(Clone)]
struct Item {
    name: String,
    known: Known,
    /// Whether the snapshot has it. If not, it still counts when names are given.
    is_there: bool,
}

/// Returns the snapshot of a library in this language.
pub fn expected(library: &Library, union: Union, language: Language) -> Snapshot {
    let mut directories = BTreeMap::<String, Vec<Item>>::new();
    for photo in &library.photos {
        let items = items(photo, union, language);
        let mut add = |directory: String| {
            directories.entry(directory).or_default().extend(items.iter().cloned());
        };
        if let Some(directory) = directory(photo, language) {
            add(directory);
        }
        if photo.favorite {
            add("/feature/favorites".to_owned());
        }
    }
    for (path, members) in albums(library, language) {
        for number in members {
            let items = items(&library.photos[number], union, language);
            directories.entry(path.clone()).or_default().extend(items);
        }
    }
    let named = directories.into_iter().flat_map(|(directory, items)| {
        let named = tell_apart(items).into_iter().filter(|item| item.is_there);
        named.map(move |item| (format!("{directory}/{}", item.name), item.known))
    });
    named.collect()
}

/// The directory of a photo, if it isn't only in albums.
fn directory(photo: &Photo, language: Language) -> Option<String> {
    Some(match photo.place {
        Place::Year => format!("/media/by-year/{}", photo.year()),
        Place::Archive => "/archive".to_owned(),
        Place::Trash => "/trash".to_owned(),
        Place::FailedVideos => format!("/other/{}", language.names().failed_videos),
        Place::Albums => return None,
    })
}

/// The path of each album, and its photos.
fn albums(library: &Library, language: Language) -> Vec<(String, Vec<usize>)> {
    let mut folders = Folder::default();
    let mut seen = BTreeMap::<&str, u32>::new();
    let paths = library.albums.iter().map(|album| {
        let folder = folders.album(&album.title, language.names().untitled);
        let number = seen.entry(&album.title).or_default();
        let name = match (album.title.as_str(), *number) {
            ("", _) => folder,
            (title, 0) => title.to_owned(),
            (title, number) => format!("{title} ({number})"),
        };
        *number += 1;
        let members = album.members.iter().map(|(number, _)| *number).collect();
        (format!("/album/{name}"), members)
    });
    paths.collect()
}

/// A photo with what belongs to it.
fn items(photo: &Photo, union: Union, language: Language) -> Vec<Item> {
    if photo.sidecar == Sidecar::WithoutMedia {
        return Vec::new();
    }
    let clean = sanitise(&photo.title);
    // Only a `/` can't be in a path; without a sidecar there is only the file's name.
    let title = match photo.sidecar {
        Sidecar::Missing | Sidecar::Broken => clean,
        _ => photo.title.replace('/', "_"),
    };
    let (stem, extension) = split_extension(&title);
    let extension = format!("{extension}{}", photo.added_extension);
    let item = |name: String, content: &Content| Item {
        name,
        known: (content.size(), content.crc32(), photo.time()),
        is_there: union == Union::All || !photo.deleted,
    };
    let mut items = vec![item(format!("{stem}{extension}"), &photo.content)];
    if let Some(edited) = &photo.edited {
        items.push(item(format!("{stem}{}{extension}", language.names().edited), edited));
    }
    if let Some((extension, video)) = &photo.video {
        items.push(item(format!("{stem}{extension}"), video));
    }
    items
}

/// Gives each file of a directory a name of its own: the oldest keeps its name.
fn tell_apart(mut items: Vec<Item>) -> Vec<Item> {
    items.sort_by_key(|item| (item.name.clone(), item.known.2, item.known.1));
    items.dedup_by(|one, other| one.name == other.name && one.known == other.known);
    let mut named: Vec<Item> = Vec::with_capacity(items.len());
    for number in 0..items.len() {
        let item = &items[number];
        let earlier = items[..number].iter().rev().take_while(|it| it.name == item.name);
        let (count, at_once) = earlier.fold((0, 0), |(count, at_once), it| {
            (count + 1, at_once + usize::from(it.known.2 == item.known.2))
        });
        let name = match (count, at_once) {
            (0, _) => item.name.clone(),
            (_, 0) => with(&item.name, &stamp(item.known.2)),
            _ => with(&item.name, &format!("{} {:08x}", stamp(item.known.2), item.known.1)),
        };
        named.push(Item { name, ..item.clone() });
    }
    named
}

/// Puts a text in braces into a name.
fn with(name: &str, text: &str) -> String {
    let (stem, extension) = split_extension(name);
    format!("{stem} {{{text}}}{extension}")
}

fn stamp(time: Seconds) -> String {
    let time = OffsetDateTime::from_unix_timestamp(time).unwrap();
    time.format(format_description!("[year]-[month]-[day] [hour].[minute].[second]")).unwrap()
}

/// Returns what was restored to a directory, without `/sidecar`.
pub fn restored(directory: &Path) -> Snapshot {
    let all = everything(directory).into_iter();
    all.filter(|(path, _)| !path.starts_with("/sidecar/")).collect()
}

/// Returns all files of a directory by their paths.
pub fn everything(directory: &Path) -> Snapshot {
    let files = crate::env::files_below(directory).into_iter().map(|path| {
        let name = path.strip_prefix(directory).unwrap().to_str().unwrap();
        let bytes = fs::read(&path).unwrap();
        let time = path.metadata().unwrap().mtime();
        (format!("/{name}"), (bytes.len() as u64, crc32fast::hash(&bytes), time))
    });
    files.collect()
}

/// The two snapshots must be the same.
#[track_caller]
pub fn assert_same(have: &Snapshot, want: &Snapshot) {
    let missing: Vec<_> = want.iter().filter(|(path, _)| !have.contains_key(*path)).collect();
    let surplus: Vec<_> = have.iter().filter(|(path, _)| !want.contains_key(*path)).collect();
    let differing: Vec<_> = want
        .iter()
        .filter_map(|(path, known)| {
            have.get(path).filter(|it| *it != known).map(|it| (path, it, known))
        })
        .collect();
    assert!(
        missing.is_empty() && surplus.is_empty() && differing.is_empty(),
        "missing: {missing:#?}\ntoo many: {surplus:#?}\ndiffering (path, have, want): {differing:#?}"
    );
}
