//! A snapshot never holds another remote's bytes, however alike their files look.

use plakbox_tests::{TestEnv, servers, tools, tree};
use std::fs;
use std::path::Path;

/// One file of the same name, size and time, with other bytes.
fn alike(directory: &Path, bytes: &[u8]) {
    tree::file(&directory.join("file"), bytes, tree::time(5));
}

/// Backs both up in turn, twice, and looks at each snapshot.
fn in_turn(place: &TestEnv, sources: [(&str, &[u8]); 2]) {
    for round in 0..2 {
        for (source, bytes) in sources {
            place.backup(source).good();
            let content = place.content("/file");
            assert_eq!(content, bytes, "{source} in round {round}");
        }
    }
}

#[test]
fn two_remotes_of_one_type_are_distinguished() {
    let place = TestEnv::new();
    alike(&place.directory_remote("one"), b"first");
    alike(&place.directory_remote("two"), b"other");
    place.import("one");
    place.import("two");
    in_turn(&place, [("@one", b"first"), ("@two", b"other")]);
}

#[test]
fn two_servers_of_one_user_are_distinguished() {
    let place = TestEnv::new();
    let directories = [place.path("a"), place.path("b")];
    alike(&directories[0], b"first");
    alike(&directories[1], b"other");
    let servers = directories.each_ref().map(|path| servers::serve(&place, "webdav", path));
    servers::webdav_remote(&place, "one", &servers[0]);
    servers::webdav_remote(&place, "two", &servers[1]);
    in_turn(&place, [("rclone://one:", b"first"), ("rclone://two:", b"other")]);
}

#[test]
fn accounts_that_differ_in_the_token_alone_are_distinguished_and_a_refresh_is_not_an_account() {
    let place = TestEnv::new();
    let directories = [place.path("a"), place.path("b")];
    alike(&directories[0], b"first");
    alike(&directories[1], b"other");
    // The alias backend takes no token, and ignores one.
    let text = |directory: &Path, access: &str, refresh: &str| {
        let remote = directory.display();
        format!(
            "[it]\ntype = alias\nremote = {remote}\n\
             token = {{\"access_token\":\"{access}\",\"refresh_token\":\"{refresh}\",\"expiry\":\"{access}\"}}\n"
        )
    };
    let same = place.path("same");
    fs::create_dir(&same).unwrap();
    let snapshot_of = |refresh: &str, access: &str, bytes: &[u8]| {
        alike(&same, bytes);
        place.import_text("source", text(&same, access, refresh).as_bytes());
        place.backup("@it").good();
        place.content("/file")
    };
    assert_eq!(snapshot_of("account one", "1", b"first"), b"first");
    assert_eq!(snapshot_of("account two", "1", b"other"), b"other");
    // The same account with a new access token: the file counts as unchanged.
    assert_eq!(snapshot_of("account two", "2", b"third"), b"other");
}

#[test]
fn an_object_replaced_by_one_of_the_same_size_and_time_is_read_again() {
    let place = TestEnv::new();
    let directory = place.path("served");
    fs::create_dir_all(directory.join("bucket")).unwrap();
    let server = servers::serve(&place, "s3", &directory);
    servers::s3_remote(&place, "s3", &server);
    let upload = |bytes: &[u8]| {
        alike(&place.path("upload"), bytes);
        let mut upload = place.command(tools::rclone());
        upload.args(["copyto", "--ignore-times"]).arg(place.path("upload/file"));
        assert!(upload.arg("s3:bucket/file").status().unwrap().success());
    };
    upload(b"first");
    place.import("s3");
    place.plakar(["source", "set", "s3", "location=rclone://bucket"]).good();
    place.backup("@s3").good();
    upload(b"other");
    place.backup("@s3").good();
    assert_eq!(place.content("/bucket/file"), b"other");
}
