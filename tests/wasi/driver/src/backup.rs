//! A backup as Plakar makes it: records come, files are read, each record is settled.

use futures::future::join_all;
use scenarios::backup::{Backup, Observed, Reading, Record, Seen, judge};
use scenarios::{Check, Scenario};
use wit_bindgen::{StreamResult, StreamWriter};

use crate::bindings::plakar::connector::importer::{self, Discovery};
use crate::bindings::plakar::connector::types::{Entry, Kind};
use crate::bindings::wit_stream;
use crate::session::{failure, remote, taken};

pub async fn run(scenario: &Scenario, backup: &Backup) -> Vec<Check> {
    let opened = importer::open(remote(scenario)).await.map(drop).map_err(failure);
    let mut checks = vec![Check::end("opening", Ok(()), &opened)];
    if opened.is_err() {
        return checks;
    }
    for number in 0..backup.scans {
        let seen = scan(backup.reading).await;
        for check in judge(scenario, backup, number, &seen) {
            // A promise is one line, however many scans keep it.
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

/// Scans once, and reads what is found.
async fn scan(reading: Reading) -> Observed {
    let (settle, settled) = wit_stream::new();
    let mut settling = Settling(Some(settle));
    let (mut found, end) = importer::scan(settled).await;
    let mut records = Vec::new();
    loop {
        let (result, some) = found.read(Vec::with_capacity(64)).await;
        for discovery in some {
            let (path, mut record) = record(discovery);
            if reading == Reading::InTurn {
                read(&path, &mut record).await;
            }
            if matches!(reading, Reading::InTurn | Reading::Nothing) {
                settling.settle(&path).await;
            }
            records.push((path, record));
        }
        if !matches!(result, StreamResult::Complete(_)) {
            break;
        }
    }
    let end = end.await.map_err(failure);
    match reading {
        Reading::AtOnce => {
            join_all(records.iter_mut().map(|(path, record)| read(path, record))).await;
        }
        Reading::Backwards => {
            for (path, record) in records.iter_mut().rev() {
                read(path, record).await;
                settling.settle(path).await;
            }
        }
        Reading::InTurn | Reading::Nothing => {}
    }
    Observed { records, end }
}

/// Tells what is settled, to a connector that wants to know.
struct Settling(Option<StreamWriter<String>>);

impl Settling {
    async fn settle(&mut self, path: &str) {
        if let Some(settle) = &mut self.0
            && !settle.write_all(vec![path.to_owned()]).await.is_empty()
        {
            self.0 = None;
        }
    }
}

async fn read(path: &str, record: &mut Record) {
    if let Record::Found(seen) = record
        && !seen.directory
    {
        seen.read = Some(taken(importer::read(path.to_owned()).await).await);
    }
}

fn record(discovery: Discovery) -> (String, Record) {
    match discovery {
        Discovery::Failed((path, why)) => (path, Record::Failed(failure(why))),
        Discovery::Found(Entry { path, metadata, .. }) => {
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
