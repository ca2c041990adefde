//! What a server shows without an end: files that never answer, and links in a circle.

use plakbox_tests::{Place, daemons, tree};
use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::Duration;

#[test]
fn a_named_pipe_on_sftp_is_an_error_of_its_path_and_holds_up_nothing() {
    let place = Place::new();
    let Some(sshd) = daemons::sshd(&place, "") else { return };
    let source = sshd.directory("source");
    for number in 0..40 {
        tree::file(&source.join(format!("file{number}")), b"x", tree::time(number));
        tree::file(&source.join(format!("empty{number}")), b"", tree::time(number));
    }
    let pipe = source.join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    sshd.remote(&place, "server");
    let run = place.backup(&sshd.location("server", "source")).says("1 error");
    assert!(run.took < Duration::from_secs(100), "it took {:?}", run.took);
    let line = run.text.lines().find(|line| line.contains("KO") && line.contains("/pipe"));
    assert!(line.is_some_and(|line| line.contains("named pipe")), "{}", run.text);
    assert_eq!(place.content("/source/file7"), b"x");
    assert_eq!(place.content("/source/empty7"), b"");
}

#[test]
fn links_in_a_circle_on_sftp_end_the_backup_with_an_error_that_names_them() {
    let place = Place::new();
    let Some(sshd) = daemons::sshd(&place, "") else { return };
    let source = sshd.directory("source");
    tree::file(&source.join("file"), b"x", tree::time(1));
    for link in ["one", "two", "three"] {
        symlink(".", source.join(link)).unwrap();
    }
    sshd.remote(&place, "server");
    let location = sshd.location("server", "source");
    place.backup(&location).soon().bad("a symbolic link leads back to a directory above it");
    sshd.remote_with(&place, "plain", &[("skip_links", "true")]);
    place.backup(&sshd.location("plain", "source")).good();
    assert_eq!(place.content("/source/file"), b"x");
}
