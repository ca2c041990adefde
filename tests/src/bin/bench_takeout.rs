//! What Google Takeout exports cost: requests, bytes, seconds and memory of a first backup, of one
//! without news and of one with a new export, on loopback and 40 ms away.
//!
//! `bench_takeout [PHOTOS ARCHIVES]`: without arguments 1,000 photos in 2 archives, 20,000 in 4
//! and 100,000 in 12. Photos have 200 KB, mostly zeros, so that archives take little disk. Fails if
//! a goal is missed.

use plakbox_tests::range_server::Pace;
use plakbox_tests::stats::Peaks;
use plakbox_tests::takeout::delivery::Archive;
use plakbox_tests::takeout::{Content, Copy, Cut, Export, Library, Photo, Source};
use std::time::{Duration, Instant};

/// Size of a photo, in bytes.
const PHOTO_BYTES: u64 = 200_000;

/// Requests a second, and before that, of Google Drive as rclone paces it.
const DRIVE: Pace = Pace { rate: 10, burst: 100 };

/// Goals of the largest library.
const MAX_MEMORY: u64 = 128 << 20;
const MAX_FETCHED: f64 = 1.05;
const MAX_PACED_SECONDS: f64 = 60.0;

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse().expect("a number"));
    println!(
        "| library | away | backup | requests | fetched | of all archives | seconds | memory |"
    );
    println!("| --- | --- | --- | ---: | ---: | ---: | ---: | --- |");
    let missed = match (arguments.next(), arguments.next()) {
        (Some(photos), Some(archives)) => measure(photos, archives),
        _ => [(1_000, 2), (20_000, 4), (100_000, 12)]
            .into_iter()
            .flat_map(|(photos, archives)| measure(photos, archives))
            .collect(),
    };
    for goal in &missed {
        eprintln!("missed: {goal}");
    }
    std::process::exit(i32::from(!missed.is_empty()));
}

/// A library of a number of photos, as they are taken: five a day, in an album of 40 each week.
fn library(photos: u64) -> Library {
    let mut library = Library::default();
    for number in 0..photos {
        let taken = 1_100_000_000 + i64::try_from(number).unwrap() * 4321;
        let content = Content::Sparse { number, size: PHOTO_BYTES + number % 1000 };
        let mut photo = Photo::new(&format!("IMG_{:04}.jpg", number % 10_000), taken, content);
        photo.favorite = number % 20 == 0;
        library.add(photo);
    }
    let all: Vec<usize> = (0..library.photos.len()).collect();
    for (number, photos) in all.chunks(400).enumerate() {
        let album = library.album(&format!("Week {number}"), &photos[..photos.len().min(40)]);
        album.members.iter_mut().for_each(|(_, copy)| *copy = Copy::SidecarOnly);
    }
    library
}

/// Measures a library; returns the goals that it missed.
fn measure(photos: u64, archives: u64) -> Vec<String> {
    let mut missed = Vec::new();
    for away in [None, Some(Duration::from_millis(40))] {
        let (source, mut library) = (Source::served(Pace::default(), away), library(photos));
        let part = photos * (PHOTO_BYTES + 2000) / archives;
        let export = Export { cut: Cut::Bytes(part), ..Export::default() };
        let written = source.deliver(&export, &library);
        let name = format!("{photos} photos in {} archives", written.len());
        let away = away.map_or("loopback", |_| "40 ms");
        let run = |what: &str, written: &[Archive]| work(&source, &[&name, away, what], written);
        let first = run("first", &written);
        let second = run("without news", &written);
        source.server().set_pace(DRIVE);
        let paced = run("without news, 10 requests a second", &written);
        source.server().set_pace(Pace::default());
        for number in photos..photos + 50 {
            let content = Content::Sparse { number, size: PHOTO_BYTES + number % 1000 };
            let photo = Photo::new(&format!("NEW_{number}.jpg"), 1_735_689_000, content);
            library.add(Photo { changed: 1_735_700_000, ..photo });
        }
        let since = Some(1_735_689_600);
        let more = source.deliver(&Export { at: 1_740_000_000, since, ..export }, &library);
        run("50 photos in a new export", &more);
        let goals = [
            (first.memory <= MAX_MEMORY, format!("{name}: memory {} MiB", first.memory >> 20)),
            (
                first.worst <= MAX_FETCHED,
                format!("{name}: an archive was fetched {:.3} times", first.worst),
            ),
            (
                second.bytes == 0,
                format!("{name}: {} bytes were fetched without news", second.bytes),
            ),
            (
                paced.seconds < MAX_PACED_SECONDS,
                format!("{name}: {:.1} s without news", paced.seconds),
            ),
        ];
        missed.extend(goals.into_iter().filter(|(reached, _)| !reached).map(|(_, goal)| goal));
    }
    missed
}

/// What a backup took.
struct Cost {
    bytes: u64,
    /// The largest share of an archive that was fetched.
    worst: f64,
    seconds: f64,
    memory: u64,
}

fn work(source: &Source, names: &[&str; 3], archives: &[Archive]) -> Cost {
    let server = source.server();
    let _ = (server.take_fetches(), server.take_requests());
    let memory = Peaks::of_memory();
    // The tests' own runs are killed after some minutes.
    let start = Instant::now();
    let output = source.place.backup_command("@exports").output().unwrap();
    let seconds = start.elapsed().as_secs_f64();
    let [memory, all] = memory.stop();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(text.contains("without errors"), "{text}");
    let (fetches, requests) = (server.take_fetches(), server.take_requests());
    let bytes: u64 = fetches.iter().map(|fetch| fetch.sent).sum();
    let of = |archive: &Archive| {
        let fetched = plakbox_tests::range_server::fetched(&fetches, &archive.name());
        fetched as f64 / archive.size() as f64
    };
    let worst = archives.iter().map(of).fold(0.0, f64::max);
    let size: u64 = archives.iter().map(Archive::size).sum();
    println!(
        "| {} | {requests} | {:.1} MiB | {:.3} | {seconds:.1} | {} MiB, with rclone {} MiB |",
        names.join(" | "),
        bytes as f64 / f64::from(1 << 20),
        bytes as f64 / size as f64,
        memory >> 20,
        all >> 20
    );
    Cost { bytes, worst, seconds, memory }
}
