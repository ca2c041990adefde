//! A file in the place of a directory, or the reverse, stays at the destination, and is an error of the
//! entry that should go there alone.

use plakbox_tests::daemons::{self, Daemon};
use plakbox_tests::{Run, TestEnv, tree};
use std::fs;
use std::path::Path;

/// Restores a snapshot of a directory, a file, and something good to where it is the reverse.
fn restored_over(place: &TestEnv, target: &Path, location: &str, adopt: impl Fn()) -> Run {
    let source = place.directory_remote("source");
    fs::create_dir_all(source.join("empty/dir")).unwrap();
    tree::file(&source.join("d/f"), b"new", tree::time(1));
    tree::file(&source.join("d/good"), b"good", tree::time(1));
    place.backup("rclone://source:").good();
    tree::file(&target.join("empty/dir"), b"precious", tree::time(2));
    tree::file(&target.join("d/f/inside/x"), b"precious", tree::time(2));
    adopt();
    place.restore(location)
}

/// Two entries fail, each for its own reason, and nothing is lost.
#[track_caller]
fn two_failed(run: Run, target: &Path) {
    let run = run.bad("2 of ");
    for (path, what) in [("/empty/dir", "a file"), ("/d/f", "a directory")] {
        let reason = format!("{what} is in the way at `{}`; help: rename or remove it", &path[1..]);
        let told = run.text.lines().filter(|line| line.contains("KO") && line.contains(path));
        assert!(told.into_iter().any(|line| line.contains(&reason)), "{}", run.text);
    }
    for path in ["/empty/dir", "/d/f"] {
        let told = format!("OK   {path}");
        assert!(!run.text.lines().any(|line| line.ends_with(&told)), "{}", run.text);
    }
    assert_eq!(fs::read(target.join("empty/dir")).unwrap(), b"precious");
    assert_eq!(fs::read(target.join("d/f/inside/x")).unwrap(), b"precious");
    assert_eq!(fs::read(target.join("d/good")).unwrap(), b"good");
}

fn on(place: &TestEnv, daemon: &Daemon) {
    daemon.remote(place, "server");
    let target = daemon.directory("target");
    let location = daemon.location("server", "target");
    let run = restored_over(place, &target, &location, || daemon.adopt());
    two_failed(run, &target);
}

#[test]
fn what_is_in_the_way_on_a_disk_stays_and_is_an_error_of_its_own() {
    let place = TestEnv::new();
    let target = place.directory_remote("target");
    let run = restored_over(&place, &target, "rclone://target:", || ());
    two_failed(run, &target);
}

#[test]
fn what_is_in_the_way_on_apache_s_mod_dav_stays_and_is_an_error_of_its_own() {
    let place = TestEnv::new();
    let Some(daemon) = daemons::apache(&place) else { return };
    on(&place, &daemon);
}

#[test]
fn what_is_in_the_way_on_openssh_stays_and_is_an_error_of_its_own() {
    let place = TestEnv::new();
    let Some(daemon) = daemons::sshd(&place, "") else { return };
    on(&place, &daemon);
}

#[test]
fn what_is_in_the_way_on_vsftpd_stays_and_is_an_error_of_its_own() {
    let place = TestEnv::new();
    let Some(daemon) = daemons::vsftpd(&place, "") else { return };
    on(&place, &daemon);
}

#[test]
fn what_is_in_the_way_on_samba_stays_and_is_an_error_of_its_own() {
    let place = TestEnv::new();
    let Some(daemon) = daemons::samba(&place) else { return };
    on(&place, &daemon);
}

#[test]
fn a_file_in_the_way_of_a_whole_tree_is_an_error_of_all_that_is_in_it() {
    let place = TestEnv::new();
    let source = place.directory_remote("source");
    tree::file(&source.join("d/deep/f"), b"new", tree::time(1));
    tree::file(&source.join(" odd [name] \n* "), b"good", tree::time(1));
    place.backup("rclone://source:").good();
    let target = place.directory_remote("target");
    tree::file(&target.join("d"), b"precious", tree::time(2));
    let run = place.restore("rclone://target:").bad("3 of ");
    assert!(run.text.contains("a file is in the way at `d`"), "{}", run.text);
    assert_eq!(fs::read(target.join("d")).unwrap(), b"precious");
    assert_eq!(fs::metadata(target.join("d")).unwrap().modified().unwrap(), tree::time(2));
    assert_eq!(fs::read(target.join(" odd [name] \n* ")).unwrap(), b"good");
}

#[test]
fn a_file_on_samba_isn_t_replaced_by_one_whose_name_differs_in_case() {
    let place = TestEnv::new();
    let Some(daemon) = daemons::samba(&place) else { return };
    daemon.remote(&place, "server");
    let source = place.directory_remote("source");
    tree::file(&source.join("photo.jpg"), b"new", tree::time(1));
    tree::file(&source.join("movie.mp4"), &vec![b'n'; 40 << 20], tree::time(1));
    tree::file(&source.join("other"), b"new", tree::time(1));
    place.backup("rclone://source:").good();
    let target = daemon.directory("target");
    for name in ["Photo.JPG", "MOVIE.mp4", "other"] {
        tree::file(&target.join(name), b"old", tree::time(2));
    }
    daemon.adopt();
    let run = place.restore(&daemon.location("server", "target")).bad("2 of ");
    for (path, other) in [("/photo.jpg", "Photo.JPG"), ("/movie.mp4", "MOVIE.mp4")] {
        let reason = format!("takes it for `{other}`, which is there");
        let told = run.text.lines().filter(|line| line.contains("KO") && line.contains(path));
        assert!(told.into_iter().any(|line| line.contains(&reason)), "{}", run.text);
        assert_eq!(fs::read(target.join(other)).unwrap(), b"old");
    }
    assert_eq!(fs::read(target.join("other")).unwrap(), b"new");
}
