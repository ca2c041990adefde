//! Restores to Google Photos.

use crate::fault::Fault;
use crate::photos::BACKEND;
use crate::restore::{Keeps, Kind};
use crate::tree::{Node, directory, file};
use crate::{Reason, Scenario, scenarios};

scenarios![
    albums_are_restored_and_no_photo_is_uploaded_twice,
    the_ids_in_names_go_again,
    folders_become_albums,
    a_view_is_not_a_destination,
    a_photo_that_cannot_be_uploaded_fails_under_all_its_paths,
    one_process_writes_at_a_time,
    empty_albums_are_made_in_the_end,
    albums_that_cannot_be_listed_block_no_photo,
    an_album_that_cannot_be_made_fails_the_restore_and_no_photo,
    empty_folders_and_links_are_not_sent,
    exports_are_restored_without_what_was_deleted_and_without_sidecars,
    folders_of_a_disk_that_are_called_trash_or_sidecar_become_albums,
];

/// Creates a restore of files with identities, and of what it leaves at the destination.
fn album(entries: Vec<(Node, u64)>, leaves: Vec<Node>) -> Scenario {
    let (nodes, identities): (Vec<_>, Vec<_>) = entries.into_iter().unzip();
    Scenario::restore(nodes).with_backend(BACKEND).restoring(|restore| {
        restore.keeps = Keeps::Bytes;
        restore.leaves = Some(leaves);
        for (entry, identity) in restore.entries.iter_mut().zip(identities) {
            entry.identity = Some(identity);
        }
    })
}

/// Returns a photo at a different path.
fn at(photo: &Node, path: &str) -> Node {
    Node { path: path.to_owned(), ..photo.clone() }
}

fn albums_are_restored_and_no_photo_is_uploaded_twice() -> Scenario {
    let (a, b) = (file("a.jpg", 1000), file("b.jpg", 2000));
    let entries = vec![
        (at(&a, "album/Trip/a.jpg"), 1),
        (at(&a, "feature/favorites/a.jpg"), 1),
        (at(&a, "media/all/a.jpg"), 1),
        (at(&b, "media/all/b.jpg"), 2),
        (at(&a, "shared-album/Ours/a.jpg"), 1),
    ];
    let leaves = [at(&a, "album/Trip/a.jpg"), at(&b, "upload/b.jpg"), at(&a, "album/Ours/a.jpg")];
    album(entries, leaves.into()).calls("uploaded", 3..=3)
}

fn the_ids_in_names_go_again() -> Scenario {
    let id = "x".repeat(60);
    let (a, b) = (file("a.jpg", 1000), file("b.jpg", 2000));
    let entries = vec![
        (at(&a, "album/Trip/a.jpg"), 1),
        (at(&b, &format!("album/Trip {{{id}}}/b {{{id}}}.jpg")), 2),
    ];
    album(entries, vec![at(&a, "album/Trip/a.jpg"), at(&b, "album/Trip (2)/b.jpg")])
}

fn folders_become_albums() -> Scenario {
    let (a, b) = (file("a.jpg", 1000), file("2024/Summer/b.jpg", 2000));
    let leaves = vec![at(&a, "upload/a.jpg"), at(&b, "album/2024/Summer/b.jpg")];
    album(vec![(b, 2), (a, 1)], leaves)
}

fn a_view_is_not_a_destination() -> Scenario {
    let scenario = album(vec![(file("a.jpg", 1000), 1)], Vec::new()).with_root("media/all");
    scenario.restoring(|restore| restore.opens = Err(Reason::Unsupported))
}

fn a_photo_that_cannot_be_uploaded_fails_under_all_its_paths() -> Scenario {
    let (a, b) = (file("a.jpg", 1000), file("b.jpg", 2000));
    let paths = ["album/Trip/a.jpg", "media/all/a.jpg"];
    let entries = paths.map(|path| (at(&a, path), 1)).into_iter();
    let entries = entries.chain([(at(&b, "media/all/b.jpg"), 2)]).collect();
    album(entries, vec![at(&b, "upload/b.jpg")])
        .fault(Fault::NotSent(paths[0], Reason::RateLimited))
        .restoring(|restore| {
            for path in paths {
                restore.fails(path, Reason::RateLimited);
            }
        })
}

fn one_process_writes_at_a_time() -> Scenario {
    let mut photos: Vec<_> =
        (0..1200).map(|number| file(&format!("album/A/{number:04}.jpg"), 50)).collect();
    // Too large for a batch, and written while a batch is being sent.
    photos.insert(502, file("album/A/0502.mp4", (64 << 20) + 1));
    let leaves = photos.clone();
    album(photos.into_iter().zip(1..).collect(), leaves)
        .fault(Fault::Slow(500))
        .calls("receive", 1..=1)
}

fn empty_albums_are_made_in_the_end() -> Scenario {
    let (a, b) = (file("a.jpg", 1000), file("b.jpg", 2000));
    let mut albums = ["album/Empty", "album/Full", "album/Folder"].map(directory);
    let [empty, full, folder] = &mut albums;
    [empty.modified, full.modified] = [(0, 0); 2];
    let entries = vec![
        (empty.clone(), 7),
        (full.clone(), 8),
        // A directory of a disk, which has a time.
        (folder.clone(), 9),
        (at(&a, "album/Full/a.jpg"), 1),
        (at(&b, "media/all/b.jpg"), 2),
    ];
    album(entries, vec![at(&a, "album/Full/a.jpg"), at(&b, "upload/b.jpg")]).calls("created", 1..=1)
}

fn albums_that_cannot_be_listed_block_no_photo() -> Scenario {
    let photo = file("a.jpg", 1000);
    let mut empty = directory("album/Empty");
    empty.modified = (0, 0);
    album(vec![(empty, 7), (at(&photo, "media/all/a.jpg"), 1)], vec![at(&photo, "upload/a.jpg")])
        .fault(Fault::NoListing)
        .restoring(|restore| restore.finishes = Err(Reason::ALL[0]))
}

fn an_album_that_cannot_be_made_fails_the_restore_and_no_photo() -> Scenario {
    let photo = file("a.jpg", 1000);
    let mut albums = ["album/A", "album/B"].map(directory);
    albums.iter_mut().for_each(|album| album.modified = (0, 0));
    let [a, b] = albums;
    let entries = vec![(a, 7), (b, 8), (at(&photo, "media/all/a.jpg"), 1)];
    album(entries, vec![at(&photo, "upload/a.jpg")])
        .fault(Fault::NotSent("album/A", Reason::Denied))
        .calls("created", 1..=1)
        .restoring(|restore| restore.finishes = Err(Reason::Denied))
}

fn empty_folders_and_links_are_not_sent() -> Scenario {
    let nodes = ["album", "album/Trip", "link"].map(directory).into();
    Scenario::restore(nodes).with_backend(BACKEND).calls("batch", 0..=0).restoring(|restore| {
        restore.entry("link", |entry| entry.kind = Kind::Symlink);
        restore.fails("link", Reason::Unsupported);
        restore.leaves = Some(Vec::new());
    })
}

/// Identities by which a restore knows these directories of a snapshot of exports.
const MARKS: [(&str, u64); 4] = [
    ("archive", 0x7461_6b65_6f75_7401),
    ("trash", 0x7461_6b65_6f75_7402),
    ("other", 0x7461_6b65_6f75_7403),
    ("sidecar", 0x7461_6b65_6f75_7404),
];

fn exports_are_restored_without_what_was_deleted_and_without_sidecars() -> Scenario {
    let photos = ["a.jpg", "b.jpg", "c.jpg", "d.jpg"].map(|name| file(name, 1000));
    let [a, b, c, d] = &photos;
    let mut entries = Vec::new();
    for (path, identity) in MARKS {
        entries.push((Node { modified: (1, 0), ..directory(path) }, identity));
    }
    for (photo, path, identity) in [
        (a, "album/Trip/a.jpg", 1),
        (b, "archive/b.jpg", 2),
        (b, "feature/favorites/b.jpg", 2),
        (a, "media/by-year/2023/a {2023-08-06 06.10.30}.jpg", 1),
        (c, "media/by-year/2023/a.jpg", 3),
        (d, "other/Locked/d.jpg", 4),
        (d, "sidecar/archive/b.jpg.json", 5),
        (d, "trash/d.jpg", 4),
    ] {
        entries.push((at(photo, path), identity));
    }
    let leaves = vec![at(a, "album/Trip/a.jpg"), at(b, "upload/b.jpg"), at(c, "upload/a.jpg")];
    album(entries, leaves).calls("uploaded", 3..=3)
}

fn folders_of_a_disk_that_are_called_trash_or_sidecar_become_albums() -> Scenario {
    let photo = file("a.jpg", 1000);
    let mut entries: Vec<_> =
        MARKS.iter().map(|(path, identity)| (directory(path), *identity)).collect();
    let paths = MARKS.map(|(path, _)| format!("{path}/a.jpg"));
    entries.extend((1..).zip(&paths).map(|(identity, path)| (at(&photo, path), identity)));
    album(entries, paths.iter().map(|path| at(&photo, &format!("album/{path}"))).collect())
}
