//! Messages to a user of Google Photos on Plakar's output, before and when things
//! go wrong: one clear line with the remedy.

use std::fs;

use bytes::Bytes;
use plakbox_tests::Run;
use plakbox_tests::env::run;
use plakbox_tests::google_account::Account;
use plakbox_tests::photos::media::photo;
use plakbox_tests::photos::{Call, Photos, Settings};

const AGAIN: &str = "run `rclone config reconnect NAME:`, and `/";
const IF_IMPORTED: &str = "plakbox renew NAME` if it was imported";

fn backup(account: &Account) -> Run {
    account.backup("").soon()
}

fn restore(account: &Account) -> Run {
    account.restore("").soon()
}

/// A snapshot of a directory with these files, which are restored to an album.
fn directory(account: &Account, files: &[(&str, Bytes)]) {
    let directory = account.place.directory_remote("pictures");
    fs::create_dir_all(directory.join("album/Trip")).unwrap();
    for (name, bytes) in files {
        fs::write(directory.join("album/Trip").join(name), bytes).unwrap();
    }
    account.place.backup("rclone://pictures:").good();
}

/// Number of lines that contain this.
fn count(run: &Run, words: &str) -> usize {
    run.text.lines().filter(|line| line.contains(words)).count()
}

/// The line of a path that failed.
#[track_caller]
fn failed<'a>(run: &'a Run, path: &str) -> &'a str {
    let line = run.text.lines().find(|line| line.contains("KO") && line.contains(path));
    line.unwrap_or_else(|| panic!("no error of `{path}`:\n{}", run.text))
}

const QUALITY: &str = "through its API Google gives photos without their location";
const CLIENT: &str = "the remote has no `client_id` and uses rclone's shared one";

#[test]
fn what_google_withholds_is_reported_once_for_each_remote() {
    let account = Account::new(Settings::default());
    account.photos.fill(3, 1, 0, 1);
    let first = backup(&account).good();
    assert_eq!((count(&first, QUALITY), count(&first, CLIENT)), (1, 0), "{}", first.text);
    let second = backup(&account).good();
    assert_eq!(count(&second, QUALITY), 0, "{}", second.text);
    // A token that was refreshed is the same remote, another option is another.
    let config = account.photos.config("photos");
    account.place.import_text("source", format!("{config}start_year = 2001\n").as_bytes());
    assert_eq!(count(&backup(&account).good(), QUALITY), 1);
}

#[test]
fn originals_have_no_notice_of_quality() {
    let photos = Photos::start();
    let config = format!("{}proxy = http://127.0.0.1:9\n", photos.config("photos"));
    // There is nothing to download: nothing listens at that address.
    let account = Account::imported(photos, &config);
    let run = backup(&account).bad("shows rclone no photo at all");
    assert_eq!(count(&run, QUALITY), 0, "{}", run.text);
}

#[test]
fn a_remote_without_its_own_client_has_a_notice_each_time_until_it_fails() {
    let photos = Photos::start();
    let config = photos.config("photos");
    let lines = config.lines().filter(|line| !line.starts_with("client_"));
    let config = lines.collect::<Vec<_>>().join("\n") + "\n";
    let account = Account::imported(photos, &config);
    account.photos.fill(3, 1, 0, 1);
    for _ in 0..2 {
        let run = backup(&account).good();
        assert_eq!(count(&run, CLIENT), 1, "{}", run.text);
        run.says("https://rclone.org/googlephotos/#making-your-own-client-id");
    }
    account.photos.forget_access_tokens();
    account.photos.set(|settings| settings.shared_client = false);
    fs::remove_dir_all(account.place.state()).unwrap();
    account.backup("").bad(
        "invalid_client: the remote's client_id doesn't work (any more); help: make a \
         client_id of your own \
         (https://rclone.org/googlephotos/#making-your-own-client-id",
    );
}

#[test]
fn an_access_that_was_taken_away_has_to_be_given_again() {
    let account = Account::new(Settings::default());
    account.photos.fill(3, 1, 0, 1);
    account.photos.revoke();
    let run = backup(&account)
        .bad(&format!("invalid_grant: maybe token expired; help: {AGAIN}"))
        .says(IF_IMPORTED);
    assert!(!run.text.contains("\"rclone config reconnect remote:\""), "{}", run.text);
    assert!(!run.text.contains("googleapis.com"), "{}", run.text);
}

#[test]
fn an_access_token_that_google_forgot_is_the_same() {
    let account = Account::new(Settings::default());
    account.photos.fill(3, 1, 0, 1);
    backup(&account).good();
    account.photos.forget_access_tokens();
    backup(&account).bad(&format!(
        "Request had invalid authentication credentials. (401 UNAUTHENTICATED); help: {AGAIN}"
    ));
}

#[test]
fn a_remote_that_an_old_rclone_connected_must_be_connected_again() {
    let account = Account::new(Settings::before_1_70());
    account.photos.fill(3, 1, 0, 1);
    backup(&account).bad(
        "Request had insufficient authentication scopes. (403 PERMISSION_DENIED): the \
         remote was connected by an rclone before 1.70 or without this permission; \
         help: run `rclone config reconnect NAME:` with rclone 1.70 or later, and `/",
    );
}

#[test]
fn an_rclone_that_is_too_old_for_google_says_why() {
    let account = Account::new(Settings::default());
    let rclone = account.place.rclone_that_says("rclone v1.69.3");
    run(account.place.backup_command("@photos").env("PLAKBOX_RCLONE", rclone)).soon().bad(
        "is too old for Google Photos, which since 2025-03-31 refuses the permissions \
         that it asks for; help: install rclone 1.70.0 or later \
         (https://rclone.org/install), run `rclone config reconnect NAME:`, and `/",
    );
}

#[test]
fn an_account_that_shows_nothing_says_why() {
    let account = Account::new(Settings::default());
    backup(&account).bad("since 2025-03-31 Google lets an application see only what it uploaded");
}

#[test]
fn a_photo_that_vanished_is_an_error_of_its_path() {
    let account = Account::new(Settings::default());
    account.photos.fill(3, 0, 0, 1);
    let id = account.photos.items()[1].id.clone();
    account.photos.vanish(&id);
    let run = backup(&account).says("1 error");
    let line = failed(&run, "IMG_00002.jpg");
    assert!(line.contains("it is gone from Google Photos"), "{line}");
    assert!(account.place.listed().contains("IMG_00003.jpg"));
}

#[test]
fn a_photo_whose_download_broke_off_is_never_an_empty_file() {
    let account = Account::new(Settings::default());
    account.photos.fill(3, 1, 0, 1);
    let item = account.photos.items()[1].clone();
    account.photos.break_off(&item.id, 100, 1);
    backup(&account).good();
    for path in ["/media/all/IMG_00002.jpg", "/album/Album 001/IMG_00002.jpg"] {
        assert!(account.place.content(path) == item.bytes, "{path}");
    }
}

#[test]
fn a_read_only_remote_is_refused_as_a_destination_before_anything_is_sent() {
    let account = Account::new(Settings::read_only());
    directory(&account, &[("1.jpg", photo(1, 1, 100))]);
    restore(&account).bad(
        "the remote is connected with `read_only`, so nothing can be restored to it; \
         help: run `rclone config update NAME read_only=false` and `rclone config \
         reconnect NAME:`, and `/",
    );
    assert_eq!(account.photos.calls().api(), 0);
}

#[test]
fn what_google_does_not_take_fails_alone_and_says_so() {
    let account = Account::new(Settings::default());
    account.photos.refuse_upload("2.jpg", 8, "The remaining storage is not enough.");
    directory(
        &account,
        &[
            ("1.jpg", photo(1, 1, 100)),
            ("2.jpg", photo(1, 2, 100)),
            ("notes.txt", Bytes::from_static(b"no photo")),
        ],
    );
    let run = restore(&account);
    assert!(!run.ok, "{}", run.text);
    let line = failed(&run, "/notes.txt");
    assert!(
        line.contains(
            "There was an error while trying to create this media item. (3): Google Photos \
             takes photos and videos only"
        ) && !line.contains("failed to commit batch"),
        "{line}"
    );
    let line = failed(&run, "/2.jpg");
    assert!(line.contains("is not enough. (8); help: make room in the Google account"), "{line}");
    assert_eq!(account.photos.items().len(), 1);
    assert_eq!(account.photos.calls().of(Call::CreateAlbum), 1);
}

#[test]
fn a_restore_without_access_says_the_same() {
    let account = Account::new(Settings::default());
    directory(&account, &[("1.jpg", photo(1, 1, 100)), ("2.jpg", photo(1, 2, 100))]);
    restore(&account).good();
    account.photos.forget_access_tokens();
    restore(&account).bad(&format!(
        "Request had invalid authentication credentials. (401 UNAUTHENTICATED); help: {AGAIN}"
    ));

    let account = Account::new(Settings::default());
    directory(&account, &[("1.jpg", photo(1, 1, 100)), ("2.jpg", photo(1, 2, 100))]);
    account.photos.revoke();
    restore(&account).bad(&format!("invalid_grant: maybe token expired; help: {AGAIN}"));
}

#[test]
fn a_denial_for_another_reason_is_not_attributed_to_an_old_remote() {
    let account = Account::new(Settings::default());
    account.photos.fill(3, 1, 0, 1);
    account.photos.fail(Call::Search, 403, 9999);
    let run = backup(&account).bad(
        "The caller does not have permission (403 PERMISSION_DENIED); help: check what \
         the remote's account may do there",
    );
    assert_eq!(count(&run, "rclone config reconnect"), 0, "{}", run.text);
}

#[test]
fn the_days_quota_is_one_line_with_its_remedy() {
    let account = Account::new(Settings { quota: 2, ..Settings::default() });
    account.photos.fill(300, 1, 0, 1);
    let run = backup(&account).bad(
        "limit 'All requests per day' (429 RESOURCE_EXHAUSTED): the day's quota of Google \
         Photos is used up (10,000 calls a day for each client_id); help: run it again \
         tomorrow, with a client_id of your own",
    );
    assert_eq!(count(&run, "All requests per day"), 1, "{}", run.text);
    assert_eq!(count(&run, "low level retry"), 0, "{}", run.text);
}
