//! Backups of exports of Google Takeout.

use crate::backup::{Outcome, Reading};
use crate::exports::{ExportedPhoto, album, album_node, archive, exported, snapshot};
use crate::tree::{Node, file};
use crate::{Reason, Scenario, scenarios};

scenarios![
    photos_of_an_archive_have_their_names_and_times,
    a_sidecar_may_be_in_another_part_than_its_photo,
    a_photo_in_albums_is_fetched_once,
    archives_are_read_by_few_requests,
    a_second_backup_reads_only_the_listing,
    photos_of_one_name_keep_apart_by_their_times,
    an_older_export_has_what_a_newer_one_lacks,
    the_newest_export_alone_lacks_what_was_deleted,
    a_video_has_the_time_of_its_photo,
    a_missing_part_is_an_error_and_the_rest_is_backed_up,
    a_part_that_is_cut_off_is_an_error_and_the_rest_is_backed_up,
    a_tgz_is_an_error_and_the_rest_is_backed_up,
    a_damaged_photo_fails_alone,
    a_directory_without_exports_is_never_an_empty_snapshot,
    unpacked_exports_are_the_same_library,
    sidecars_that_fit_two_photos_are_kept_for_none,
    a_sidecar_that_is_broken_is_an_error_and_its_photo_is_backed_up,
];

const YEAR: &str = "Photos from 2023";
const FIRST: &str = "takeout-20260101T000000Z-3-001.zip";
const SECOND: &str = "takeout-20260101T000000Z-3-002.zip";
const THIRD: &str = "takeout-20260101T000000Z-3-003.zip";
const OLDER: &str = "takeout-20250101T000000Z-001.zip";

/// Creates a backup of archives that makes a snapshot with these files.
fn takeout(archives: Vec<Node>, files: Vec<Node>) -> Scenario {
    Scenario::backup(archives).option("view", "takeout").backing_up(|backup| {
        backup.tree = snapshot(files);
        backup.identities = true;
    })
}

fn in_year(photos: &[ExportedPhoto]) -> Vec<(String, Vec<u8>)> {
    photos.iter().flat_map(|photo| photo.files(YEAR)).collect()
}

/// Returns the nodes of photos of the year, and of their sidecars.
fn nodes(photos: &[ExportedPhoto]) -> Vec<Node> {
    let path = |photo: &ExportedPhoto| format!("media/by-year/2023/{}", photo.title);
    photos.iter().flat_map(|photo| photo.nodes(&[&path(photo)])).collect()
}

/// Returns photos with different names.
fn numbered(numbers: std::ops::Range<u64>) -> Vec<ExportedPhoto> {
    numbers.map(|number| exported(number, &format!("IMG_{number}.jpg"))).collect()
}

fn photos_of_an_archive_have_their_names_and_times() -> Scenario {
    let mut photos = numbered(0..5);
    photos.push(exported(6, "Größe 🎉.jpg"));
    photos.push(ExportedPhoto { fields: r#","favorited":true"#, ..exported(7, "fav.jpg") });
    photos.push(ExportedPhoto { fields: r#","archived":true"#, ..exported(8, "old.jpg") });
    photos.push(ExportedPhoto { fields: r#","trashed":true"#, ..exported(9, "bad.jpg") });
    let mut expected = nodes(&photos[..7]);
    expected.push(photos[6].node("feature/favorites/fav.jpg"));
    expected.extend(photos[7].nodes(&["archive/old.jpg"]));
    expected.extend(photos[8].nodes(&["trash/bad.jpg"]));
    let others = [photos[7].files("Archiv"), photos[8].files("Papierkorb")].concat();
    let files = [in_year(&photos[..7]), others].concat();
    takeout(vec![archive(FIRST, files)], expected).and_real()
}

fn a_sidecar_may_be_in_another_part_than_its_photo() -> Scenario {
    let photos = numbered(0..6);
    let (sidecars, files): (Vec<_>, Vec<_>) =
        in_year(&photos).into_iter().partition(|(path, _)| path.ends_with(".json"));
    takeout(vec![archive(FIRST, sidecars), archive(SECOND, files)], nodes(&photos)).and_real()
}

/// Creates an export with albums that have copies, only sidecars, and photos of their own.
fn with_albums() -> Scenario {
    let photos = numbered(0..4);
    let mut files = in_year(&photos[..3]);
    files.extend([album("Trip", "Trip/Day 1"), album("Best", "Best")]);
    files.extend(photos[0].files("Trip"));
    files.extend(photos[1].files("Trip").into_iter().skip(1));
    files.extend(photos[0].files("Best"));
    files.extend(photos[3].files("Best"));
    let mut expected = vec![album_node("Trip/Day 1"), album_node("Best")];
    expected.extend(nodes(&photos[..3]));
    expected.push(photos[0].node("album/Trip/Day 1/IMG_0.jpg"));
    expected.push(photos[0].node("album/Best/IMG_0.jpg"));
    expected.push(photos[1].node("album/Trip/Day 1/IMG_1.jpg"));
    expected.extend(photos[3].nodes(&["album/Best/IMG_3.jpg"]));
    takeout(vec![archive(FIRST, files)], expected)
}

fn a_photo_in_albums_is_fetched_once() -> Scenario {
    with_albums().and_real()
}

fn archives_are_read_by_few_requests() -> Scenario {
    let photos = numbered(0..300);
    let (first, second) = photos.split_at(150);
    let archives = vec![archive(FIRST, in_year(first)), archive(SECOND, in_year(second))];
    takeout(archives, nodes(&photos)).calls("range", 4..=40).calls("list", 1..=1)
}

fn a_second_backup_reads_only_the_listing() -> Scenario {
    with_albums().calls("range", 1..=3).calls("list", 2..=2).backing_up(|backup| {
        backup.scans = 2;
        backup.reading = Reading::Nothing;
    })
}

fn photos_of_one_name_keep_apart_by_their_times() -> Scenario {
    let [new, old] = [exported(100, "IMG.jpg"), exported(50, "IMG.jpg")];
    let mut files = new.files(YEAR);
    // Google numbers the older one, and puts the number of its sidecar elsewhere.
    for (path, bytes) in old.files(YEAR) {
        let path = match path.strip_suffix(".json") {
            Some(path) => format!("{path}(1).json"),
            None => path.replace("IMG.jpg", "IMG(1).jpg"),
        };
        files.push((path, bytes));
    }
    let mut expected = old.nodes(&["media/by-year/2023/IMG.jpg"]);
    expected.extend(new.nodes(&["media/by-year/2023/IMG {2023-03-28 10.41.40}.jpg"]));
    takeout(vec![archive(FIRST, files)], expected).and_real()
}

/// Creates two exports. One photo is in both, in a version of its own.
fn two_exports() -> (Vec<Node>, [ExportedPhoto; 3]) {
    let [kept, deleted] = [exported(1, "kept.jpg"), exported(2, "deleted.jpg")];
    let edited = ExportedPhoto { bytes: vec![7; 500], ..kept.clone() };
    let older = archive(OLDER, in_year(&[kept, deleted.clone()]));
    let added = exported(3, "added.jpg");
    let newer = archive(FIRST, in_year(&[edited.clone(), added.clone()]));
    (vec![older, newer], [edited, added, deleted])
}

fn an_older_export_has_what_a_newer_one_lacks() -> Scenario {
    let (archives, photos) = two_exports();
    takeout(archives, nodes(&photos)).and_real()
}

fn the_newest_export_alone_lacks_what_was_deleted() -> Scenario {
    let (archives, photos) = two_exports();
    takeout(archives, nodes(&photos[..2])).option("exports", "newest").and_real()
}

fn a_video_has_the_time_of_its_photo() -> Scenario {
    let photo = exported(1, "IMG.HEIC");
    let video = ExportedPhoto { bytes: vec![1; 900], ..photo.clone() };
    let edited = ExportedPhoto { bytes: vec![2; 900], ..photo.clone() };
    let mut files = photo.files(YEAR);
    files.push((format!("Takeout/Google Photos/{YEAR}/IMG.MP4"), video.bytes.clone()));
    files.push((format!("Takeout/Google Photos/{YEAR}/IMG-bearb.HEIC"), edited.bytes.clone()));
    let mut expected = nodes(&[photo]);
    expected.push(video.node("media/by-year/2023/IMG.MP4"));
    expected.push(edited.node("media/by-year/2023/IMG-bearb.HEIC"));
    takeout(vec![archive(FIRST, files)], expected).and_real()
}

/// Creates an export of which a part can't be read, for a reason.
fn with_bad_part(bad: Option<Node>, path: &str, reason: Reason) -> Scenario {
    let photos = numbered(0..6);
    let mut archives =
        vec![archive(FIRST, in_year(&photos[..3])), archive(THIRD, in_year(&photos[3..]))];
    archives.extend(bad);
    // Plakar's protocol has no reason for the error of a path.
    takeout(archives, nodes(&photos)).backing_up(|backup| {
        backup.except(path, Outcome::Failed(reason));
    })
}

fn a_missing_part_is_an_error_and_the_rest_is_backed_up() -> Scenario {
    with_bad_part(None, SECOND, Reason::NotFound)
}

fn a_part_that_is_cut_off_is_an_error_and_the_rest_is_backed_up() -> Scenario {
    let mut bad = archive(SECOND, in_year(&numbered(10..20)));
    if let Some(bytes) = &mut bad.bytes {
        bytes.truncate(bytes.len() - 100);
    }
    with_bad_part(Some(bad), SECOND, Reason::Corrupted)
}

fn a_tgz_is_an_error_and_the_rest_is_backed_up() -> Scenario {
    let path = "takeout-20260101T000000Z-3-002.tgz";
    with_bad_part(Some(file(path, 1000)), path, Reason::Unsupported)
}

fn a_damaged_photo_fails_alone() -> Scenario {
    let photos = numbered(0..4);
    let mut damaged = archive(FIRST, in_year(&photos));
    if let Some(bytes) = &mut damaged.bytes {
        let wanted = &photos[2].bytes;
        let at = bytes.windows(wanted.len()).position(|window| window == wanted).unwrap();
        bytes[at + 10] ^= 1;
    }
    takeout(vec![damaged], nodes(&photos)).and_real().backing_up(|backup| {
        let path = "media/by-year/2023/IMG_2.jpg";
        backup.except(path, Outcome::Unread(Reason::Corrupted));
    })
}

fn a_directory_without_exports_is_never_an_empty_snapshot() -> Scenario {
    takeout(vec![file("notes.txt", 10)], Vec::new()).and_real().backing_up(|backup| {
        backup.ends = vec![Err(Reason::NotFound)];
    })
}

fn unpacked_exports_are_the_same_library() -> Scenario {
    let photos = numbered(0..6);
    let mut remote = vec![archive(FIRST, in_year(&photos[..3]))];
    for (path, bytes) in in_year(&photos[3..]) {
        remote.push(Node { path, bytes: Some(bytes), modified: (1_700_000_000, 0) });
    }
    takeout(remote, nodes(&photos)).fault(crate::fault::Fault::Ids)
}

fn sidecars_that_fit_two_photos_are_kept_for_none() -> Scenario {
    let photo = exported(1, "IMG.jpg");
    let other = ExportedPhoto { taken: 1_600_000_000, ..photo.clone() };
    let mut files = photo.files(YEAR);
    files.push((format!("Takeout/Google Photos/{YEAR}/IMG.jpg.json"), other.json()));
    let new_year = ExportedPhoto { taken: 1_672_531_200, ..photo.clone() };
    let kept = |photo: &ExportedPhoto, name: &str| Node {
        path: format!("sidecar/unmatched/{YEAR}/{name}.json"),
        bytes: Some(photo.json()),
        modified: (photo.taken, 0),
    };
    let expected = vec![
        new_year.node("media/by-year/2023/IMG.jpg"),
        kept(&photo, "IMG.jpg.supplemental-metadata"),
        kept(&other, "IMG.jpg"),
    ];
    takeout(vec![archive(FIRST, files)], expected).and_real()
}

fn a_sidecar_that_is_broken_is_an_error_and_its_photo_is_backed_up() -> Scenario {
    let photos = numbered(0..3);
    let mut files = in_year(&photos);
    let (path, json) = &mut files[1];
    json.truncate(10);
    let failed = format!("takeout-20260101T000000Z/{path}").replace('/', "／");
    let mut expected = nodes(&photos);
    expected[0].modified = (1_672_531_200, 0);
    expected[1] =
        Node { bytes: Some(json.clone()), modified: (1_672_531_200, 0), ..expected[1].clone() };
    takeout(vec![archive(FIRST, files)], expected).calls("range", 1..=12).backing_up(|backup| {
        backup.scans = 2;
        backup.except(&failed, Outcome::Failed(Reason::Corrupted));
    })
}
