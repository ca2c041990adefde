//! Looks up files' own times where a listing has only those of the server.
//!
//! Some object stores keep the time of a file in its metadata, which costs a call
//! for each. `lsjson` makes these calls one after the other; looked up by name, many
//! are made at the same time.

use futures::stream::{self, Stream, StreamExt};
use std::collections::HashMap;

use crate::bindings::plakar::connector::rclone::Selection;
use crate::bindings::plakar::connector::types::{Failure, Reason};
use crate::listing::Item;
use crate::path::RemotePath;
use crate::scan;
use crate::session::Session;

/// Backends whose listing doesn't hold the times that files had when they were
/// uploaded (those whose `ModTime()` reads metadata, see rclone's documentation of
/// `--use-server-modtime`).
const COSTLY: [&str; 2] = ["s3", "swift"];

/// How many files are looked up by one process...
const GROUP: usize = 1000;
/// ...and how many of these run at the same time.
const PROCESSES: usize = 2;

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
    let files = items.iter().filter(|item| !item.is_dir && RemotePath::parse(&item.path).is_ok());
    let files: Vec<String> = files.map(|item| item.path.clone()).collect();
    if files.is_empty() {
        return items.into_iter().map(Ok).collect();
    }
    let selection = Selection {
        directory: String::new(),
        recursive: true,
        hashes: session.lists_hashes(),
        server_times: false,
        files: Some(files),
        excluded: Vec::new(),
    };
    // What could not be looked up is missing.
    let (found, ended) = scan::whole(selection).await;
    let mut own: HashMap<_, _> = found.into_iter().map(|item| (item.path.clone(), item)).collect();
    let known = |item: Item| match own.remove(&item.path) {
        Some(item) => Ok(item),
        None if item.is_dir => Ok(item),
        None => {
            let gone = "it was removed while the remote was listed: run the backup again";
            let failure = ended.clone().err();
            Err((item.path, failure.unwrap_or_else(|| Failure::new(Reason::NotFound, gone))))
        }
    };
    items.into_iter().map(known).collect()
}
