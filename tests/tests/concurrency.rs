//! However files are read, skipped, cut short and given up at the same time, each
//! one comes whole or as an error.

use fastrand::Rng;
use plakbox_tests::faulty_http_server::{Page, Web};
use plakbox_tests::plugin::{Importer, piece};
use plakbox_tests::{TestEnv, seeded, tree};
use std::collections::HashMap;
use std::time::Duration;

/// Plakar's treatment of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Deed {
    Read,
    Skip,
    /// Closes it after the first piece.
    GiveUp,
}

/// One of these.
fn choice<T: Copy>(random: &mut Rng, choices: &[T]) -> T {
    *random.choice(choices).unwrap()
}

/// A file of a server, of random size, whose transfer may break or stall.
fn random_page(random: &mut Rng) -> Page {
    let size = match random.u32(..24) {
        0 => 0,
        1 => random.usize(1..=3_000_000),
        2 => 8 << 20,
        _ => random.usize(..100_000),
    };
    let mut page = Page::new(tree::random_bytes(random, size));
    if random.u32(..3) == 0 {
        page = page.chunked();
    }
    if random.u32(..8) == 0 && size > 1 {
        page = page.breaking(random.usize(..size));
    }
    page.stalls = Duration::from_millis(choice(random, &[0, 0, 0, 0, 0, 0, 2, 10]));
    page
}

/// A server of random files, and these files by their paths in the snapshot.
fn random_server(random: &mut Rng) -> (Web, HashMap<String, Page>) {
    let web = Web::new();
    let mut pages = HashMap::new();
    for number in 0..random.u32(3..28) {
        let page = random_page(random);
        let path = format!("dir{}/file{number}", random.u32(..4));
        web.put(&path, page.clone());
        pages.insert(format!("/{path}"), page);
    }
    (web, pages)
}

/// An importer of the server, with random options.
async fn start_importer(random: &mut Rng, place: &TestEnv, web: &Web) -> Importer {
    let config = [
        ("location", "rclone://"),
        ("rclone_type", "http"),
        ("rclone_url", &web.url),
        ("read_ahead", choice(random, &["0", "100KiB", "64MiB"])),
        ("streams", &random.u32(1..=40).to_string()),
        ("processes", &random.u32(1..=2).to_string()),
    ];
    Importer::start(place, &config).await.unwrap()
}

/// One round, made from its number.
async fn round(number: u64, slow: bool) {
    let mut random = Rng::with_seed(number);
    let (web, pages) = random_server(&mut random);
    let place = TestEnv::bare();
    let mut importer = start_importer(&mut random, &place, &web).await;
    let mut scan = importer.scan().await.unwrap();
    let mut seen = 0;
    while let Some(record) = scan.next().await.unwrap() {
        let path = record.pathname.clone();
        if !record.has_reader {
            scan.acknowledge(record).await;
            continue;
        }
        seen += 1;
        let deeds = [Deed::Read, Deed::Read, Deed::Read, Deed::Read, Deed::Skip, Deed::GiveUp];
        let deed = choice(&mut random, &deeds);
        if deed != Deed::Skip {
            let outcome = read(&importer, &path, deed, slow).await;
            check(number, &path, &pages[&path], deed, outcome);
        }
        scan.acknowledge(record).await;
    }
    assert_eq!(seen, pages.len(), "round {number}: files are missing");
}

async fn read(
    importer: &Importer,
    path: &str,
    deed: Deed,
    slow: bool,
) -> Result<Vec<u8>, tonic::Status> {
    let mut content = importer.open(path).await?;
    let mut bytes = Vec::new();
    while let Some(piece) = piece(&mut content).await? {
        bytes.extend_from_slice(&piece);
        if deed == Deed::GiveUp {
            break;
        }
        if slow {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    Ok(bytes)
}

fn check(round: u64, path: &str, page: &Page, deed: Deed, outcome: Result<Vec<u8>, tonic::Status>) {
    match outcome {
        Ok(bytes) if deed == Deed::GiveUp => {
            // rclone may start over after a break, which only the end tells.
            let sure = page.breaks.unwrap_or(bytes.len()).min(bytes.len());
            assert!(
                page.bytes.starts_with(&bytes[..sure]),
                "round {round}: {path} begins with other bytes"
            );
        }
        Ok(bytes) => {
            assert!(
                page.breaks.is_none(),
                "round {round}: {path} broke, and no error was reported"
            );
            assert!(bytes == page.bytes, "round {round}: {path} has other bytes");
        }
        Err(status) => {
            assert!(page.breaks.is_some(), "round {round}: {path} failed: {status}");
        }
    }
}

#[test]
fn a_fast_reader_gets_every_byte_or_an_error() {
    seeded::all(false, round);
}

#[test]
fn a_slow_reader_gets_every_byte_or_an_error() {
    seeded::all(true, round);
}
