//! Remotes without an end: files that never answer, and links in a circle.

use plakbox_tests::{TestEnv, daemons, tree};
use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::Duration;

#[test]
fn a_named_pipe_on_sftp_is_an_error_of_its_path_and_holds_up_nothing() {
    let place = TestEnv::new();
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
fn links_in_a_circle_on_sftp_are_errors_of_their_paths_and_the_rest_is_backed_up() {
    let place = TestEnv::new();
    let Some(sshd) = daemons::sshd(&place, "") else { return };
    let source = sshd.directory("source");
    tree::file(&source.join("file"), b"x", tree::time(1));
    for link in ["one", "two", "three"] {
        symlink(".", source.join(link)).unwrap();
    }
    // One that leads only part of the way up, and a directory that is listed late.
    tree::file(&source.join("deep/er/file"), b"y", tree::time(2));
    symlink("..", source.join("deep/er/up")).unwrap();
    tree::file(&source.join("zz/zz/zz/file"), b"z", tree::time(3));
    sshd.remote(&place, "server");
    let location = sshd.location("server", "source");
    let run =
        place.backup(&location).soon().says("a symbolic link leads back to a directory above it");
    for link in ["one", "two", "three", "deep/er/up"] {
        let path = format!("KO ✘ /source/{link}:");
        let told = run.text.lines().filter(|line| line.contains(&path));
        assert_eq!(told.count(), 1, "{path}: {}", run.text);
    }
    for (file, content) in [("file", b"x"), ("deep/er/file", b"y"), ("zz/zz/zz/file", b"z")] {
        assert_eq!(place.content(&format!("/source/{file}")), content);
    }
    sshd.remote_with(&place, "plain", &[("skip_links", "true")]);
    place.backup(&sshd.location("plain", "source")).good();
    assert_eq!(place.content("/source/file"), b"x");
}
