//! A backup as Plakar makes it: entries arrive, files are read, each entry is acknowledged.

use futures::future::join_all;
use scenarios::backup::{Backup, Observed, Reading, Record, Seen, judge};
use scenarios::types::{Entry, Kind};
use scenarios::{Check, Scenario};
use wit_bindgen::{StreamResult, StreamWriter};

use crate::bindings::plakar::connector::importer::{self, ScanEvent};
use crate::bindings::wit_stream;
use crate::contents::read_all;

/// Runs the scans of a backup, and checks what they find.
pub async fn run(scenario: &Scenario, backup: &Backup) -> Vec<Check> {
    let opened = importer::open(scenario.granted_remote()).await.map(drop);
    let mut checks = vec![Check::end("opening", Ok(()), &opened)];
    if opened.is_err() {
        return checks;
    }
    for number in 0..backup.scans {
        let seen = scan(backup.reading).await;
        for check in judge(scenario, backup, number, &seen) {
            // Each promise is printed once for all scans.
            match checks.iter_mut().find(|known| known.promise == check.promise) {
                Some(known) if known.broken.is_some() => {}
                Some(known) => {
                    known.broken = check.broken.map(|why| format!("scan {number}: {why}"));
                }
                None => checks.push(check),
            }
        }
    }
    checks
}

/// Runs one scan, and reads the files that it finds.
async fn scan(reading: Reading) -> Observed {
    let (sender, acknowledged) = wit_stream::new();
    let mut acknowledgements = Acknowledgements(Some(sender));
    let (mut events, end) = importer::scan(acknowledged).await;
    let mut records = Vec::new();
    loop {
        let (result, read_events) = events.read(Vec::with_capacity(64)).await;
        for event in read_events {
            let (path, mut record) = record(event);
            if reading == Reading::InTurn {
                read(&path, &mut record).await;
            }
            if matches!(reading, Reading::InTurn | Reading::Nothing) {
                acknowledgements.send(&path).await;
            }
            records.push((path, record));
        }
        if !matches!(result, StreamResult::Complete(_)) {
            break;
        }
    }
    let end = end.await;
    match reading {
        Reading::AtOnce => {
            join_all(records.iter_mut().map(|(path, record)| read(path, record))).await;
        }
        Reading::Backwards => {
            for (path, record) in records.iter_mut().rev() {
                read(path, record).await;
                acknowledgements.send(path).await;
            }
        }
        Reading::InTurn | Reading::Nothing => {}
    }
    Observed { records, end }
}

/// Sender of acknowledged paths, until the connector drops the stream.
struct Acknowledgements(Option<StreamWriter<String>>);

impl Acknowledgements {
    async fn send(&mut self, path: &str) {
        if let Some(sender) = &mut self.0
            && !sender.write_all(vec![path.to_owned()]).await.is_empty()
        {
            self.0 = None;
        }
    }
}

async fn read(path: &str, record: &mut Record) {
    if let Record::Found(seen) = record
        && !seen.directory
    {
        seen.read = Some(read_all(importer::read(path.to_owned()).await).await);
    }
}

fn record(event: ScanEvent) -> (String, Record) {
    match event {
        ScanEvent::Error((path, why)) => (path, Record::Failed(why)),
        ScanEvent::Entry(Entry { path, metadata, .. }) => {
            let seconds = u64::try_from(metadata.modified.seconds).unwrap_or_default();
            let seen = Seen {
                directory: matches!(metadata.kind, Kind::Directory),
                size: metadata.size,
                modified: (seconds, metadata.modified.nanoseconds),
                identity: metadata.identity,
                read: None,
            };
            (path, Record::Found(seen))
        }
    }
}
