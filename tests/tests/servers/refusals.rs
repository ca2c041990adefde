//! A server's refusal is reported in one line with its remedy.

use plakbox_tests::{TestEnv, daemons, servers, tree};
use std::fs;

#[test]
fn a_wrong_password_of_sftp_says_what_to_check() {
    let place = TestEnv::new();
    let Some(daemon) = daemons::sshd(&place, "") else { return };
    let wrong = servers::obscure(&place, "wrong");
    daemon.remote_with(&place, "server", &[("key_file", ""), ("pass", &wrong)]);
    place
        .backup(&daemon.location("server", ""))
        .soon()
        .bad("check the remote's user, password or keys");
}

#[test]
fn a_destination_of_a_web_server_is_refused_at_once() {
    let place = TestEnv::new();
    tree::file(&place.directory_remote("source").join("file"), b"x", tree::time(1));
    place.backup("rclone://source:").good();
    place.remote("web", &[("type", "http"), ("url", "http://127.0.0.1:9/")]);
    place
        .restore("rclone://web:")
        .soon()
        .bad("http remotes are read only; help: restore to a remote");
}

#[test]
fn a_page_in_an_error_is_cut_to_its_title() {
    let place = TestEnv::new();
    let Some(daemon) = daemons::apache(&place) else { return };
    tree::file(&place.directory_remote("source").join("file"), b"x", tree::time(1));
    place.backup("rclone://source:").good();
    // Apache may not write here.
    let target = daemon.served.join("closed");
    fs::create_dir(&target).unwrap();
    daemon.remote(&place, "server");
    let run = place.restore(&daemon.location("server", "closed"));
    assert!(!run.ok, "{}", run.text);
    let told = run.text.lines().find(|line| line.contains("KO")).unwrap();
    assert!(told.len() < 400 && !told.contains("<html"), "{told}");
}
