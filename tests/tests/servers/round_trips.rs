//! Each server's files are backed up, not read again, and restored byte for byte.

use fastrand::Rng;
use plakbox_tests::TestEnv;
use plakbox_tests::daemons::{self, Daemon};
use plakbox_tests::tree::{self, Keep};
use std::fs;
use std::path::{Path, PathBuf};

/// About 60 files of many sizes, nested, with spaces and other letters in their names, and
/// empty ones, files and directories.
fn grow(root: &Path) {
    let mut random = Rng::with_seed(60);
    for number in 0..60 {
        let size = if number % 10 == 0 { 0 } else { usize::try_from(number * 137).unwrap() };
        let path = format!("dir {}/sub{}/file {number}.bin", number % 4, number % 3);
        tree::file(&root.join(path), &tree::random_bytes(&mut random, size), tree::time(number));
    }
    for name in ["ünïcödé", "日本語", "it's", "plus+percent%20#hash", "&amp;", "[a] {b}"] {
        tree::file(&root.join("names").join(name).join(name), name.as_bytes(), tree::time(5));
    }
    tree::file(
        &root.join("several pieces"),
        &tree::random_bytes(&mut random, 9 << 20),
        tree::time(6),
    );
    fs::create_dir_all(root.join("empty/inside")).unwrap();
}

/// Backs up what a server has, twice and after a change; the last snapshot is all of it.
fn backed_up(place: &TestEnv, daemon: &Daemon) -> PathBuf {
    let source = daemon.directory("source");
    grow(&source);
    daemon.adopt();
    daemon.remote(place, "server");
    let audit = place.path("audit");
    place.policy(&format!(
        "[audit]\nfile = {audit:?}\n[[allow]]\nbackends = [\"*\"]\nuse = [\"importer\", \"exporter\"]\n\
         ports = \"any\"\noptions = [\"*\", \"key_file\", \"known_hosts_file\"]\n"
    ));
    let location = daemon.location("server", "source");
    place.backup(&location).good().says("without errors");
    assert!(reads(&audit) > 0, "the first backup reads everything");
    place.backup(&location).good().says("without errors");
    assert_eq!(reads(&audit), 0, "nothing has changed");
    tree::file(&source.join("dir 1/sub1/file 1.bin"), b"changed", tree::time(1000));
    daemon.adopt();
    place.backup(&location).good().says("without errors");
    assert_eq!(reads(&audit), 1, "one file has changed");
    tree::assert_same(&source, &place.restore_here("here"), Keep::Files);
    source
}

/// Number of processes that have read files since the last call.
fn reads(audit: &Path) -> usize {
    let text = fs::read_to_string(audit).unwrap();
    fs::remove_file(audit).unwrap();
    let verbs = ["\"serve\"", "\"cat\""];
    text.lines().filter(|line| verbs.iter().any(|verb| line.contains(verb))).count()
}

/// Restores the last snapshot to an empty place of the same server, twice.
fn restored(place: &TestEnv, daemon: &Daemon, source: &Path, keep: Keep) {
    let target = daemon.directory("target");
    for _ in 0..2 {
        place.restore(&daemon.location("server", "target")).good();
        tree::assert_same(source, &target, keep);
    }
}

fn round_trip(place: &TestEnv, daemon: &Daemon, keep: Keep) {
    let source = backed_up(place, daemon);
    restored(place, daemon, &source, keep);
    assert!(daemon.served.join("target/empty/inside").is_dir());
}

#[test]
fn a_tree_is_restored_from_openssh() {
    let place = TestEnv::new();
    let Some(daemon) = daemons::sshd(&place, "") else { return };
    round_trip(&place, &daemon, Keep::Files);
}

#[test]
fn a_tree_is_restored_from_vsftpd() {
    let place = TestEnv::new();
    let Some(daemon) = daemons::vsftpd(&place, "") else { return };
    round_trip(&place, &daemon, Keep::Files);
}

#[test]
fn a_tree_is_restored_from_proftpd_with_tls() {
    let place = TestEnv::new();
    let Some(daemon) = daemons::proftpd(&place, "") else { return };
    round_trip(&place, &daemon, Keep::Files);
}

#[test]
fn a_tree_is_restored_from_samba() {
    let place = TestEnv::new();
    let Some(daemon) = daemons::samba(&place) else { return };
    round_trip(&place, &daemon, Keep::Files);
}

#[test]
fn a_tree_is_restored_from_apache_s_mod_dav() {
    let place = TestEnv::new();
    let Some(daemon) = daemons::apache(&place) else { return };
    round_trip(&place, &daemon, Keep::Files);
}

#[test]
fn a_tree_is_backed_up_from_nginx() {
    let place = TestEnv::new();
    let Some(daemon) = daemons::nginx(&place, "", "") else { return };
    backed_up(&place, &daemon);
}

#[test]
fn a_tree_is_backed_up_from_lighttpd() {
    let place = TestEnv::new();
    let Some(daemon) = daemons::lighttpd(&place) else { return };
    backed_up(&place, &daemon);
}
