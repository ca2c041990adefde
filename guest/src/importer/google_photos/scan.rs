//! Scan of Google Photos: the paths of one photo next to each other, so that it is downloaded
//! once, and with names that stay the same from backup to backup.
//!
//! Albums are listed first, and their photos are kept by ID. Then the library is listed, each
//! photo followed by its paths in albums.

use futures::StreamExt;
use futures::channel::mpsc;
use futures::future::OptionFuture;
use std::collections::HashMap;
use std::rc::Rc;

use super::library::{Library, Photo};
use super::name_collisions::NameCollisions;
use super::views::{self, Views};
use crate::backends::Backend;
use crate::bindings::exports::plakar::connector::importer::ScanEvent;
use crate::bindings::plakar::connector::rclone::ListOptions;
use crate::bindings::plakar::connector::types::{Failure, Reason, Timestamp};
use crate::importer::events::{EntryBuilder, EventSender};
use crate::importer::listing::{self, Listing, ListingConfig, ListingSummary};
use crate::importer::prefetch::Prefetcher;
use crate::lsjson::Item;

const EMPTY_LIBRARY: &str = "Google Photos shows rclone no photo at all, and nothing was backed \
     up: since 2025-03-31 Google lets an application see only what it uploaded itself";
const EMPTY_LIBRARY_HELP: &str =
    "see `plakbox help google-photos` for the other photos (Google Takeout)";

type Items = mpsc::Receiver<Vec<Item>>;

/// Scan of a library.
pub struct LibraryScan<'a> {
    library: &'a Library,
    prefetcher: &'a Prefetcher,
    entries: EntryBuilder,
    events: EventSender,
    /// Number of paths of photos so far, with or without an error.
    path_count: usize,
}

impl<'a> LibraryScan<'a> {
    /// Creates a scan. Nothing is listed yet.
    pub fn new(
        library: &'a Library,
        backend: Backend,
        prefetcher: &'a Prefetcher,
        events: EventSender,
    ) -> Self {
        let entries = EntryBuilder::new(events.root().clone(), backend);
        Self { library, prefetcher, entries, events, path_count: 0 }
    }

    /// Runs the scan.
    ///
    /// # Errors
    ///
    /// A listing is not complete, or no photo could be listed.
    pub async fn run(mut self) -> Result<(), Failure> {
        let root = self.events.root().clone();
        let Views { albums, library, has_all_photos } = views::select(root.path());
        let (error_sender, errors) = EventSender::channel(root);
        // Both at once: the library waits in its pipe until the albums are known.
        let (albums, library) = futures::join!(
            OptionFuture::from(albums.map(|excluded| list(excluded, error_sender.clone()))),
            OptionFuture::from(library.map(|excluded| list(excluded, error_sender.clone())))
        );
        drop(error_sender);
        let (albums, albums_end) = unzip_listing(albums.transpose()?);
        let (library, library_end) = unzip_listing(library.transpose()?);
        let sending = self.send_all(albums, library);
        let (albums_end, library_end, errors, ()) = futures::join!(
            OptionFuture::from(albums_end),
            OptionFuture::from(library_end),
            errors.concat(),
            sending
        );
        albums_end.transpose()?;
        library_end.transpose()?;
        let errors = self.ignore_refused_sharing(errors);
        if self.path_count == 0 {
            return fail_if_empty(errors, has_all_photos);
        }
        self.events.send(errors).await;
        Ok(())
    }

    /// Removes the error of the view of shared albums, if Google refuses access to it: since
    /// 2025-03-31 it does so for all applications, whose own albums and photos are complete.
    ///
    /// Source: "Updates to the Google Photos APIs", developers.google.com/photos/support/updates.
    fn ignore_refused_sharing(&self, errors: Vec<ScanEvent>) -> Vec<ScanEvent> {
        let sharing = self.events.root().absolute("shared-album");
        let is_refused = |event: &ScanEvent| {
            matches!(event, ScanEvent::Error((path, Failure { reason: Reason::Denied, .. }))
                if *path == sharing)
        };
        errors.into_iter().filter(|event| !is_refused(event)).collect()
    }

    /// Sends the entries of both listings.
    async fn send_all(&mut self, albums: Option<Items>, library: Option<Items>) {
        let albums = match albums {
            Some(items) => self.collect_albums(items).await,
            None => AlbumPhotos::default(),
        };
        self.send_photos(library, albums).await;
    }

    /// Collects the photos in albums. Directories are sent at once.
    async fn collect_albums(&mut self, mut items: Items) -> AlbumPhotos {
        let (mut photos, mut collisions) = (AlbumPhotos::default(), NameCollisions::default());
        while let Some(group) = items.next().await {
            let mut directories = Vec::new();
            for item in group {
                if item.is_dir {
                    directories.push(self.directory(&item));
                } else if let Some(item) = collisions.defer(item) {
                    photos.add(item);
                }
            }
            self.events.send(directories).await;
        }
        for item in self.library.resolve(collisions) {
            photos.add(item);
        }
        photos
    }

    /// Sends the library, each photo with its paths in albums, and then the photos that are in
    /// albums alone.
    async fn send_photos(&mut self, library: Option<Items>, mut albums: AlbumPhotos) {
        let mut collisions = NameCollisions::default();
        let mut library = library.map(StreamExt::fuse);
        while let Some(items) = &mut library
            && let Some(group) = items.next().await
        {
            let mut events = Vec::new();
            for item in group {
                if item.is_dir {
                    events.push(self.directory(&item));
                } else if let Some(item) = collisions.defer(item) {
                    let others = albums.take(item.id());
                    events.extend(self.photo(item, others));
                }
            }
            self.events.send(events).await;
        }
        for item in self.library.resolve(collisions) {
            let others = albums.take(item.id());
            let events = self.photo(item, others);
            self.events.send(events).await;
        }
        for mut paths in albums.into_groups() {
            let others = paths.split_off(1);
            if let Some(first) = paths.pop() {
                let events = self.photo(first, others);
                self.events.send(events).await;
            }
        }
    }

    /// Creates the events of all paths of one photo.
    fn photo(&mut self, first: Item, others: Vec<Item>) -> Vec<ScanEvent> {
        let photo = self.library.create_photo(first.id(), 1 + others.len());
        let items = std::iter::once(first).chain(others);
        items.map(|item| self.photo_path(&item, &photo)).collect()
    }

    /// Creates the event of one path of a photo.
    fn photo_path(&mut self, item: &Item, photo: &Rc<Photo>) -> ScanEvent {
        self.path_count += 1;
        match self.entries.entry(item) {
            Ok(entry) => {
                self.library.add_path(&entry.path, photo);
                // Only the first path is prefetched: the others share its download.
                let is_skipped = !photo.mark_found();
                self.prefetcher.queue(&entry.path, entry.metadata.size, is_skipped);
                ScanEvent::Entry(entry)
            }
            Err(failure) => self.events.error(&item.path, failure),
        }
    }

    /// Creates the event of a directory.
    fn directory(&mut self, item: &Item) -> ScanEvent {
        match self.entries.entry(item) {
            Ok(mut entry) => {
                // rclone reports the time of its own start for every directory.
                entry.metadata.modified = Timestamp { seconds: 0, nanoseconds: 0 };
                // Lets a restore match the album.
                entry.metadata.identity = item.identity();
                ScanEvent::Entry(entry)
            }
            Err(failure) => self.events.error(&item.path, failure),
        }
    }
}

/// Starts a listing without some directories.
async fn list(
    excluded: Vec<&str>,
    errors: EventSender,
) -> Result<Listing<impl Future<Output = Result<ListingSummary, Failure>>>, Failure> {
    let selection = ListOptions {
        excluded: excluded.into_iter().map(str::to_owned).collect(),
        ..ListOptions::descendants("")
    };
    let config = ListingConfig { follows_links: false, keeps_retryable: false };
    listing::start(selection, config, errors).await
}

fn unzip_listing<E: Future>(listing: Option<Listing<E>>) -> (Option<Items>, Option<E>) {
    listing.map(|Listing { items, end }| (items, end)).unzip()
}

/// Returns the failure of a scan without any photo: a library that had photos yesterday must not
/// become an empty snapshot.
fn fail_if_empty(errors: Vec<ScanEvent>, has_all_photos: bool) -> Result<(), Failure> {
    for event in errors {
        if let ScanEvent::Error((_, failure)) = event {
            return Err(failure);
        }
    }
    if !has_all_photos {
        return Ok(());
    }
    Err(Failure::new(Reason::NotFound, EMPTY_LIBRARY).with_help(EMPTY_LIBRARY_HELP))
}

/// Photos in albums by their IDs, in the order in which they were listed.
#[derive(Default)]
struct AlbumPhotos {
    by_id: HashMap<String, (usize, Vec<Item>)>,
    count: usize,
}

impl AlbumPhotos {
    fn add(&mut self, item: Item) {
        self.count += 1;
        let order = self.count;
        self.by_id.entry(item.id().to_owned()).or_insert_with(|| (order, Vec::new())).1.push(item);
    }

    fn take(&mut self, id: &str) -> Vec<Item> {
        self.by_id.remove(id).map(|(_, items)| items).unwrap_or_default()
    }

    /// Returns the paths of each remaining photo. The photos of one album follow each other.
    fn into_groups(self) -> impl Iterator<Item = Vec<Item>> {
        let mut groups: Vec<_> = self.by_id.into_values().collect();
        groups.sort_unstable_by_key(|(order, _)| *order);
        groups.into_iter().map(|(_, items)| items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_taken_once_and_the_rest_keeps_its_order() {
        let mut photos = AlbumPhotos::default();
        for (path, id) in [("b/1", "x"), ("b/2", "y"), ("a/1", "z"), ("a/2", "x")] {
            let line = serde_json::json!({ "Path": path, "ID": id, "Size": -1 });
            photos.add(serde_json::from_value(line).unwrap());
        }
        assert_eq!(photos.take("y").len(), 1);
        assert!(photos.take("y").is_empty());
        let groups: Vec<Vec<_>> = photos
            .into_groups()
            .map(|items| items.into_iter().map(|item| item.path).collect())
            .collect();
        assert_eq!(groups, [vec!["b/1", "a/2"], vec!["a/1"]]);
    }
}
