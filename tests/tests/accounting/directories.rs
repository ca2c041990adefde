//! Local directories: what a user may not read is an error of its path, not the end of the
//! backup.

use super::failed;
use plakbox_tests::env::run;
use plakbox_tests::{Run, TestEnv, tools, tree};
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, lchown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The user that owns nothing.
const OTHER_UID: u32 = 65534;

/// Gives a directory and all below it to a user.
fn give(path: &Path, user: u32) {
    lchown(path, Some(user), Some(user)).unwrap();
    if path.is_dir() && !path.is_symlink() {
        fs::read_dir(path).unwrap().flatten().for_each(|entry| give(&entry.path(), user));
    }
}

/// A backup by a user who isn't root, to whom the place belongs.
fn backup_by_another_user(place: &TestEnv, source: &str) -> Run {
    // Where root has them, others may not look.
    let programs = place.path("programs");
    fs::create_dir_all(&programs).unwrap();
    for (name, program) in [("plakar", tools::plakar()), ("rclone", tools::rclone())] {
        fs::copy(program, programs.join(name)).unwrap();
    }
    give(&place.path(""), OTHER_UID);
    let mut command = place.command(programs.join("plakar"));
    command.args(["at", &place.store(), "backup", source]);
    command.env("PATH", &programs).uid(OTHER_UID).gid(OTHER_UID);
    place.note(run(&mut command))
}

#[test]
fn directories_that_may_not_be_read_are_errors_of_their_paths_and_the_rest_is_kept() {
    let place = TestEnv::new();
    let source = place.directory_remote("source");
    for name in ["open/file", "closed/file", "names/file", "top"] {
        tree::file(&source.join(name), b"x", tree::time(1));
    }
    let mode = |name: &str, mode| {
        fs::set_permissions(source.join(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    mode("closed", 0);
    // Its names may be read, and nothing of what they name.
    mode("names", 0o444);
    let run = backup_by_another_user(&place, "rclone://source:").says("2 errors");
    for path in ["/closed", "/names"] {
        let line = failed(&run, path);
        assert!(line.contains("permission denied"), "{line}");
    }
    assert_eq!(place.content("/top"), b"x");
    assert_eq!(place.content("/open/file"), b"x");
}

#[test]
fn a_name_that_isn_t_utf_8_is_an_error_that_says_so() {
    let place = TestEnv::new();
    let source = place.directory_remote("source");
    tree::file(&source.join("good"), b"x", tree::time(1));
    fs::write(source.join(std::ffi::OsStr::from_bytes(b"bad\xffname")), b"y").unwrap();
    let run = place.backup("rclone://source:").says("1 error");
    let line = failed(&run, "/bad");
    assert!(line.contains("isn't UTF-8"), "{line}");
    assert_eq!(place.content("/good"), b"x");
}

#[test]
fn a_file_that_grows_while_it_is_read_is_kept_as_long_as_it_was_listed() {
    let place = TestEnv::new();
    let source = place.directory_remote("source");
    // One that the reader reads, and one that has a process of its own.
    let sizes = [("small.log", 1 << 20), ("large.log", 12 << 20)];
    for (name, size) in sizes {
        tree::file(&source.join(name), &vec![b'x'; size], tree::time(1));
    }
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for (name, _) in sizes {
            let (path, stop) = (source.join(name), &stop);
            scope.spawn(move || {
                let mut file = fs::OpenOptions::new().append(true).open(path).unwrap();
                while !stop.load(Ordering::Relaxed) {
                    file.write_all(b"another line\n").unwrap();
                    std::thread::sleep(Duration::from_micros(200));
                }
            });
        }
        let run = place.backup("rclone://source:");
        stop.store(true, Ordering::Relaxed);
        let run = run.good();
        assert!(!run.text.contains("KO"), "{}", run.text);
    });
    for (name, size) in sizes {
        let content = place.content(&format!("/{name}"));
        assert!(content.len() >= size, "{name}: {}", content.len());
        assert!(content[..size].iter().all(|byte| *byte == b'x'));
    }
}
