//! Albums of a restore. An album of the snapshot is restored to the same album, if it exists, or
//! else to one with its title, or else to a new one.
//!
//! rclone shows albums that share a title as `title {ID}`, and each of its processes creates
//! another album for a title that is none of these. So the existing albums are listed first: the
//! directories that an album may be in, each of them once.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::backends::google_photos_names::{remove_id, split_id};
use crate::bindings::plakar::connector::rclone::ListOptions;
use crate::bindings::plakar::connector::types::{Failure, Reason};
use crate::lsjson::identity_from_id;
use crate::lsjson::run::{self, ListOutput};
use crate::path::join;

/// Albums of the destination, and those of the snapshot that are restored to them.
#[derive(Default)]
pub struct Albums {
    /// Directories of the destination that were listed, by their paths.
    directories: HashMap<String, Result<Directory, Failure>>,
    /// Identities of the snapshot's albums, by their paths in it.
    identities: HashMap<String, u64>,
    /// Paths of those of them that a backup of Google Photos found.
    from_google_photos: BTreeSet<String>,
    /// Titles, as rclone shows them, by the paths of albums in the snapshot.
    titles: HashMap<String, String>,
    used_titles: HashSet<String>,
}

/// Directory of the destination: albums, and directories that titles with a `/` make.
#[derive(Clone, Default)]
struct Directory {
    names: Vec<String>,
    albums: Vec<Album>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Album {
    /// Title as rclone shows it.
    title: String,
    identity: u64,
}

impl Albums {
    /// Adds an album of the snapshot with its identity. A directory of a disk may have an
    /// identity, too; `is_album` is set if a backup of Google Photos found it.
    pub fn identify(&mut self, path: &str, identity: u64, is_album: bool) {
        self.identities.insert(path.to_owned(), identity);
        if is_album {
            self.from_google_photos.insert(path.to_owned());
        }
    }

    /// Returns the title, as rclone shows it, of the album that the one at a path is restored
    /// to. `parent` is the directory of albums at the destination.
    ///
    /// # Errors
    ///
    /// The albums of the destination cannot be listed.
    pub async fn title(&mut self, parent: &str, path: &str) -> Result<String, Failure> {
        if let Some(title) = self.titles.get(path) {
            return Ok(title.clone());
        }
        if path.is_empty() {
            return Ok(String::new());
        }
        let albums = self.siblings(parent, &plain_title(path)).await?;
        let title = self.choose(path, &albums);
        self.used_titles.insert(title.clone());
        self.titles.insert(path.to_owned(), title.clone());
        Ok(title)
    }

    /// Returns the titles of the snapshot's albums that have no file and don't exist yet.
    /// `parent` is the directory of albums at the destination.
    ///
    /// # Errors
    ///
    /// The albums of the destination cannot be listed.
    pub async fn missing(&mut self, parent: &str) -> Result<Vec<String>, Failure> {
        let mut missing = Vec::new();
        for path in std::mem::take(&mut self.from_google_photos) {
            if self.titles.contains_key(&path) {
                continue;
            }
            let title = self.title(parent, &path).await?;
            let existing = self.siblings(parent, &title).await?;
            if !existing.iter().any(|album| album.title == title) {
                missing.push(title);
            }
        }
        Ok(missing)
    }

    /// Returns the albums in the directory that a title names.
    async fn siblings(&mut self, parent: &str, title: &str) -> Result<Vec<Album>, Failure> {
        let mut directory = self.directory(parent).await?;
        let mut path = String::new();
        let (parents, _) = title.rsplit_once('/').unwrap_or_default();
        for name in parents.split('/').filter(|name| !name.is_empty()) {
            if !directory.names.iter().any(|existing| existing == name) {
                return Ok(Vec::new());
            }
            path = join(&path, name);
            directory = self.directory(&join(parent, &path)).await?;
        }
        let albums = directory.albums.into_iter();
        Ok(albums.map(|album| Album { title: join(&path, &album.title), ..album }).collect())
    }

    /// Returns a directory of the destination, which is listed once, even if that fails.
    async fn directory(&mut self, path: &str) -> Result<Directory, Failure> {
        if let Some(directory) = self.directories.get(path) {
            return directory.clone();
        }
        let directory = list(path).await;
        self.directories.insert(path.to_owned(), directory.clone());
        directory
    }

    /// Chooses the title for the album at a path, given the albums in its directory.
    fn choose(&self, path: &str, albums: &[Album]) -> String {
        let named = path.rsplit('/').next().and_then(split_id);
        let known = self.identities.get(path).copied();
        // If the snapshot is of a disk, the known identity matches no album.
        let identities = known.into_iter().chain(named.map(|name| identity_from_id(name.id)));
        for identity in identities {
            if let Some(same) = albums.iter().find(|album| album.identity == identity) {
                return same.title.clone();
            }
        }
        let plain = plain_title(path);
        let numbered = (2_u64..).map(|number| format!("{plain} ({number})"));
        let mut candidates = std::iter::once(plain.clone()).chain(numbered);
        candidates.find_map(|title| self.unused_title(title, albums)).unwrap_or(plain)
    }

    /// Returns the title of an unused album with this title, or the title itself if no album has
    /// it.
    fn unused_title(&self, title: String, albums: &[Album]) -> Option<String> {
        let mut exists = false;
        for album in albums.iter().filter(|album| album.has_title(&title)) {
            exists = true;
            if !self.used_titles.contains(&album.title) {
                return Some(album.title.clone());
            }
        }
        (!exists && !self.used_titles.contains(&title)).then_some(title)
    }
}

impl Album {
    /// Reports whether it has a title, with or without an ID.
    fn has_title(&self, title: &str) -> bool {
        let (parent, name) = self.title.rsplit_once('/').unwrap_or(("", &self.title));
        self.title == title || join(parent, &remove_id(name)) == title
    }
}

/// Returns the title, without IDs, of an album at a path.
fn plain_title(path: &str) -> String {
    path.split('/').map(remove_id).collect::<Vec<_>>().join("/")
}

/// Lists a directory of the destination.
async fn list(directory: &str) -> Result<Directory, Failure> {
    let selection = ListOptions { server_times: false, ..ListOptions::children(directory) };
    let ListOutput { items, result, .. } = run::collect(selection).await;
    match result {
        Err(Failure { reason: Reason::NotFound, .. }) => return Ok(Directory::default()),
        result => result?,
    }
    let mut listed = Directory::default();
    for item in items.into_iter().filter(|item| item.is_dir) {
        if !item.id().is_empty() {
            let identity = identity_from_id(item.id());
            listed.albums.push(Album { title: item.path.clone(), identity });
        }
        listed.names.push(item.path);
    }
    Ok(listed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn album(title: &str, id: &str) -> Album {
        Album { title: title.to_owned(), identity: identity_from_id(id) }
    }

    /// Chooses titles for albums of a snapshot, one after the other.
    fn titles(mut albums: Albums, paths: &[&str], existing: &[Album]) -> Vec<String> {
        let mut choose = |path: &&str| {
            let title = albums.choose(path, existing);
            albums.used_titles.insert(title.clone());
            title
        };
        paths.iter().map(&mut choose).collect()
    }

    fn ids() -> [String; 4] {
        ["a", "b", "c", "d"].map(|char| char.repeat(60))
    }

    #[test]
    fn albums_of_one_title_stay_apart_in_an_empty_account() {
        let [a, b, ..] = ids();
        let paths = [&format!("Trip {{{a}}}"), &format!("Trip {{{b}}}"), "Other"];
        let expected = ["Trip", "Trip (2)", "Other"];
        assert_eq!(titles(Albums::default(), &paths, &[]), expected);
        // The albums that this creates are found again.
        let existing = [album("Trip", "x"), album("Trip (2)", "y"), album("Other", "z")];
        assert_eq!(titles(Albums::default(), &paths, &existing), expected);
    }

    #[test]
    fn a_directory_of_a_disk_is_restored_to_the_album_with_the_id_in_its_name() {
        let [a, b, ..] = ids();
        let existing = [album(&format!("Trip {{{a}}}"), &a), album(&format!("Trip {{{b}}}"), &b)];
        let path = format!("Trip {{{b}}}");
        let mut albums = Albums::default();
        albums.identify(&path, 4711, false);
        assert_eq!(titles(albums, &[&path], &existing), [path]);
    }

    #[test]
    fn an_album_is_restored_to_itself_under_any_title() {
        let [a, b, ..] = ids();
        let [trip_a, trip_b] = [&a, &b].map(|id| format!("2024/Trip {{{id}}}"));
        let existing = [album(&trip_a, &a), album(&trip_b, &b)];
        assert_eq!(titles(Albums::default(), &[&trip_b, &trip_a], &existing), [&*trip_b, &*trip_a]);
        let existing = [album("2024/Trip", &b), album("2024/Journey", &a)];
        let expected = ["2024/Journey", "2024/Trip"];
        assert_eq!(titles(Albums::default(), &[&trip_a, &trip_b], &existing), expected);
        let mut known = Albums::default();
        known.identify("2024/Trip", identity_from_id(&a), true);
        assert_eq!(titles(known, &["2024/Trip"], &existing), ["2024/Journey"]);
    }

    #[test]
    fn an_album_of_another_account_is_restored_to_the_next_one_of_its_title() {
        let [a, b, c, d] = ids();
        let [trip_a, trip_b] = [&a, &b].map(|id| format!("Trip {{{id}}}"));
        let existing = [album(&trip_a, &a), album(&trip_b, &b)];
        let paths = ["Trip", &format!("Trip {{{c}}}"), &format!("Trip {{{d}}}")];
        assert_eq!(titles(Albums::default(), &paths, &existing), [&*trip_a, &*trip_b, "Trip (2)"]);
    }
}
