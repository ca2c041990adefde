//! Albums of Google Photos find their way back, to the account that they came from and
//! to others.

use plakbox_tests::google_account::Account;
use plakbox_tests::photos::media::photo;
use plakbox_tests::photos::{Call, Settings};
use std::collections::BTreeSet;

/// An account with so many photos, which are in no album; and their IDs.
fn with_photos(count: u64) -> (Account, Vec<String>) {
    let account = Account::new(Settings::default());
    let ids = (0..count)
        .map(|number| account.photos.add(&format!("IMG_{number}.jpg"), photo(5, number, 900)))
        .collect();
    (account, ids)
}

#[test]
fn a_restore_to_an_account_with_two_albums_of_one_title_changes_nothing() {
    let (account, ids) = with_photos(6);
    account.photos.album("Trip", &ids[..2]);
    account.photos.album("Trip", &ids[2..3]);
    account.photos.album("2024/Trip", &ids[3..4]);
    account.photos.album("2024/Trip", &ids[4..]);
    let before = account.state();
    account.backup("").good().says("without errors");
    for _ in 0..2 {
        account.photos.take_calls();
        account.restore("").good();
        assert_eq!(account.state(), before);
        assert_eq!(account.photos.take_calls().of(Call::CreateAlbum), 0);
    }
    // What is missing goes back to where it was.
    account.photos.delete(&ids[2]);
    account.photos.delete(&ids[4]);
    account.restore("").good();
    assert_eq!(account.state(), before);
}

#[test]
fn an_album_that_was_renamed_meanwhile_is_still_the_same() {
    let (account, ids) = with_photos(2);
    let album = account.photos.album("Trip", &ids);
    account.backup("").good();
    account.photos.rename_album(&album, "Journey");
    account.photos.delete(&ids[1]);
    account.restore("").good();
    let albums = account.photos.albums();
    assert_eq!((albums.len(), albums[0].0.as_str(), albums[0].1.len()), (1, "Journey", 2));
}

#[test]
fn an_album_goes_into_the_first_of_two_that_have_its_title() {
    let (account, ids) = with_photos(2);
    account.photos.album("Trip", &ids);
    account.backup("").good();
    let photos = &account.photos.albums()[0].1.clone();
    account.photos.empty_account();
    let others = [7, 8].map(|number| account.photos.add("other.jpg", photo(6, number, 900)));
    let [first, second] = others.each_ref().map(|id| account.photos.album("Trip", &[id]));
    let held = |album: &str| account.photos.album_of(album);
    // rclone shows them in the order of their IDs.
    let (first, second) = (first.clone().min(second.clone()), first.max(second));
    let (own, untouched) = (held(&first), held(&second));
    for _ in 0..2 {
        account.restore("").good();
        assert_eq!(account.photos.albums().len(), 2);
        assert_eq!(held(&first), photos.union(&own).cloned().collect::<BTreeSet<_>>());
        assert_eq!(held(&second), untouched);
    }
}

#[test]
fn a_restore_to_another_account_keeps_albums_of_one_title_apart_however_often_it_is_run() {
    let (account, ids) = with_photos(4);
    account.photos.album("Trip", &ids[..2]);
    account.photos.album("Trip", &ids[2..]);
    account.backup("").good();
    let contents =
        || account.photos.albums().into_iter().map(|(_, photos)| photos).collect::<BTreeSet<_>>();
    let before = contents();
    account.photos.empty_account();
    for _ in 0..2 {
        account.restore("").good();
        assert_eq!(contents(), before);
        let albums = account.photos.albums();
        let titles: Vec<_> = albums.iter().map(|(title, _)| title.as_str()).collect();
        assert_eq!(titles, ["Trip", "Trip (2)"]);
    }
}

#[test]
fn an_empty_album_is_restored_once() {
    let (account, ids) = with_photos(2);
    account.photos.album("Trip", &ids[..1]);
    account.photos.album("2024/Plans", &[""; 0]);
    let before = account.state();
    account.backup("").good().says("without errors");
    account.photos.empty_account();
    for created in [2, 0] {
        account.photos.take_calls();
        account.restore("").good();
        assert_eq!(account.state(), before);
        assert_eq!(account.photos.take_calls().of(Call::CreateAlbum), created);
    }
}

#[test]
fn albums_come_back_without_the_rest_of_the_library_the_empty_ones_too() {
    let (account, ids) = with_photos(3);
    account.photos.album("Trip", &ids[..2]);
    account.photos.album("2024/Plans", &[""; 0]);
    let (_, albums) = account.state();
    account.backup("").good();
    account.photos.empty_account();
    for _ in 0..2 {
        account.restore_only("/album").good();
        assert_eq!(account.state().1, albums);
        assert_eq!(account.photos.items().len(), 2);
    }
}

#[test]
fn an_empty_album_that_google_refuses_fails_the_restore_with_its_name_and_nothing_else() {
    let (account, _) = with_photos(2);
    account.photos.album("Plans", &[""; 0]);
    account.backup("").good();
    let (photos, _) = account.state();
    account.photos.empty_account();
    account.photos.fail(Call::CreateAlbum, 403, 1);
    account.restore("").bad("the album `album/Plans` can't be made: couldn't create album");
    assert_eq!(account.state(), (photos, Vec::new()));
}
