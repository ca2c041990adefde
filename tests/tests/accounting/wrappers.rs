//! Remotes that wrap others: each of these has to answer, and what lies below and isn't
//! shown is reported.

use super::failed;
use plakbox_tests::{TestEnv, servers, tools, tree};
use std::fs;

/// Adds a crypt remote of this password over a directory.
fn crypt(place: &TestEnv, name: &str, directory: &str, password: &str) {
    let password = servers::obscure(place, password);
    let options = [("type", "crypt"), ("remote", directory), ("password", &password)];
    place.remote(name, &options);
}

fn rclone(place: &TestEnv, args: &[&str]) {
    assert!(place.command(tools::rclone()).args(args).status().unwrap().success());
}

#[test]
fn a_crypt_remote_with_a_wrong_password_ends_the_backup_with_an_error() {
    let place = TestEnv::new();
    let below = place.path("below").to_str().unwrap().to_owned();
    tree::file(&place.path("plain/d/file"), b"x", tree::time(1));
    crypt(&place, "right", &below, "right");
    crypt(&place, "wrong", &below, "wrong");
    rclone(&place, &["copy", place.path("plain").to_str().unwrap(), "right:"]);
    place.backup("rclone://right:").good();
    assert!(place.listed().contains("/d/file"));
    place.backup("rclone://wrong:").bad("check the password and the salt of the crypt remote");
    let doctor = place.command(tools::plakbox()).args(["doctor", "wrong:"]).output().unwrap();
    assert!(!doctor.status.success(), "{}", String::from_utf8_lossy(&doctor.stdout));
}

#[test]
fn a_file_that_crypt_can_t_decrypt_is_an_error_of_its_path_and_the_rest_is_kept() {
    let place = TestEnv::new();
    let below = place.path("below").to_str().unwrap().to_owned();
    for name in ["d/file", "other"] {
        tree::file(&place.path("plain").join(name), b"x", tree::time(1));
    }
    crypt(&place, "it", &below, "right");
    rclone(&place, &["copy", place.path("plain").to_str().unwrap(), "it:"]);
    fs::write(place.path("below/stray.txt"), b"plain").unwrap();
    let directory = fs::read_dir(&below).unwrap().flatten().find(|it| it.path().is_dir()).unwrap();
    fs::write(directory.path().join("deep.txt"), b"plain").unwrap();
    let run = place.backup("rclone://it:").says("2 errors");
    failed(&run, "/stray.txt");
    let line = failed(&run, "/deep.txt");
    assert!(line.contains(directory.file_name().to_str().unwrap()), "{line}");
    assert!(place.content("/d/file") == b"x" && place.content("/other") == b"x");
}

#[test]
fn a_union_whose_upstream_isn_t_there_ends_the_backup_with_an_error() {
    let place = TestEnv::new();
    tree::file(&place.path("one/file"), b"x", tree::time(1));
    fs::create_dir_all(place.path("two/sub")).unwrap();
    let [one, two] = ["one", "two"].map(|name| place.path(name).to_str().unwrap().to_owned());
    place.remote("u", &[("type", "union"), ("upstreams", &format!("{one} {two}:ro"))]);
    crypt(&place, "deep", "u:", "right");
    place.backup("rclone://u:").good();
    fs::rename(place.path("two"), place.path("unmounted")).unwrap();
    for remote in ["rclone://u:", "rclone://deep:"] {
        place.backup(remote).bad("doesn't answer").says(&two);
    }
}

#[test]
fn an_upstream_of_a_union_may_lack_the_directory_that_is_backed_up() {
    let place = TestEnv::new();
    tree::file(&place.path("one/sub/file"), b"x", tree::time(1));
    fs::create_dir_all(place.path("two")).unwrap();
    let [one, two] = ["one", "two"].map(|name| place.path(name).to_str().unwrap().to_owned());
    place.remote("u", &[("type", "union"), ("upstreams", &format!("{one} {two}"))]);
    place.backup("rclone://u:sub").good();
    assert_eq!(place.content("/sub/file"), b"x");
}

#[test]
fn a_combine_whose_upstream_isn_t_there_is_an_error_of_its_directory() {
    let place = TestEnv::new();
    for number in 0..200 {
        tree::file(&place.path(&format!("one/{}/{number}", number % 7)), b"x", tree::time(1));
        tree::file(&place.path(&format!("two/{}/{number}", number % 5)), b"x", tree::time(1));
    }
    let [one, two, gone] =
        ["one", "two", "gone"].map(|name| place.path(name).to_str().unwrap().to_owned());
    place.remote("whole", &[("type", "combine"), ("upstreams", &format!("a={one} b={two}"))]);
    place.remote("c", &[("type", "combine"), ("upstreams", &format!("a={one} b={two} c={gone}"))]);
    place.backup("rclone://whole:").good();
    assert_eq!(place.listed().lines().filter(|line| line.contains("/b/")).count(), 205);
    let run = place.backup("rclone://c:").says("1 error");
    failed(&run, "/c");
    assert_eq!(place.content("/a/1/1"), b"x");
}

#[test]
fn a_file_whose_chunk_is_gone_is_an_error_of_its_path() {
    let place = TestEnv::new();
    let below = place.path("below").to_str().unwrap().to_owned();
    let options = [("type", "chunker"), ("remote", below.as_str()), ("chunk_size", "10B")];
    place.remote("it", &options);
    tree::file(&place.path("plain/d/long"), &[b'x'; 35], tree::time(1));
    tree::file(&place.path("plain/short"), b"x", tree::time(1));
    rclone(&place, &["copy", place.path("plain").to_str().unwrap(), "it:"]);
    place.backup("rclone://it:").good();
    fs::remove_file(place.path("below/d/long.rclone_chunk.002")).unwrap();
    let run = place.backup("rclone://it:").says("1 error");
    failed(&run, "/d/long");
    assert_eq!(place.content("/short"), b"x");
}
