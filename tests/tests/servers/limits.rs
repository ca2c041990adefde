//! Servers that take few connections get few, and what they refuse as too much isn't lost.

use fastrand::Rng;
use plakbox_tests::daemons::{self, Daemon};
use plakbox_tests::env::run;
use plakbox_tests::tree::{self, Keep};
use plakbox_tests::{TestEnv, tools};
use std::path::PathBuf;
use std::time::Duration;

/// A snapshot of so many small files.
fn small_files(place: &TestEnv, count: u64) -> PathBuf {
    let source = place.directory_remote("source");
    let mut random = Rng::with_seed(count);
    for number in 0..count {
        let path = source.join(format!("dir{}/file{number}", number % 10));
        let size = usize::try_from(number * 13 % 4000).unwrap();
        tree::file(&path, &tree::random_bytes(&mut random, size), tree::time(number));
    }
    place.backup("rclone://source:").good();
    source
}

/// Restores everything to a server, and backs it up from there.
fn restored_and_backed_up(place: &TestEnv, daemon: &Daemon, source: &std::path::Path) -> Duration {
    let target = daemon.directory("target");
    let location = daemon.location("server", "target");
    let took = place.restore(&location).good().took;
    tree::assert_same(source, &target, Keep::Files);
    place.backup(&location).good().says("without errors");
    tree::assert_same(source, &place.restore_here("here"), Keep::Files);
    took
}

#[test]
fn a_restore_to_a_server_of_few_connections_is_as_fast_as_rclone() {
    let place = TestEnv::new();
    let Some(daemon) = daemons::vsftpd(&place, "max_per_ip=50\n") else { return };
    daemon.remote(&place, "server");
    let source = small_files(&place, 300);
    daemon.directory("copied");
    let mut copy = place.command(tools::rclone());
    copy.arg("copy").arg(&source).arg(format!("server:{}/copied", daemon.path));
    let copied = run(&mut copy).good().took;
    let took = restored_and_backed_up(&place, &daemon, &source);
    eprintln!("300 files to vsftpd: {took:?}, by rclone copy: {copied:?}");
    // Plakar and plakbox take their time to start.
    assert!(took < copied * 2 + Duration::from_secs(3), "{took:?}, by rclone copy: {copied:?}");
}

#[test]
fn nothing_is_lost_where_a_server_starts_few_processes() {
    let place = TestEnv::new();
    let Some(daemon) = daemons::proftpd(&place, "MaxInstances 60\n") else { return };
    daemon.remote(&place, "server");
    let source = small_files(&place, 363);
    restored_and_backed_up(&place, &daemon, &source);
}

#[test]
fn a_server_that_takes_less_than_is_usual_gets_less() {
    let place = TestEnv::new();
    let Some(daemon) = daemons::vsftpd(&place, "max_per_ip=2\n") else { return };
    daemon.remote(&place, "server");
    let source = small_files(&place, 60);
    let target = daemon.directory("target");
    place.restore(&daemon.location("server", "target")).good();
    tree::assert_same(&source, &target, Keep::Files);
}

#[test]
fn one_stream_needs_three_connections() {
    let place = TestEnv::new();
    // One lists while another reads, and a large file has a process of its own.
    let Some(daemon) = daemons::vsftpd(&place, "max_per_ip=3\n") else { return };
    daemon.remote(&place, "server");
    place.import_file("server");
    let source = small_files(&place, 60);
    let target = daemon.directory("target");
    for kind in ["source", "destination"] {
        let set = [kind, "set", "server", "location=rclone://files/target", "streams=1"];
        place.plakar(set).good();
    }
    place.restore("@server").good();
    tree::assert_same(&source, &target, Keep::Files);
    place.backup("@server").good().says("without errors");
    tree::assert_same(&source, &place.restore_here("here"), Keep::Files);
}

#[test]
fn too_many_concurrent_files_lose_nothing() {
    let place = TestEnv::new();
    let Some(daemon) = daemons::vsftpd(&place, "max_per_ip=5\n") else { return };
    daemon.remote(&place, "server");
    place.import_file("server");
    let source = small_files(&place, 60);
    let target = daemon.directory("target");
    let set = ["destination", "set", "server", "location=rclone://files/target", "streams=8"];
    place.plakar(set).good();
    place.restore("@server").good();
    tree::assert_same(&source, &target, Keep::Files);
}

#[test]
fn a_web_server_that_limits_requests_loses_no_file() {
    let place = TestEnv::new();
    // What only looks a file up isn't limited.
    let zone = "map $request_method $limited { GET $binary_remote_addr; default \"\"; }\n\
                limit_req_zone $limited zone=all:1m rate=20r/s;";
    for status in [429, 503] {
        let more = format!("limit_req zone=all burst=10 nodelay;\nlimit_req_status {status};");
        let Some(daemon) = daemons::nginx(&place, zone, &more) else { return };
        let source = daemon.directory("source");
        for number in 0..60 {
            let content = format!("{number} of {status}");
            tree::file(&source.join(format!("file{number}")), content.as_bytes(), tree::time(1));
        }
        let name = format!("server{status}");
        daemon.remote(&place, &name);
        place.backup(&daemon.location(&name, "source")).good().says("without errors");
        tree::assert_same(&source, &place.restore_here(&name), Keep::Files);
    }
}

#[test]
fn a_directory_that_a_server_refuses_to_list_for_a_while_is_listed_again() {
    let place = TestEnv::new();
    // Fewer than the usual streams need.
    let Some(daemon) = daemons::vsftpd(&place, "max_per_ip=3\n") else { return };
    daemon.remote(&place, "server");
    let target = daemon.directory("target");
    for number in 0..100 {
        let path = target.join(format!("dir{}/file{number}", number % 30));
        tree::file(&path, format!("{number}").as_bytes(), tree::time(number));
    }
    daemon.adopt();
    place.backup(&daemon.location("server", "target")).good().says("without errors");
    tree::assert_same(&target, &place.restore_here("here"), Keep::Files);
}
