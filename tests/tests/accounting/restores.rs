//! A restore loses nothing at the destination that isn't replaced by what carries exactly its
//! name.

use super::failed;
use plakbox_tests::{TestEnv, tree};
use std::fs;

/// The letter ü in one piece, and in two.
const COMPOSED: &str = "\u{fc}.txt";
const DECOMPOSED: &str = "u\u{308}.txt";

#[test]
fn a_file_that_is_spelled_the_same_in_another_unicode_form_stays() {
    let place = TestEnv::new();
    tree::file(&place.directory_remote("source").join(DECOMPOSED), b"new", tree::time(1));
    let target = place.directory_remote("target");
    fs::write(target.join(COMPOSED), b"OLD").unwrap();
    place.backup("rclone://source:").good();
    place.restore("rclone://target:").good();
    assert_eq!(fs::read(target.join(COMPOSED)).unwrap(), b"OLD");
    assert_eq!(fs::read(target.join(DECOMPOSED)).unwrap(), b"new");
}

#[test]
fn both_spellings_of_a_name_are_backed_up_and_restored() {
    let place = TestEnv::new();
    let source = place.directory_remote("source");
    fs::write(source.join(COMPOSED), b"one").unwrap();
    fs::write(source.join(DECOMPOSED), b"two").unwrap();
    fs::create_dir(source.join("\u{fc}")).unwrap();
    fs::write(source.join("\u{fc}/file"), b"three").unwrap();
    fs::create_dir(source.join("u\u{308}")).unwrap();
    fs::write(source.join("u\u{308}/file"), b"four").unwrap();
    let target = place.directory_remote("target");
    place.backup("rclone://source:").good();
    place.restore("rclone://target:").good();
    tree::assert_same(&source, &target, tree::Keep::Everything);
}

#[test]
fn the_second_of_two_names_that_the_destination_takes_for_one_is_an_error() {
    let place = TestEnv::new();
    let source = place.directory_remote("source");
    for (name, bytes) in [("Readme", "upper"), ("readme", "lower"), ("other", "other")] {
        fs::write(source.join(name), bytes).unwrap();
    }
    let target = place.path("target");
    fs::create_dir(&target).unwrap();
    place.remote("target", &[("type", "local"), ("case_insensitive", "true")]);
    place.backup("rclone://source:").good();
    let run = place.restore(&format!("rclone://target:{}", target.display())).bad("1 of");
    let line = failed(&run, "eadme");
    assert!(line.contains("differs only in upper and lower case"), "{line}");
    assert_eq!(fs::read_dir(&target).unwrap().count(), 2);
}

#[test]
fn a_large_file_with_a_long_name_is_restored_and_no_other_name_stays() {
    let place = TestEnv::new();
    let source = place.directory_remote("source");
    for name in ["x".repeat(250), "ü".repeat(120), "short".to_owned()] {
        tree::file(&source.join(name), &vec![b'x'; 33 << 20], tree::time(1));
    }
    let target = place.directory_remote("target");
    place.backup("rclone://source:").good();
    place.restore("rclone://target:").good();
    tree::assert_same(&source, &target, tree::Keep::Everything);
}
