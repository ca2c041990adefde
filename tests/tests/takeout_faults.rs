//! A Takeout export that is incomplete, damaged or hostile fails where it is so: the rest is
//! backed up, and nothing is silently smaller.

use plakbox_tests::takeout::delivery;
use plakbox_tests::takeout::export::File;
use plakbox_tests::takeout::snapshot::{Snapshot, assert_same, expected};
use plakbox_tests::takeout::{
    Content, Cut, EntryFault, Export, Language, Library, Photo, Source, Union, ZipStyle,
};
use plakbox_tests::{Run, processes};
use std::fs;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

const OTHER: i64 = 1_741_000_000;

/// An export in five parts, and the names of its archives.
fn five_parts(source: &Source, library: &Library) -> Vec<String> {
    let archives = source.deliver(&Export { cut: Cut::Apart(5), ..Export::default() }, library);
    archives.iter().map(delivery::Archive::name).collect()
}

/// A library of one album-less photo, in an export of its own.
fn beside(source: &Source) -> (String, (u64, u32, i64)) {
    let mut library = Library::default();
    let content = Content::Photo { number: 4711, size: 900 };
    let known = (content.size(), content.crc32(), 1_500_000_000);
    library.add(Photo::new("beside.jpg", 1_500_000_000, content));
    source.deliver(&Export { at: OTHER, ..Export::default() }, &library);
    ("/media/by-year/2017/beside.jpg".to_owned(), known)
}

/// Everything that is there must be in the library, with its bytes.
#[track_caller]
fn assert_part_of(have: &Snapshot, whole: &Snapshot) {
    for (path, (size, crc, _)) in have {
        let known = whole.values().any(|(whole, it, _)| (whole, it) == (size, crc));
        assert!(known, "{path} is not of the library");
    }
}

#[test]
fn a_missing_part_is_an_error_and_the_others_are_backed_up() {
    let (source, library) = (Source::new(), Library::filled(60, 1000));
    let names = five_parts(&source, &library);
    let (path, known) = beside(&source);
    fs::remove_file(source.directory.join(&names[2])).unwrap();
    source.backup().good().says(&names[2]).says("1 error");
    let have = source.restored("restored");
    assert_eq!(have.get(&path), Some(&known));
    assert!(have.len() > 60, "{}", have.len());
    let mut whole = expected(&library, Union::All, Language::English);
    whole.insert(path, known);
    assert_part_of(&have, &whole);
}

#[test]
fn a_part_that_is_cut_off_is_an_error_and_the_next_backup_is_whole() {
    let (source, library) = (Source::new(), Library::filled(60, 1000));
    let names = five_parts(&source, &library);
    let part = source.directory.join(&names[3]);
    let whole = fs::read(&part).unwrap();
    for kept in [0, 1, 100, whole.len() / 2, whole.len() - 1] {
        fs::write(&part, &whole[..kept]).unwrap();
        source.backup().good().says(&names[3]).says("1 error");
    }
    fs::write(&part, &whole).unwrap();
    source.backup().good().says("without errors");
    source.assert_whole(&library);
}

#[test]
fn a_part_that_was_downloaded_twice_is_one() {
    let (source, library) = (Source::new(), Library::filled(60, 1000));
    let names = five_parts(&source, &library);
    let again = names[0].replace(".zip", " (1).zip");
    fs::copy(source.directory.join(&names[0]), source.directory.join(&again)).unwrap();
    source.backup().good().says("without errors");
    source.assert_whole(&library);
    // One that ended too early isn't.
    let again = names[1].replace(".zip", " (1).zip");
    let bytes = fs::read(source.directory.join(&names[1])).unwrap();
    fs::write(source.directory.join(&again), &bytes[..bytes.len() / 2]).unwrap();
    source.backup().good().says(&again);
    source.assert_whole(&library);
}

#[test]
fn a_tgz_is_an_error_that_says_what_to_do() {
    let (source, library) = (Source::new(), Library::filled(30, 1000));
    source.deliver(&Export::default(), &library);
    let other = Export { at: OTHER, ..Export::default() };
    let path = delivery::tgz(&source.directory, &other, &library);
    let name = path.file_name().unwrap().to_str().unwrap();
    source.backup().good().says(name).says("archive extract").says("1 error");
    source.assert_whole(&library);
}

#[test]
fn a_directory_without_an_export_is_an_error_and_no_empty_snapshot() {
    let source = Source::new();
    source.backup().bad("no export of Google Photos was found");
    fs::write(source.directory.join("holiday.zip"), b"PK\x05\x06").unwrap();
    fs::write(source.directory.join("notes.txt"), b"notes").unwrap();
    source.backup().bad("`holiday.zip`");
}

#[test]
fn a_damaged_entry_is_an_error_of_its_photo() {
    for (fault, style) in [
        (EntryFault::WrongCrc, ZipStyle::default()),
        (EntryFault::WrongCrc, ZipStyle { deflated: true, ..ZipStyle::default() }),
        (EntryFault::Longer(100), ZipStyle::default()),
        (EntryFault::Shorter, ZipStyle { deflated: true, ..ZipStyle::default() }),
        (EntryFault::Shorter, ZipStyle::default()),
        (EntryFault::Encrypted, ZipStyle::default()),
        (EntryFault::UnknownMethod, ZipStyle::default()),
        (EntryFault::NoLocalHeader, ZipStyle::default()),
    ] {
        let (source, library) = (Source::new(), Library::filled(20, 3000));
        let bad = |file: &File| {
            (file.path.ends_with("IMG_0007.jpg") && file.path.contains("from")).then_some(fault)
        };
        delivery::zips_with(&source.directory, &Export::default(), &library, style, bad);
        source.backup().good().says("IMG_0007.jpg").says("error");
        let mut want = expected(&library, Union::All, Language::English);
        let have = source.restored("restored");
        want.retain(|path, _| !path.ends_with("IMG_0007.jpg") || have.contains_key(path));
        assert!(!have.contains_key("/media/by-year/2023/IMG_0007.jpg"), "{fault:?}");
        assert_same(&have, &want);
    }
}

#[test]
fn entries_that_overlap_are_errors() {
    let (source, library) = (Source::new(), Library::filled(10, 3000));
    let bad = |file: &File| file.path.ends_with("IMG_0004.jpg").then_some(EntryFault::Overlapping);
    delivery::zips_with(&source.directory, &Export::default(), &library, ZipStyle::default(), bad);
    let run = source.backup().good().says("shares bytes");
    assert!(!run.text.contains("without errors"), "{}", run.text);
    let whole = expected(&library, Union::All, Language::English);
    assert_part_of(&source.restored("restored"), &whole);
}

#[test]
fn names_that_lead_elsewhere_and_names_that_come_twice_are_errors() {
    let library = Library::filled(10, 1000);
    let source = Source::new();
    let export = Export::default();
    let mut files = export.parts(&library).remove(0);
    let evil = |path: &str| File {
        path: path.to_owned(),
        content: Content::Photo { number: 666, size: 800 },
        photo: None,
    };
    files.push(evil("Takeout/Google Photos/Photos from 2023/../../../evil.jpg"));
    files.push(evil("/Takeout/Google Photos/Photos from 2023/absolute.jpg"));
    files.push(evil("Takeout/Google Photos/Photos from 2023/twice.jpg"));
    files.push(evil("Takeout/Google Photos/Photos from 2023/twice.jpg"));
    delivery::zip(&source.directory.join(export.archive(1)), &files, ZipStyle::default(), |_| None);
    let run = source.backup().good().says("evil.jpg").says("absolute.jpg").says("twice.jpg");
    assert!(!run.text.contains("without errors"), "{}", run.text);
    let mut have = source.restored("restored");
    have.retain(|path, _| !path.ends_with("/twice.jpg"));
    assert_same(&have, &expected(&library, Union::All, Language::English));
}

/// The most memory that plakbox had during a backup, and the run.
fn watched(source: &Source) -> (u64, Run) {
    let mut command = source.place.backup_command("@exports");
    let start = Instant::now();
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let waiting = thread::spawn(move || child.wait_with_output().unwrap());
    let mut peak = 0;
    while !waiting.is_finished() {
        for id in processes::plakboxes(&source.place.path("")) {
            peak = peak.max(processes::peak_memory(id));
        }
        thread::sleep(Duration::from_millis(20));
    }
    let output = waiting.join().unwrap();
    let both = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&both).into_owned();
    let run = Run { ok: output.status.success(), text, took: start.elapsed() };
    (peak, source.place.note(run))
}

#[test]
fn a_bomb_takes_no_memory() {
    let (source, library) = (Source::new(), Library::filled(10, 1000));
    // A photo and a sidecar that inflate to a GiB of zeros.
    let bad = |file: &File| {
        let is_bomb = file.path.contains("IMG_0004.jpg") && file.path.contains("from");
        is_bomb.then_some(EntryFault::Longer(1 << 30))
    };
    delivery::zips_with(&source.directory, &Export::default(), &library, ZipStyle::default(), bad);
    let (peak, run) = watched(&source);
    run.good().says("IMG_0004.jpg");
    assert!(peak > 0 && peak < 150 << 20, "{} MiB", peak >> 20);
    let whole = expected(&library, Union::All, Language::English);
    assert_part_of(&source.restored("restored"), &whole);
}

#[test]
fn seventy_thousand_entries_are_read() {
    let mut library = Library::default();
    for number in 0..35_000_u32 {
        let taken = 1_600_000_000 + i64::from(number) * 600;
        let content = Content::Photo { number: number.into(), size: 64 };
        library.add(Photo::new(&format!("IMG_{number}.jpg"), taken, content));
    }
    let source = Source::new();
    source.deliver(&Export::default(), &library);
    source.backup().good().says("without errors");
    source.assert_whole(&library);
}

#[test]
#[ignore = "backs up 5 GiB: `just large-exports`"]
fn an_archive_of_more_than_four_gib_is_read() {
    let mut library = Library::default();
    for number in 0..5 {
        let taken = 1_600_000_000 + i64::try_from(number).unwrap();
        let content = Content::Sparse { number, size: 1 << 30 };
        library.add(Photo::new(&format!("VID_{number}.mp4"), taken, content));
    }
    let source = Source::new();
    let export = Export { cut: Cut::Bytes(50 << 30), ..Export::default() };
    let archives = source.deliver(&export, &library);
    assert!(archives.len() == 1 && archives[0].size() > 5 << 30);
    source.backup().good().says("without errors");
    let listed = source.place.listed();
    assert_eq!(
        listed
            .lines()
            .filter(|line| line.contains("/media/by-year/2020/VID_") && !line.contains("/sidecar/"))
            .count(),
        5
    );
    for number in [0, 4] {
        let bytes = source.place.content(&format!("/media/by-year/2020/VID_{number}.mp4"));
        assert_eq!(crc32fast::hash(&bytes), library.photos[number].content.crc32());
    }
}
