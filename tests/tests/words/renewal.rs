//! A reconnected remote comes into Plakar's source and destination without any other option
//! being lost, by the command that messages name.

use super::{advised, known, shell};
use plakbox_tests::env::run;
use plakbox_tests::google_account::Account;
use plakbox_tests::photos::{Photos, Settings};
use plakbox_tests::{Run, TestEnv, processes, tools};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Instant;

const OTHERS: [&str; 3] =
    ["location: rclone://album/Album 001", "streams: \"7\"", "read_ahead: 1MiB"];

/// An account whose remote `photos` is in rclone.conf and imported, with other options.
fn with_options(photos: Photos) -> Account {
    let config = photos.config("photos");
    let account = Account::imported(photos, &config);
    write_conf(&account.place, &config);
    for kind in ["source", "destination"] {
        let location = "location=rclone://album/Album 001";
        account
            .place
            .plakar([kind, "set", "photos", location, "streams=7", "read_ahead=1MiB"])
            .good();
    }
    account
}

fn write_conf(place: &TestEnv, text: &str) {
    fs::write(place.path("rclone.conf"), text).unwrap();
}

fn renew(place: &TestEnv, arguments: &[&str]) -> Run {
    run(place.command(tools::plakbox()).arg("renew").args(arguments))
}

fn files(place: &TestEnv) -> [PathBuf; 2] {
    ["sources.yml", "destinations.yml"].map(|name| place.path("home/.config/plakar").join(name))
}

#[test]
fn a_revoked_access_is_given_again_by_the_commands_of_its_message() {
    let account = with_options(Photos::with(Settings::default()));
    account.photos.fill(3, 1, 0, 1);
    account.photos.revoke();
    let mut backup = account.place.backup_command("@photos");
    let failed = run(backup.envs(account.photos.environment())).bad("invalid_grant");
    // What `rclone config reconnect` leaves: another token, which works.
    account.photos.reconnect();
    write_conf(&account.place, &account.photos.config("photos"));
    let command = advised(&failed.text, "`rclone config reconnect NAME:`");
    assert!(command.ends_with("plakbox renew NAME"), "{command}");
    let renewed = shell(&account.place, &command.replace("NAME", "photos")).good();
    let renewed = renewed.says("source `photos` has another `token` now, and the rest as it was");
    assert!(
        !renewed.text.contains("ya29") && !renewed.text.contains("refresh"),
        "{}",
        renewed.text
    );
    for kind in ["source", "destination"] {
        let text = known(&account.place, kind);
        assert!(OTHERS.iter().all(|option| text.contains(option)), "{text}");
    }
    let mut backup = account.place.backup_command("@photos");
    run(backup.envs(account.photos.environment())).good().says("without errors");
}

#[test]
fn the_files_stay_private_and_are_left_alone_where_nothing_is_new() {
    let account = with_options(Photos::start());
    let before = files(&account.place).map(|file| fs::read(file).unwrap());
    renew(&account.place, &["photos"]).good().says("source `photos` has all of it already");
    assert_eq!(files(&account.place).map(|file| fs::read(file).unwrap()), before);
    write_conf(&account.place, &account.photos.config("photos").replace("ya29", "ya30"));
    // An option that was set to nothing is none.
    account.place.plakar(["source", "set", "photos", "rclone_proxy="]).good();
    renew(&account.place, &["photos:"]).good();
    for file in files(&account.place) {
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(fs::read_to_string(&file).unwrap().contains("ya30"));
    }
    let left = fs::read_dir(account.place.path("home/.config/plakar")).unwrap().flatten();
    let left: Vec<_> = left.map(|entry| entry.file_name()).collect();
    assert!(left.iter().all(|name| name.to_str().unwrap().ends_with(".yml")), "{left:?}");
}

#[test]
fn plakar_reads_what_was_written_whatever_the_values_are() {
    let place = TestEnv::new();
    let odd = [
        ("type", "drive"),
        ("token", r#"{"access_token":"a: #b 'c' \\ \"d\"","refresh_token":"é&*!"}"#),
        ("team_drive", "0022"),
        ("root_folder_id", "null"),
        ("client_id", "~"),
        ("scope", "yes"),
        ("impersonate", "- x"),
    ];
    place.remote("odd", &[("type", "drive"), ("token", "old")]);
    place.import_file("odd");
    write_conf(&place, "");
    place.remote("odd", &odd);
    renew(&place, &["odd"]).good();
    let shown = place.plakar(["source", "show", "-secrets", "-json", "odd"]).good();
    let shown: serde_json::Value = serde_json::from_str(&shown.text).unwrap();
    for (key, value) in odd {
        assert_eq!(shown["odd"][format!("rclone_{key}")], value, "{key}");
    }
    // Plakar goes on with it.
    place.plakar(["source", "set", "odd", "streams=2"]).good();
    assert!(known(&place, "source").contains("0022"));
}

#[test]
fn what_there_is_nothing_to_renew_in_says_so() {
    let place = TestEnv::new();
    let directory = place.directory_remote("mine");
    renew(&place, &["mine"]).bad("plakar has neither a source nor a destination `mine`");
    renew(&place, &["none"]).bad("your rclone.conf has no remote `none`");
    place.plakar(["source", "add", "named", "rclone://mine:"]).good();
    renew(&place, &["mine", "--as", "named"]).bad("was not imported from rclone");
    place.import("mine");
    write_conf(&place, "[mine]\ntype = s3\n");
    renew(&place, &["mine"]).bad("is a remote of type `alias`, and `mine` is one of type `s3`");
    let text = format!("[other]\ntype = alias\nremote = {}/x\n", directory.display());
    write_conf(&place, &text);
    renew(&place, &["other", "--as", "@mine"]).good().says("source `mine` has another `remote`");
}

#[test]
fn two_at_the_same_moment_lose_nothing() {
    let account = with_options(Photos::start());
    let place = &account.place;
    place.remote("second", &[("type", "drive"), ("token", "old")]);
    place.import("second");
    for round in 0..10 {
        let token = format!("round-{round}");
        let conf = account.photos.config("photos").replace("ya29", &token);
        write_conf(place, &conf);
        place.remote("second", &[("type", "drive"), ("token", &token)]);
        let start = Instant::now();
        let children = ["photos", "second"].map(|name| {
            let mut command = place.command(tools::plakbox());
            command.args(["renew", name]).stdout(std::process::Stdio::piped());
            command.stderr(std::process::Stdio::piped()).spawn().unwrap()
        });
        for child in children {
            plakbox_tests::env::finish(child, start).good();
        }
        let text = known(place, "source");
        assert_eq!(text.matches(&token).count(), 2, "{text}");
        assert!(OTHERS.iter().all(|option| text.contains(option)), "{text}");
    }
}

#[test]
fn no_kill_leaves_half_a_file() {
    let account = with_options(Photos::start());
    let place = &account.place;
    for round in 0..30 {
        let token = format!("round-{round}");
        write_conf(place, &account.photos.config("photos").replace("ya29", &token));
        let mut command = place.command(tools::plakbox());
        let mut child =
            command.args(["renew", "photos"]).stdout(std::process::Stdio::null()).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_micros(round * 400));
        processes::kill(child.id());
        child.wait().unwrap();
        for kind in ["source", "destination"] {
            let text = known(place, kind);
            assert!(OTHERS.iter().all(|option| text.contains(option)), "{text}");
        }
    }
    // And what is left over hinders nothing.
    renew(place, &["photos"]).good();
    assert!(known(place, "source").contains("round-29"));
}
