//! Contents of the account, as a test creates and inspects them.

use std::collections::BTreeSet;

use bytes::Bytes;
use time::{Duration, OffsetDateTime};

use super::{Digest, Item, Photos, media};

/// When the first photo that is added was taken: 2015-01-01. The next ones follow.
const FIRST: i64 = 1_420_070_400;
const BETWEEN: Duration = Duration::seconds(617);

impl Photos {
    /// Adds a photo or a video that rclone uploaded once; gives its id. Each is newer
    /// than those added before. Bytes that are there already are the item that they were.
    #[track_caller]
    pub fn add(&self, name: &str, bytes: impl Into<Bytes>) -> String {
        let bytes = bytes.into();
        let media_type = media::media_type(&bytes).expect("neither a photo nor a video");
        let library = &mut self.google().library;
        let number = i32::try_from(library.added()).unwrap();
        let created = OffsetDateTime::from_unix_timestamp(FIRST).unwrap() + BETWEEN * number;
        let place = library.add(name, media_type, bytes, created);
        library.item(place).unwrap().id.clone()
    }

    /// Adds an album with these items; gives its id.
    pub fn album(&self, title: &str, items: &[impl AsRef<str>]) -> String {
        self.add_album(title, items, false)
    }

    /// Adds an album that a different user shares, with these items.
    pub fn shared_album(&self, title: &str, items: &[impl AsRef<str>]) -> String {
        self.add_album(title, items, true)
    }

    fn add_album(&self, title: &str, items: &[impl AsRef<str>], shared: bool) -> String {
        let library = &mut self.google().library;
        let places: Vec<_> =
            items.iter().map(|id| library.place(id.as_ref()).expect("no such item")).collect();
        let album = library.add_album(title, shared);
        places.into_iter().for_each(|place| library.album_at(album).put(place));
        library.album_at(album).id.clone()
    }

    /// Adds so many photos, every one in an album (and every tenth in the next one, too),
    /// the last ones with the names of the first ones.
    pub fn fill(&self, items: usize, albums: usize, duplicates: usize, seed: u64) {
        let size = self.google().settings.photo_size;
        let ids: Vec<_> = (0..items)
            .map(|number| {
                let name = number.checked_sub(items - duplicates).unwrap_or(number);
                let photo = media::photo(seed, number as u64, size + number % 97);
                self.add(&format!("IMG_{:05}.jpg", name + 1), photo)
            })
            .collect();
        let mut held = vec![Vec::new(); albums];
        for (number, id) in ids.iter().enumerate().filter(|_| albums > 0) {
            held[number % albums].push(id);
            if (number + number / albums) % 10 == 9 {
                held[(number + 1) % albums].push(id);
            }
        }
        for (number, held) in held.iter().enumerate() {
            self.album(&format!("Album {:03}", number + 1), held);
        }
    }

    /// The owner gives an album another title.
    pub fn rename_album(&self, id: &str, title: &str) {
        let library = &mut self.google().library;
        library.album_mut(id).expect("no such album").title = title.to_owned();
    }

    /// The bytes that one album holds.
    pub fn album_of(&self, id: &str) -> BTreeSet<Digest> {
        let library = &self.google().library;
        let album = library.album(id).expect("no such album");
        library.of_album(album, 0).map(|(_, item)| item.digest.clone()).collect()
    }

    /// Makes an item a favourite.
    pub fn favourite(&self, id: &str) {
        self.change(id, |item| item.favourite = true);
    }

    /// Archives an item.
    pub fn archive(&self, id: &str) {
        self.change(id, |item| item.archived = true);
    }

    /// The item was made by another application: this one doesn't see it.
    pub fn by_others(&self, id: &str) {
        self.change(id, |item| item.app_created = false);
    }

    /// The item is gone, and still listed.
    pub fn vanish(&self, id: &str) {
        self.change(id, |item| item.vanished = true);
    }

    fn change(&self, id: &str, change: impl FnOnce(&mut Item)) {
        let library = &mut self.google().library;
        let place = library.place(id).expect("no such item");
        change(library.item_mut(place).unwrap());
    }

    /// The owner deletes an item.
    pub fn delete(&self, id: &str) {
        let library = &mut self.google().library;
        let place = library.place(id).expect("no such item");
        library.delete(place);
    }

    /// The account holds nothing any more.
    pub fn empty_account(&self) {
        self.google().library.empty();
    }

    /// Every item, in the order in which they came.
    pub fn items(&self) -> Vec<Item> {
        self.google().library.items().cloned().collect()
    }

    /// Every album by its title, with the bytes that it holds: to compare accounts, or
    /// what became of one.
    pub fn albums(&self) -> Vec<(String, BTreeSet<Digest>)> {
        let library = &self.google().library;
        let albums = library.albums().iter().map(|album| {
            let items = library.of_album(album, 0).map(|(_, item)| item.digest.clone());
            (album.title.clone(), items.collect())
        });
        let mut albums: Vec<_> = albums.collect();
        albums.sort();
        albums
    }
}
