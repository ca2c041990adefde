//! `plakbox doctor` finds what is wrong with a remote, says how to mend it, and tells
//! no secret.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Instant;

use plakbox_tests::env::{finish, run};
use plakbox_tests::photos::{Call, Photos, Settings};
use plakbox_tests::takeout::{Cut, Export, Library, Sidecar, ZipStyle, delivery};
use plakbox_tests::{Run, TestEnv, servers, tools, tree};

/// Looks at a configuration that comes on stdin.
fn doctor(command: &mut Command, text: &str) -> Run {
    let start = Instant::now();
    command.arg("doctor").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    finish(child, start).soon()
}

fn of_photos(place: &TestEnv, photos: &Photos, text: &str) -> Run {
    doctor(place.command(tools::plakbox()).envs(photos.environment()), text)
}

/// The configuration without the lines that begin so.
fn without(config: &str, beginning: &str) -> String {
    config.lines().filter(|line| !line.starts_with(beginning)).collect::<Vec<_>>().join("\n") + "\n"
}

#[test]
fn a_remote_that_is_well_has_no_problem() {
    let place = TestEnv::bare();
    place.directory_remote("source");
    let run = run(place.command(tools::plakbox()).args(["doctor", "source:"])).soon().good();
    let marks: Vec<_> = run.text.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(marks, ["ok"; 3], "{}", run.text);
    run.says("ok       rclone 1.")
        .says("ok       the configuration of `source` is sound: alias")
        .says("ok       the remote answers");
}

#[test]
fn a_token_of_google_photos_is_refreshed_and_kept_for_the_next_run() {
    let (place, photos) = (TestEnv::bare(), Photos::start());
    photos.fill(3, 0, 0, 1);
    let config = photos.config("myphotos");
    let run = of_photos(&place, &photos, &config).good();
    run.says("ok       the configuration of `myphotos` is sound: google photos")
        .says("warning  through its API Google gives photos without their location")
        .says("ok       the remote answers")
        .says("ok       the access token was refreshed, and is kept for the next run");
    of_photos(&place, &photos, &config).good().says("is kept for the next run");
    let calls = photos.calls();
    assert_eq!((calls.of(Call::Refresh), calls.of(Call::Albums)), (1, 2));
    assert_eq!(calls.api(), 4, "it costs a call, and one for each page of the library");

    fs::write(place.path("rclone.conf"), &config).unwrap();
    let command = &mut place.command(tools::plakbox());
    let run = run_doctor(command.envs(photos.environment()), "myphotos:media/all").good();
    run.says("ok       the access token was refreshed, in your rclone.conf");
    assert!(fs::read_to_string(place.path("rclone.conf")).unwrap() != config);
}

fn run_doctor(command: &mut Command, remote: &str) -> Run {
    run(command.args(["doctor", remote])).soon()
}

#[test]
fn what_a_configuration_of_google_photos_lacks_is_reported() {
    let (place, photos) = (TestEnv::bare(), Photos::start());
    photos.fill(3, 0, 0, 1);
    let config = photos.config("p");
    of_photos(&place, &photos, &without(&config, "client_"))
        .good()
        .says("warning  the remote has no `client_id` and uses rclone's shared one");
    of_photos(&place, &photos, &without(&config, "client_secret")).bad(
        "problem  the remote has a `client_id` without its `client_secret`; help: run \
         `rclone config update p client_secret=...`",
    );
    of_photos(&place, &photos, &without(&config, "token"))
        .bad("problem  the remote has no `token`: it was never connected; help: run `rclone config reconnect p:`");
    of_photos(&place, &photos, &format!("{config}read_only = true\n")).good().says(
        "warning  the remote is connected with `read_only`: backups work, restores to it don't",
    );
    let proxy = of_photos(&place, &photos, &format!("{config}proxy = http://localhost:1\n")).good();
    assert!(!proxy.text.contains("warning"), "{}", proxy.text);
}

#[test]
fn what_google_refuses_is_reported_with_the_remedy() {
    let (place, photos) = (TestEnv::bare(), Photos::start());
    let config = photos.config("p");
    photos.revoke();
    of_photos(&place, &photos, &config).bad(
        "problem  invalid_grant: maybe token expired; help: run `rclone config reconnect p:`, and `/",
    );
    let photos = Photos::with(Settings::before_1_70());
    of_photos(&place, &photos, &photos.config("p"))
        .bad("run `rclone config reconnect p:` with rclone 1.70 or later");
    let photos = Photos::with(Settings { shared_client: false, ..Settings::default() });
    of_photos(&place, &photos, &without(&photos.config("p"), "client_"))
        .bad("problem  invalid_client: the remote's client_id doesn't work (any more)");
}

#[test]
fn what_the_policy_refuses_or_rclone_has_hidden_is_reported() {
    let place = TestEnv::bare();
    let look = |text: &str| doctor(&mut place.command(tools::plakbox()), text);
    look("[x]\ntype = sftp\nssh = touch here\n")
        .bad("problem  the option `ssh` of the remote would run a command, which plakbox refuses");
    look("[x]\ntype = webdav\npass = *** ENCRYPTED ***\n")
        .bad("problem  the remote's `pass` was hidden by `rclone config show`");
    look("[x]\nurl = http://x\n").bad("problem  the remote has no `rclone_type`");
    for text in ["", "hello\n", "{}\n", "x = y\n"] {
        look(text).bad(
            "problem  stdin has no rclone configuration; help: run `rclone config show NAME | /",
        );
    }
    look("[none]\n# couldn't find type of fs for \"none\"\n")
        .bad("problem  rclone has no remote `none`; help: run `rclone listremotes` to list them");
    look("[a]\ntype = s3\n[b]\ntype = s3\n")
        .bad("problem  2 remotes came on stdin, and one is looked at");
    for (remote, said) in [("none", "names no remote"), ("none:", "has no remote `none`")] {
        run_doctor(&mut place.command(tools::plakbox()), remote).bad(said);
    }
}

#[test]
fn a_server_that_refuses_or_isn_t_there_is_a_problem() {
    let place = TestEnv::bare();
    let server = servers::serve(&place, "webdav", &place.directory_remote("served"));
    let url = format!("http://{}/", server.address);
    let wrong = servers::obscure(&place, "wrong");
    place.remote("dav", &[("type", "webdav"), ("url", &url), ("user", "user"), ("pass", &wrong)]);
    place.remote("gone", &[("type", "webdav"), ("url", "http://127.0.0.1:9/")]);
    for (remote, said) in [
        ("dav:", "401 Unauthorized; help: check the remote's user, password or keys"),
        ("gone:", "connection refused; help: check the network and the server, and run it again"),
        ("served:none", "problem  directory not found; help: check the path"),
    ] {
        run_doctor(&mut place.command(tools::plakbox()), remote)
            .bad(said)
            .says("plakbox: there is a problem; help: fix it and run this again");
    }
}

#[test]
fn an_rclone_that_is_missing_or_too_old_is_a_problem() {
    let (place, photos) = (TestEnv::bare(), Photos::start());
    let rclone = place.rclone_that_says("rclone v1.60.1-DEV");
    let look = |rclone: &str| {
        doctor(place.command(tools::plakbox()).env("PLAKBOX_RCLONE", rclone), &photos.config("p"))
    };
    look(rclone.to_str().unwrap())
        .bad(
            "too old for Google Photos, which since 2025-03-31 refuses the permissions that \
             it asks for; help: install rclone 1.70.0 or later",
        )
        .says("ok       the configuration of `p` is sound");
    look("/nowhere/rclone").bad("problem  PLAKBOX_RCLONE names `/nowhere/rclone` as rclone");
}

#[test]
fn no_secret_is_printed() {
    const MARKER: &str = "MARKER-4711-SECRET";
    let (place, photos) = (TestEnv::bare(), Photos::start());
    let token = format!(
        "{{\"access_token\":\"{MARKER}-a\",\"refresh_token\":\"{MARKER}-r\",\"expiry\":\"2020-01-01T00:00:00Z\"}}"
    );
    for text in [
        format!(
            "[p]\ntype = google photos\nclient_id = i\nclient_secret = {MARKER}\ntoken = {token}\n"
        ),
        format!("[p]\ntype = google photos\ntoken = {MARKER}\n"),
        format!("[p]\ntype = webdav\nurl = http://127.0.0.1:9/\nbearer_token = {MARKER}\n"),
        format!("[p]\ntoken {MARKER}\n"),
        format!("[p]\ntype = sftp\nssh = {MARKER}\n"),
    ] {
        let mut command = place.command(tools::plakbox());
        command.envs(photos.environment()).env("PLAKBOX_LOG", "plakbox=trace");
        let run = doctor(&mut command, &text);
        assert!(!run.ok && !run.text.contains(MARKER), "{}", run.text);
    }
}

#[test]
fn a_store_is_looked_at_and_what_does_not_belong_to_it_is_named() {
    let place = TestEnv::with_source();
    place.backup("@source").good();
    let store = place.path("store");
    place.remote("kept", &[("type", "alias"), ("remote", store.to_str().unwrap())]);
    let doctor = || run(place.command(tools::plakbox()).args(["doctor", "kept:"])).soon().good();
    let sound = doctor().says(" packfiles (").says(" 1 states (").says(" 0 locks");
    assert!(!sound.text.contains("warning"), "{}", sound.text);

    let lock = format!("locks/{}", "0a".repeat(32));
    tree::file(&store.join(&lock), b"x", tree::time(1));
    tree::file(&store.join("packfiles/.DS_Store"), b"x", tree::time(1));
    tree::file(&store.join("tmp/0123456789abcdef"), &[0; 2048], tree::time(1));
    doctor()
        .says(&format!("warning  `{lock}` is the lock of a backup that was stopped "))
        .says("warning  `packfiles/.DS_Store` isn't a file of a store")
        .says("warning  interrupted uploads have left 1 files (2.0 KiB) in `tmp`");
}

#[test]
fn a_directory_of_takeout_exports_is_read_and_what_it_lacks_is_said() {
    let place = TestEnv::bare();
    let directory = place.directory_remote("exports");
    let mut library = Library::filled(60, 1000);
    library.photos[7].sidecar = Sidecar::Missing;
    let export = Export { cut: Cut::Apart(3), ..Export::default() };
    let archives = delivery::zips(&directory, &export, &library, ZipStyle::default());
    let doctor =
        |place: &TestEnv| run(place.command(tools::plakbox()).args(["doctor", "exports:"]));
    let whole = doctor(&place).soon().good();
    let photos = library
        .photos
        .iter()
        .map(|photo| 1 + usize::from(photo.edited.is_some()) + usize::from(photo.video.is_some()));
    let photos: usize = photos.sum();
    whole
        .says("ok       there are 1 exports of Google Takeout: 20250101T000000Z, 3 archives (")
        .says(&format!("ok       they have {photos} photos and videos ("))
        .says(" 2 albums")
        .says("warning  1 photos and videos have no sidecar with a time");
    fs::remove_file(&archives[1].path).unwrap();
    doctor(&place).bad("takeout-20250101T000000Z-002.zip");
}
