//! A restore as Plakar makes it: entries and contents are sent one after the other, and results
//! arrive when they are known.

use futures::StreamExt;
use futures::future::{Either, select};
use futures::stream::FuturesUnordered;
use scenarios::restore::{self, Kind as Plan, Observed, Restore, judge};
use scenarios::types::{Content, Entry, Kind, Metadata, Timestamp};
use scenarios::{Check, Failure, Reason, Scenario, photos, tree};
use std::path::Path;
use std::pin::pin;

use crate::bindings::plakar::connector::exporter;
use crate::bindings::{wit_future, wit_stream};

/// Runs a restore, and checks its results and the destination.
pub async fn run(scenario: &Scenario, restore: &Restore, destination: &Path) -> Vec<Check> {
    let opened = exporter::open(scenario.granted_remote()).await.map(drop);
    let mut seen = Observed { opened, outcomes: Vec::new(), finished: None, left: [].into() };
    if seen.opened.is_ok() {
        let (outcomes, finished) = write(restore).await;
        seen.outcomes = outcomes;
        seen.finished = Some(finished);
    }
    let left =
        if scenario.is_photos() { photos::show(destination) } else { tree::show(destination) };
    seen.left = left.unwrap();
    judge(scenario, restore, &seen)
}

type Outcomes = Vec<(String, Result<(), Failure>)>;

/// Writes all entries. Each write begins when the content of the previous entry is sent, without
/// waiting for its result.
async fn write(restore: &Restore) -> (Outcomes, Result<(), Failure>) {
    let mut writes = FuturesUnordered::new();
    let mut outcomes = Vec::new();
    for entry in &restore.entries {
        let (contents, content) = content(entry).unzip();
        let path = entry.node.path.clone();
        let result = exporter::write(contract_entry(entry), content);
        let mut write = Box::pin(async move { (path, result.await) });
        // The first poll begins the write.
        match futures::poll!(&mut write) {
            std::task::Poll::Ready(outcome) => outcomes.push(outcome),
            std::task::Poll::Pending => writes.push(write),
        }
        if let Some(contents) = contents {
            let mut feeding = pin!(feed(entry, contents));
            // Meanwhile the results of earlier writes may arrive.
            while let Either::Right((Some(outcome), _)) = select(&mut feeding, writes.next()).await
            {
                outcomes.push(outcome);
            }
        }
    }
    let mut finishing = pin!(exporter::finish());
    let finished = loop {
        match select(&mut finishing, writes.next()).await {
            Either::Left((finished, _)) => break finished,
            Either::Right((Some(outcome), _)) => outcomes.push(outcome),
            Either::Right((None, _)) => break finishing.await,
        }
    };
    outcomes.extend(writes.collect::<Vec<_>>().await);
    (outcomes, finished)
}

/// Creates the entry that the connector receives.
fn contract_entry(
    restore::Entry { node, kind, identity, announced, .. }: &restore::Entry,
) -> Entry {
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

/// Writers of a content's bytes and of its end.
struct Contents {
    bytes: wit_bindgen::StreamWriter<u8>,
    end: wit_bindgen::FutureWriter<Result<(), Failure>>,
}

/// Creates the content of an entry that is a file.
fn content(entry: &restore::Entry) -> Option<(Contents, Content)> {
    entry.node.bytes.as_ref()?;
    let (bytes, stream) = wit_stream::new();
    let (end, ending) = wit_future::new(|| Err(Failure::new(Reason::Internal, "dropped")));
    Some((Contents { bytes, end }, (stream, ending)))
}

/// Sends a content, up to where it breaks.
async fn feed(entry: &restore::Entry, Contents { mut bytes, end }: Contents) {
    const CHUNK_BYTES: usize = 1 << 20;
    let all = entry.node.bytes.as_deref().unwrap_or_default();
    let sent = &all[..entry.breaks.unwrap_or(all.len())];
    for chunk in sent.chunks(CHUNK_BYTES) {
        if !bytes.write_all(chunk.to_vec()).await.is_empty() {
            break;
        }
    }
    drop(bytes);
    let ended = match entry.breaks {
        None => Ok(()),
        Some(_) => Err(Failure::new(Reason::Unavailable, "the snapshot's store disconnected")),
    };
    // The connector may have dropped the future.
    let _ = end.write(ended).await;
}
