//! Several Takeout exports of one account are one library: what is new is added, what hasn't
//! changed is neither read again nor moved.

use plakbox_tests::range_server::{Pace, fetched};
use plakbox_tests::takeout::delivery::Archive;
use plakbox_tests::takeout::library::Seconds;
use plakbox_tests::takeout::snapshot::Snapshot;
use plakbox_tests::takeout::{Content, Cut, Export, Language, Library, Photo, Source, Union};

const FIRST: Seconds = 1_735_689_600;
const SECOND: Seconds = 1_741_000_000;
const THIRD: Seconds = 1_746_000_000;
const TAKEN: Seconds = 1_690_000_000;

/// A photo larger than everything else that is read of its archive.
fn large(number: u64) -> Content {
    Content::Photo { number, size: 400_000 }
}

/// Twenty large photos in four albums.
fn library() -> Library {
    let mut library = Library::default();
    for number in 0..20 {
        let taken = TAKEN + Seconds::try_from(number).unwrap() * 86_400 * 20;
        library.add(Photo::new(&format!("IMG_{}.jpg", number % 7), taken, large(number)));
    }
    library.album("First", &[0, 1, 2]);
    library.album("Second", &[2, 8, 13]);
    library
}

fn served() -> Source {
    Source::served(Pace::default(), None)
}

/// No photo of these archives may have been read: their ends, directories and sidecars are less
/// than one photo.
#[track_caller]
fn assert_no_photo_read(source: &Source, archives: &[Archive]) {
    let fetches = source.server().take_fetches();
    for archive in archives {
        let bytes = fetched(&fetches, &archive.name());
        assert!(bytes < (128 << 10) + archive.json_bytes() + 100_000, "{bytes}: {fetches:?}");
    }
}

#[test]
fn later_exports_of_a_series_add_to_the_first() {
    let (source, mut library) = (served(), library());
    let first = source.deliver(&Export { at: FIRST, ..Export::default() }, &library);
    source.backup().good().says("without errors");
    source.assert_whole(&library);
    for (at, since) in [(SECOND, FIRST), (THIRD, SECOND)] {
        for number in 0..3 {
            let taken = at - 86_400 + number;
            let number = u64::try_from(at + number).unwrap();
            let photo = Photo::new(&format!("NEW_{}.jpg", number % 5), taken, large(number));
            library.add(Photo { changed: at - 10, ..photo });
        }
        let new = library.photos.len() - 1;
        library.albums[0].members.push((new, plakbox_tests::takeout::Copy::Bytes));
        let export = Export { at, since: Some(since), seed: 2, ..Export::default() };
        let added = source.deliver(&export, &library);
        source.server().take_fetches();
        source.backup().good().says("without errors");
        let fetches = source.server().take_fetches();
        for archive in &first {
            assert_eq!(fetched(&fetches, &archive.name()), 0, "{fetches:?}");
        }
        for archive in &added {
            assert!(fetched(&fetches, &archive.name()) > 3 * 400_000);
        }
        source.assert_whole(&library);
    }
}

#[test]
fn a_new_full_export_reads_no_photo_again_and_changes_no_path() {
    let (source, library) = (served(), library());
    source.deliver(&Export { at: FIRST, ..Export::default() }, &library);
    source.backup().good().says("without errors");
    source.assert_whole(&library);
    let again = Export {
        at: SECOND,
        seed: 99,
        renumbered: true,
        cut: Cut::Bytes(3 << 20),
        series: Some(3),
        ..Export::default()
    };
    let archives = source.deliver(&again, &library);
    assert!(archives.len() > 2);
    source.server().take_fetches();
    source.backup().good().says("without errors");
    assert_no_photo_read(&source, &archives);
    source.assert_whole(&library);
}

#[test]
fn a_photo_that_was_deleted_stays_unless_only_the_newest_export_counts() {
    let mut library = Library::default();
    // The newer one has Google's plain name.
    library.add(Photo::new("IMG.jpg", TAKEN + 60, large(1)));
    library.add(Photo::new("IMG.jpg", TAKEN, large(2)));
    library.add(Photo::new("other.jpg", TAKEN, large(3)));
    let source = served();
    source.deliver(&Export { at: FIRST, ..Export::default() }, &library);
    source.backup().good();
    source.assert_whole(&library);
    library.photos[0].deleted = true;
    let archives = source.deliver(&Export { at: SECOND, ..Export::default() }, &library);
    source.backup().good();
    source.assert_whole(&library);
    source.set("exports=newest");
    source.server().take_fetches();
    source.backup().good().says("without errors");
    assert_no_photo_read(&source, &archives);
    source.assert_holds(&library, Union::Newest, Language::English);
}

#[test]
fn a_photo_that_was_edited_has_its_newest_bytes() {
    let mut library = library();
    let source = Source::new();
    source.deliver(&Export { at: FIRST, ..Export::default() }, &library);
    source.backup().good();
    // One was replaced, and another got an edited copy.
    library.photos[3].content = large(103);
    library.photos[3].changed = SECOND;
    library.photos[4].edited = Some(large(104));
    library.photos[4].changed = SECOND;
    let series = Export { at: SECOND + 10, since: Some(SECOND), ..Export::default() };
    source.deliver(&series, &library);
    source.backup().good().says("without errors");
    source.assert_whole(&library);
}

#[test]
fn a_photo_whose_time_was_corrected_is_one_photo() {
    let mut library = library();
    let source = Source::new();
    source.deliver(&Export { at: FIRST, ..Export::default() }, &library);
    source.backup().good();
    let paths = |snapshot: &Snapshot| snapshot.len();
    let before = paths(&source.restored("before"));
    library.photos[5].taken += 3600;
    source.deliver(&Export { at: SECOND, ..Export::default() }, &library);
    source.backup().good().says("without errors");
    source.assert_whole(&library);
    assert_eq!(paths(&source.restored("after")), before);
}
