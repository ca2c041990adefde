//! Which album of the destination an album of the snapshot goes into: the same one where
//! it is there, or else one of its title, or else a new one.
//!
//! rclone shows albums that share a title as `title {ID}`, and each of its processes makes
//! another album for a title that is none of these. So what is there is listed first: the
//! directories that an album may lie in, each of them once.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::backends::google_photos_names as names;
use crate::bindings::plakar::connector::rclone::Selection;
use crate::bindings::plakar::connector::types::{Failure, Reason};
use crate::importer::scan;
use crate::lsjson::parser;

/// The destination's albums, and where those of the snapshot go.
#[derive(Default)]
pub struct Albums {
    there: HashMap<String, Result<Directory, Failure>>,
    /// Identities of the snapshot's albums, by their paths in it.
    identities: HashMap<String, u64>,
    /// Those of them that a backup of Google Photos found.
    own: BTreeSet<String>,
    /// Titles, as rclone shows them, by the paths that albums have in the snapshot.
    chosen: HashMap<String, String>,
    taken: HashSet<String>,
}

/// A directory of the destination: albums, and directories that titles with a `/` make.
#[derive(Clone, Default)]
struct Directory {
    names: Vec<String>,
    albums: Vec<Album>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Album {
    /// As rclone shows it.
    shown: String,
    identity: u64,
}

impl Albums {
    /// Notes an album of the snapshot by what identifies it there. `own`: a backup of
    /// Google Photos found it, where a directory of a disk may have an identity, too.
    pub fn identify(&mut self, path: &str, identity: u64, own: bool) {
        self.identities.insert(path.to_owned(), identity);
        if own {
            self.own.insert(path.to_owned());
        }
    }

    /// The title, as rclone shows it, of the album that the one with this path goes into.
    /// Albums lie in the directory `within` of the destination.
    pub async fn title(&mut self, within: &str, path: &str) -> Result<String, Failure> {
        if let Some(title) = self.chosen.get(path) {
            return Ok(title.clone());
        }
        if path.is_empty() {
            return Ok(String::new());
        }
        let albums = self.beside(within, &plain(path)).await?;
        let title = self.choose(path, &albums);
        self.taken.insert(title.clone());
        self.chosen.insert(path.to_owned(), title.clone());
        Ok(title)
    }

    /// The titles of the snapshot's albums that nothing went into and that aren't there.
    /// Albums lie in the directory `within` of the destination.
    pub async fn missing(&mut self, within: &str) -> Result<Vec<String>, Failure> {
        let mut missing = Vec::new();
        for path in std::mem::take(&mut self.own) {
            if self.chosen.contains_key(&path) {
                continue;
            }
            let title = self.title(within, &path).await?;
            let there = self.beside(within, &title).await?;
            if !there.iter().any(|album| album.shown == title) {
                missing.push(title);
            }
        }
        Ok(missing)
    }

    /// The albums of the directory in which one of this title lies, by their titles.
    async fn beside(&mut self, within: &str, title: &str) -> Result<Vec<Album>, Failure> {
        let mut directory = self.listed(within).await?;
        let mut parent = String::new();
        let (parents, _) = title.rsplit_once('/').unwrap_or_default();
        for name in parents.split('/').filter(|name| !name.is_empty()) {
            if !directory.names.iter().any(|there| there == name) {
                return Ok(Vec::new());
            }
            parent = join(&parent, name);
            directory = self.listed(&join(within, &parent)).await?;
        }
        let albums = directory.albums.into_iter();
        Ok(albums.map(|album| Album { shown: join(&parent, &album.shown), ..album }).collect())
    }

    /// A directory of the destination, listed if it wasn't yet. One that can't be listed
    /// isn't tried again.
    async fn listed(&mut self, path: &str) -> Result<Directory, Failure> {
        if let Some(known) = self.there.get(path) {
            return known.clone();
        }
        let listed = list(path).await;
        self.there.insert(path.to_owned(), listed.clone());
        listed
    }

    /// The title for the album with this path, where these lie in its directory.
    fn choose(&self, path: &str, albums: &[Album]) -> String {
        let named = path.rsplit('/').next().and_then(names::split);
        let noted = self.identities.get(path).copied();
        // Where the snapshot is of a disk, what is noted identifies nothing here.
        let identities = noted.into_iter().chain(named.map(|named| parser::identity(named.id)));
        for identity in identities {
            if let Some(same) = albums.iter().find(|album| album.identity == identity) {
                return same.shown.clone();
            }
        }
        let plain = plain(path);
        let numbered = (2_u64..).map(|number| format!("{plain} ({number})"));
        let free = std::iter::once(plain.clone()).chain(numbered).find_map(|title| {
            let mut namesakes = albums.iter().filter(|album| of_title(album, &title)).peekable();
            let there = namesakes.peek().is_some();
            let free = namesakes.find(|album| !self.taken.contains(&album.shown));
            let new = (!there && !self.taken.contains(&title)).then_some(title.clone());
            free.map(|album| album.shown.clone()).or(new)
        });
        free.unwrap_or(plain)
    }
}

/// The title of an album with this path, without IDs.
fn plain(path: &str) -> String {
    path.split('/').map(names::plain).collect::<Vec<_>>().join("/")
}

/// Whether the album has this title.
fn of_title(album: &Album, title: &str) -> bool {
    let (parent, name) = album.shown.rsplit_once('/').unwrap_or(("", &album.shown));
    album.shown == title || join(parent, &names::plain(name)) == title
}

/// What a directory of the destination holds.
async fn list(directory: &str) -> Result<Directory, Failure> {
    let selection = Selection {
        directory: directory.to_owned(),
        recursive: false,
        hashes: false,
        server_times: false,
        files: None,
        excluded: Vec::new(),
    };
    let (items, _, ended) = scan::whole(selection).await;
    match ended {
        Err(Failure { reason: Reason::NotFound, .. }) => return Ok(Directory::default()),
        ended => ended?,
    }
    let mut found = Directory::default();
    for item in items.into_iter().filter(|item| item.is_dir) {
        if !item.id().is_empty() {
            let identity = parser::identity(item.id());
            found.albums.push(Album { shown: item.path.clone(), identity });
        }
        found.names.push(item.path);
    }
    Ok(found)
}

/// A path in a directory, where either may be empty.
pub fn join(parent: &str, name: &str) -> String {
    if parent.is_empty() || name.is_empty() {
        [parent, name].concat()
    } else {
        format!("{parent}/{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn album(shown: &str, id: &str) -> Album {
        Album { shown: shown.to_owned(), identity: parser::identity(id) }
    }

    /// The titles that these albums of a snapshot get, one after the other.
    fn titles(mut albums: Albums, paths: &[&str], there: &[Album]) -> Vec<String> {
        let mut choose = |path: &&str| {
            let title = albums.choose(path, there);
            albums.taken.insert(title.clone());
            title
        };
        paths.iter().map(&mut choose).collect()
    }

    fn ids() -> [String; 4] {
        ["a", "b", "c", "d"].map(|char| char.repeat(60))
    }

    #[test]
    fn albums_of_one_title_stay_apart_in_an_account_that_has_none() {
        let [a, b, ..] = ids();
        let paths = [&format!("Trip {{{a}}}"), &format!("Trip {{{b}}}"), "Other"];
        let expected = ["Trip", "Trip (2)", "Other"];
        assert_eq!(titles(Albums::default(), &paths, &[]), expected);
        // What that made is found again.
        let there = [album("Trip", "x"), album("Trip (2)", "y"), album("Other", "z")];
        assert_eq!(titles(Albums::default(), &paths, &there), expected);
    }

    #[test]
    fn a_directory_of_a_disk_goes_into_the_album_whose_id_it_is_named_by() {
        let [a, b, ..] = ids();
        let there = [album(&format!("Trip {{{a}}}"), &a), album(&format!("Trip {{{b}}}"), &b)];
        let path = format!("Trip {{{b}}}");
        let mut albums = Albums::default();
        albums.identify(&path, 4711, false);
        assert_eq!(titles(albums, &[&path], &there), [path]);
    }

    #[test]
    fn an_album_goes_into_the_same_one_whatever_it_is_called_by_now() {
        let [a, b, ..] = ids();
        let [trip_a, trip_b] = [&a, &b].map(|id| format!("2024/Trip {{{id}}}"));
        let there = [album(&trip_a, &a), album(&trip_b, &b)];
        assert_eq!(titles(Albums::default(), &[&trip_b, &trip_a], &there), [&*trip_b, &*trip_a]);
        let there = [album("2024/Trip", &b), album("2024/Journey", &a)];
        let expected = ["2024/Journey", "2024/Trip"];
        assert_eq!(titles(Albums::default(), &[&trip_a, &trip_b], &there), expected);
        let mut known = Albums::default();
        known.identify("2024/Trip", parser::identity(&a), true);
        assert_eq!(titles(known, &["2024/Trip"], &there), ["2024/Journey"]);
    }

    #[test]
    fn an_album_of_another_account_goes_into_the_next_one_of_its_title() {
        let [a, b, c, d] = ids();
        let [trip_a, trip_b] = [&a, &b].map(|id| format!("Trip {{{id}}}"));
        let there = [album(&trip_a, &a), album(&trip_b, &b)];
        let paths = ["Trip", &format!("Trip {{{c}}}"), &format!("Trip {{{d}}}")];
        assert_eq!(titles(Albums::default(), &paths, &there), [&*trip_a, &*trip_b, "Trip (2)"]);
    }
}
