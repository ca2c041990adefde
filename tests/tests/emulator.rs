//! The emulator of Google Photos does to the real rclone what Google does.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use plakbox_tests::photos::media::{digest, photo, video};
use plakbox_tests::photos::{Call, Photos, Settings};
use plakbox_tests::{TestEnv, tools};
use serde_json::Value;

/// An emulated account, and a place with the remote `photos:` for it.
struct Account {
    photos: Photos,
    place: TestEnv,
}

impl Account {
    fn new(settings: Settings) -> Self {
        let account = Self { photos: Photos::with(settings), place: TestEnv::bare() };
        fs::write(account.place.path("rclone.conf"), account.photos.config("photos")).unwrap();
        account
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.place.command(tools::rclone());
        command.envs(self.photos.environment()).args(args);
        command.args(["--retries", "1", "--low-level-retries", "1"]);
        command
    }

    fn rclone(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    #[track_caller]
    fn good(&self, args: &[&str]) -> Vec<u8> {
        let output = self.rclone(args);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// rclone's message when it fails.
    #[track_caller]
    fn bad(&self, args: &[&str]) -> String {
        let output = self.rclone(args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "it should have failed:\n{said}");
        said
    }

    /// The useful part of everything: the paths of the files, and their ids.
    fn list(&self) -> Vec<(String, String)> {
        let filters = ["--filter", "- /media/by-*/**", "--filter", "- /upload/**"];
        let out = self.good(&[&["lsjson", "-R", "photos:"], &filters[..]].concat());
        let entries: Vec<Value> = serde_json::from_slice(&out).unwrap();
        let files = entries.iter().filter(|entry| entry["IsDir"] == false);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        files.map(|file| (text(&file["Path"]), text(&file["ID"]))).collect()
    }

    /// A directory with so many photos.
    fn directory(&self, name: &str, photos: u64) -> PathBuf {
        let directory = self.place.path(name);
        fs::create_dir(&directory).unwrap();
        for number in 0..photos {
            fs::write(directory.join(format!("{number}.jpg")), photo(7, number, 500)).unwrap();
        }
        directory
    }

    /// Copies a directory to the account.
    fn copy(&self, from: &str, to: &str) -> Output {
        let from = self.place.path(from);
        self.rclone(&["copy", from.to_str().unwrap(), to, "--transfers", "50", "-v"])
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_listing_takes_a_call_for_each_hundred_items_and_each_fifty_albums() {
    let account = Account::new(Settings::default());
    account.photos.fill(300, 60, 0, 1);
    let ids: Vec<_> = account.photos.items().iter().map(|item| item.id.clone()).collect();
    account.photos.favourite(&ids[3]);
    account.photos.shared_album("Theirs", &ids[..120]);
    let files = account.list();
    assert_eq!(files.len(), 300 + 330 + 1 + 120);
    let calls = account.photos.take_calls();
    assert_eq!(calls.of(Call::Albums), 2);
    assert_eq!(calls.of(Call::SharedAlbums), 1);
    // All of it, the favourites, each album, the shared one.
    assert_eq!(calls.of(Call::Search), 3 + 1 + 60 + 2);
    assert_eq!(calls.of(Call::Refresh), 1);
    assert_eq!(calls.api(), 2 + 1 + 66);
    assert!(calls.foreign.is_empty());
    assert!(files.contains(&("feature/favorites/IMG_00004.jpg".to_owned(), ids[3].clone())));
}

#[test]
fn the_newest_come_first_and_archived_or_others_items_not_at_all() {
    let account = Account::new(Settings::default());
    let ids = [1, 2, 3, 4]
        .map(|number| account.photos.add(&format!("{number}.jpg"), photo(1, number, 100)));
    account.photos.archive(&ids[1]);
    account.photos.by_others(&ids[3]);
    let list = |more: &[&str]| {
        let out = account.good(&[&["lsf", "photos:media/all"], more].concat());
        String::from_utf8(out).unwrap()
    };
    assert_eq!(list(&[]), "1.jpg\n3.jpg\n");
    assert_eq!(list(&["--gphotos-include-archived"]), "1.jpg\n2.jpg\n3.jpg\n");
    let year = account.good(&["lsf", "photos:media/by-year/2015"]);
    assert_eq!(year, b"1.jpg\n3.jpg\n");
    assert_eq!(account.good(&["lsf", "photos:media/by-day/2015/2015-01-02"]), b"");
}

#[test]
fn equal_names_come_with_their_ids() {
    let account = Account::new(Settings::default());
    account.photos.fill(10, 0, 2, 1);
    let files = account.list();
    assert_eq!(files.len(), 10);
    let with_id = |(path, id): &&(String, String)| path.ends_with(&format!(" {{{id}}}.jpg"));
    assert_eq!(files.iter().filter(with_id).count(), 4);
    let (path, id) = files.iter().find(|file| with_id(file)).unwrap();
    let item = account.photos.items().into_iter().find(|item| item.id == *id).unwrap();
    account.photos.take_calls();
    let copy = account.place.path("copy.jpg");
    account.good(&["copyto", &format!("photos:{path}"), copy.to_str().unwrap()]);
    assert_eq!(fs::read(copy).unwrap(), item.bytes);
    let calls = account.photos.calls();
    assert_eq!((calls.of(Call::Search), calls.of(Call::Get)), (0, 2), "the id is enough");
}

#[test]
fn photos_and_videos_are_read_back_whole_by_either_protocol() {
    for http2 in [true, false] {
        for sized in [true, false] {
            let account = Account::new(Settings { http2, sized, ..Settings::default() });
            let (small, large) = (photo(1, 1, 900), video(1, 2, 300_000));
            account.photos.add("a.jpg", small.clone());
            account.photos.add("b.mp4", large.clone());
            assert_eq!(account.good(&["cat", "photos:media/all/a.jpg"]), small);
            assert!(account.good(&["cat", "photos:media/all/b.mp4"]) == large);
            assert_eq!(account.photos.calls().downloads.len(), 2);
        }
    }
}

#[test]
fn copied_photos_are_committed_fifty_at_a_time_and_one_batch_after_the_other() {
    let account = Account::new(Settings::default());
    account.directory("pictures", 120);
    let output = account.copy("pictures", "photos:album/Pictures");
    assert!(output.status.success(), "{}", said(&output));
    let calls = account.photos.take_calls();
    assert_eq!(calls.batches.iter().sum::<usize>(), 120);
    assert_eq!(calls.batches.iter().max(), Some(&50));
    assert_eq!((calls.batches_at_once, calls.of(Call::CreateAlbum)), (1, 1));
    assert_eq!((calls.uploads.len(), calls.most_uploads()), (120, 1));
    let expected: BTreeSet<_> = (0..120).map(|number| digest(&photo(7, number, 500))).collect();
    assert_eq!(account.photos.albums(), [("Pictures".to_owned(), expected)]);
    assert_eq!(account.photos.uploads_waiting(), 0);
}

#[test]
fn bytes_that_are_there_already_stay_one_item() {
    let account = Account::new(Settings::default());
    account.directory("pictures", 3);
    for to in ["photos:album/One", "photos:album/Two", "photos:upload"] {
        assert!(account.copy("pictures", to).status.success());
    }
    assert_eq!(account.photos.items().len(), 3);
    assert_eq!(account.photos.albums().iter().map(|(_, held)| held.len()).sum::<usize>(), 6);
    assert_eq!(account.photos.calls().most_uploads(), 3);
}

#[test]
fn names_come_back_as_they_were() {
    let account = Account::new(Settings::default());
    let directory = account.directory("pictures", 0);
    let names = ["Füße 🏖.jpg", "a%20b+c {x}.jpg"];
    for (number, name) in names.iter().enumerate() {
        fs::write(directory.join(name), photo(1, number as u64, 100)).unwrap();
    }
    assert!(account.copy("pictures", "photos:album/Trip 🏖/2020").status.success());
    let listed = account.good(&["lsf", "photos:album/Trip 🏖/2020"]);
    let listed = String::from_utf8(listed).unwrap();
    assert_eq!(listed.lines().collect::<BTreeSet<_>>(), BTreeSet::from(names));
    assert_eq!(account.photos.albums()[0].0, "Trip 🏖/2020");
}

#[test]
fn access_tokens_expire_and_are_refreshed() {
    // rclone takes a token as expired ten seconds early.
    let life = Duration::from_secs(11);
    let account = Account::new(Settings { token_life: life, rotates: true, ..Settings::default() });
    account.photos.add("a.jpg", photo(1, 1, 100));
    account.good(&["lsf", "photos:media/all"]);
    let refresh = account.photos.config("photos");
    std::thread::sleep(Duration::from_millis(1100));
    account.photos.set(|settings| settings.token_life = Duration::from_secs(3599));
    account.good(&["lsf", "photos:media/all"]);
    assert_eq!(account.photos.calls().of(Call::Refresh), 2);
    assert_ne!(account.photos.config("photos"), refresh, "it should have rotated");
    account.photos.forget_access_tokens();
    let said = account.bad(&["lsf", "photos:media/all"]);
    assert!(said.contains("(401 UNAUTHENTICATED)"), "{said}");
}

#[test]
fn a_revoked_access_is_an_invalid_grant() {
    let account = Account::new(Settings::default());
    account.photos.revoke();
    let said = account.bad(&["lsf", "photos:media/all"]);
    assert!(said.contains("invalid_grant: maybe token expired?"), "{said}");
    assert_eq!(account.photos.calls().api(), 0);
}

#[test]
fn rclones_own_client_works_until_it_is_retired() {
    let account = Account::new(Settings::default());
    let config = account.photos.config("photos");
    let lines = config.lines().filter(|line| !line.starts_with("client_"));
    let config = lines.collect::<Vec<_>>().join("\n");
    fs::write(account.place.path("rclone.conf"), &config).unwrap();
    account.good(&["lsf", "photos:media/all"]);
    account.photos.set(|settings| settings.shared_client = false);
    fs::write(account.place.path("rclone.conf"), &config).unwrap();
    assert!(account.bad(&["lsf", "photos:media/all"]).contains("invalid_client"));
}

#[test]
fn what_was_not_allowed_is_denied() {
    let account = Account::new(Settings::before_1_70());
    let said = account.bad(&["lsf", "photos:media/all"]);
    let denied = "Request had insufficient authentication scopes. (403 PERMISSION_DENIED)";
    assert!(said.contains(denied), "{said}");

    let account = Account::new(Settings::read_only());
    account.photos.add("a.jpg", photo(1, 1, 100));
    account.directory("pictures", 1);
    assert_eq!(account.good(&["lsf", "photos:media/all"]), b"a.jpg\n");
    assert!(said_by_copy(&account, "photos:upload").contains(denied));

    let account = Account::new(Settings { sharing: false, ..Settings::default() });
    assert!(account.bad(&["lsf", "photos:shared-album"]).contains(denied));
}

#[track_caller]
fn said_by_copy(account: &Account, to: &str) -> String {
    let output = account.copy("pictures", to);
    assert!(!output.status.success(), "it should have failed:\n{}", said(&output));
    said(&output)
}

#[test]
fn the_daily_quota_ends_and_is_reset() {
    let account = Account::new(Settings { quota: 3, ..Settings::default() });
    account.photos.fill(400, 0, 0, 1);
    let said = account.bad(&["lsf", "photos:media/all"]);
    assert!(said.contains("'All requests per day'"), "{said}");
    assert!(said.contains("(429 RESOURCE_EXHAUSTED)"), "{said}");
    account.photos.next_day();
    account.photos.set(|settings| settings.quota = 4);
    account.good(&["lsf", "photos:media/all"]);
}

#[test]
fn what_is_not_a_photo_is_refused_with_its_reason_and_the_others_are_not() {
    let account = Account::new(Settings::default());
    let directory = account.directory("pictures", 3);
    fs::write(directory.join("notes.txt"), "not a photo").unwrap();
    account.photos.refuse_upload("2.jpg", 8, "The remaining storage is not enough.");
    let said = said_by_copy(&account, "photos:album/Mixed");
    for line in [
        "notes.txt: Failed to copy: failed to commit batch: batch upload failed: upload failed: \
         Failed: There was an error while trying to create this media item. (3)",
        "2.jpg: Failed to copy: failed to commit batch: batch upload failed: upload failed: The \
         remaining storage is not enough. (8)",
        "0.jpg: Copied (new)",
        "1.jpg: Copied (new)",
    ] {
        assert!(said.contains(line), "no line has `{line}`:\n{said}");
    }
    assert_eq!(account.photos.items().len(), 2);
}

#[test]
fn two_batches_at_a_time_are_one_too_many() {
    let commit = Duration::from_secs(2);
    let account = Account::new(Settings { commit, ..Settings::default() });
    account.directory("pictures", 2);
    let directory = account.place.path("pictures");
    let copy = ["copy", directory.to_str().unwrap(), "photos:upload"];
    let [one, two] = [(); 2].map(|()| account.command(&copy).stderr(Stdio::piped()).spawn());
    let [one, two] = [one, two].map(|child| child.unwrap().wait_with_output().unwrap());
    let said = said(&one) + &said(&two);
    assert!(said.contains("Quota exceeded for quota 'concurrent write request'"), "{said}");
    assert!(one.status.success() != two.status.success());
    assert_eq!(account.photos.calls().batches_at_once, 2);
}

#[test]
fn a_transfer_that_breaks_and_an_item_that_vanished_are_errors() {
    for http2 in [true, false] {
        let account = Account::new(Settings { http2, ..Settings::default() });
        let broken = account.photos.add("broken.jpg", photo(1, 1, 300_000));
        let gone = account.photos.add("gone.jpg", photo(1, 2, 100));
        account.photos.break_off(&broken, 100_000, 1);
        account.photos.vanish(&gone);
        let output = account.rclone(&["cat", "photos:media/all/broken.jpg"]);
        assert!(!output.status.success(), "{}", said(&output));
        assert_eq!(output.stdout.len(), 100_000);
        let said = account.bad(&["cat", "photos:media/all/gone.jpg"]);
        assert!(said.contains("404"), "{said}");
        assert_eq!(account.good(&["cat", "photos:media/all/broken.jpg"]).len(), 300_000);
    }
}

#[test]
fn urls_expire() {
    let account = Account::new(Settings { url_life: Duration::ZERO, ..Settings::default() });
    account.photos.add("a.jpg", photo(1, 1, 100));
    account.photos.set(|settings| settings.latency = Duration::from_millis(5));
    let said = account.bad(&["cat", "photos:media/all/a.jpg"]);
    assert!(said.contains("(403 403 Forbidden)"), "{said}");
}

#[test]
fn ordered_failures_come_and_go() {
    let account = Account::new(Settings::default());
    account.photos.add("a.jpg", photo(1, 1, 100));
    for (status, name) in [(500, "INTERNAL"), (503, "UNAVAILABLE"), (404, "NOT_FOUND")] {
        account.photos.fail(Call::Search, status, 1);
        let said = account.bad(&["lsf", "photos:media/all"]);
        assert!(said.contains(&format!("({status} {name})")), "{said}");
        account.good(&["lsf", "photos:media/all"]);
    }
}

#[test]
fn no_other_host_is_reached() {
    let account = Account::new(Settings::default());
    account.bad(&["config", "userinfo", "photos:"]);
    let calls = account.photos.calls();
    assert_eq!(calls.foreign[0], "accounts.google.com");
    assert_eq!(calls.of(Call::Foreign), calls.foreign.len() as u64);
}

#[test]
fn a_large_library_is_listed_at_the_price_of_its_pages() {
    let account = Account::new(Settings::default());
    account.photos.fill(20_000, 200, 100, 1);
    let files = account.list();
    assert_eq!(files.len(), 42_000);
    assert_eq!(account.photos.calls().of(Call::Search), 200 + 1 + 200 * 2);
}
