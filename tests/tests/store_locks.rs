//! A command leaves no lock behind, on a remote that is far away too.

use plakbox_tests::env::{finish, within};
use plakbox_tests::repository::{Repository, objects};
use plakbox_tests::{TestEnv, latency_proxy, processes, servers, tree};
use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// A store on WebDAV, this far away; gives what is served.
fn far_away(place: &TestEnv, round_trip: Duration) -> (servers::Server, PathBuf) {
    let served = place.path("served");
    fs::create_dir(&served).unwrap();
    let server = servers::serve(place, "webdav", &served);
    let address = latency_proxy::start(&server.address, round_trip);
    servers::remote(place, "far", "webdav", &address);
    (server, served.join("kloset"))
}

#[test]
fn after_a_backup_and_after_maintenance_no_lock_is_left() {
    let place = TestEnv::new();
    let (_server, directory) = far_away(&place, Duration::from_millis(40));
    let store = Repository::created(&place, "rclone://far:kloset");
    let source = place.path("source");
    for round in 0..10 {
        tree::file(&source.join(format!("file {round}")), b"content", tree::time(round));
        store.backup(&source).good();
        assert_eq!(objects(&directory, "locks"), [], "backup {round}");
        store.plakar(&["maintenance"]).good();
        assert_eq!(objects(&directory, "locks"), [], "maintenance {round}");
    }
    store.assert_sound();
}

#[test]
fn a_lock_of_a_command_that_was_stopped_goes_with_the_next_one_and_no_other_does() {
    let place = TestEnv::new();
    let directory = place.directory_remote("remote").join("kloset");
    let store = Repository::created(&place, "rclone://remote:kloset");
    let source = place.path("source");
    tree::file(&source.join("first"), b"first", tree::time(0));
    store.backup(&source).good();
    for (name, stop) in
        [("interrupted", processes::interrupt as fn(u32)), ("killed", processes::kill)]
    {
        // Long enough for it to be stopped in its middle.
        for number in 0..40 {
            let bytes = tree::seeded_bytes(number, 4 << 20);
            tree::file(&source.join(format!("{name} {number}")), &bytes, tree::time(number));
        }
        let start = Instant::now();
        let mut command = store.command(&["backup", source.to_str().unwrap()]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let is_locked = || !objects(&directory, "locks").is_empty();
        assert!(within(Duration::from_secs(30), is_locked), "{name}: it took no lock");
        stop(child.id());
        assert!(!finish(child, start).ok, "{name}: it was not stopped");
        store.plakar(&["maintenance"]).good();
        assert_eq!(objects(&directory, "locks"), [], "{name}");
        store.backup(&source).good();
        store.assert_sound();
    }
}
