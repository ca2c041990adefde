//! However files are read, skipped, cut short and given up at the same time, each
//! one comes whole or as an error.

use plakbox_tests::faulty_http_server::{Page, Web};
use plakbox_tests::plugin::{Importer, piece};
use plakbox_tests::tree::Bytes;
use plakbox_tests::{TestEnv, seeded};
use std::collections::HashMap;
use std::time::Duration;

/// What Plakar does with a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Deed {
    Read,
    Skip,
    /// Closes it after the first piece.
    GiveUp,
}

/// One round, made from its number.
async fn round(number: u64, slow: bool) {
    let mut dice = Bytes(number);
    let web = Web::new();
    let mut pages: HashMap<String, Page> = HashMap::new();
    let files = 3 + dice.number() % 25;
    for at in 0..files {
        let size = match dice.number() % 24 {
            0 => 0,
            1 => 1 + dice.number() % 3_000_000,
            2 => 8 << 20,
            _ => dice.number() % 100_000,
        };
        let mut page = Page::new(dice.take(usize::try_from(size).unwrap()));
        if dice.number().is_multiple_of(3) {
            page = page.chunked();
        }
        if dice.number().is_multiple_of(8) && size > 1 {
            page = page.breaking(usize::try_from(dice.number() % size).unwrap());
        }
        page.stalls = Duration::from_millis(
            [0, 0, 0, 0, 0, 0, 2, 10][usize::try_from(dice.number() % 8).unwrap()],
        );
        let path = format!("dir{}/file{at}", dice.number() % 4);
        web.put(&path, page.clone());
        pages.insert(format!("/{path}"), page);
    }
    let ahead = ["0", "100KiB", "64MiB"][usize::try_from(dice.number() % 3).unwrap()];
    let streams = (1 + dice.number() % 40).to_string();
    let processes = (1 + dice.number() % 2).to_string();
    let place = TestEnv::bare();
    let config = [
        ("location", "rclone://"),
        ("rclone_type", "http"),
        ("rclone_url", &web.url),
        ("read_ahead", ahead),
        ("streams", &streams),
        ("processes", &processes),
    ];
    let mut importer = Importer::start(&place, &config).await.unwrap();
    let mut scan = importer.scan().await.unwrap();
    let mut seen = 0;
    while let Some(record) = scan.next().await.unwrap() {
        let path = record.pathname.clone();
        if !record.has_reader {
            scan.settle(record).await;
            continue;
        }
        seen += 1;
        let deed = [Deed::Read, Deed::Read, Deed::Read, Deed::Read, Deed::Skip, Deed::GiveUp]
            [usize::try_from(dice.number() % 6).unwrap()];
        if deed != Deed::Skip {
            let outcome = read(&importer, &path, deed, slow).await;
            check(number, &path, &pages[&path], deed, outcome);
        }
        scan.settle(record).await;
    }
    assert_eq!(seen, files, "round {number}: files are missing");
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
            assert!(page.breaks.is_none(), "round {round}: {path} broke, and nobody said so");
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
