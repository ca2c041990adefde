//! A part of a library is backed up or restored alone, and what a snapshot holds of it
//! is looked at with Plakar's own commands.

use plakbox_tests::env::{files_below, run};
use plakbox_tests::google_account::Account;
use plakbox_tests::photos::media::{digest, photo, video};
use plakbox_tests::photos::{Call, Settings};
use plakbox_tests::{Run, tools};
use std::fs;

/// Restores what lies at this path of the last snapshot.
fn restore_part(account: &Account, path: &str, destination: &str) -> Run {
    let part = format!("{}:{path}", account.place.last());
    let mut command = account.place.command(tools::plakar());
    command.args(["at", &account.place.store(), "restore", "-to", destination, &part]);
    run(command.envs(account.photos.environment()))
}

#[test]
fn one_photo_is_restored_to_a_directory_and_to_an_account() {
    let account = Account::new(Settings::default());
    account.photos.fill(12, 2, 2, 1);
    account.backup("").good();
    let item = account.photos.items()[4].clone();
    let there = account.place.path("one photo");
    restore_part(&account, &format!("/media/all/{}", item.name), there.to_str().unwrap()).good();
    let files = files_below(&there);
    assert_eq!(files.len(), 1, "{files:?}");
    assert!(fs::read(&files[0]).unwrap() == item.bytes);

    account.photos.empty_account();
    account.photos.take_calls();
    restore_part(&account, &format!("/media/all/{}", item.name), "@photos").good();
    let items = account.photos.items();
    assert_eq!((items.len(), &items[0].digest), (1, &item.digest));
    assert_eq!(account.photos.albums(), []);
    let calls = account.photos.take_calls();
    assert_eq!((calls.of(Call::Upload), calls.of(Call::BatchCreate)), (1, 1));
}

#[test]
fn a_library_is_restored_to_a_remote_of_another_kind_and_from_there_again() {
    let account = Account::new(Settings::default());
    account.photos.fill(20, 2, 2, 1);
    account.photos.add("film.mp4", video(1, 1, 9 << 20));
    let before = account.state();
    account.backup("").good().says("without errors");
    // There are no sizes in this snapshot.
    let directory = account.place.directory_remote("elsewhere");
    account.place.restore("rclone://elsewhere:").good();
    let files = files_below(&directory);
    assert_eq!(files.len(), 21 + account.in_albums());
    let found: std::collections::BTreeSet<_> =
        files.iter().map(|file| digest(&fs::read(file).unwrap())).collect();
    assert_eq!(found, before.0);

    account.place.backup("rclone://elsewhere:").good();
    account.photos.empty_account();
    account.restore("").good();
    assert_eq!(account.state(), before);
}

#[test]
fn shared_albums_and_favourites_are_backed_up_alone() {
    let account = Account::new(Settings::default());
    account.photos.fill(10, 1, 0, 1);
    let items = account.photos.items();
    account.photos.shared_album("From Ann", &[&items[1].id, &items[2].id]);
    account.photos.favourite(&items[3].id);
    for (part, names) in [
        (
            "shared-album",
            vec!["/shared-album/From Ann/IMG_00002.jpg", "/shared-album/From Ann/IMG_00003.jpg"],
        ),
        (
            "shared-album/From Ann",
            vec!["/shared-album/From Ann/IMG_00002.jpg", "/shared-album/From Ann/IMG_00003.jpg"],
        ),
        ("feature/favorites", vec!["/feature/favorites/IMG_00004.jpg"]),
    ] {
        account.photos.take_calls();
        account.backup(part).good().says("without errors");
        let calls = account.photos.take_calls();
        assert_eq!(calls.downloads.len(), names.len(), "{part}");
        let listed = account.place.listed();
        assert_eq!(listed.matches("IMG_").count(), names.len(), "{part}:\n{listed}");
        for name in names {
            assert!(listed.contains(name), "{part}:\n{listed}");
        }
    }
}

#[test]
fn two_snapshots_differ_in_what_changed_and_in_nothing_else() {
    let account = Account::new(Settings::default());
    account.photos.fill(12, 2, 2, 1);
    // What Plakar says beside the directories that both have.
    let diff = |first: &str| -> Vec<String> {
        let place = &account.place;
        let arguments = ["at", &place.store(), "diff", "-recursive", first, &place.last()];
        let text = place.plakar(arguments).good().text;
        assert!(text.contains("/album/Album 001"), "{text}");
        let changes = text.lines().filter(|line| !line.starts_with("Common subdirectories:"));
        changes.map(str::to_owned).collect()
    };
    account.backup("").good();
    let first = account.place.last();
    account.backup("").good();
    assert_eq!(diff(&first), [""; 0]);
    let second = account.place.last();
    account.photos.add("new.jpg", photo(8, 1, 900));
    let old = account.photos.items()[5].clone();
    account.photos.delete(&old.id);
    account.photos.add(&old.name, photo(8, 2, 900));
    account.backup("").good();
    let path = format!("/media/all/{}", old.name);
    let changes = diff(&second);
    for change in
        ["Only in /media/all: new.jpg".to_owned(), format!("Binary files {path} and {path} differ")]
    {
        assert!(changes.contains(&change), "no `{change}` in {changes:#?}");
    }
    assert!(changes.iter().all(|line| line.contains("new.jpg") || line.contains(&old.name)));
}

#[test]
fn the_time_and_the_kind_of_a_photo_are_kept() {
    let account = Account::new(Settings::default());
    account.photos.add("IMG.jpg", photo(1, 1, 900));
    account.photos.add("film.mp4", video(1, 2, 900));
    account.backup("").good();
    let there = account.place.restore_here("there");
    for item in account.photos.items() {
        let path = there.join("media/all").join(&item.name);
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        assert_eq!(modified, item.created, "{}", item.name);
    }
    let place = &account.place;
    let info = place.plakar(["at", &place.store(), "info", &place.last()]).good();
    info.says("MIMEImage: 1").says("MIMEVideo: 1").says("MIMEOther: 0");
}
