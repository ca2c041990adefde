//! The account's photos and albums.

use std::collections::{BTreeSet, HashMap, HashSet};

use bytes::Bytes;
use time::OffsetDateTime;

use super::ids::{self, Ids};
use super::media::{self, Digest};

/// A photo or a video.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its id.
    pub id: String,
    /// Its file name.
    pub name: String,
    /// Its MIME type.
    pub media_type: &'static str,
    /// In whole seconds, as Google tells it.
    pub created: OffsetDateTime,
    /// Its bytes.
    pub bytes: Bytes,
    /// The digest of its bytes.
    pub digest: Digest,
    /// Whether it is a favourite.
    pub favourite: bool,
    /// Whether it is archived.
    pub archived: bool,
    /// Whether the application that is connected created it: it sees no others.
    pub app_created: bool,
    /// Listed, but gone.
    pub vanished: bool,
}

impl Item {
    /// Whether it is a video.
    pub fn is_video(&self) -> bool {
        self.media_type.starts_with("video/")
    }
}

/// An album; its items in their order.
#[derive(Clone, Debug)]
pub struct Album {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// A different user's.
    pub shared: bool,
    pub(super) items: Vec<usize>,
    holds: HashSet<usize>,
}

/// Items by their place in `items`; a deleted one leaves its place empty.
pub struct Library {
    ids: Ids,
    items: Vec<Option<Item>>,
    by_id: HashMap<String, usize>,
    by_digest: HashMap<Digest, usize>,
    /// By creation time, the oldest first.
    order: BTreeSet<(i64, usize)>,
    albums: Vec<Album>,
    albums_by_id: HashMap<String, usize>,
}

impl Library {
    /// Creates an empty library.
    pub fn new(seed: u64) -> Self {
        Self {
            ids: Ids::new(seed ^ 0x11b),
            items: Vec::new(),
            by_id: HashMap::new(),
            by_digest: HashMap::new(),
            order: BTreeSet::new(),
            albums: Vec::new(),
            albums_by_id: HashMap::new(),
        }
    }

    /// Forgets everything; no id comes again.
    pub fn empty(&mut self) {
        let ids = std::mem::replace(&mut self.ids, Ids::new(0));
        *self = Self { ids, ..Self::new(0) };
    }

    /// Adds an item. Bytes that are there already are the item that they were.
    pub fn add(
        &mut self,
        name: &str,
        media_type: &'static str,
        bytes: Bytes,
        created: OffsetDateTime,
    ) -> usize {
        let digest = media::digest(&bytes);
        if let Some(place) = self.by_digest.get(&digest) {
            return *place;
        }
        let item = Item {
            id: self.ids.next("ALvc__", ids::ITEM),
            name: name.to_owned(),
            media_type,
            created,
            bytes,
            digest,
            favourite: false,
            archived: false,
            app_created: true,
            vanished: false,
        };
        let place = self.items.len();
        self.by_id.insert(item.id.clone(), place);
        self.by_digest.insert(item.digest.clone(), place);
        self.order.insert((created.unix_timestamp(), place));
        self.items.push(Some(item));
        place
    }

    /// Removes an item from everywhere.
    pub fn delete(&mut self, place: usize) {
        let Some(item) = self.items[place].take() else { return };
        self.by_id.remove(&item.id);
        self.by_digest.remove(&item.digest);
        self.order.remove(&(item.created.unix_timestamp(), place));
        for album in &mut self.albums {
            album.take_out(place);
        }
    }

    /// Number of items that were ever added.
    pub fn added(&self) -> usize {
        self.items.len()
    }

    /// The item at a place.
    pub fn item(&self, place: usize) -> Option<&Item> {
        self.items.get(place)?.as_ref()
    }

    /// The item at a place, to change it.
    pub fn item_mut(&mut self, place: usize) -> Option<&mut Item> {
        self.items.get_mut(place)?.as_mut()
    }

    /// The place of the item with an id.
    pub fn place(&self, id: &str) -> Option<usize> {
        self.by_id.get(id).copied()
    }

    /// All items that weren't removed.
    pub fn items(&self) -> impl Iterator<Item = &Item> {
        self.items.iter().flatten()
    }

    /// The items created before this one in the library's order, the newest first: all
    /// of them if there is none.
    pub fn newest(&self, before: Option<(i64, usize)>) -> impl Iterator<Item = (usize, &Item)> {
        let before = before.unwrap_or((i64::MAX, usize::MAX));
        let places = self.order.range(..before).rev();
        places.filter_map(|(_, place)| Some((*place, self.item(*place)?)))
    }

    /// Adds an album; there may be others of that title.
    pub fn add_album(&mut self, title: &str, shared: bool) -> usize {
        let id = self.ids.next("ALvc__", ids::ALBUM);
        let place = self.albums.len();
        self.albums_by_id.insert(id.clone(), place);
        self.albums.push(Album {
            id,
            title: title.to_owned(),
            shared,
            items: Vec::new(),
            holds: HashSet::new(),
        });
        place
    }

    /// All albums.
    pub fn albums(&self) -> &[Album] {
        &self.albums
    }

    /// The album with an id.
    pub fn album(&self, id: &str) -> Option<&Album> {
        Some(&self.albums[*self.albums_by_id.get(id)?])
    }

    /// The album with an id, to change it.
    pub fn album_mut(&mut self, id: &str) -> Option<&mut Album> {
        Some(&mut self.albums[*self.albums_by_id.get(id)?])
    }

    /// The album at a place.
    pub fn album_at(&mut self, place: usize) -> &mut Album {
        &mut self.albums[place]
    }

    /// The items of an album that can be seen, from a position on.
    pub fn of_album<'a>(
        &'a self,
        album: &'a Album,
        from: usize,
    ) -> impl Iterator<Item = (usize, &'a Item)> {
        let items = album.items.iter().enumerate().skip(from);
        items.filter_map(|(position, place)| Some((position, self.item(*place)?)))
    }
}

impl Album {
    /// Puts an item at the end, unless the album holds it.
    pub fn put(&mut self, place: usize) {
        if self.holds.insert(place) {
            self.items.push(place);
        }
    }

    /// Removes the item at a place from the album, if it is there.
    pub fn take_out(&mut self, place: usize) {
        if self.holds.remove(&place) {
            self.items.retain(|item| *item != place);
        }
    }
}
