//! Google Photos is backed up and restored whole, with few calls and one download of
//! each photo.

use plakbox_tests::env::run;
use plakbox_tests::faulty_http_server::{Page, Web};
use plakbox_tests::google_account::Account;
use plakbox_tests::photos::media::{photo, video};
use plakbox_tests::photos::{Call, Photos, Settings};
use plakbox_tests::tree;
use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

fn five_hundred() -> Account {
    let account = Account::new(Settings::default());
    account.photos.fill(500, 5, 7, 1);
    account
}

#[test]
fn a_backup_costs_few_calls_and_one_download_of_each_photo() {
    let account = five_hundred();
    account.backup("").good().says("without errors");
    let calls = account.photos.take_calls();
    // The library, the albums (two hold more than a hundred photos), the favourites; and
    // the library once more by the process that reads.
    assert_eq!(calls.of(Call::Albums), 1);
    assert_eq!(calls.of(Call::SharedAlbums), 1);
    assert_eq!(calls.of(Call::Search), 5 + (5 + 2) + 1 + 5);
    assert_eq!(calls.api(), 20, "{calls}");
    assert_eq!((calls.of(Call::Refresh), calls.of(Call::Download)), (1, 500));
    assert_eq!(calls.downloads.len(), 500);
    assert_eq!(calls.most_downloads(), 1);
    assert_eq!(calls.foreign, [""; 0]);
    let listed = account.place.listed();
    let paths = listed.lines().filter(|line| line.contains("IMG_"));
    assert_eq!(paths.count(), 500 + account.in_albums());

    // Nothing is fetched again, and ten that are new are ten downloads.
    account.backup("").good();
    assert_eq!(account.photos.take_calls().downloads.len(), 0);
    for number in 0..10 {
        account.photos.add(&format!("new {number}.jpg"), photo(9, number, 3000));
    }
    account.backup("").good();
    let calls = account.photos.take_calls();
    assert_eq!(calls.downloads.values().sum::<u64>(), 10);
}

#[test]
fn every_photo_and_album_is_restored_to_an_empty_account() {
    let account = five_hundred();
    account.photos.album("Straße / 🏖 été", &[account.photos.items()[3].id.clone()]);
    let before = account.state();
    account.backup("").good();
    account.photos.empty_account();
    account.photos.take_calls();
    account.restore("").good();
    assert_eq!(account.state(), before);
    let calls = account.photos.take_calls();
    assert_eq!(calls.batches_at_once, 1);
    // Fifty fill a batch, unless they go to two albums, or nothing came for a second.
    let full = account.in_albums().div_ceil(50);
    assert!(calls.batches.len() <= 2 * full + 6, "{:?}", calls.batches);
    assert_eq!(calls.of(Call::CreateAlbum), 6);
    assert_eq!(calls.of(Call::Search) + calls.of(Call::Get), 0, "{calls}");
    assert!(calls.batches.contains(&50), "{:?}", calls.batches);
    // Once for each album that holds it, and not again for the library.
    assert_eq!(calls.uploads.values().sum::<u64>(), account.in_albums() as u64);

    // A second time changes nothing.
    account.restore("").good();
    assert_eq!(account.state(), before);
}

#[test]
fn a_restore_that_was_interrupted_is_completed_by_another() {
    let account = five_hundred();
    let before = account.state();
    account.backup("").good();
    account.photos.empty_account();
    account.photos.set(|settings| settings.latency = Duration::from_millis(100));
    account.place.plakar(["destination", "set", "photos", "location=rclone://"]).good();
    let mut command = account.place.restore_command("@photos");
    let mut child = command.envs(account.photos.environment()).spawn().unwrap();
    let begun = || account.photos.items().len() >= 50;
    assert!(plakbox_tests::env::within(Duration::from_secs(60), begun));
    child.kill().unwrap();
    child.wait().unwrap();
    account.photos.set(|settings| settings.latency = Duration::ZERO);
    account.restore("").good();
    assert_eq!(account.state(), before);
}

#[test]
fn addresses_that_expire_during_a_backup_are_requested_again() {
    let account = Account::new(Settings {
        url_life: Duration::from_secs(3),
        latency: Duration::from_millis(100),
        ..Settings::default()
    });
    account.photos.fill(400, 2, 0, 1);
    account.place.plakar(["source", "set", "photos", "streams=4"]).good();
    let run = account.backup("").good().says("without errors");
    assert!(run.took > Duration::from_secs(6), "too fast to tell: {:?}", run.took);
    let calls = account.photos.take_calls();
    assert!(calls.api() < 100, "{} calls", calls.api());
}

#[test]
fn a_photo_that_vanished_or_breaks_off_is_an_error_of_its_paths_alone() {
    let account = Account::new(Settings::default());
    account.photos.fill(40, 1, 0, 1);
    let items = account.photos.items();
    account.photos.vanish(&items[3].id);
    account.photos.break_off(&items[5].id, 300, 100);
    let run = account.backup("");
    for name in [&items[3].name, &items[5].name] {
        for path in [format!("/media/all/{name}"), format!("/album/Album 001/{name}")] {
            assert!(
                run.text.lines().any(|line| line.contains("KO") && line.contains(&path)),
                "no error of {path}:\n{}",
                run.text
            );
        }
    }
    assert_eq!(account.place.listed().matches("IMG_").count(), 2 * 38);
}

#[test]
fn a_part_is_backed_up_alone() {
    let account = Account::new(Settings::default());
    account.photos.fill(30, 2, 0, 1);
    let album = account.photos.albums()[0].0.clone();
    for (part, count) in [("media/all", 30), (&format!("album/{album}"), 15 + 2)] {
        account.photos.take_calls();
        account.backup(part).good().says("without errors");
        assert!(account.place.listed().matches("IMG_").count().abs_diff(count) <= 1, "{part}");
        assert!(account.photos.take_calls().api() <= 6, "{part}");
    }
}

#[test]
fn a_photo_that_takes_a_name_which_is_in_use_changes_no_other_path() {
    let account = Account::new(Settings::default());
    let first = photo(1, 1, 2000);
    account.photos.add("IMG.jpg", first.clone());
    account.backup("").good();
    account.photos.take_calls();
    account.photos.add("IMG.jpg", photo(1, 2, 2000));
    account.backup("").good().says("without errors");
    let calls = account.photos.take_calls();
    assert_eq!(calls.downloads.values().sum::<u64>(), 1, "the old one was read again");
    assert!(account.place.content("/media/all/IMG.jpg") == first);
    assert_eq!(account.place.listed().matches("IMG").count(), 2);
}

#[test]
fn a_snapshot_is_checked_searched_and_restored_in_parts() {
    let account = Account::new(Settings::default());
    account.photos.fill(12, 2, 2, 1);
    account.backup("").good();
    let place = &account.place;
    place.plakar(["at", &place.store(), "check", &place.last()]).good();
    let items = account.photos.items();
    let name = &items[4].name;
    assert!(place.content(&format!("/media/all/{name}")) == items[4].bytes);

    // One album, to a directory and to an account of its own.
    let (title, photos) = account.photos.albums()[0].clone();
    let there = place.path("one album");
    let mut command = place.command(plakbox_tests::tools::plakar());
    let part = format!("{}:/album/{title}", place.last());
    let arguments = ["restore", "-to", there.to_str().unwrap(), &part];
    run(command.args(["at", &place.store()]).args(arguments)).good();
    let files = plakbox_tests::env::files_below(&there);
    assert_eq!(files.len(), photos.len());
    account.photos.empty_account();
    place
        .plakar(["destination", "set", "photos", &format!("location=rclone://album/{title}")])
        .good();
    let mut command = place.command(plakbox_tests::tools::plakar());
    command.args(["at", &place.store(), "restore", "-to", "@photos", &part]);
    run(command.envs(account.photos.environment())).good();
    assert_eq!(account.photos.albums(), [(title, photos)]);
}

#[test]
fn photos_are_restored_to_a_directory_and_folders_to_google() {
    let account = Account::new(Settings::default());
    account.photos.fill(10, 1, 0, 1);
    account.backup("").good();
    let there = account.place.restore_here("there");
    assert_eq!(plakbox_tests::env::files_below(&there).len(), 20);

    let place = &account.place;
    let source = place.directory_remote("folders");
    tree::file(&source.join("loose.jpg"), &photo(2, 1, 900), tree::time(1));
    tree::file(&source.join("2024/Summer/beach.jpg"), &photo(2, 2, 900), tree::time(2));
    tree::file(&source.join("2024/Summer/film.mp4"), &video(2, 3, 900), tree::time(3));
    tree::file(&source.join("2024/notes.txt"), b"no photo", tree::time(4));
    place.backup("rclone://folders:").good();
    account.photos.empty_account();
    let run = account.restore("");
    run.says("notes.txt").bad("1 of ");
    assert_eq!(account.photos.items().len(), 3);
    let albums: Vec<_> =
        account.photos.albums().into_iter().map(|(title, photos)| (title, photos.len())).collect();
    assert!(albums.contains(&("2024/Summer".to_owned(), 2)), "{albums:?}");
}

#[test]
fn albums_of_one_title_stay_apart_and_what_others_share_is_kept() {
    let account = Account::new(Settings::default());
    let ids: Vec<_> =
        (0..4).map(|number| account.photos.add("IMG.jpg", photo(3, number, 900))).collect();
    account.photos.album("Trip", &ids[..2]);
    account.photos.album("Trip", &ids[2..3]);
    account.photos.shared_album("From Ann", &ids[3..]);
    account.photos.favourite(&ids[0]);
    account.backup("").good().says("without errors");
    let before = account.state();
    account.photos.empty_account();
    account.restore("").good();
    let after = account.state();
    assert_eq!(after.0, before.0);
    let contents = |albums: Vec<(String, BTreeSet<String>)>| {
        albums.into_iter().map(|(_, photos)| photos).collect::<BTreeSet<_>>()
    };
    assert_eq!(contents(after.1.clone()), contents(before.1));
    let titles: Vec<_> = after.1.iter().map(|(title, _)| title.as_str()).collect();
    assert_eq!(titles, ["From Ann", "Trip", "Trip (2)"]);
}

#[test]
fn an_account_whose_shared_albums_google_hides_is_backed_up_without_an_error() {
    let account = Account::new(Settings { sharing: false, ..Settings::default() });
    account.photos.fill(20, 2, 0, 1);
    account.backup("").good().says("without errors");
    assert_eq!(account.place.listed().matches("IMG_").count(), 20 + 20 + 2);
}

#[test]
fn an_empty_library_is_explained_and_no_backup() {
    let account = Account::new(Settings::default());
    account.backup("").soon().bad("since 2025-03-31");
}

#[test]
fn archived_photos_are_backed_up_where_rclones_option_says_so() {
    let account = Account::new(Settings::default());
    account.photos.fill(4, 0, 0, 1);
    account.photos.archive(&account.photos.items()[1].id);
    account.backup("").good();
    assert_eq!(account.place.listed().matches("IMG_").count(), 3);
    let config = account.photos.config("photos") + "include_archived = true\n";
    account.place.import_text("source", config.as_bytes());
    account.backup("").good();
    assert_eq!(account.place.listed().matches("IMG_").count(), 4);
}

#[test]
fn originals_are_read_through_the_configured_proxy() {
    let (photos, web) = (Photos::start(), Web::new());
    let id = photos.add("IMG.jpg", photo(1, 1, 900));
    web.put(&format!("id/{id}"), Page::new("the original"));
    let config = photos.config("photos") + &format!("proxy = {}\n", web.url);
    let account = Account::imported(photos, &config);
    account.backup("").good();
    assert_eq!(account.place.content("/media/all/IMG.jpg"), b"the original");
    assert_eq!(account.photos.take_calls().downloads.len(), 0);
}

#[test]
fn a_ping_reaches_google_without_listing_all() {
    let latency = Duration::from_millis(100);
    let account = Account::new(Settings { latency, ..Settings::default() });
    account.photos.fill(1500, 15, 0, 1);
    let ping = || {
        let mut command = account.place.command(plakbox_tests::tools::plakar());
        run(command.args(["source", "ping", "photos"]).envs(account.photos.environment()))
    };
    ping().good();
    let calls = account.photos.take_calls().api();
    assert!((1..15).contains(&calls), "{calls} calls");
    account.photos.revoke();
    ping().bad("rclone config reconnect");
}

#[test]
fn a_long_video_is_backed_up_and_restored_as_it_comes() {
    let account = Account::new(Settings::default());
    let long = account.photos.add("long.mp4", video(4, 1, 90 << 20));
    account.photos.album("Films", &[long]);
    account.photos.fill(5, 1, 0, 1);
    let before = account.state();
    account.backup("").good().says("without errors");
    account.photos.empty_account();
    account.restore("").good();
    assert_eq!(account.state(), before);
    assert_eq!(account.photos.calls().batches_at_once, 1);
}

#[test]
fn the_days_quota_ends_a_run_within_a_minute_with_that_message() {
    for quota in [0, 8] {
        let account = Account::new(Settings { quota, ..Settings::default() });
        account.photos.fill(300, 3, 0, 1);
        let run = account.backup("").says("All requests per day");
        assert!(run.took < Duration::from_secs(60), "{:?}", run.took);
    }
    let account = Account::new(Settings::default());
    account.photos.fill(300, 3, 0, 1);
    account.backup("").good();
    account.photos.empty_account();
    account.photos.set(|settings| settings.quota = 150);
    let run = account.restore("").bad("All requests per day");
    assert!(run.took < Duration::from_secs(60), "{:?}", run.took);
}

#[test]
fn a_library_is_kept_private_on_its_way() {
    let account = Account::new(Settings::default());
    account.photos.fill(3, 1, 0, 1);
    let run = account.backup("").good();
    assert!(!run.text.contains("ya29.") && !run.text.contains("GOCSPX"), "{}", run.text);
    let state = account.place.state();
    for path in plakbox_tests::env::files_below(&state) {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o077;
        assert_eq!(mode, 0, "{}", path.display());
    }
}
