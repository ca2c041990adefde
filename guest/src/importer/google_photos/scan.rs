//! The scan of Google Photos: the paths of one photo next to each other, so that it is
//! downloaded once, and under names that stay the same from backup to backup.
//!
//! Albums are listed first, and what is in them is kept by the photos' IDs. Then the
//! library goes by, each photo followed by its paths in albums.

use futures::channel::mpsc;
use futures::future::OptionFuture;
use futures::{SinkExt, StreamExt};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use super::shared_download::Photo;
use super::{Photos, views};
use crate::backends::google_photos_names as names;
use crate::bindings::exports::plakar::connector::importer::Discovery;
use crate::bindings::plakar::connector::rclone::Selection;
use crate::bindings::plakar::connector::types::{Failure, Reason};
use crate::importer::dedup::Seen;
use crate::importer::scan::{Listing, begin, discovery};
use crate::lsjson::parser::Item;
use crate::path::RemotePath;
use crate::session::Session;

const EMPTY: &str = "Google Photos shows rclone no photo at all: since 2025-03-31 Google lets an \
     application see only what it uploaded itself. Nothing was backed up; for the other photos see \
     `plakbox help google-photos` (Google Takeout)";

/// Lists what there is, and passes it on.
pub async fn scan(
    session: &Session,
    photos: &Photos,
    found: mpsc::Sender<Vec<Discovery>>,
) -> Result<(), Failure> {
    let views = views::below(session.root.path());
    let (failed_in, failed) = mpsc::channel(2);
    let listing = |excluded: Option<Vec<&str>>| {
        let selection = excluded.map(selection);
        OptionFuture::from(selection.map(|selection| begin(session, selection, failed_in.clone())))
    };
    // Both at once: the library waits in its pipe until the albums are known.
    let (albums, library) = futures::join!(listing(views.albums), listing(views.library));
    drop(failed_in);
    let (albums, albums_end) = taken_apart(albums.transpose()?);
    let (library, library_end) = taken_apart(library.transpose()?);
    let mut emitter =
        Emitter { session, photos, seen: Seen::on(&session.backend), found, files: 0 };
    let emitting = async {
        let albums = match albums {
            Some(items) => gather(&mut emitter, items).await,
            None => Paths::default(),
        };
        emitter.all(library, albums).await;
    };
    let (albums_end, library_end, failed, ()) = futures::join!(
        OptionFuture::from(albums_end),
        OptionFuture::from(library_end),
        failed.concat(),
        emitting
    );
    albums_end.transpose()?;
    library_end.transpose()?;
    let failed = without_sharing(session, failed);
    if emitter.files == 0 {
        // A library that was there yesterday must not become an empty snapshot.
        let first = failed.into_iter().find_map(|discovery| match discovery {
            Discovery::Failed((_, failure)) => Some(failure),
            Discovery::Found(_) => None,
        });
        let empty = || views.everything.then(|| Failure::new(Reason::NotFound, EMPTY));
        return first.or_else(empty).map_or(Ok(()), Err);
    }
    emitter.emit(failed).await;
    Ok(())
}

/// What failed, but for the view of shared albums where Google refuses it: since
/// 2025-03-31 it does so to everybody, whose own albums and photos are complete.
///
/// Source: "Updates to the Google Photos APIs", developers.google.com/photos/support/updates.
fn without_sharing(session: &Session, failed: Vec<Discovery>) -> Vec<Discovery> {
    let sharing = session.root.absolute("shared-album");
    let refused = |discovery: &Discovery| {
        matches!(discovery, Discovery::Failed((path, Failure { reason: Reason::Denied, .. }))
            if *path == sharing)
    };
    failed.into_iter().filter(|discovery| !refused(discovery)).collect()
}

fn selection(excluded: Vec<&str>) -> Selection {
    Selection {
        directory: String::new(),
        recursive: true,
        hashes: false,
        server_times: false,
        files: None,
        excluded: excluded.into_iter().map(str::to_owned).collect(),
    }
}

type Items = mpsc::Receiver<Vec<Item>>;

fn taken_apart<E: Future>(listing: Option<Listing<E>>) -> (Option<Items>, Option<E>) {
    listing.map(|Listing { items, end }| (items, end)).unzip()
}

/// Takes in the albums' listing; directories are passed on at once.
async fn gather(emitter: &mut Emitter<'_>, mut items: Items) -> Paths {
    let (mut paths, mut twins) = (Paths::default(), Twins::default());
    while let Some(some) = items.next().await {
        let mut directories = Vec::new();
        for item in some {
            if item.is_dir {
                directories.push(emitter.discovery(&item, None));
            } else if let Some(item) = twins.unless_twin(item) {
                paths.add(item);
            }
        }
        emitter.emit(directories).await;
    }
    for item in twins.named(emitter.photos) {
        paths.add(item);
    }
    paths
}

/// Passes discoveries on.
struct Emitter<'a> {
    session: &'a Session,
    photos: &'a Photos,
    seen: Seen,
    found: mpsc::Sender<Vec<Discovery>>,
    files: usize,
}

impl Emitter<'_> {
    /// Passes on the library, each photo with its paths in albums, and then those that
    /// are in albums alone.
    async fn all(&mut self, library: Option<Items>, mut albums: Paths) {
        let mut twins = Twins::default();
        let mut library = library.map(StreamExt::fuse);
        while let Some(items) = &mut library
            && let Some(some) = items.next().await
        {
            let mut discoveries = Vec::new();
            for item in some {
                if item.is_dir {
                    discoveries.push(self.discovery(&item, None));
                } else if let Some(item) = twins.unless_twin(item) {
                    let others = albums.take(item.id());
                    discoveries.extend(self.photo(item, others));
                }
            }
            self.emit(discoveries).await;
        }
        for item in twins.named(self.photos) {
            let others = albums.take(item.id());
            let discoveries = self.photo(item, others);
            self.emit(discoveries).await;
        }
        for mut paths in albums.in_order() {
            let rest = paths.split_off(1);
            if let Some(first) = paths.pop() {
                let discoveries = self.photo(first, rest);
                self.emit(discoveries).await;
            }
        }
    }

    /// The paths of one photo.
    fn photo(&mut self, first: Item, others: Vec<Item>) -> Vec<Discovery> {
        let photo = Rc::new(Photo::new(first.id(), 1 + others.len()));
        let items = std::iter::once(first).chain(others);
        items.map(|item| self.discovery(&item, Some(&photo))).collect()
    }

    fn discovery(&mut self, item: &Item, photo: Option<&Rc<Photo>>) -> Discovery {
        self.files += usize::from(!item.is_dir);
        discovery(self.session, &mut self.seen, item, photo)
    }

    async fn emit(&mut self, discoveries: Vec<Discovery>) {
        if !discoveries.is_empty() {
            // A closed channel ends the listings, which say so themselves.
            let _ = self.found.send(discoveries).await;
        }
    }
}

/// Photos in albums by their IDs, in the order in which they were listed.
#[derive(Default)]
struct Paths {
    by_id: HashMap<String, (usize, Vec<Item>)>,
    count: usize,
}

impl Paths {
    fn add(&mut self, item: Item) {
        self.count += 1;
        let order = self.count;
        self.by_id.entry(item.id().to_owned()).or_insert_with(|| (order, Vec::new())).1.push(item);
    }

    fn take(&mut self, id: &str) -> Vec<Item> {
        self.by_id.remove(id).map(|(_, items)| items).unwrap_or_default()
    }

    /// Those that are left; the photos of one album follow each other.
    fn in_order(self) -> impl Iterator<Item = Vec<Item>> {
        let mut paths: Vec<_> = self.by_id.into_values().collect();
        paths.sort_unstable_by_key(|(order, _)| *order);
        paths.into_iter().map(|(_, items)| items)
    }
}

/// Photos that share a name in a directory. rclone puts the ID into the name of each;
/// here the oldest keeps the plain name: a photo that is added later, under a name that
/// is taken, is newer as a rule, and then changes no path but its own.
#[derive(Default)]
struct Twins {
    by_path: BTreeMap<String, Vec<Item>>,
}

impl Twins {
    /// Keeps an item whose name holds its ID until all are known; gives back any other.
    fn unless_twin(&mut self, item: Item) -> Option<Item> {
        let path = RemotePath::parse(&item.path).ok();
        let named = path.as_ref().and_then(|path| names::split(path.name()));
        let Some(named) = named.filter(|named| named.id == item.id()) else {
            return Some(item);
        };
        let path = path.as_ref().map_or_else(String::new, |path| join(path.parent(), &named.plain));
        self.by_path.entry(path).or_default().push(item);
        None
    }

    /// All of them, under the names that they keep.
    fn named(self, photos: &Photos) -> Vec<Item> {
        let mut all = Vec::new();
        for (plain, mut twins) in self.by_path {
            twins.sort_by_cached_key(|item| {
                let made = item.modified();
                (made.seconds, made.nanoseconds, item.id().to_owned())
            });
            if let Some(oldest) = twins.first_mut().filter(|_| !plain.ends_with('/')) {
                let shown = std::mem::replace(&mut oldest.path, plain.clone());
                photos.renamed.borrow_mut().insert(plain, shown);
            }
            all.extend(twins);
        }
        all
    }
}

fn join(parent: &str, name: &str) -> String {
    if parent.is_empty() { name.to_owned() } else { format!("{parent}/{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(path: &str, id: &str, time: &str) -> Item {
        let line = serde_json::json!({ "Path": path, "ID": id, "ModTime": time, "Size": -1 });
        serde_json::from_value(line).unwrap()
    }

    #[test]
    fn the_oldest_of_a_name_keeps_it_whatever_comes_later() {
        let ids = ["a", "b", "c"].map(|char| char.repeat(60));
        let shown = |id: &str| names::with_id("all/IMG.jpg", id);
        let mut twins = Twins::default();
        for (id, time) in ids.iter().zip(["2024-01-02", "2023-05-01", "2024-01-01"]) {
            let time = format!("{time}T00:00:00Z");
            assert!(twins.unless_twin(item(&shown(id), id, &time)).is_none());
        }
        assert!(twins.unless_twin(item("all/other.jpg", &ids[0], "")).is_some());
        let photos = Photos::default();
        let paths: Vec<_> = twins.named(&photos).into_iter().map(|item| item.path).collect();
        assert_eq!(paths, ["all/IMG.jpg", &shown(&ids[2]), &shown(&ids[0])]);
        assert_eq!(photos.remote_path("all/IMG.jpg"), shown(&ids[1]));
        assert_eq!(photos.remote_path("all/other.jpg"), "all/other.jpg");
    }

    #[test]
    fn a_photos_paths_are_taken_once_and_the_rest_keeps_its_order() {
        let mut paths = Paths::default();
        for (path, id) in [("b/1", "x"), ("b/2", "y"), ("a/1", "z"), ("a/2", "x")] {
            paths.add(item(path, id, ""));
        }
        assert_eq!(paths.take("y").len(), 1);
        assert!(paths.take("y").is_empty());
        let rest: Vec<Vec<_>> = paths
            .in_order()
            .map(|items| items.into_iter().map(|item| item.path).collect())
            .collect();
        assert_eq!(rest, [vec!["b/1", "a/2"], vec!["a/1"]]);
    }
}
