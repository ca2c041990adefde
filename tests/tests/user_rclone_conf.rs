//! A remote of the user's own rclone.conf: rclone works on a private copy of its
//! sections, and what it renews there comes back into the file.

use plakbox_tests::env::{files_below, finish, within};
use plakbox_tests::photos::media::photo;
use plakbox_tests::photos::{Call, Photos, Settings};
use plakbox_tests::{Run, TestEnv, processes, servers, tree};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

const BEFORE: &str =
    "# Kept by hand.\n\n[first]\ntype = s3\n  ; not the real one\nsecret_access_key = x\n\n";
const AFTER: &str = "\n[last]\r\n# spaced out\r\n  type   =   local  \r\n";

/// A place whose rclone.conf names an emulated account, among others and with comments.
struct Own {
    place: TestEnv,
    photos: Photos,
}

impl Own {
    fn new(settings: Settings) -> Self {
        let own = Self { place: TestEnv::new(), photos: Photos::with(settings) };
        own.photos.fill(30, 2, 0, 1);
        own.write(&own.with_section(&own.photos.config("my photos")));
        own
    }

    fn with_section(&self, section: &str) -> String {
        format!("{BEFORE}{section}{AFTER}")
    }

    fn file(&self) -> PathBuf {
        self.place.path("rclone.conf")
    }

    fn write(&self, text: &str) {
        fs::write(self.file(), text).unwrap();
        fs::set_permissions(self.file(), Permissions::from_mode(0o600)).unwrap();
    }

    fn text(&self) -> String {
        fs::read_to_string(self.file()).unwrap()
    }

    fn backup(&self, location: &str) -> Run {
        let mut command = self.place.backup_command(location);
        self.place.backup_by(command.envs(self.photos.environment()))
    }

    /// The file must be as it was apart from the token, which must be a new one.
    #[track_caller]
    fn assert_renewed(&self, before: &str) {
        let after = self.text();
        let token = |text: &str| {
            let line = text.lines().find(|line| line.starts_with("token = ")).unwrap();
            line.to_owned()
        };
        let new = token(&after);
        assert!(!new.contains("ya29.a0-expired") && new.contains("ya29."), "{new}");
        assert_eq!(after, before.replace(&token(before), &new));
        assert_eq!(fs::metadata(self.file()).unwrap().permissions().mode() & 0o7777, 0o600);
        let beside: Vec<_> = fs::read_dir(self.place.path("")).unwrap().flatten().collect();
        let beside = beside.iter().filter_map(|entry| entry.file_name().into_string().ok());
        let beside = beside.filter(|name| name.starts_with("rclone.conf")).count();
        assert_eq!(beside, 1, "something lies beside it");
    }

    /// The private files that hold more than what is remembered of every remote.
    fn left(&self) -> Vec<PathBuf> {
        let known = ["lock", "rclone-version", "told", "identities"];
        let state = self.place.state();
        let mut files = files_below(&state);
        files.retain(|path| !known.iter().any(|name| path.starts_with(state.join(name))));
        files
    }
}

fn rotating() -> Settings {
    Settings { rotates: true, ..Settings::default() }
}

#[test]
fn a_token_that_was_renewed_is_in_the_file_and_nothing_else_changed() {
    let own = Own::new(Settings::default());
    let before = own.text();
    own.backup("rclone://my photos:").good().says("without errors");
    own.assert_renewed(&before);
    assert_eq!(own.left(), [""; 0].map(PathBuf::from));
    // It is good for the next one, which changes nothing.
    let between = own.text();
    own.backup("rclone://my photos:").good();
    assert_eq!(own.photos.take_calls().of(Call::Refresh), 1);
    assert_eq!(own.text(), between);
}

#[test]
fn refresh_tokens_that_are_good_once_carry_from_run_to_run() {
    let own = Own::new(rotating());
    for round in 0..3 {
        let before = own.text();
        own.backup("rclone://my photos:").good().says("without errors");
        own.assert_renewed(&before);
        assert_eq!(own.left(), [""; 0].map(PathBuf::from));
        // The access token has expired by the next run, and the account is still the same.
        let calls = own.photos.take_calls();
        assert_eq!(calls.of(Call::Refresh), 1, "round {round}");
        assert_eq!(calls.downloads.len(), if round == 0 { 30 } else { 0 }, "round {round}");
        own.photos.forget_access_tokens();
        let now = own.text();
        let expiry = now.split_once("\"expiry\":\"").unwrap().1.split_once('"').unwrap().0;
        own.write(&now.replace(expiry, "2020-01-01T00:00:00Z").replace("ya29.", "ya29.a0-expired"));
    }
}

#[test]
fn a_session_that_is_killed_after_it_renewed_the_token_loses_nothing() {
    let own = Own::new(Settings { latency: Duration::from_millis(200), ..rotating() });
    let before = own.text();
    let start = Instant::now();
    let mut command = own.place.backup_command("rclone://my photos:");
    command.envs(own.photos.environment()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let here = own.place.path("");
    let renewed = || {
        files_below(&own.place.state()).iter().any(|path| {
            path.ends_with("rclone.conf")
                && fs::read_to_string(path).is_ok_and(|text| !text.contains("ya29.a0-expired"))
        })
    };
    assert!(within(Duration::from_secs(30), renewed), "nothing was renewed");
    let users = here.join("rclone.conf");
    for id in processes::rclones(&here) {
        let line = processes::command_line(id);
        assert!(!line.contains(users.to_str().unwrap()), "rclone is given the user's file: {line}");
    }
    processes::plakboxes(&here).into_iter().for_each(processes::kill);
    assert!(!finish(child, start).ok);
    assert_eq!(own.text(), before, "it was too slow to show anything");
    own.photos.set(|settings| settings.latency = Duration::ZERO);
    own.backup("rclone://my photos:").good().says("without errors");
    own.assert_renewed(&before);
    assert_eq!(own.left(), [""; 0].map(PathBuf::from));
}

#[test]
fn a_long_session_brings_the_token_back_while_it_runs() {
    let own = Own::new(Settings { latency: Duration::from_millis(500), ..rotating() });
    let before = own.text();
    let start = Instant::now();
    let mut command = own.place.backup_command("rclone://my photos:");
    command.envs(own.photos.environment()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let running = || !processes::plakboxes(&own.place.path("")).is_empty();
    assert!(within(Duration::from_secs(30), || own.text() != before && running()));
    own.assert_renewed(&before);
    finish(child, start).good();
}

#[test]
fn two_sessions_at_once_share_what_is_renewed() {
    let own = Own::new(rotating());
    let before = own.text();
    let start = Instant::now();
    let backups = ["rclone://my photos:", "rclone://my photos:media/all"].map(|location| {
        let mut command = own.place.backup_command(location);
        command.envs(own.photos.environment()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        // Two that make Plakar's own cache in the same moment get in each other's way.
        std::thread::sleep(Duration::from_millis(250));
        child
    });
    for backup in backups {
        finish(backup, start).good().says("without errors");
    }
    assert_eq!(own.photos.calls().of(Call::Refresh), 1);
    own.assert_renewed(&before);
    assert_eq!(own.left(), [""; 0].map(PathBuf::from));
}

#[test]
fn a_file_that_can_t_be_changed_is_reported_once_and_the_copy_is_kept() {
    let own = Own::new(rotating());
    fs::set_permissions(own.file(), Permissions::from_mode(0o400)).unwrap();
    let before = own.text();
    for _ in 0..2 {
        let run = own.backup("rclone://my photos:").good().says("it is kept for the next run");
        assert_eq!(
            run.text.matches("can't be changed (it is read-only").count(),
            1,
            "{}",
            run.text
        );
        assert_eq!(own.text(), before);
    }
    assert_eq!(own.photos.calls().of(Call::Refresh), 1);
    fs::set_permissions(own.file(), Permissions::from_mode(0o600)).unwrap();
    own.backup("rclone://my photos:").good();
    own.assert_renewed(&before);
    assert_eq!(own.left(), [""; 0].map(PathBuf::from));
}

#[test]
fn the_token_of_a_wrapped_remote_is_written_back_too() {
    let own = Own::new(rotating());
    let id = own.photos.add("one.jpg", photo(9, 1, 900));
    own.photos.album("Trip", &[id]);
    let before = own.text() + "[trip]\ntype = alias\nremote = my photos:album/Trip\n";
    own.write(&before);
    own.backup("rclone://trip:").good().says("without errors");
    assert!(own.place.listed().contains("one.jpg"));
    own.assert_renewed(&before);
    assert_eq!(own.left(), [""; 0].map(PathBuf::from));
}

#[test]
fn remotes_in_quotes_are_found() {
    let place = TestEnv::new();
    let base = place.directory_remote("my base");
    let other = place.directory_remote("other");
    tree::file(&base.join("a b/one"), b"1", tree::time(1));
    tree::file(&base.join("a b/two"), b"2", tree::time(2));
    tree::file(&other.join("three"), b"3", tree::time(3));
    let list = r#""my base:a b" other:"#;
    place.remote("all", &[("type", "union"), ("upstreams", list)]);
    let list = r#""the base=my base:a b" other=other:"#;
    place.remote("dirs", &[("type", "combine"), ("upstreams", list)]);
    place.backup("rclone://all:").good().says("without errors");
    assert_eq!((place.content("/two"), place.content("/three")), (b"2".into(), b"3".into()));
    place.backup("rclone://dirs:").good().says("without errors");
    let contents = (place.content("/the base/one"), place.content("/other/three"));
    assert_eq!(contents, (b"1".into(), b"3".into()));
}

#[test]
fn a_crypt_over_a_server_leaves_the_file_as_it_is() {
    let place = TestEnv::new();
    let served = place.path("served");
    fs::create_dir(&served).unwrap();
    let server = servers::serve(&place, "webdav", &served);
    servers::webdav_remote(&place, "base", &server);
    let password = servers::obscure(&place, "crypt");
    place.remote("secret", &[("type", "crypt"), ("remote", "base:in"), ("password", &password)]);
    let source = place.directory_remote("source");
    tree::file(&source.join("file"), b"content", tree::time(1));
    let before = fs::read(place.path("rclone.conf")).unwrap();
    place.backup("rclone://source:").good();
    place.restore("rclone://secret:").good();
    place.backup("rclone://secret:").good();
    assert_eq!(place.content("/file"), b"content");
    assert_eq!(fs::read(place.path("rclone.conf")).unwrap(), before);
}

#[test]
fn a_value_that_rclone_would_take_for_another_one_runs_nothing() {
    let place = TestEnv::new();
    let marker = place.path("marker");
    let script = place.path("run");
    fs::write(&script, format!("#!/bin/sh\ntouch '{}'\n", marker.display())).unwrap();
    fs::set_permissions(&script, Permissions::from_mode(0o755)).unwrap();
    let target = format!(":sftp,host=x,ssh=\"{}\":", script.display());
    let quoted = [format!("`{target}`"), format!("\"\"\"{target}\"\"\"")];
    for (number, value) in quoted.iter().enumerate() {
        place.remote(&format!("quoted{number}"), &[("type", "alias"), ("remote", value)]);
        place.backup(&format!("rclone://quoted{number}:")).soon().bad("wraps a connection string");
    }
    place.remote("variable", &[("type", "alias"), ("remote", "%(x)s"), ("x", &target)]);
    place.backup("rclone://variable:").soon().bad("`%(...)s` in its value");
    // Each would run, were rclone given the file.
    for name in ["quoted0", "quoted1", "variable"] {
        let mut rclone = place.command(plakbox_tests::tools::rclone());
        rclone.args(["--retries", "1", "--low-level-retries", "1", "lsf", &format!("{name}:")]);
        plakbox_tests::env::run(&mut rclone);
        assert!(marker.exists(), "{name}");
        fs::remove_file(&marker).unwrap();
    }
    // Imported, quotes are what they look like.
    for value in &quoted {
        place.import_text("source", format!("[it]\ntype = alias\nremote = {value}\n").as_bytes());
        assert!(!place.backup("@it").ok && !marker.exists(), "{value}");
    }
}
