//! Scan of a remote, in one listing, and of what a server temporarily refused, once more.

use futures::{Stream, StreamExt, stream};
use std::collections::HashSet;
use std::pin::pin;

use super::events::{EntryBuilder, EventSender};
use super::listing::{self, Listing, ListingConfig, ListingSummary};
use super::mod_times::{FileLookup, LookupResult};
use super::prefetch::Prefetcher;
use crate::backends::{Backend, Feature};
use crate::bindings::exports::plakar::connector::importer::ScanEvent;
use crate::bindings::plakar::connector::rclone::{ListError, ListOptions};
use crate::bindings::plakar::connector::types::{Failure, Kind, Reason};
use crate::lsjson::Item;
use crate::lsjson::run;

/// Maximum number of further tries for paths with a temporary error.
const MAX_RETRIES: usize = 5;

/// Scan of one remote.
pub struct Scan<'a> {
    pub backend: Backend,
    /// Whether files keep their own modification times.
    pub own_times: bool,
    /// Receives the files in the order of their entries.
    pub prefetcher: &'a Prefetcher,
    pub events: EventSender,
}

impl Scan<'_> {
    /// Runs the scan.
    ///
    /// # Errors
    ///
    /// The listing is not complete, or nothing could be listed.
    pub async fn run(self) -> Result<(), Failure> {
        let ListingSummary { items: mut item_count, first_error, mut retryable, .. } =
            self.list(String::new()).await?;
        for _ in 0..MAX_RETRIES {
            if retryable.is_empty() {
                break;
            }
            let (files, remaining) = self.retry_files(retryable).await;
            let (items, remaining) = self.retry_directories(remaining).await;
            item_count += files + items;
            retryable = remaining;
        }
        self.events.clone().send_errors(retryable).await;
        match first_error {
            // A remote that had files yesterday must not become an empty snapshot.
            Some(failure) if item_count == 0 => Err(failure),
            None if item_count == 0 && self.may_lack_root() => Err(Failure::new(
                Reason::NotFound,
                "nothing is there, and this backend has no empty directories",
            )
            .with_help("check the path")),
            _ => Ok(()),
        }
    }

    /// Reports whether an empty listing means that the root doesn't exist: it is in a bucket
    /// of an object store.
    fn may_lack_root(&self) -> bool {
        self.backend.has_feature(Feature::ObjectStore)
            && self.events.root().path().trim_matches('/').contains('/')
    }

    fn lookup(&self) -> FileLookup {
        FileLookup {
            hashes: self.backend.has_feature(Feature::FreeHashes),
            server_times: !self.own_times,
        }
    }

    /// Lists everything below a directory.
    async fn list(&self, directory: String) -> Result<ListingSummary, Failure> {
        let needs_lookup = self.own_times && self.backend.has_feature(Feature::CostlyModTimes);
        let lookup = self.lookup();
        let selection = ListOptions {
            hashes: lookup.hashes && !needs_lookup,
            server_times: lookup.server_times || needs_lookup,
            ..ListOptions::descendants(directory)
        };
        let config = ListingConfig {
            follows_links: self.backend.has_feature(Feature::FollowsLinks),
            keeps_retryable: true,
        };
        let Listing { items, end } = listing::start(selection, config, self.events.clone()).await?;
        let sending = async {
            if needs_lookup {
                self.send_items(lookup.replace_files(items)).await;
            } else {
                self.send_items(items.map(|items| items.into_iter().map(Ok).collect())).await;
            }
        };
        let (summary, ()) = futures::join!(end, sending);
        summary
    }

    /// Looks up the files among the paths with a temporary error. Returns the number of files
    /// found, and the remaining errors.
    async fn retry_files(&self, retryable: Vec<ListError>) -> (usize, Vec<ListError>) {
        let files = retryable.iter().map(|error| error.path.clone()).collect();
        let (mut found, mut failed) = self.lookup().find(files).await;
        let (mut items, mut remaining) = (Vec::<LookupResult>::new(), Vec::new());
        for ListError { path, failure } in retryable {
            match found.remove(&path) {
                Some(item) => items.push(Ok(item)),
                None => {
                    let failure = failed.remove(&path).unwrap_or(failure);
                    remaining.push(ListError { path, failure });
                }
            }
        }
        let count = items.len();
        self.send_items(stream::once(async { items })).await;
        (count, remaining)
    }

    /// Lists the directories among the paths with a temporary error, one after the other.
    /// Returns the number of items listed, and the remaining errors.
    async fn retry_directories(&self, retryable: Vec<ListError>) -> (usize, Vec<ListError>) {
        let (mut count, mut remaining) = (0, Vec::new());
        // The errors of one directory follow each other.
        let (mut listed, mut siblings) = (None, HashSet::new());
        for error in retryable {
            let (parent, name) = error.path.rsplit_once('/').unwrap_or(("", &error.path));
            if listed.as_deref() != Some(parent) {
                listed = Some(parent.to_owned());
                siblings = child_directories(parent).await;
            }
            // rclone lists a file as if it were a directory that contains the file.
            if !siblings.contains(name) {
                remaining.push(error);
                continue;
            }
            match self.list(error.path.clone()).await {
                Ok(summary) => {
                    count += summary.items;
                    remaining.extend(summary.retryable);
                }
                Err(_) => remaining.push(error),
            }
        }
        (count, remaining)
    }

    /// Sends the events of items.
    async fn send_items(&self, items: impl Stream<Item = Vec<LookupResult>>) {
        let mut entries = EntryBuilder::new(self.events.root().clone(), self.backend);
        let mut events = self.events.clone();
        let mut items = pin!(items);
        while let Some(results) = items.next().await {
            let results = results.into_iter();
            let group = results.map(|result| self.event(&mut entries, result)).collect();
            if !events.send(group).await {
                // Dropping the items ends the listing, which reports that itself.
                return;
            }
        }
    }

    fn event(&self, entries: &mut EntryBuilder, result: LookupResult) -> ScanEvent {
        let item = match result {
            Ok(item) => item,
            Err(ListError { path, failure }) => return self.events.error(&path, failure),
        };
        match entries.entry(&item) {
            Ok(entry) => {
                if matches!(entry.metadata.kind, Kind::File) {
                    self.prefetcher.queue(&entry.path, entry.metadata.size, false);
                }
                ScanEvent::Entry(entry)
            }
            Err(failure) => self.events.error(&item.path, failure),
        }
    }
}

/// Lists the names of the directories in a directory, as far as that succeeds.
async fn child_directories(directory: &str) -> HashSet<String> {
    let mut names = HashSet::new();
    let each = |item: Item| {
        if item.is_dir {
            names.insert(item.path);
        }
    };
    // A path that isn't listed keeps its error.
    let _ = run::for_each(ListOptions::children(directory), each).await;
    names
}
