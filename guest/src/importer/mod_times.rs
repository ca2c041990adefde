//! Lookup of single files, by which their modification times are found where a listing has only
//! the server's.
//!
//! Some object stores keep the modification time of a file in its metadata, which costs a call
//! for each. `lsjson` makes these calls one after the other. Files that are looked up by name
//! are looked up at the same time.

use futures::stream::{self, Stream, StreamExt};
use std::collections::HashMap;

use crate::bindings::plakar::connector::rclone::{ListError, ListOptions};
use crate::bindings::plakar::connector::types::{Failure, Reason};
use crate::lsjson::Item;
use crate::lsjson::run::{ListOutput, collect};
use crate::path::RemotePath;

/// Number of files that one process looks up.
const GROUP_SIZE: usize = 1000;

/// Number of processes that look up files at the same time.
const MAX_PROCESSES: usize = 2;

/// Maximum number of processes for one group of files with failures.
const MAX_PROCESSES_PER_GROUP: usize = 200;

/// Result of a listing or a lookup for one path.
pub type LookupResult = Result<Item, ListError>;

/// Lookup of files by their paths.
#[derive(Clone, Copy)]
pub struct FileLookup {
    /// Whether to request content hashes.
    pub hashes: bool,
    /// Whether to take the server's times, which cost no call.
    pub server_times: bool,
}

impl FileLookup {
    /// Replaces the files among some items, whose order is kept, by what a lookup finds.
    pub fn replace_files(
        self,
        items: impl Stream<Item = Vec<Item>> + Unpin,
    ) -> impl Stream<Item = Vec<LookupResult>> {
        groups(items).map(move |group| self.replace_group(group)).buffered(MAX_PROCESSES)
    }

    async fn replace_group(self, items: Vec<Item>) -> Vec<LookupResult> {
        let files = items.iter().filter(|item| needs_lookup(item));
        let files: Vec<String> = files.map(|item| item.path.clone()).collect();
        if files.is_empty() {
            return items.into_iter().map(Ok).collect();
        }
        let (mut found, mut failed) = self.find(files).await;
        let replace = |item: Item| match found.remove(&item.path) {
            Some(item) => Ok(item),
            None if !needs_lookup(&item) => Ok(item),
            None => {
                let failure = failed.remove(&item.path).unwrap_or_else(removed);
                Err(ListError { path: item.path, failure })
            }
        };
        items.into_iter().map(replace).collect()
    }

    /// Looks up files. Returns those that exist and the failures of others, by their paths. A
    /// path in neither doesn't exist.
    ///
    /// The first lookup that fails ends rclone's run. The files without a result are then
    /// looked up again in halves, until the failure belongs to one file.
    pub async fn find(
        self,
        files: Vec<String>,
    ) -> (HashMap<String, Item>, HashMap<String, Failure>) {
        let (mut found, mut failed) = (HashMap::new(), HashMap::new());
        let mut groups = vec![files];
        for tries in 0.. {
            let Some(group) = groups.pop() else { break };
            let ListOutput { items, errors, result } = collect(self.selection(&group)).await;
            found.extend(items.into_iter().map(|item| (item.path.clone(), item)));
            failed.extend(errors.into_iter().map(|error| (error.path, error.failure)));
            let Err(failure) = result else { continue };
            let mut missing: Vec<_> =
                group.into_iter().filter(|path| !found.contains_key(path)).collect();
            missing.retain(|path| !failed.contains_key(path));
            if missing.len() > 1 && tries < MAX_PROCESSES_PER_GROUP && may_be_of_one_file(&failure)
            {
                let half = missing.split_off(missing.len() / 2);
                groups.extend([half, missing]);
            } else {
                failed.extend(missing.into_iter().map(|path| (path, failure.clone())));
            }
        }
        (found, failed)
    }

    fn selection(self, files: &[String]) -> ListOptions {
        ListOptions {
            hashes: self.hashes,
            server_times: self.server_times,
            files: Some(files.to_vec()),
            ..ListOptions::descendants("")
        }
    }
}

/// Collects items into groups that are large enough for a process.
fn groups(items: impl Stream<Item = Vec<Item>> + Unpin) -> impl Stream<Item = Vec<Item>> {
    stream::unfold(items, async |mut items| {
        let mut group: Vec<Item> = Vec::new();
        while group.len() < GROUP_SIZE {
            match items.next().await {
                Some(next) => group.extend(next),
                None => break,
            }
        }
        (!group.is_empty()).then_some((group, items))
    })
}

/// Reports whether an item is a file that can be looked up. An invalid path cannot: it becomes
/// an error later.
fn needs_lookup(item: &Item) -> bool {
    !item.is_dir && RemotePath::parse(&item.path).is_ok()
}

fn removed() -> Failure {
    Failure::new(Reason::NotFound, "it was removed while the remote was listed")
        .with_help("run the backup again")
}

/// Reports whether a run may have failed because of one of its files.
fn may_be_of_one_file(failure: &Failure) -> bool {
    !matches!(
        failure.reason,
        Reason::InvalidConfiguration | Reason::Unauthenticated | Reason::Cancelled
    )
}
