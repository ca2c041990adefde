//! Google refuses, fails and forgets: what passes is waited for, and what doesn't ends
//! soon, with all else backed up or restored.

use plakbox_tests::google_account::Account;
use plakbox_tests::photos::media::photo;
use plakbox_tests::photos::{Call, Settings};
use std::time::Duration;

/// An account with so many photos in two albums.
fn filled(photos: usize, settings: Settings) -> Account {
    let account = Account::new(settings);
    account.photos.fill(photos, 2, 0, 1);
    account
}

#[test]
fn the_end_of_the_days_downloads_ends_a_run_within_a_minute_with_that_message() {
    let account = filled(300, Settings { download_quota: 40, ..Settings::default() });
    let run = account.backup("").says("75,000 a day");
    assert!(run.took < Duration::from_secs(60), "{:?}", run.took);
    assert!(!run.text.contains("low level retry"), "{}", run.text);
    let calls = account.photos.take_calls();
    assert_eq!(calls.downloads.len(), 40);
    assert_eq!(calls.of(Call::Get), 0);

    // What was backed up isn't downloaded again on the next day.
    account.photos.next_day();
    account.photos.set(|settings| settings.download_quota = 75_000);
    account.backup("").good().says("without errors");
    let again = account.photos.take_calls().downloads.len();
    assert!((260..300).contains(&again), "{again} downloads");
    assert_eq!(account.place.listed().matches("IMG_").count(), 300 + account.in_albums());
}

#[test]
fn tokens_that_expire_during_a_run_are_renewed() {
    // rclone renews a token ten seconds before its end, so each is good for two.
    let account = filled(
        400,
        Settings {
            token_life: Duration::from_secs(12),
            rotates: true,
            latency: Duration::from_millis(100),
            ..Settings::default()
        },
    );
    let before = account.state();
    account.place.plakar(["source", "set", "photos", "streams=4"]).good();
    account.backup("").good().says("without errors");
    let renewed = account.photos.take_calls().of(Call::Refresh);
    assert!(renewed > 3, "{renewed} renewals");
    account.photos.empty_account();
    account.restore("").good();
    assert!(account.photos.take_calls().of(Call::Refresh) > 1);
    assert_eq!(account.state(), before);
}

#[test]
fn what_google_refuses_for_a_while_is_requested_again() {
    let account = filled(30, Settings::default());
    let backups = [
        (Call::Search, 429),
        (Call::Albums, 503),
        (Call::Search, 500),
        (Call::Download, 500),
        (Call::Download, 429),
    ];
    for (number, (call, status)) in (1..).zip(backups) {
        account.photos.add(&format!("IMG_new {number}.jpg"), photo(9, number, 900));
        account.photos.fail(call, status, 2);
        account.backup("").good().says("without errors");
        let paths = account.photos.items().len() + account.in_albums();
        assert_eq!(account.place.listed().matches("IMG_").count(), paths, "{call:?} {status}");
    }
    let before = account.state();
    account.photos.empty_account();
    for (call, status) in [
        (Call::BatchCreate, 500),
        (Call::CreateAlbum, 503),
        (Call::Upload, 503),
        (Call::BatchCreate, 429),
    ] {
        account.photos.fail(call, status, 2);
        account.restore("").good();
        assert_eq!(account.state(), before, "{call:?} {status}");
        account.photos.empty_account();
    }
    account.photos.others_write(2);
    account.restore("").good();
    assert_eq!(account.state(), before);
}

#[test]
fn an_upload_that_fails_is_an_error_of_its_paths_and_a_second_run_completes_it() {
    let account = Account::new(Settings::default());
    account.photos.fill(30, 1, 0, 1);
    let before = account.state();
    account.backup("").good();
    account.photos.empty_account();
    account.photos.fail(Call::Upload, 403, 1);
    let run =
        account.restore("").bad("The caller does not have permission (403 PERMISSION_DENIED)");
    // One photo, with its path in the album and the one in the library.
    let failed: Vec<_> = run.text.lines().filter(|line| line.contains("KO")).collect();
    let name = failed[0].split_once("/IMG_").unwrap().1.split_once(':').unwrap().0;
    assert!(failed.len() == 2 && failed[1].contains(name), "{failed:#?}");
    account.restore("").good();
    assert_eq!(account.state(), before);
}

#[test]
fn an_album_that_cannot_be_listed_is_reported_and_the_others_are_backed_up() {
    let account = Account::new(Settings::default());
    let ids: Vec<_> =
        (0..6).map(|number| account.photos.add("IMG.jpg", photo(3, number, 900))).collect();
    account.photos.album("Good", &ids[..2]);
    let bad = account.photos.album("Bad", &ids[2..4]);
    account.photos.fail_album(&bad, 403);
    let run = account.backup("").says("1 error");
    let line = run.text.lines().find(|line| line.contains("KO") && line.contains("/album/Bad"));
    let line = line.unwrap_or_else(|| panic!("no error of the album:\n{}", run.text));
    assert!(line.contains("The caller does not have permission"), "{line}");
    let listed = account.place.listed();
    assert_eq!(listed.matches("/media/all/IMG").count(), 6, "{listed}");
    assert_eq!(listed.matches("/album/Good/IMG").count(), 2, "{listed}");
    assert_eq!(listed.matches("/album/Bad/IMG").count(), 0, "{listed}");
}

#[test]
fn what_google_refuses_for_good_ends_with_its_reason() {
    // It takes its two minutes; all of them at the same time.
    std::thread::scope(|scope| {
        for (status, words) in [(503, "503 UNAVAILABLE"), (500, "500 INTERNAL")] {
            scope.spawn(move || {
                let account = filled(3, Settings::default());
                account.photos.fail(Call::Search, status, 9999);
                account.backup("").bad(words);
            });
        }
        scope.spawn(move || {
            let account = filled(3, Settings::default());
            account.backup("").good();
            account.photos.empty_account();
            account.photos.others_write(9999);
            account.restore("").bad("another program writes to the same Google Photos account");
        });
    });
}
