//! Scenarios that need code of their own: sessions that are misused, reads that are cancelled,
//! a million entries.

use futures::future::{Either, join_all, select};
use scenarios::{Check, Failure, Reason, Scenario};
use std::pin::pin;
use wit_bindgen::{StreamReader, StreamResult};

use crate::bindings::plakar::connector::exporter;
use crate::bindings::plakar::connector::importer::{self, ScanEvent};
use crate::bindings::wit_stream;
use crate::contents::read_all;
use crate::wait;

/// Timeout of a read that never returns, in milliseconds.
const READ_TIMEOUT_MS: u64 = 200;

/// Runs the scenario with this name.
pub async fn run(name: &str, scenario: &Scenario) -> Vec<Check> {
    match name {
        "a_ping_reaches_the_remote_once" => ping(scenario).await,
        "a_ping_says_why_the_remote_cannot_be_reached" => failed_pings(scenario).await,
        "a_ping_says_that_albums_cannot_be_listed" => {
            let (opened, pinged) = (open(scenario).await, importer::ping().await);
            let reason = Reason::Unauthenticated;
            vec![
                Check::end("opening", Ok(()), &opened),
                Check::end("the ping", Err(reason), &pinged),
            ]
        }
        "invalid_options_are_refused" => invalid_options(scenario).await,
        "a_session_is_opened_once" => opened_twice(scenario).await,
        "nothing_is_done_before_a_session_is_opened" => unopened().await,
        "a_million_entries_pass" => million_entries(scenario).await,
        "a_scan_whose_reader_stops_ends" => unread_scan(scenario).await,
        "a_read_that_is_dropped_is_cancelled" => dropped_read(scenario).await,
        "a_stalled_read_blocks_no_other" => stalled_read(scenario).await,
        "a_large_file_that_stalls_is_cancelled" => stalled_midway(scenario).await,
        "a_path_that_was_not_found_is_not_read" => unknown_paths(scenario).await,
        _ => vec![Check::that("the driver knows the scenario", false, "it has no code for it")],
    }
}

/// Opens a backup session.
async fn open(scenario: &Scenario) -> Result<(), Failure> {
    importer::open(scenario.granted_remote()).await.map(drop)
}

async fn ping(scenario: &Scenario) -> Vec<Check> {
    let opened = open(scenario).await;
    let pinged = importer::ping().await;
    vec![Check::end("opening", Ok(()), &opened), Check::end("the ping", Ok(()), &pinged)]
}

async fn failed_pings(scenario: &Scenario) -> Vec<Check> {
    open(scenario).await.unwrap();
    let mut checks = Vec::new();
    for reason in Reason::ALL {
        let pinged = importer::ping().await;
        checks.push(Check::end("a ping", Err(reason), &pinged));
    }
    checks
}

async fn invalid_options(scenario: &Scenario) -> Vec<Check> {
    let reason = Reason::InvalidConfiguration;
    let exporting = exporter::open(scenario.granted_remote()).await.map(drop);
    let opened = open(scenario).await;
    let named = opened.as_ref().is_err_and(|failure| failure.message.contains("`streams`"));
    vec![
        Check::end("opening for a backup", Err(reason), &opened),
        Check::end("opening for a restore", Err(reason), &exporting),
        Check::that("the message names the option", named, format!("{opened:?}")),
    ]
}

async fn opened_twice(scenario: &Scenario) -> Vec<Check> {
    let first = open(scenario).await;
    let second = open(scenario).await;
    vec![
        Check::end("opening", Ok(()), &first),
        Check::end("opening again", Err(Reason::Internal), &second),
    ]
}

async fn unopened() -> Vec<Check> {
    let (found, end) = scan().await;
    let entries = found.collect().await.len();
    let scanned = end.await;
    let (_, read) = read_all(importer::read("/a.txt".to_owned()).await).await;
    let pinged = importer::ping().await;
    let finished = exporter::finish().await;
    vec![
        Check::that("nothing is found", entries == 0, format!("{entries} entries")),
        Check::end("a scan", Err(Reason::Internal), &scanned),
        Check::end("a read", Err(Reason::Internal), &read),
        Check::end("a ping", Err(Reason::Internal), &pinged),
        Check::end("the end of a restore", Err(Reason::Internal), &finished),
    ]
}

type Scan = (StreamReader<ScanEvent>, wit_bindgen::FutureReader<Result<(), Failure>>);

/// Starts a scan of which nothing is acknowledged.
async fn scan() -> Scan {
    let (sender, acknowledged) = wit_stream::new();
    drop(sender);
    importer::scan(acknowledged).await
}

async fn million_entries(scenario: &Scenario) -> Vec<Check> {
    open(scenario).await.unwrap();
    let (mut sender, acknowledged) = wit_stream::new();
    let (mut events, end) = importer::scan(acknowledged).await;
    let (mut count, mut correct) = (0_u64, 0_u64);
    loop {
        let (result, read_events) = events.read(Vec::with_capacity(1000)).await;
        let mut paths = Vec::new();
        for event in read_events {
            let ScanEvent::Entry(entry) = event else { continue };
            let number = entry.path.strip_prefix("/file-").and_then(|digits| digits.parse().ok());
            correct +=
                u64::from(number == Some(count) && entry.metadata.size == Some(count % 1000));
            // The root comes first.
            count += u64::from(number.is_some());
            paths.push(entry.path);
        }
        sender.write_all(paths).await;
        if !matches!(result, StreamResult::Complete(_)) {
            break;
        }
    }
    let end = end.await;
    vec![
        Check::end("the scan", Ok(()), &end),
        Check::that("each entry arrives", count == 1_000_000, format!("{count} arrived")),
        Check::that("entries arrive in order", correct == count, format!("{correct} of {count}")),
    ]
}

async fn unread_scan(scenario: &Scenario) -> Vec<Check> {
    open(scenario).await.unwrap();
    let (mut events, end) = scan().await;
    let (_, first) = events.read(Vec::with_capacity(500)).await;
    drop(events);
    let ended = end.await;
    vec![
        Check::that("entries arrive at once", !first.is_empty(), "none arrived"),
        Check::that("the scan ends", ended.is_err(), "it succeeded, though it was cut off"),
    ]
}

/// Opens a backup session, and scans the remote.
async fn open_and_scan(scenario: &Scenario) {
    open(scenario).await.unwrap();
    let (found, end) = scan().await;
    found.collect().await;
    end.await.unwrap();
}

/// Returns the bytes that a file should have.
fn expected_bytes(scenario: &Scenario, path: &str) -> Vec<u8> {
    let node = scenario.remote.iter().find(|node| format!("/{}", node.path) == path);
    node.and_then(|node| node.bytes.clone()).unwrap_or_default()
}

/// Checks that a file can be read.
async fn check_read(scenario: &Scenario, path: &str) -> Check {
    let (bytes, end) = read_all(importer::read(path.to_owned()).await).await;
    let same = end.is_ok() && bytes == expected_bytes(scenario, path);
    Check::that(format!("`{path}` can be read"), same, format!("{} bytes, {end:?}", bytes.len()))
}

async fn dropped_read(scenario: &Scenario) -> Vec<Check> {
    open_and_scan(scenario).await;
    let (mut stream, end) = importer::read("/large".to_owned()).await.unwrap();
    let (_, piece) = stream.read(Vec::with_capacity(1 << 20)).await;
    drop((stream, end));
    let is_begun = expected_bytes(scenario, "/large").starts_with(&piece) && !piece.is_empty();
    vec![
        Check::that("a large file starts", is_begun, "with wrong bytes"),
        check_read(scenario, "/small").await,
        check_read(scenario, "/large").await,
    ]
}

async fn stalled_read(scenario: &Scenario) -> Vec<Check> {
    open_and_scan(scenario).await;
    let waiting = importer::read("/many/0050".to_owned());
    let others = (0..100).filter(|number| *number != 50).map(|number| format!("/many/{number:04}"));
    let others: Vec<_> = others.collect();
    let reading = async {
        let checks = join_all(others.iter().map(|path| check_read(scenario, path))).await;
        wait(READ_TIMEOUT_MS).await;
        checks
    };
    let (checks, stalled) = match select(pin!(waiting), pin!(reading)).await {
        Either::Left((read, _)) => (Vec::new(), Some(read.is_ok())),
        Either::Right((checks, _)) => (checks, None),
    };
    let broken: Vec<_> = checks.iter().filter_map(|check| check.broken.clone()).collect();
    vec![
        Check::that("the stalled read returns nothing", stalled.is_none(), "it returned"),
        Check::new("all other files can be read meanwhile", broken),
        check_read(scenario, "/many/0051").await,
    ]
}

async fn stalled_midway(scenario: &Scenario) -> Vec<Check> {
    open_and_scan(scenario).await;
    let (mut stream, end) = importer::read("/large".to_owned()).await.unwrap();
    let mut bytes = Vec::new();
    loop {
        let reading = pin!(stream.read(Vec::with_capacity(1 << 20)));
        match select(reading, pin!(wait(READ_TIMEOUT_MS))).await {
            Either::Left(((_, piece), _)) => bytes.extend(piece),
            Either::Right(_) => break,
        }
    }
    drop((stream, end));
    let is_correct =
        bytes.len() == 2 << 20 && expected_bytes(scenario, "/large").starts_with(&bytes);
    vec![
        Check::that("the first bytes are the file's", is_correct, format!("{} bytes", bytes.len())),
        check_read(scenario, "/small").await,
    ]
}

async fn unknown_paths(scenario: &Scenario) -> Vec<Check> {
    open_and_scan(scenario).await;
    let mut checks = Vec::new();
    for (path, reason) in [
        ("/nowhere", Reason::NotFound),
        ("/dir/nowhere/else", Reason::NotFound),
        ("/", Reason::Unsupported),
        ("/../a.txt", Reason::Unsupported),
        ("a.txt", Reason::Unsupported),
    ] {
        let (_, read) = read_all(importer::read(path.to_owned()).await).await;
        checks.push(Check::end(&format!("a read of `{path}`"), Err(reason), &read));
    }
    checks
}
