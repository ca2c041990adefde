//! A Kloset store lives on any rclone remote: what was backed up comes back.

use plakbox_tests::daemons;
use plakbox_tests::env::{finish, run};
use plakbox_tests::repository::{Repository, objects};
use plakbox_tests::tree;
use plakbox_tests::{TestEnv, servers, tools};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

/// A directory to back up.
fn source(place: &TestEnv) -> PathBuf {
    let source = place.path("source");
    tree::grow(&source, 120, false);
    tree::file(&source.join("large"), &tree::seeded_bytes(3, 9 << 20), tree::time(5));
    source
}

/// Does everything with a store that Plakar does, and finds the same as was backed up.
fn keeps_backups(place: &TestEnv, location: &str) {
    let source = source(place);
    let store = Repository::created(place, location);
    store.create().soon().bad("");
    store.backup(&source).good().says("without errors");
    store.assert_restored(&source, "first");
    let first = store.last();
    tree::file(&source.join("more"), b"more", tree::time(9));
    store.backup(&source).good().says("without errors");
    store.plakar(&["ls"]).good().says(&first).says(&store.last());
    store.assert_sound();
    store.plakar(&["rm", "-apply", &first]).good();
    // Plakar leaves its lock to the store's last moments.
    store.plakar(&["maintenance"]).good();
    store.assert_sound();
    store.assert_restored(&source, "last");
    let listed = store.plakar(&["ls"]).good().text;
    assert!(!listed.contains(&first), "{listed}");
}

#[test]
fn a_store_on_a_local_remote_holds_backups_and_its_size_is_true() {
    let place = TestEnv::new();
    let store = place.directory_remote("remote").join("kloset");
    keeps_backups(&place, "rclone://remote:kloset");
    let size: u64 = plakbox_tests::env::files_below(&store)
        .iter()
        .map(|path| fs::metadata(path).unwrap().len())
        .sum();
    let info = Repository::at(&place, "rclone://remote:kloset").plakar(&["info"]).good().text;
    let line = info.lines().find(|line| line.starts_with("Storage size")).unwrap();
    let shown = line.rsplit_once('(').unwrap().1.split(' ').next().unwrap();
    let shown: u64 = shown.parse().unwrap();
    // The configuration may be counted or not.
    assert!(shown <= size && size - shown < 4096, "{line}, but {size}");
}

#[test]
fn a_store_on_webdav_holds_backups() {
    let place = TestEnv::new();
    let served = place.path("served");
    fs::create_dir(&served).unwrap();
    let server = servers::serve(&place, "webdav", &served);
    servers::webdav_remote(&place, "dav", &server);
    keeps_backups(&place, "rclone://dav:kloset");
}

#[test]
fn a_store_on_s3_holds_backups() {
    let place = TestEnv::new();
    fs::create_dir_all(place.path("served/bucket")).unwrap();
    let server = servers::serve(&place, "s3", &place.path("served"));
    servers::s3_remote(&place, "s3", &server);
    keeps_backups(&place, "rclone://s3:bucket/kloset");
}

#[test]
fn a_store_on_sftp_holds_backups() {
    let place = TestEnv::new();
    let Some(server) = daemons::sshd(&place, "") else { return };
    server.remote(&place, "ssh");
    server.directory("kloset");
    keeps_backups(&place, &server.location("ssh", "kloset"));
}

#[test]
fn a_store_that_is_encrypted_over_another_remote_holds_backups() {
    let place = TestEnv::new();
    fs::create_dir(place.path("served")).unwrap();
    let server = servers::serve(&place, "webdav", &place.path("served"));
    servers::webdav_remote(&place, "base", &server);
    let password = servers::obscure(&place, "crypt");
    place.remote("secret", &[("type", "crypt"), ("remote", "base:in"), ("password", &password)]);
    keeps_backups(&place, "rclone://secret:kloset");
    assert!(!place.path("served/in/kloset").exists());
}

/// Everything in a directory: paths and bytes.
fn contents(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let files = plakbox_tests::env::files_below(directory).into_iter();
    let mut contents: Vec<_> =
        files.map(|path| (path.clone(), fs::read(path).unwrap_or_default())).collect();
    contents.sort();
    contents
}

#[test]
fn a_store_is_created_only_where_nothing_is() {
    let place = TestEnv::new();
    let remote = place.directory_remote("remote");
    Repository::created(&place, "rclone://remote:store");
    tree::file(&remote.join("used/photo.jpg"), b"a photo", tree::time(1));
    for used in ["store", "used"] {
        let before = contents(&remote.join(used));
        Repository::at(&place, format!("rclone://remote:{used}")).create().soon().bad("");
        assert_eq!(contents(&remote.join(used)), before, "{used}");
    }
}

#[test]
fn of_two_that_create_a_store_at_the_same_moment_one_does() {
    let place = TestEnv::new();
    place.directory_remote("remote");
    let start = Instant::now();
    let store = Repository::at(&place, "rclone://remote:kloset");
    let runs = [(); 2].map(|()| {
        let mut command = store.command(&["create", "-plaintext"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    });
    let runs = runs.map(|child| finish(child, start));
    assert_eq!(runs.iter().filter(|run| run.ok).count(), 1, "{runs:?}");
    store.backup(&source(&place)).good();
}

#[test]
fn a_store_is_where_its_location_says() {
    let place = TestEnv::new();
    let remote = place.directory_remote("remote");
    let shown = place.command(tools::rclone()).args(["config", "show", "remote"]).output().unwrap();
    place.import_text("store", &shown.stdout);
    // The whole remote isn't empty afterwards, so what lies deeper comes first.
    Repository::created(&place, "@remote:sub/dir");
    assert!(remote.join("sub/dir/CONFIG").is_file());
    Repository::created(&place, "rclone://remote:by/name");
    assert!(remote.join("by/name/CONFIG").is_file());
    place.plakar(["store", "set", "remote", "location=rclone://deep/er"]).good();
    Repository::created(&place, "@remote");
    assert!(remote.join("deep/er/CONFIG").is_file());
    Repository::created(&place, "@remote:below");
    assert!(remote.join("deep/er/below/CONFIG").is_file());
    place.plakar(["store", "ping", "remote"]).good();
    place.plakar(["store", "check", "remote"]).good();
}

#[test]
fn a_missing_store_is_reported_with_the_place_where_it_was_looked_for() {
    let place = TestEnv::new();
    place.directory_remote("remote");
    let missing = Repository::at(&place, "rclone://remote:not/here").plakar(&["ls"]).soon();
    let missing = missing.bad("has no file `CONFIG` in `not/here`");
    assert!(missing.text.contains("create it with"), "{}", missing.text);
    let Some(server) = daemons::sshd(&place, "") else { return };
    server.remote(&place, "ssh");
    let relative = Repository::at(&place, "rclone://ssh:not/here").plakar(&["ls"]).soon();
    relative.bad("relative to the directory after login").says("`rclone://ssh:/not/here`");
}

#[test]
fn a_store_with_a_passphrase_is_opened_with_it_alone() {
    let place = TestEnv::new();
    let remote = place.directory_remote("remote");
    let source = source(&place);
    let store = Repository::at(&place, "rclone://remote:kloset");
    let with = |args: &[&str], passphrase: &str| {
        let mut command = store.command(args);
        run(command.env("PLAKAR_PASSPHRASE", passphrase))
    };
    with(&["create"], "correct horse battery 1A-").good();
    let backup = ["backup", source.to_str().unwrap()];
    with(&backup, "correct horse battery 1A-").good().says("without errors");
    with(&["check"], "correct horse battery 1A-").good();
    with(&["check"], "wrong").soon().bad("");
    assert!(!objects(&remote.join("kloset"), "packfiles").is_empty());
}

#[test]
fn a_store_is_opened_with_a_key_file_which_is_left_nowhere() {
    let place = TestEnv::new();
    let remote = place.directory_remote("remote");
    let secret = "a passphrase of the tests 1A-";
    let key = place.path("key");
    fs::write(&key, secret).unwrap();
    let source = source(&place);
    let with_key = |args: &[&str]| {
        let mut command = place.command(tools::plakar());
        command.args(["-keyfile", key.to_str().unwrap(), "at", "rclone://remote:kloset"]);
        run(command.args(args))
    };
    with_key(&["create"]).good();
    with_key(&["backup", source.to_str().unwrap()]).good().says("without errors");
    with_key(&["check"]).good();
    fs::remove_file(&key).unwrap();
    for directory in [place.state(), remote] {
        for file in plakbox_tests::env::files_below(&directory) {
            let bytes = fs::read(&file).unwrap();
            let found = bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
            assert!(!found, "{}", file.display());
        }
    }
}

#[test]
fn a_store_is_synchronized_with_another_one() {
    let place = TestEnv::new();
    place.directory_remote("remote");
    let source = source(&place);
    let from = Repository::created(&place, "rclone://remote:one");
    let to = Repository::created(&place, "rclone://remote:two");
    from.note(from.backup(&source).good());
    from.plakar(&["sync", "to", &to.location]).good();
    to.assert_sound();
    let (target, snapshot) = (place.path("target"), to.plakar(&["ls"]).good().text);
    let snapshot = snapshot.split_whitespace().nth(1).unwrap();
    to.plakar(&["restore", "-to", target.to_str().unwrap(), snapshot]).good();
    tree::assert_same(&source, &target, tree::Keep::Files);
}

#[test]
fn a_store_with_more_packfiles_than_plakar_can_list_is_reported_in_words() {
    let place = TestEnv::new();
    let packfiles = place.directory_remote("remote").join("kloset/packfiles");
    let store = Repository::created(&place, "rclone://remote:kloset");
    store.backup(&source(&place)).good();
    for number in 0..120_001 {
        fs::File::create(packfiles.join(format!("{number:064x}"))).unwrap();
    }
    let maintenance = store.plakar(&["maintenance"]);
    assert!(!maintenance.text.contains("ResourceExhausted"), "{}", maintenance.text);
    maintenance.bad("more than 120000 packfiles").says("start a new store");
}
