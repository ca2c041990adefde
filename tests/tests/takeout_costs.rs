//! A Takeout export is read with few requests, each byte once; without news, a backup costs only
//! the listing of the directory.

use plakbox_tests::range_server::{Faults, Fetch, Pace, fetched};
use plakbox_tests::takeout::delivery::Archive;
use plakbox_tests::takeout::library::Seconds;
use plakbox_tests::takeout::{Content, Cut, Export, Library, Photo, Source};
use plakbox_tests::{env, processes};
use std::process::Stdio;
use std::time::Duration;

/// Photos as large as they are at least: sidecars between them aren't read with them.
fn library(count: u64, size: u64) -> Library {
    let mut library = Library::default();
    for number in 0..count {
        let taken = 1_600_000_000 + Seconds::try_from(number).unwrap() * 3600;
        let content = Content::Sparse { number, size: size + number % 1000 };
        library.add(Photo::new(&format!("IMG_{:04}.jpg", number % 500), taken, content));
    }
    let numbers: Vec<usize> = (0..library.photos.len()).collect();
    for (number, photos) in numbers.chunks(100).enumerate() {
        library
            .album(&format!("Trip {number}"), &photos[..photos.len().min(20)])
            .members
            .iter_mut()
            .for_each(|(_, copy)| *copy = plakbox_tests::takeout::Copy::SidecarOnly);
    }
    library
}

fn requests(fetches: &[Fetch], archive: &Archive) -> usize {
    fetches.iter().filter(|fetch| fetch.name == archive.name()).count()
}

#[test]
fn each_byte_is_fetched_once_and_without_news_none() {
    let source = Source::served(Pace::default(), None);
    let library = library(600, 300_000);
    let archives =
        source.deliver(&Export { cut: Cut::Bytes(60 << 20), ..Export::default() }, &library);
    assert!(archives.len() >= 3);
    source.backup().good().says("without errors");
    let fetches = source.server().take_fetches();
    for archive in &archives {
        let (bytes, requests) = (fetched(&fetches, &archive.name()), requests(&fetches, archive));
        let size = archive.size();
        // The last 128 KiB are read twice, and of what is beside sidecars a little.
        assert!(bytes <= size + size / 20, "{bytes} of {size}");
        let sidecars = archive.entries.iter().filter(|it| it.name.ends_with(".json")).count();
        assert!(requests <= sidecars + 10, "{requests} for {sidecars} sidecars");
    }
    source.assert_whole(&library);

    source.server().take_fetches();
    source.server().take_requests();
    source.backup().good().says("without errors");
    let fetches = source.server().take_fetches();
    assert!(fetches.is_empty(), "{fetches:?}");
    // The listing, and what a process asks before it lists.
    let requests = source.server().take_requests();
    assert!(requests <= 6, "{requests}");
    source.assert_whole(&library);
}

#[test]
fn a_photo_in_several_albums_is_downloaded_once() {
    let source = Source::served(Pace::default(), None);
    // More than what is passed over by reading on.
    let mut library = library(8, 3_000_000);
    let all: Vec<usize> = (0..8).collect();
    for number in 0..3 {
        library.album(&format!("Copies {number}"), &all);
    }
    library.photos.iter_mut().for_each(|photo| photo.favorite = true);
    let archives = source.deliver(&Export::default(), &library);
    source.backup().good().says("without errors");
    let fetches = source.server().take_fetches();
    let (bytes, size) = (fetched(&fetches, &archives[0].name()), archives[0].size());
    assert!(size > 4 * 8 * 3_000_000 && bytes < size * 3 / 10, "{bytes} of {size}");
    source.assert_whole(&library);
}

#[test]
fn a_transfer_that_breaks_in_an_entry_is_resumed() {
    let source = Source::served(Pace::default(), None);
    let library = library(30, 300_000);
    let archives = source.deliver(&Export::default(), &library);
    let middle = archives[0].size() / 2;
    source.server().fail(Faults { breaks: Some((archives[0].name(), middle, 2)), refuses: None });
    source.backup().good().says("without errors");
    source.assert_whole(&library);
}

#[test]
fn a_quota_that_is_used_up_is_reported_and_the_next_backup_is_whole() {
    let source = Source::served(Pace::default(), None);
    let library = library(30, 300_000);
    let archives =
        source.deliver(&Export { cut: Cut::Bytes(4 << 20), ..Export::default() }, &library);
    let name = archives[0].name();
    source.server().fail(Faults { refuses: Some((name.clone(), 403)), breaks: None });
    source.backup().good().says(&name);
    source.server().fail(Faults::default());
    source.backup().good().says("without errors");
    source.assert_whole(&library);
}

#[test]
fn a_backup_that_was_killed_is_completed_by_the_next() {
    let source = Source::served(Pace::default(), Some(Duration::from_millis(40)));
    let library = library(60, 300_000);
    source.deliver(&Export { cut: Cut::Bytes(5 << 20), ..Export::default() }, &library);
    for after in [300, 1500] {
        let mut command = source.place.backup_command("@exports");
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let here = source.place.path("");
        env::within(Duration::from_secs(20), || !processes::plakboxes(&here).is_empty());
        std::thread::sleep(Duration::from_millis(after));
        processes::plakboxes(&here).into_iter().for_each(processes::kill);
        child.wait().unwrap();
        assert!(processes::rclones_end(&here));
    }
    source.backup().good().says("without errors");
    source.assert_whole(&library);
}
