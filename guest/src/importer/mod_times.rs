//! Looks up files' own times where a listing has only those of the server.
//!
//! Some object stores keep the time of a file in its metadata, which costs a call
//! for each. `lsjson` makes these calls one after the other; looked up by name, many
//! are made at the same time.

use futures::stream::{self, Stream, StreamExt};
use std::collections::HashMap;

use crate::bindings::plakar::connector::rclone::Selection;
use crate::bindings::plakar::connector::types::{Failure, Reason};
use crate::importer::scan;
use crate::lsjson::parser::Item;
use crate::path::RemotePath;
use crate::session::Session;

/// Backends whose listing doesn't hold the times that files had when they were
/// uploaded (those whose `ModTime()` reads metadata, see rclone's documentation of
/// `--use-server-modtime`).
const COSTLY: [&str; 2] = ["s3", "swift"];

/// How many files are looked up by one process...
const GROUP: usize = 1000;
/// ...and how many of these run at the same time.
const PROCESSES: usize = 2;

/// How many processes look up the files of a group in which some fail.
const TRIES: usize = 200;

/// Whether the times of this session's files have to be looked up.
pub fn are_costly(session: &Session) -> bool {
    session.options.own_times && COSTLY.contains(&session.backend.as_str())
}

/// One item of a listing, or why it can't be had.
pub type Known = Result<Item, (String, Failure)>;

/// Gives the items, in their order, with the files' own times.
pub fn own<'a>(
    session: &'a Session,
    items: impl Stream<Item = Vec<Item>> + Unpin + 'a,
) -> impl Stream<Item = Vec<Known>> + 'a {
    groups(items).map(|group| look_up(session, group)).buffered(PROCESSES)
}

/// Collects items until there are enough for a process.
fn groups(items: impl Stream<Item = Vec<Item>> + Unpin) -> impl Stream<Item = Vec<Item>> {
    stream::unfold(items, async |mut items| {
        let mut group: Vec<Item> = Vec::new();
        while group.len() < GROUP {
            match items.next().await {
                Some(some) => group.extend(some),
                None => break,
            }
        }
        (!group.is_empty()).then_some((group, items))
    })
}

async fn look_up(session: &Session, items: Vec<Item>) -> Vec<Known> {
    // A path that no snapshot can hold is reported as that, and can't be asked for.
    let files = items.iter().filter(|item| is_to_be_asked(item));
    let files: Vec<String> = files.map(|item| item.path.clone()).collect();
    if files.is_empty() {
        return items.into_iter().map(Ok).collect();
    }
    let (mut own, mut failed) = found(session, files).await;
    let known = |item: Item| match own.remove(&item.path) {
        Some(item) => Ok(item),
        None if !is_to_be_asked(&item) => Ok(item),
        None => {
            let gone = "it was removed while the remote was listed: run the backup again";
            let failure = failed.remove(&item.path);
            Err((item.path, failure.unwrap_or_else(|| Failure::new(Reason::NotFound, gone))))
        }
    };
    items.into_iter().map(known).collect()
}

fn is_to_be_asked(item: &Item) -> bool {
    !item.is_dir && RemotePath::parse(&item.path).is_ok()
}

/// Looks files up by their paths: those that were found, and why others could not be looked
/// up. What is in neither isn't there.
///
/// The first look-up that fails ends rclone's run. So the files that are missing then are
/// looked up again in halves, until the failure is one file's own.
pub async fn found(
    session: &Session,
    files: Vec<String>,
) -> (HashMap<String, Item>, HashMap<String, Failure>) {
    let (mut own, mut failed) = (HashMap::new(), HashMap::new());
    let mut groups = vec![files];
    for tries in 0.. {
        let Some(group) = groups.pop() else { break };
        let selection = Selection {
            directory: String::new(),
            recursive: true,
            hashes: session.lists_hashes(),
            server_times: !session.options.own_times,
            files: Some(group.clone()),
            excluded: Vec::new(),
        };
        let (some, troubles, ended) = scan::whole(selection).await;
        own.extend(some.into_iter().map(|item| (item.path.clone(), item)));
        failed.extend(troubles.into_iter().map(|trouble| (trouble.path, trouble.failure)));
        let Err(failure) = ended else { continue };
        let mut missing: Vec<_> =
            group.into_iter().filter(|path| !own.contains_key(path)).collect();
        missing.retain(|path| !failed.contains_key(path));
        if missing.len() > 1 && tries < TRIES && is_of_a_file(&failure) {
            let half = missing.split_off(missing.len() / 2);
            groups.extend([half, missing]);
        } else {
            failed.extend(missing.into_iter().map(|path| (path, failure.clone())));
        }
    }
    (own, failed)
}

/// Whether a failure may be that of one file among others.
fn is_of_a_file(failure: &Failure) -> bool {
    !matches!(
        failure.reason,
        Reason::InvalidConfiguration | Reason::Unauthenticated | Reason::Cancelled
    )
}
