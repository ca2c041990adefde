//! Several exports of a library.

use super::{File, YEAR, album, file, json, photo, snapshot, snapshot_of};
use crate::takeout::library::Selection;

#[test]
fn a_new_export_in_another_order_changes_no_path() {
    let first = vec![
        file(&format!("{YEAR}/A.jpg"), "new"),
        json(&format!("{YEAR}/A.jpg"), "A.jpg", 10, ""),
        file(&format!("{YEAR}/A(1).jpg"), "old"),
        json(&format!("{YEAR}/A.jpg(1)"), "A.jpg", 5, ""),
    ];
    let second = vec![
        json(&format!("{YEAR}/A.jpg.supplemental-metadata(1)"), "A.jpg", 10, ""),
        file(&format!("{YEAR}/A(1).jpg"), "new"),
        file(&format!("{YEAR}/A.jpg"), "old"),
        json(&format!("{YEAR}/A.jpg.supplemental-metadata"), "A.jpg", 5, ""),
    ];
    let photos = |exports: &[Vec<File>]| {
        let exports: Vec<_> = exports.iter().map(|files| (files.clone(), true)).collect();
        let found = snapshot_of(&exports, Selection::All).files.into_iter();
        found.filter(|(path, _, _)| !path.starts_with("sidecar/")).collect::<Vec<_>>()
    };
    let expected = photos(std::slice::from_ref(&first));
    assert_eq!(expected.len(), 2);
    assert_eq!(photos(std::slice::from_ref(&second)), expected);
    assert_eq!(photos(&[second, first]), expected);
}

#[test]
fn an_increment_adds_to_what_is_there() {
    let mut base = photo(YEAR, "A.jpg", 5);
    base.extend(photo("Trip", "A.jpg", 5));
    base.push(album("Trip", "Trip"));
    let mut increment = photo(YEAR, "B.jpg", 6);
    increment.push(json("Trip/A.jpg", "A.jpg", 5, ""));
    increment.extend(photo("Trip", "B.jpg", 6));
    increment.push(album("Trip", "Trip"));
    let all = ["album/Trip/A.jpg", "album/Trip/B.jpg"];
    let years = ["media/by-year/2023/A.jpg", "media/by-year/2023/B.jpg"];
    let exports = [(increment, true), (base, true)];
    let found = snapshot_of(&exports, Selection::All);
    assert_eq!(found.paths(), [all, years].concat());
    assert_eq!(found.summary.lone_sidecars, 0);
    let newest = snapshot_of(&exports, Selection::Newest);
    assert_eq!(newest.paths(), ["album/Trip/B.jpg", "media/by-year/2023/B.jpg"]);
}

#[test]
fn a_deletion_changes_no_other_path() {
    let before = vec![
        file(&format!("{YEAR}/A.jpg"), "old"),
        json(&format!("{YEAR}/A.jpg"), "A.jpg", 5, ""),
        file(&format!("{YEAR}/A(1).jpg"), "new"),
        json(&format!("{YEAR}/A.jpg(1)"), "A.jpg", 10, ""),
    ];
    let after = vec![
        file(&format!("{YEAR}/A.jpg"), "new"),
        json(&format!("{YEAR}/A.jpg"), "A.jpg", 10, ""),
    ];
    let exports = [(after, true), (before, true)];
    let [twin, plain] =
        ["media/by-year/2023/A {1970-01-01 00.00.10}.jpg", "media/by-year/2023/A.jpg"];
    assert_eq!(snapshot_of(&exports, Selection::All).paths(), [twin, plain]);
    assert_eq!(snapshot_of(&exports, Selection::Newest).paths(), [twin]);
}

#[test]
fn the_newest_export_is_complete_if_any_is() {
    let exports = [
        (photo(YEAR, "A.jpg", 5), false),
        ([photo(YEAR, "A.jpg", 5), photo(YEAR, "B.jpg", 6)].concat(), true),
        (photo(YEAR, "C.jpg", 7), true),
    ];
    let found = snapshot_of(&exports, Selection::Newest);
    assert_eq!(found.paths(), ["media/by-year/2023/A.jpg", "media/by-year/2023/B.jpg"]);
    let found = snapshot_of(&exports[..1], Selection::Newest);
    assert_eq!(found.paths(), ["media/by-year/2023/A.jpg"]);
}

#[test]
fn an_edit_or_a_corrected_time_is_the_same_photo() {
    let path = format!("{YEAR}/A.jpg");
    let version = |bytes: &str, taken: i64, url: &str| {
        vec![file(&path, bytes), json(&path, "A.jpg", taken, &format!(r#","url":"{url}""#))]
    };
    let times = |newer: Vec<File>, older: Vec<File>| {
        let found = snapshot_of(&[(newer, true), (older, true)], Selection::All);
        let files = found.files.iter().filter(|it| !it.0.starts_with("sidecar/"));
        files.map(|(_, time, bytes)| (*time, bytes.clone())).collect::<Vec<_>>()
    };
    let one = |time: i64, bytes: &str| vec![(time, bytes.to_owned())];
    assert_eq!(times(version("edited", 5, "p"), version("first", 5, "p")), one(5, "edited"));
    assert_eq!(times(version("first", 9, "p"), version("first", 5, "p")), one(9, "first"));
    // Two photos of the same second and name are not the same one.
    assert_eq!(times(version("other", 5, "q"), version("first", 5, "p")).len(), 2);
    let mut two = version("first", 5, "p");
    two.push(file(&format!("{YEAR}/A(1).jpg"), "second"));
    two.push(json(&format!("{YEAR}/A.jpg(1)"), "A.jpg", 5, ""));
    assert_eq!(times(version("edited", 5, ""), two).len(), 3);
}

#[test]
fn a_sidecar_that_is_newer_than_its_photo_counts() {
    let older = photo(YEAR, "A.jpg", 5);
    let newer = vec![json("Archive/A.jpg", "A.jpg", 5, r#","archived":true"#)];
    let found = snapshot_of(&[(newer.clone(), true), (older.clone(), true)], Selection::All);
    assert_eq!(found.paths(), ["archive/A.jpg"]);
    assert!(found.contents("sidecar/archive/A.jpg.json").contains("archived"));
    let found = snapshot_of(&[(older, true), (newer, true)], Selection::All);
    assert_eq!(found.paths(), ["media/by-year/2023/A.jpg"]);
}

#[test]
fn a_photo_whose_sidecar_is_missing_is_the_one_with_its_bytes() {
    let older = photo(YEAR, "A.jpg", 5);
    let newer = vec![file(&format!("{YEAR}/A(1).jpg"), &older[0].1)];
    for exports in [[newer.clone(), older.clone()], [older.clone(), newer]] {
        let exports = exports.map(|files| (files, true));
        let found = snapshot_of(&exports, Selection::All);
        assert_eq!(found.times(), [("media/by-year/2023/A.jpg", 5)]);
    }
    let mut copy = older;
    copy.push(file("Trip/A.jpg", &copy[0].1.clone()));
    copy.push(album("Trip", "Trip"));
    let found = snapshot(copy);
    assert_eq!(found.times(), [("album/Trip/A.jpg", 5), ("media/by-year/2023/A.jpg", 5)]);
}
