//! Every way to bring a remote into Plakar leads to one that works, whatever its
//! configuration holds.

use super::{advised, known, shell};
use plakbox_tests::env::run;
use plakbox_tests::{TestEnv, servers, tools, tree};
use std::fs;
use std::process::Stdio;

const PASSWORD: &str = "of the configuration";

/// Encrypts the place's rclone.conf.
fn encrypt(place: &TestEnv) {
    let mut command = place.command(tools::rclone());
    command.args(["config", "encryption", "set"]).env("RCLONE_CONFIG_PASS", PASSWORD);
    // It asks for the new password twice, and takes it from the command where there is one.
    command.args(["--password-command", &format!("echo {PASSWORD}")]);
    run(&mut command).good();
    let text = fs::read_to_string(place.path("rclone.conf")).unwrap();
    assert!(text.contains("RCLONE_ENCRYPT_V0"), "{text}");
}

/// Runs an advised command as a person does who gives rclone the password.
fn with_password(place: &TestEnv, command: &str) -> plakbox_tests::Run {
    shell(place, &format!("export RCLONE_CONFIG_PASS='{PASSWORD}'; {command}"))
}

#[test]
fn an_encrypted_remote_with_a_password_is_imported_by_what_is_advised() {
    let place = TestEnv::new();
    let directory = place.path("served");
    tree::file(&directory.join("file"), b"x", tree::time(1));
    let server = servers::serve(&place, "webdav", &directory);
    servers::webdav_remote(&place, "my dav", &server);
    encrypt(&place);
    // Not imported.
    let run = place.backup("rclone://my dav:").bad("is encrypted");
    let command = advised(&run.text, "is encrypted");
    assert!(command.contains("rclone config dump | plakar source import -rclone"), "{command}");
    with_password(&place, &command).good();
    place.backup("@my dav").good().says("without errors");
    assert_eq!(place.content("/file"), b"x");
    // Imported from what hides passwords.
    let show = "rclone config show 'my dav' | plakar source import -rclone -overwrite";
    with_password(&place, show).good();
    place.plakar(["source", "set", "my dav", "streams=3"]).good();
    let run = place.backup("@my dav").bad("the remote's `pass` was hidden");
    let command = advised(&run.text, "where rclone.conf is encrypted");
    with_password(&place, &command.replace("NAME", "'my dav'")).good();
    place.backup("@my dav").good().says("without errors");
    assert!(known(&place, "source").contains("streams: \"3\""), "{}", known(&place, "source"));
    // And the other command says so, where it is tried.
    let other =
        advised(&run.text, "was hidden by `rclone config show`").replace("NAME", "'my dav'");
    let run = shell(&place, &other).bad("is encrypted");
    with_password(&place, &advised(&run.text, "is encrypted")).good();
}

#[test]
fn a_hidden_password_is_recovered_by_the_documented_command() {
    let place = TestEnv::new();
    let directory = place.path("served");
    tree::file(&directory.join("file"), b"x", tree::time(1));
    let server = servers::serve(&place, "webdav", &directory);
    servers::webdav_remote(&place, "dav", &server);
    place.import("dav");
    place.plakar(["source", "set", "dav", "location=rclone://", "streams=3"]).good();
    let run = place.backup("@dav").bad("the remote's `pass` was hidden by `rclone config show`");
    let command = advised(&run.text, "was hidden by `rclone config show`");
    shell(&place, &command.replace("NAME", "dav")).good().says("source `dav`").says("`pass`");
    place.backup("@dav").good().says("without errors");
    assert!(known(&place, "source").contains("streams: \"3\""));
}

#[test]
fn values_that_plakar_would_cut_come_whole_by_what_is_advised() {
    let place = TestEnv::new();
    let directory = place.path("a#b;c");
    tree::file(&directory.join("file"), b"x", tree::time(1));
    place.remote("cut", &[("type", "alias"), ("remote", directory.to_str().unwrap())]);
    // As Plakar reads what `rclone config show` prints.
    place.import("cut");
    assert!(!known(&place, "source").contains("#b;c"), "{}", known(&place, "source"));
    let mut doctor = place.command(tools::plakbox());
    let run = run(doctor.args(["doctor", "cut:"]).stdout(Stdio::piped())).good();
    let run = run.says("warning  the value of `remote` has a `#` or `;`");
    let command = advised(&run.text, "`rclone config show` prints");
    shell(&place, &command.replace("-rclone ", "-rclone -overwrite ")).good();
    assert!(known(&place, "source").contains("a#b;c"), "{}", known(&place, "source"));
    place.backup("@cut").good();
    assert_eq!(place.content("/file"), b"x");
}

#[test]
fn a_remote_with_a_dot_in_its_name_is_imported_by_what_is_advised() {
    let place = TestEnv::new();
    let directory = place.path("there");
    tree::file(&directory.join("file"), b"x", tree::time(1));
    place.remote("my.cloud", &[("type", "alias"), ("remote", directory.to_str().unwrap())]);
    let run = place.backup("rclone://my.cloud:").bad("the name of the remote `my.cloud` has a dot");
    shell(&place, &advised(&run.text, "import it with")).good();
    place.backup("@my.cloud").good().says("without errors");
}
