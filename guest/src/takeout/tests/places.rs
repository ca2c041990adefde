//! Albums, years and other places.

use super::{YEAR, album, file, json, photo, snapshot};

#[test]
fn albums_have_copies_or_only_sidecars_or_photos_of_their_own() {
    let mut files = photo(YEAR, "A.jpg", 5);
    files.extend(photo(YEAR, "B.jpg", 6));
    files.push(file(&format!("{YEAR}/B-edited.jpg"), "edited"));
    files.extend(photo("Trip", "A.jpg", 5));
    files.push(json("Trip/B.jpg", "B.jpg", 6, r#","imageViews":"7""#));
    files.extend(photo("Trip", "C.jpg", 7));
    files.push(album("Trip", "Trip 6/10"));
    files.push(album("Empty", "Empty"));
    let found = snapshot(files);
    assert_eq!(
        found.paths(),
        [
            "album/Trip 6/10/A.jpg",
            "album/Trip 6/10/B-edited.jpg",
            "album/Trip 6/10/B.jpg",
            "album/Trip 6/10/C.jpg",
            "media/by-year/2023/A.jpg",
            "media/by-year/2023/B-edited.jpg",
            "media/by-year/2023/B.jpg",
        ]
    );
    assert!(found.directories.contains(&"album/Empty".to_owned()));
    assert_eq!(found.contents("sidecar/album/Trip 6/10.json"), r#"{"title":"Trip 6/10"}"#);
    assert_eq!((found.summary.lone_sidecars, found.summary.counts.albums), (0, 2));
}

#[test]
fn a_sidecar_of_two_photos_joins_the_one_with_its_page() {
    let mut files = Vec::new();
    for (number, page) in [("", "p0"), ("(1)", "p1")] {
        files.push(file(&format!("{YEAR}/A{number}.jpg"), page));
        let url = format!(r#","url":"{page}""#);
        files.push(json(&format!("{YEAR}/A.jpg{number}"), "A.jpg", 5, &url));
    }
    files.push(album("Trip", "Trip"));
    let with = |url: &str| {
        let mut files = files.clone();
        files.push(json("Trip/A.jpg", "A.jpg", 5, url));
        snapshot(files)
    };
    let found = with(r#","url":"p1""#);
    assert_eq!(found.contents("album/Trip/A.jpg"), "p1");
    let found = with("");
    assert_eq!((found.contents("album/Trip/A.jpg"), found.summary.lone_sidecars), ("", 1));
}

#[test]
fn flags_have_places_of_their_own() {
    let with_flag = |folder: &str, name: &str, flag: &str| {
        let flag = format!(r#","{flag}":true"#);
        let path = format!("{folder}/{name}");
        vec![file(&path, name), json(&path, name, 5, &flag)]
    };
    let mut files = photo(YEAR, "A.jpg", 5);
    files.extend(with_flag(YEAR, "F.jpg", "favorited"));
    files.extend(with_flag("Archiv", "B.jpg", "archived"));
    files.extend(with_flag(YEAR, "Y.jpg", "archived"));
    files.extend(with_flag("Papierkorb", "C.jpg", "trashed"));
    files.extend(photo("Gesperrter Ordner", "D.jpg", 5));
    files.push(file("Failed Videos/E.mp4", "x"));
    let found = snapshot(files);
    assert_eq!(
        found.paths(),
        [
            "archive/B.jpg",
            "archive/Y.jpg",
            "feature/favorites/F.jpg",
            "media/by-year/2023/A.jpg",
            "media/by-year/2023/F.jpg",
            "other/Failed Videos/E.mp4",
            "other/Gesperrter Ordner/D.jpg",
            "trash/C.jpg",
        ]
    );
}

#[test]
fn twins_differ_by_their_times_and_then_by_their_bytes() {
    let mut files = Vec::new();
    for (number, taken) in [("", 10), ("(1)", 5), ("(2)", 10), ("(3)", 5)] {
        files.push(file(&format!("{YEAR}/A{number}.jpg"), &format!("{number}{taken}")));
        files.push(json(&format!("{YEAR}/A.jpg{number}"), "A.jpg", taken, ""));
    }
    let found = snapshot(files);
    let paths = found.paths();
    assert_eq!(paths.len(), 4);
    assert!(paths[0].starts_with("media/by-year/2023/A {1970-01-01 00.00.05 "), "{}", paths[0]);
    assert!(paths[1].starts_with("media/by-year/2023/A {1970-01-01 00.00.10 "), "{}", paths[1]);
    assert_eq!(paths[2], "media/by-year/2023/A {1970-01-01 00.00.10}.jpg");
    assert_eq!(paths[3], "media/by-year/2023/A.jpg");
    assert_eq!(found.times()[3].1, 5);
}

#[test]
fn a_name_that_is_a_directory_is_changed() {
    let mut files = photo("a", "b", 5);
    files.push(album("a", "a"));
    files.push(album("ab", "a/b"));
    files.extend(photo("ab", "c.jpg", 6));
    let found = snapshot(files);
    assert_eq!(found.paths().len(), 2);
    assert_eq!(found.paths()[1], "album/a/b/c.jpg");
    assert!(found.paths()[0].starts_with("album/a/b {1970-01-01 00.00.05 "));
}

#[test]
fn broken_sidecars_are_reported_and_kept() {
    let path = format!("{YEAR}/A.jpg");
    let found = snapshot(vec![
        file(&path, "x"),
        file(&format!("{path}.json"), "{"),
        file(&format!("{YEAR}/B.jpg"), "y"),
        json(&format!("{YEAR}/B.jpg"), "B.jpg", 0, ""),
    ]);
    let new_year = 1_672_531_200;
    let paths = ["media/by-year/2023/A.jpg", "media/by-year/2023/B.jpg"];
    assert_eq!(found.times(), paths.map(|path| (path, new_year)));
    assert_eq!(found.contents("sidecar/media/by-year/2023/A.jpg.json"), "{");
    assert_eq!(found.problems, ["takeout-x/Takeout/Google Photos/Photos from 2023/A.jpg.json"]);
}
