//! Each photo of a Takeout export gets the time of its own sidecar, or none: never that of
//! another photo.

use plakbox_tests::takeout::library::{Seconds, beginning_of};
use plakbox_tests::takeout::snapshot::Snapshot;
use plakbox_tests::takeout::{
    Content, Export, Library, NumberPlace, Photo, Sidecar, SidecarForm, Source,
};
use std::collections::BTreeMap;

const START: Seconds = 1_690_000_000;
const YEAR: i32 = 2023;

fn photo(number: u64) -> Content {
    Content::Photo { number, size: 700 + (number % 17) as usize }
}

/// The times in a snapshot by the size and CRC-32 of the file.
fn times(snapshot: &Snapshot) -> BTreeMap<(u64, u32), Seconds> {
    let media = snapshot.iter().filter(|(path, _)| path.starts_with("/media/"));
    media.map(|(_, (size, crc, time))| ((*size, *crc), *time)).collect()
}

/// Each photo of the library must be there, with its own time or that of the beginning of its
/// year. Returns how many have their own.
#[track_caller]
fn assert_no_foreign_times(snapshot: &Snapshot, library: &Library) -> usize {
    let times = times(snapshot);
    let mut own = 0;
    for photo in &library.photos {
        let known = (photo.content.size(), photo.content.crc32());
        let time = times.get(&known).unwrap_or_else(|| panic!("{} is missing", photo.title));
        assert!(
            *time == photo.taken || *time == beginning_of(YEAR),
            "{} of {} has {time}",
            photo.title,
            photo.taken
        );
        own += usize::from(*time == photo.taken);
    }
    own
}

#[test]
fn names_of_all_lengths_find_their_sidecars() {
    for (form, number_place) in [
        (SidecarForm::Old, NumberPlace::Moved),
        (SidecarForm::New, NumberPlace::Moved),
        (SidecarForm::New, NumberPlace::Left),
    ] {
        let mut library = Library::default();
        for length in 20_u64..=60 {
            // Two of each name, and of names that differ in their first letter.
            for twin in 0..2 {
                let letter = char::from(b'A' + u8::try_from(length % 26).unwrap());
                let stem = format!("{letter}{length}").repeat(60);
                let stem = &stem[..usize::try_from(length).unwrap() - 4];
                let number = length * 2 + twin;
                let taken = START + Seconds::try_from(number).unwrap() * 60;
                library.add(Photo::new(&format!("{stem}.jpg"), taken, photo(number)));
            }
        }
        let source = Source::new();
        source.deliver(&Export { form, number_place, ..Export::default() }, &library);
        source.backup().good();
        let own = assert_no_foreign_times(&source.restored("restored"), &library);
        let all = library.photos.len();
        // Where the number was cut off, two sidecars can't be told apart by their names.
        let sure = if number_place == NumberPlace::Left { all * 3 / 4 } else { all };
        assert!(own >= sure, "{own} of {all}: {form:?}, {number_place:?}");
    }
}

#[test]
fn odd_names_find_their_sidecars() {
    let mut library = Library::default();
    for (number, title) in (0..).zip([
        "🎉👩\u{200d}👧 party.jpg",
        "🏖🏖🏖🏖🏖🏖🏖🏖🏖🏖🏖🏖🏖🏖🏖🏖🏖🏖🏖🏖🏖🏖🏖🏖🏖🏖🏖🏖🏖🏖🏖🏖🏖🏖🏖🏖🏖🏖🏖🏖🏖🏖🏖🏖🏖🏖🏖🏖🏖🏖.jpg",
        "IMG~2.jpg",
        "IMG_1.jpg~2.jpg",
        "21.12(1).11 - 1.jpg",
        "21.12.11 - 1.jpg",
        "a (2).png",
        "a.png",
        "two.dots.jpeg",
        "IMG-edited.jpg",
        "what? a \"name\": 100%.jpg",
        ".hidden.jpg",
        "trailing .jpg",
    ]) {
        let taken = START + Seconds::try_from(number).unwrap() * 60;
        library.add(Photo::new(title, taken, photo(number)));
    }
    let scan = Photo::new("27/06/12 - 1", START - 60, photo(99));
    library.add(Photo { added_extension: ".jpg", ..scan });
    for form in [SidecarForm::Old, SidecarForm::New] {
        let source = Source::new();
        source.deliver(&Export { form, ..Export::default() }, &library);
        source.backup().good();
        source.assert_whole(&library);
    }
}

#[test]
fn twins_of_one_second_are_told_apart() {
    let mut library = Library::default();
    for number in 0..6 {
        let taken = START + Seconds::try_from(number / 2).unwrap() * 60;
        library.add(Photo::new("IMG.jpg", taken, photo(number)));
    }
    let source = Source::new();
    source.deliver(&Export::default(), &library);
    source.backup().good().says("without errors");
    source.assert_whole(&library);
}

#[test]
fn five_hundred_names_that_are_cut_to_one_get_no_foreign_times() {
    for form in [SidecarForm::Old, SidecarForm::New] {
        let mut library = Library::default();
        for number in 0..500 {
            let title = format!("{}{number:03}.jpg", "x".repeat(46));
            let taken = START + Seconds::try_from(number).unwrap() * 60;
            library.add(Photo::new(&title, taken, photo(number)));
        }
        let source = Source::new();
        source.deliver(&Export { form, ..Export::default() }, &library);
        source.backup().good();
        assert_no_foreign_times(&source.restored("restored"), &library);
    }
}

#[test]
fn what_lacks_its_sidecar_or_its_time_is_kept() {
    let mut library = Library::default();
    for (number, sidecar) in (0..).zip([
        Sidecar::Whole,
        Sidecar::Missing,
        Sidecar::WithoutTime,
        Sidecar::ZeroTime,
        Sidecar::WithoutMedia,
    ]) {
        let taken = START + Seconds::try_from(number).unwrap() * 60;
        let photo = Photo::new(&format!("IMG_{number}.jpg"), taken, photo(number));
        library.add(Photo { sidecar, ..photo });
    }
    library.add(Photo::new("old.jpg", -1_000_000_000, photo(10)));
    let source = Source::new();
    source.deliver(&Export::default(), &library);
    source.backup().good();
    source.assert_whole(&library);
}

#[test]
fn a_sidecar_that_is_broken_is_an_error_of_its_path() {
    let mut library = Library::default();
    library.add(Photo::new("good.jpg", START, photo(1)));
    let bad = Photo::new("bad.jpg", START, photo(2));
    library.add(Photo { sidecar: Sidecar::Broken, ..bad });
    let source = Source::new();
    source.deliver(&Export::default(), &library);
    source.backup().good().says("bad.jpg.supplemental-metadata.json").says("1 error");
    source.assert_whole(&library);
}

#[test]
fn the_sidecar_of_each_photo_is_in_the_snapshot() {
    let (source, library) = (Source::new(), Library::filled(50, 800));
    source.deliver(&Export::default(), &library);
    source.backup().good().says("without errors");
    let restored = source.place.restore_here("restored");
    let mut found: Vec<(String, String)> = Vec::new();
    for path in plakbox_tests::env::files_below(&restored.join("sidecar")) {
        let text = std::fs::read_to_string(&path).unwrap();
        let sidecar: serde_json::Value = serde_json::from_str(&text).unwrap();
        if let Some(taken) = sidecar["photoTakenTime"]["timestamp"].as_str() {
            found.push((sidecar["title"].as_str().unwrap().to_owned(), taken.to_owned()));
        }
    }
    let mut wanted: Vec<(String, String)> =
        library.photos.iter().map(|photo| (photo.title.clone(), photo.taken.to_string())).collect();
    found.sort();
    wanted.sort();
    assert_eq!(found, wanted);
}
