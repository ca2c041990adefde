//! Scenarios that need code of their own: sessions that are misused, reads that are
//! given up, a million entries.

use futures::future::{Either, join_all, select};
use scenarios::{Check, Failure, Reason, Scenario};
use std::pin::pin;
use wit_bindgen::{StreamReader, StreamResult};

use crate::bindings::plakar::connector::importer::{self, Discovery};
use crate::bindings::plakar::connector::{exporter, types};
use crate::bindings::wit_stream;
use crate::session::{failure, remote, taken, wait};

/// How long a read is waited for that never comes, in milliseconds.
const PATIENCE: u64 = 200;

pub async fn run(name: &str, scenario: &Scenario) -> Vec<Check> {
    match name {
        "a_ping_reaches_the_remote_once" => ping(scenario).await,
        "a_ping_says_why_the_remote_cannot_be_reached" => pings(scenario).await,
        "a_ping_says_that_albums_cannot_be_listed" => {
            let (opened, pinged) = (open(scenario).await, importer::ping().await);
            let reason = Reason::Unauthenticated;
            vec![
                Check::end("opening", Ok(()), &opened),
                Check::end("the ping", Err(reason), &pinged.map_err(failure)),
            ]
        }
        "options_that_make_no_sense_are_refused" => refused(scenario).await,
        "a_session_is_opened_once" => opened_twice(scenario).await,
        "nothing_is_done_before_a_session_is_opened" => unopened().await,
        "a_million_entries_pass" => million(scenario).await,
        "a_scan_that_nobody_reads_on_ends" => unread_scan(scenario).await,
        "a_read_that_nobody_wants_is_given_up" => unwanted(scenario).await,
        "a_stalled_read_holds_nothing_else_up" => stalled(scenario).await,
        "a_large_file_that_stalls_is_given_up" => stalled_half_way(scenario).await,
        "a_path_that_was_not_found_is_not_read" => unknown(scenario).await,
        _ => vec![Check::that("the driver knows the scenario", false, "it has no code for it")],
    }
}

/// What came of opening, as a failure of the scenarios.
async fn open(scenario: &Scenario) -> Result<(), Failure> {
    importer::open(remote(scenario)).await.map(drop).map_err(failure)
}

async fn ping(scenario: &Scenario) -> Vec<Check> {
    let opened = open(scenario).await;
    let pinged = importer::ping().await.map_err(failure);
    vec![Check::end("opening", Ok(()), &opened), Check::end("the ping", Ok(()), &pinged)]
}

async fn pings(scenario: &Scenario) -> Vec<Check> {
    open(scenario).await.unwrap();
    let mut checks = Vec::new();
    for reason in Reason::ALL {
        let pinged = importer::ping().await.map_err(failure);
        checks.push(Check::end("a ping", Err(reason), &pinged));
    }
    checks
}

async fn refused(scenario: &Scenario) -> Vec<Check> {
    let reason = Reason::InvalidConfiguration;
    let exporting = exporter::open(remote(scenario)).await.map(drop).map_err(failure);
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
    let scanned = end.await.map_err(failure);
    let (_, read) = taken(importer::read("/a.txt".to_owned()).await).await;
    let pinged = importer::ping().await.map_err(failure);
    let finished = exporter::finish().await.map_err(failure);
    vec![
        Check::that("nothing is found", entries == 0, format!("{entries} entries")),
        Check::end("a scan", Err(Reason::Internal), &scanned),
        Check::end("a read", Err(Reason::Internal), &read),
        Check::end("a ping", Err(Reason::Internal), &pinged),
        Check::end("the end of a restore", Err(Reason::Internal), &finished),
    ]
}

type Scan = (StreamReader<Discovery>, wit_bindgen::FutureReader<Result<(), types::Failure>>);

/// A scan of which nothing is settled.
async fn scan() -> Scan {
    let (settle, settled) = wit_stream::new();
    drop(settle);
    importer::scan(settled).await
}

async fn million(scenario: &Scenario) -> Vec<Check> {
    open(scenario).await.unwrap();
    let (mut settle, settled) = wit_stream::new();
    let (mut found, end) = importer::scan(settled).await;
    let (mut count, mut right) = (0_u64, 0_u64);
    loop {
        let (result, some) = found.read(Vec::with_capacity(1000)).await;
        let mut paths = Vec::new();
        for discovery in some {
            let Discovery::Found(entry) = discovery else { continue };
            let number = entry.path.strip_prefix("/file-").and_then(|digits| digits.parse().ok());
            right += u64::from(number == Some(count) && entry.metadata.size == Some(count % 1000));
            // The root comes first.
            count += u64::from(number.is_some());
            paths.push(entry.path);
        }
        settle.write_all(paths).await;
        if !matches!(result, StreamResult::Complete(_)) {
            break;
        }
    }
    let end = end.await.map_err(failure);
    vec![
        Check::end("the scan", Ok(()), &end),
        Check::that("each entry comes", count == 1_000_000, format!("{count} came")),
        Check::that("each in its turn", right == count, format!("{right} of {count} did")),
    ]
}

async fn unread_scan(scenario: &Scenario) -> Vec<Check> {
    open(scenario).await.unwrap();
    let (mut found, end) = scan().await;
    let (_, some) = found.read(Vec::with_capacity(500)).await;
    drop(found);
    let ended = end.await;
    vec![
        Check::that("entries come at once", !some.is_empty(), "none came"),
        Check::that("the scan ends", ended.is_err(), "it ended well, though it was cut off"),
    ]
}

/// Opens, and finds everything.
async fn find(scenario: &Scenario) {
    open(scenario).await.unwrap();
    let (found, end) = scan().await;
    found.collect().await;
    end.await.unwrap();
}

/// The bytes that a file has.
fn own(scenario: &Scenario, path: &str) -> Vec<u8> {
    let node = scenario.remote.iter().find(|node| format!("/{}", node.path) == path);
    node.and_then(|node| node.bytes.clone()).unwrap_or_default()
}

/// A file is read to its end and has its own bytes.
async fn comes(scenario: &Scenario, path: &str) -> Check {
    let (bytes, end) = taken(importer::read(path.to_owned()).await).await;
    let same = end.is_ok() && bytes == own(scenario, path);
    Check::that(format!("`{path}` comes"), same, format!("{} bytes, {end:?}", bytes.len()))
}

async fn unwanted(scenario: &Scenario) -> Vec<Check> {
    find(scenario).await;
    let (mut stream, end) = importer::read("/large".to_owned()).await.unwrap();
    let (_, piece) = stream.read(Vec::with_capacity(1 << 20)).await;
    drop((stream, end));
    let begun = own(scenario, "/large").starts_with(&piece) && !piece.is_empty();
    vec![
        Check::that("a large file begins", begun, "with other bytes"),
        comes(scenario, "/small").await,
        comes(scenario, "/large").await,
    ]
}

async fn stalled(scenario: &Scenario) -> Vec<Check> {
    find(scenario).await;
    let waiting = importer::read("/many/0050".to_owned());
    let others = (0..100).filter(|number| *number != 50).map(|number| format!("/many/{number:04}"));
    let others: Vec<_> = others.collect();
    let reading = async {
        let checks = join_all(others.iter().map(|path| comes(scenario, path))).await;
        wait(PATIENCE).await;
        checks
    };
    let (checks, came) = match select(pin!(waiting), pin!(reading)).await {
        Either::Left((read, _)) => (Vec::new(), Some(read.is_ok())),
        Either::Right((checks, _)) => (checks, None),
    };
    let broken: Vec<_> = checks.iter().filter_map(|check| check.broken.clone()).collect();
    vec![
        Check::that("nothing comes of the stalled one", came.is_none(), "something did"),
        Check::new("all others come meanwhile", broken),
        comes(scenario, "/many/0051").await,
    ]
}

async fn stalled_half_way(scenario: &Scenario) -> Vec<Check> {
    find(scenario).await;
    let (mut stream, end) = importer::read("/large".to_owned()).await.unwrap();
    let mut bytes = Vec::new();
    loop {
        let reading = pin!(stream.read(Vec::with_capacity(1 << 20)));
        match select(reading, pin!(wait(PATIENCE))).await {
            Either::Left(((_, piece), _)) => bytes.extend(piece),
            Either::Right(_) => break,
        }
    }
    drop((stream, end));
    let begun = bytes.len() == 2 << 20 && own(scenario, "/large").starts_with(&bytes);
    vec![
        Check::that("what came is the file's own", begun, format!("{} bytes", bytes.len())),
        comes(scenario, "/small").await,
    ]
}

async fn unknown(scenario: &Scenario) -> Vec<Check> {
    find(scenario).await;
    let mut checks = Vec::new();
    for (path, reason) in [
        ("/nowhere", Reason::NotFound),
        ("/dir/nowhere/else", Reason::NotFound),
        ("/", Reason::Unsupported),
        ("/../a.txt", Reason::Unsupported),
        ("a.txt", Reason::Unsupported),
    ] {
        let (_, read) = taken(importer::read(path.to_owned()).await).await;
        checks.push(Check::end(&format!("a read of `{path}`"), Err(reason), &read));
    }
    checks
}
