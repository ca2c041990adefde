//! Whatever a remote holds comes back as it was: names, bytes and, where the
//! backend keeps them, times.

use plakbox_tests::tree::{self, Keep};
use plakbox_tests::{TestEnv, servers, tools};
use std::fs;
use std::path::Path;

/// Backs up `source`, restores it to `destination`, and compares the directories
/// behind them.
fn round_trip(place: &TestEnv, source: &str, destination: &str) {
    place.backup(source).good().says("without errors");
    place.restore(destination).good();
}

/// A file too large for a batch.
fn large(path: &Path) {
    let block = tree::seeded_bytes(7, 1 << 20);
    let blocks: Vec<u8> = (0..300_u32)
        .flat_map(|number| {
            let mut block = block.clone();
            block[..4].copy_from_slice(&number.to_le_bytes());
            block
        })
        .collect();
    tree::file(path, &blocks, tree::time(77));
}

#[test]
fn a_tree_of_2000_difficult_files_is_restored_from_a_local_remote() {
    let place = TestEnv::new();
    let source = place.directory_remote("source");
    tree::grow(&source, 2000, true);
    large(&source.join("large.bin"));
    let target = place.directory_remote("target");
    place.import("source");
    place.import("target");
    round_trip(&place, "@source", "@target");
    tree::assert_same(&source, &target, Keep::Everything);
}

#[test]
fn a_tree_is_restored_from_webdav() {
    let place = TestEnv::new();
    let (source, target) = (place.path("source"), place.path("target"));
    tree::grow(&source, 300, true);
    large(&source.join("large.bin"));
    fs::create_dir(&target).unwrap();
    let [from, to] =
        [&source, &target].map(|directory| servers::serve(&place, "webdav", directory));
    servers::webdav_remote(&place, "from", &from);
    servers::webdav_remote(&place, "to", &to);
    place.import_file("from");
    place.import_file("to");
    round_trip(&place, "@from", "@to");
    tree::assert_same(&source, &target, Keep::Files);
}

#[test]
fn a_tree_is_restored_from_s3() {
    let place = TestEnv::new();
    let (source, target) = (place.path("source"), place.path("target"));
    let tree = place.path("tree");
    tree::grow(&tree, 2000, false);
    large(&tree.join("large.bin"));
    fs::create_dir_all(source.join("bucket")).unwrap();
    fs::create_dir_all(target.join("bucket")).unwrap();
    let [from, to] = [&source, &target].map(|directory| servers::serve(&place, "s3", directory));
    servers::s3_remote(&place, "from", &from);
    servers::s3_remote(&place, "to", &to);
    // Only what was uploaded has its exact time.
    let uploaded =
        place.command(tools::rclone()).arg("copy").arg(&tree).arg("from:bucket").status();
    assert!(uploaded.unwrap().success());
    place.backup("rclone://from:bucket").good().says("without errors");
    place.restore("rclone://to:bucket").good();
    tree::assert_same(&tree, &target.join("bucket"), Keep::FileTimes);
}

#[test]
fn a_tree_is_restored_from_an_encrypted_remote() {
    let place = TestEnv::new();
    let target = place.path("target");
    fs::create_dir(&target).unwrap();
    let server = servers::serve(&place, "webdav", &target);
    servers::webdav_remote(&place, "base", &server);
    let password = servers::obscure(&place, "crypt");
    place.remote(
        "secret",
        &[("type", "crypt"), ("remote", "base:in here"), ("password", &password)],
    );
    let source = place.directory_remote("source");
    tree::grow(&source, 200, false);
    round_trip(&place, "rclone://source:", "rclone://secret:deep/er");
    assert!(target.join("in here").is_dir() && !target.join("in here/deep").exists());
    // And back again, from the encrypted remote.
    let back = place.directory_remote("back");
    round_trip(&place, "rclone://secret:deep/er", "rclone://back:");
    tree::assert_same(&source, &back, Keep::Files);
}

#[test]
fn a_path_inside_a_remote_is_backed_up_alone() {
    let place = TestEnv::new();
    let source = place.directory_remote("source");
    tree::file(&source.join("in/side/file"), b"wanted", tree::time(1));
    tree::file(&source.join("out/side/file"), b"unwanted", tree::time(1));
    place.import("source");
    place.plakar(["source", "set", "source", "location=rclone://in/side"]).good();
    place.backup("@source").good();
    assert_eq!(place.content("/in/side/file"), b"wanted");
    let listed = place.listed();
    assert!(!listed.contains("out"), "{}", listed);
}

#[test]
fn restoring_twice_replaces_what_is_there() {
    let place = TestEnv::new();
    let source = place.directory_remote("source");
    let target = place.directory_remote("target");
    tree::file(&source.join("a"), b"right", tree::time(1));
    tree::file(&target.join("a"), b"wrong", tree::time(1));
    round_trip(&place, "rclone://source:", "rclone://target:");
    assert_eq!(fs::read(target.join("a")).unwrap(), b"right");
    place.restore("rclone://target:").good();
    tree::assert_same(&source, &target, Keep::FileTimes);
}

#[test]
fn times_of_uploaded_files_come_back_through_a_wrapping_remote() {
    let place = TestEnv::new();
    let (tree, served) = (place.path("tree"), place.path("served"));
    tree::file(&tree.join("file"), b"content", tree::time(123));
    fs::create_dir_all(served.join("bucket")).unwrap();
    let server = servers::serve(&place, "s3", &served);
    servers::s3_remote(&place, "s3", &server);
    let password = servers::obscure(&place, "crypt");
    place.remote("secret", &[("type", "crypt"), ("remote", "s3:bucket"), ("password", &password)]);
    let mut upload = place.command(tools::rclone());
    assert!(upload.arg("copy").arg(&tree).arg("secret:").status().unwrap().success());
    let back = place.directory_remote("back");
    round_trip(&place, "rclone://secret:", "rclone://back:");
    tree::assert_same(&tree, &back, Keep::FileTimes);
}
