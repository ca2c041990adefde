//! A restore as Plakar makes it: records and contents come one after the other, and
//! fates come back when they are known.

use futures::StreamExt;
use futures::future::{Either, select};
use futures::stream::FuturesUnordered;
use scenarios::restore::{self, Kind as Plan, Observed, Restore, judge};
use scenarios::{Check, Scenario, photos, tree};
use std::path::Path;
use std::pin::pin;

use crate::bindings::plakar::connector::exporter;
use crate::bindings::plakar::connector::types::{
    Content, Entry, Failure, Kind, Metadata, Reason, Timestamp,
};
use crate::bindings::{wit_future, wit_stream};
use crate::session::{failure, remote};

pub async fn run(scenario: &Scenario, restore: &Restore, destination: &Path) -> Vec<Check> {
    let opened = exporter::open(remote(scenario)).await.map(drop).map_err(failure);
    let mut seen = Observed { opened, outcomes: Vec::new(), finished: None, left: [].into() };
    if seen.opened.is_ok() {
        let (outcomes, finished) = write(restore).await;
        seen.outcomes = outcomes;
        seen.finished = Some(finished.map_err(failure));
    }
    seen.left = match scenario.is_photos() {
        true => photos::show(destination),
        false => tree::show(destination),
    }
    .unwrap();
    judge(scenario, restore, &seen)
}

type Outcomes = Vec<(String, Result<(), scenarios::Failure>)>;

/// Writes all entries. Each is begun when the one before has given its content, and
/// none is waited for.
async fn write(restore: &Restore) -> (Outcomes, Result<(), Failure>) {
    let mut fates = FuturesUnordered::new();
    let mut outcomes = Vec::new();
    for entry in &restore.entries {
        let (contents, content) = content(entry).unzip();
        let path = entry.node.path.clone();
        let told = exporter::write(told(entry), content);
        let mut fate = Box::pin(async move { (path, told.await.map_err(failure)) });
        // Begins it, in its turn.
        let begun = futures::poll!(&mut fate);
        match begun {
            std::task::Poll::Ready(outcome) => outcomes.push(outcome),
            std::task::Poll::Pending => fates.push(fate),
        }
        if let Some(contents) = contents {
            let mut feeding = pin!(feed(entry, contents));
            // Fates that come meanwhile are taken.
            while let Either::Right((Some(outcome), _)) = select(&mut feeding, fates.next()).await {
                outcomes.push(outcome);
            }
        }
    }
    let mut finishing = pin!(exporter::finish());
    let finished = loop {
        match select(&mut finishing, fates.next()).await {
            Either::Left((finished, _)) => break finished,
            Either::Right((Some(outcome), _)) => outcomes.push(outcome),
            Either::Right((None, _)) => break finishing.await,
        }
    };
    outcomes.extend(fates.collect::<Vec<_>>().await);
    (outcomes, finished)
}

/// The entry as the connector is told of it.
fn told(restore::Entry { node, kind, identity, announced, .. }: &restore::Entry) -> Entry {
    let size = node.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
    let kind = match (kind, &node.bytes) {
        (Plan::Symlink, _) => Kind::Symlink,
        (Plan::Other, _) => Kind::Other,
        (Plan::Node, None) => Kind::Directory,
        (Plan::Node, Some(_)) => Kind::File,
    };
    let (seconds, nanoseconds) = node.modified;
    Entry {
        path: format!("/{}", node.path),
        metadata: Metadata {
            kind,
            size: Some(announced.unwrap_or(size)),
            permissions: 0o644,
            modified: Timestamp { seconds: seconds.try_into().unwrap_or_default(), nanoseconds },
            identity: *identity,
        },
        link_target: matches!(kind, Kind::Symlink).then(|| "elsewhere".to_owned()),
    }
}

/// Where a content's bytes and its end go.
struct Contents {
    bytes: wit_bindgen::StreamWriter<u8>,
    end: wit_bindgen::FutureWriter<Result<(), Failure>>,
}

fn content(entry: &restore::Entry) -> Option<(Contents, Content)> {
    entry.node.bytes.as_ref()?;
    let (bytes, stream) = wit_stream::new();
    let given_up = || Err(Failure { reason: Reason::Internal, message: "given up".to_owned() });
    let (end, ending) = wit_future::new(given_up);
    Some((Contents { bytes, end }, (stream, ending)))
}

/// Gives the content, as far as it comes.
async fn feed(entry: &restore::Entry, Contents { mut bytes, end }: Contents) {
    const CHUNK: usize = 1 << 20;
    let all = entry.node.bytes.as_deref().unwrap_or_default();
    let whole = &all[..entry.breaks.unwrap_or(all.len())];
    for chunk in whole.chunks(CHUNK) {
        if !bytes.write_all(chunk.to_vec()).await.is_empty() {
            break;
        }
    }
    drop(bytes);
    let ended = match entry.breaks {
        None => Ok(()),
        Some(_) => {
            let message = "the snapshot's store broke off".to_owned();
            Err(Failure { reason: Reason::Unavailable, message })
        }
    };
    // Whoever doesn't wait for the end doesn't want it.
    let _ = end.write(ended).await;
}
