//! A part of a remote keeps its name from a backup to a restore, and a location that
//! looks like a file is told with its directory.

use plakbox_tests::google_account::Account;
use plakbox_tests::photos::Settings;
use plakbox_tests::{TestEnv, tree};

#[test]
fn one_album_backed_up_alone_is_restored_as_that_album_by_the_documented_command() {
    let account = Account::new(Settings::default());
    account.photos.fill(12, 2, 0, 1);
    let albums = account.photos.albums();
    let (title, photos) = &albums[0];
    account.backup(&format!("album/{title}")).good().says("without errors");
    account.photos.empty_account();
    for _ in 0..2 {
        // Where it is there already, it is the same.
        account.restore("").good();
        assert_eq!(account.photos.albums(), [(title.clone(), photos.clone())]);
        assert_eq!(account.photos.items().len(), photos.len());
    }
    account.photos.empty_account();
    account.restore("album").good();
    assert_eq!(account.photos.albums(), [(title.clone(), photos.clone())]);
}

#[test]
fn one_album_of_a_whole_snapshot_is_restored_as_that_album() {
    let account = Account::new(Settings::default());
    account.photos.fill(12, 2, 0, 1);
    let albums = account.photos.albums();
    let (title, photos) = &albums[1];
    account.backup("").good();
    account.photos.empty_account();
    account.restore_only(&format!("/album/{title}")).good();
    assert_eq!(account.photos.albums(), [(title.clone(), photos.clone())]);
    account.photos.empty_account();
    account.restore_only("/media/all").good();
    assert_eq!(account.photos.albums(), []);
    assert_eq!(account.photos.items().len(), 12);
}

#[test]
fn a_location_that_is_a_file_is_reported_with_its_directory() {
    let place = TestEnv::new();
    let source = place.directory_remote("source");
    tree::file(&source.join("a/top"), b"x", tree::time(1));
    tree::file(&source.join("top/top"), b"x", tree::time(1));
    tree::file(&source.join("top/other"), b"x", tree::time(1));
    place
        .backup("rclone://source:a/top")
        .says("help: set the location to the directory `/a/` if it is one");
    let quiet = place.backup("rclone://source:top").good();
    assert!(!quiet.text.contains("set the location"), "{}", quiet.text);
}
