//! A snapshot of Takeout exports is restored to Google Photos with each photo once, its albums
//! and plain names, or to a directory.

use plakbox_tests::env::run;
use plakbox_tests::photos::{Photos, Settings};
use plakbox_tests::takeout::{Content, Export, Library, Photo, Place, Source};
use plakbox_tests::{tools, tree};
use std::collections::BTreeSet;

const START: i64 = 1_690_000_000;

/// Photos with twins, an archived and a trashed one, in two albums.
fn library() -> Library {
    let mut library = Library::default();
    for number in 0..12 {
        let content = Content::Photo { number, size: 3000 };
        let taken = START + i64::try_from(number).unwrap() * 3600;
        let mut photo = Photo::new(&format!("IMG_{}.jpg", number % 4), taken, content);
        photo.favorite = number == 1;
        if number == 10 {
            photo.place = Place::Archive;
        }
        if number == 11 {
            photo.place = Place::Trash;
        }
        library.add(photo);
    }
    library.album("Été", &[0, 1, 2, 4]);
    library.album("Archive and more", &[4, 8, 10]);
    library
}

/// The digest that the emulator has of a photo.
fn digest(content: &Content) -> String {
    plakbox_tests::photos::media::digest(&content.bytes())
}

fn account(source: &Source) -> Photos {
    let photos = Photos::with(Settings::default());
    source.place.import_text("destination", photos.config("photos").as_bytes());
    source.place.plakar(["destination", "set", "photos", "location=rclone://"]).good();
    photos
}

#[test]
fn a_library_comes_to_google_photos_with_each_photo_once_and_every_album() {
    let (source, library) = (Source::new(), library());
    source.deliver(&Export::default(), &library);
    source.backup().good().says("without errors");
    let photos = account(&source);
    run(source.place.restore_command("@photos").envs(photos.environment())).good();
    let wanted: BTreeSet<String> = library
        .photos
        .iter()
        .filter(|photo| photo.place != Place::Trash)
        .map(|photo| digest(&photo.content))
        .collect();
    let items = photos.items();
    assert_eq!(items.len(), wanted.len());
    assert_eq!(items.iter().map(|item| item.digest.clone()).collect::<BTreeSet<_>>(), wanted);
    for item in &items {
        assert!(!item.name.contains('{'), "{}", item.name);
        assert!(!item.name.ends_with(".json"), "{}", item.name);
    }
    let albums: BTreeSet<(String, BTreeSet<String>)> = photos.albums().into_iter().collect();
    let wanted: BTreeSet<(String, BTreeSet<String>)> = library
        .albums
        .iter()
        .map(|album| {
            let members = album.members.iter();
            let digests = members.map(|(number, _)| digest(&library.photos[*number].content));
            (album.title.clone(), digests.collect())
        })
        .collect();
    assert_eq!(albums, wanted);
}

#[test]
fn one_album_alone_comes_to_google_photos() {
    let (source, library) = (Source::new(), library());
    source.deliver(&Export::default(), &library);
    source.backup().good();
    let photos = account(&source);
    let part = format!("{}:/album/Été", source.place.last());
    let mut command = source.place.command(tools::plakar());
    command.args(["at", &source.place.store(), "restore", "-to", "@photos", &part]);
    run(command.envs(photos.environment())).good();
    assert_eq!(photos.items().len(), 4);
    let albums = photos.albums();
    assert_eq!(albums.len(), 1);
    assert_eq!((albums[0].0.as_str(), albums[0].1.len()), ("Été", 4));
}

#[test]
fn a_library_comes_to_a_directory_with_its_times() {
    let (source, library) = (Source::new(), library());
    source.deliver(&Export::default(), &library);
    source.backup().good();
    let target = source.place.directory_remote("target");
    source.place.import("target");
    source.place.restore("@target").good();
    let plain = source.place.restore_here("plain");
    tree::assert_same(&plain, &target, tree::Keep::FileTimes);
    source.assert_whole(&library);
}

#[test]
fn a_snapshot_of_exports_is_shown_by_plakar() {
    let (source, library) = (Source::new(), library());
    source.deliver(&Export::default(), &library);
    source.backup().good();
    let listed = source.place.listed();
    for path in ["/media/by-year/2023/IMG_1.jpg", "/album/Été/IMG_2.jpg", "/trash/IMG_3.jpg"] {
        assert!(listed.contains(path), "{listed}");
    }
}
