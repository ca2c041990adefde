//! Backups of Google Photos.

use crate::backup::{Outcome, Reading};
use crate::fault::Fault;
use crate::photos::{BACKEND, Photo, photo};
use crate::tree::{Node, bytes, directory};
use crate::{Reason, Scenario, scenarios};

scenarios![
    a_photo_with_many_paths_is_downloaded_once,
    photos_in_albums_come_under_each_of_their_paths,
    photos_read_at_once_keep_their_own_bytes,
    photos_of_one_name_stay_apart,
    an_empty_library_is_never_an_empty_snapshot,
    a_view_that_google_refuses_to_all_is_left_out,
    an_album_that_cannot_be_listed_is_an_error_of_its_path,
    photos_are_read_after_their_addresses_expired,
    a_download_that_breaks_once_is_made_again,
    a_photo_that_cannot_be_read_fails_under_all_its_paths,
    a_photo_that_broke_half_way_is_not_held_for_its_other_paths,
    photos_too_large_to_hold_are_downloaded_again,
    a_reader_of_photos_that_dies_is_replaced,
    one_album_is_backed_up_alone,
];

/// Returns the tree of photos with different names in a snapshot.
fn tree(photos: &[Photo]) -> Vec<Node> {
    let tops = ["album", "feature", "feature/favorites", "media", "media/all", "shared-album"];
    let mut nodes: Vec<_> = tops.map(directory).into();
    for photo in photos {
        let shown = photo.shown.iter().map(String::as_str);
        for shown in shown.chain(photo.own.then_some("media/all")) {
            if nodes.iter().all(|node| node.path != shown) {
                nodes.push(directory(shown));
            }
            nodes.push(photo_node(photo, &format!("{shown}/{}", photo.name)));
        }
    }
    nodes
}

/// Returns the node of a photo at one of its paths.
fn photo_node(photo: &Photo, path: &str) -> Node {
    Node { path: path.to_owned(), bytes: Some(photo.bytes.clone()), modified: photo.made }
}

/// Creates a backup of a library.
fn library(photos: Vec<Photo>) -> Scenario {
    let tree = tree(&photos);
    let mut scenario = Scenario::backup(Vec::new()).with_backend(BACKEND).backing_up(|backup| {
        backup.tree = tree;
        backup.sizes = false;
        backup.directory_times = false;
        backup.identities = true;
    });
    scenario.photos = photos;
    scenario
}

/// Returns photos in albums, some of them in several albums, some not in the library.
fn some_photos() -> Vec<Photo> {
    let numbered = |number: u32, shown: &[&str]| photo(number, &format!("{number}.jpg"), shown);
    let mut photos: Vec<_> = (1..=20).map(|number| numbered(number, &[])).collect();
    photos.extend((21..=30).map(|number| numbered(number, &["album/Trip"])));
    photos.push(numbered(31, &["album/Trip", "album/Trip/Day 2", "feature/favorites"]));
    photos.push(Photo { own: false, ..numbered(32, &["shared-album/Theirs"]) });
    photos.push(Photo { own: false, ..numbered(33, &["shared-album/Theirs", "album/Trip"]) });
    photos
}

fn a_photo_with_many_paths_is_downloaded_once() -> Scenario {
    library(some_photos()).calls("download", 33..=33).calls("list", 2..=2).calls("look-up", 0..=0)
}

fn photos_in_albums_come_under_each_of_their_paths() -> Scenario {
    let mut photos = some_photos();
    photos.retain(|photo| photo.own);
    library(photos).and_real()
}

fn photos_read_at_once_keep_their_own_bytes() -> Scenario {
    library(some_photos()).backing_up(|backup| backup.reading = Reading::AtOnce)
}

fn photos_of_one_name_stay_apart() -> Scenario {
    let photos = vec![
        photo(3, "IMG.jpg", &[]),
        photo(1, "IMG.jpg", &[]),
        photo(2, "IMG.jpg", &["album/Trip"]),
        photo(4, "other.jpg", &[]),
    ];
    let id = |at: usize| photos[at].id.clone();
    let tree = vec![
        directory("album"),
        directory("album/Trip"),
        directory("feature"),
        directory("feature/favorites"),
        directory("media"),
        directory("media/all"),
        directory("shared-album"),
        // The oldest photo keeps the name.
        photo_node(&photos[1], "media/all/IMG.jpg"),
        photo_node(&photos[0], &format!("media/all/IMG {{{}}}.jpg", id(0))),
        photo_node(&photos[2], &format!("media/all/IMG {{{}}}.jpg", id(2))),
        photo_node(&photos[2], "album/Trip/IMG.jpg"),
        photo_node(&photos[3], "media/all/other.jpg"),
    ];
    library(photos).backing_up(|backup| backup.tree = tree).calls("download", 4..=4)
}

fn an_empty_library_is_never_an_empty_snapshot() -> Scenario {
    library(Vec::new()).backing_up(|backup| backup.ends = vec![Err(Reason::NotFound)])
}

fn a_view_that_google_refuses_to_all_is_left_out() -> Scenario {
    let mut photos = some_photos();
    photos.truncate(31);
    library(photos).fault(Fault::ListError("shared-album", Reason::Denied))
}

fn an_album_that_cannot_be_listed_is_an_error_of_its_path() -> Scenario {
    let photos = vec![photo(1, "a.jpg", &["album/Trip"]), photo(2, "b.jpg", &["album/Other"])];
    library(photos).fault(Fault::ListError("album/Trip", Reason::Unavailable)).backing_up(
        |backup| {
            backup.except("album/Trip", Outcome::FoundAndFailed(Reason::Unavailable));
            backup.except("album/Trip/a.jpg", Outcome::Absent);
        },
    )
}

fn photos_are_read_after_their_addresses_expired() -> Scenario {
    let photos = (1..=150).map(|number| photo(number, &format!("{number}.jpg"), &[])).collect();
    // Two pages: after more than two lookups by ID another listing costs less.
    library(photos).fault(Fault::Expires(40)).calls("look-up", 1..=40).calls("warm", 2..=6)
}

/// Creates a fault of photo 31, which has four paths.
fn broken(at: usize, times: usize) -> Fault {
    Fault::Breaks { path: "0031", at, reported: true, times }
}

fn a_download_that_breaks_once_is_made_again() -> Scenario {
    library(some_photos()).fault(broken(100, 1)).calls("look-up", 1..=1)
}

fn a_photo_that_cannot_be_read_fails_under_all_its_paths() -> Scenario {
    library(some_photos()).fault(broken(100, usize::MAX)).backing_up(|backup| {
        for directory in ["media/all", "album/Trip", "album/Trip/Day 2", "feature/favorites"] {
            backup.except(&format!("{directory}/31.jpg"), Outcome::Unread(Reason::Unavailable));
        }
    })
}

fn a_photo_that_broke_half_way_is_not_held_for_its_other_paths() -> Scenario {
    let mut photos = some_photos();
    photos[30].bytes = bytes(31, 3 << 20);
    let once = Fault::Breaks { path: "0031", at: 2 << 20, reported: true, times: 1 };
    library(photos).fault(once).backing_up(|backup| {
        backup.except("media/all/31.jpg", Outcome::Unread(Reason::Unavailable));
    })
}

fn photos_too_large_to_hold_are_downloaded_again() -> Scenario {
    let mut large = photo(1, "large.mp4", &["album/Trip"]);
    large.bytes = bytes(1, 65 << 20);
    library(vec![large, photo(2, "a.jpg", &["album/Trip"])]).calls("download", 3..=3)
}

fn a_reader_of_photos_that_dies_is_replaced() -> Scenario {
    library(some_photos()).fault(Fault::ReaderDies { after: 10, times: 1 }).calls("reader", 4..=4)
}

fn one_album_is_backed_up_alone() -> Scenario {
    library(some_photos()).with_root("album/Trip").calls("list", 1..=1)
}
