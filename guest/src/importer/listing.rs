//! Listing of a scan: one pass over the remote, and another one around each cycle of links.

use futures::SinkExt;
use futures::channel::mpsc;
use std::collections::HashSet;
use wit_bindgen::{StreamReader, StreamResult};

use super::events::EventSender;
use super::link_cycles::{CycleDetector, LinkCycle, path_hash};
use crate::bindings::plakar::connector::rclone::{self, ListError, ListOptions};
use crate::bindings::plakar::connector::types::{Failure, Reason};
use crate::lsjson::Item;
use crate::lsjson::parser::Parser;
use crate::lsjson::run::{READ_BYTES, READ_ERRORS};
use crate::path::{RemotePath, join};

/// Maximum number of paths to list again after a listing.
const MAX_RETRYABLE: usize = 10_000;

/// Maximum number of link cycles that a scan leaves out: each costs another listing.
const MAX_CYCLES: usize = 100;

/// Number of groups of items that may wait for their receiver.
const CHANNEL_CAPACITY: usize = 2;

/// Properties of the remote on which a listing depends.
#[derive(Clone, Copy)]
pub struct ListingConfig {
    /// Whether the backend follows links, so that there may be cycles.
    pub follows_links: bool,
    /// Whether temporary errors are kept for another try instead of being sent.
    pub keeps_retryable: bool,
}

/// Listing in progress. The items have to be received while the end is awaited.
pub struct Listing<E> {
    pub items: mpsc::Receiver<Vec<Item>>,
    /// Future of the summary.
    pub end: E,
}

/// Summary of a listing.
#[derive(Default)]
pub struct ListingSummary {
    /// Number of items listed.
    pub items: usize,
    /// Failure of the first path that could not be listed.
    pub first_error: Option<Failure>,
    /// Temporary errors, which were not sent.
    pub retryable: Vec<ListError>,
    /// Hashes of the paths with an error, where there may be another pass.
    reported: HashSet<u64>,
}

/// Starts a listing. Item paths are relative to the remote's root, whichever directory is
/// listed. Errors of single paths are sent to `errors`.
///
/// # Errors
///
/// rclone cannot be started.
pub async fn start(
    selection: ListOptions,
    config: ListingConfig,
    errors: EventSender,
) -> Result<Listing<impl Future<Output = Result<ListingSummary, Failure>>>, Failure> {
    let first_pass = rclone::list(selection.clone()).await?;
    let (sender, items) = mpsc::channel(CHANNEL_CAPACITY);
    let passes = Passes {
        selection,
        config,
        items: sender,
        errors,
        cycles: CycleDetector::new(config.follows_links),
        summary: ListingSummary::default(),
    };
    Ok(Listing { items, end: passes.run(first_pass) })
}

/// All passes of a listing.
struct Passes {
    selection: ListOptions,
    config: ListingConfig,
    items: mpsc::Sender<Vec<Item>>,
    errors: EventSender,
    cycles: CycleDetector,
    summary: ListingSummary,
}

impl Passes {
    /// Runs passes until one has no cycle.
    async fn run(mut self, mut pass: rclone::Listing) -> Result<ListingSummary, Failure> {
        while let Some(cycle) = self.run_pass(pass).await? {
            if self.selection.excluded.len() == MAX_CYCLES {
                return Err(cycle.into());
            }
            self.selection.excluded.push(cycle.path.clone());
            let path = join(&self.selection.directory, &cycle.path);
            self.errors.send_errors(vec![ListError { path, failure: cycle.into() }]).await;
            self.cycles.start_pass();
            pass = rclone::list(self.selection.clone()).await?;
        }
        Ok(self.summary)
    }

    /// Runs one pass. Returns the cycle that ended it early.
    async fn run_pass(
        &mut self,
        (lines, list_errors, end): rclone::Listing,
    ) -> Result<Option<LinkCycle>, Failure> {
        let Self { selection, config, items, errors, cycles, summary } = self;
        let directory = selection.directory.as_str();
        let reading = read_items(lines, directory, items, cycles);
        let reporting = report_errors(list_errors, directory, *config, errors, summary);
        let (pass, ()) = futures::join!(reading, reporting);
        // On an error the listing is dropped, so its end would only report that.
        let Pass { item_count, end: pass_end } = pass?;
        summary.items += item_count;
        match pass_end {
            PassEnd::Bracket => end.await?,
            PassEnd::NoBracket => {
                end.await?;
                if summary.first_error.is_none() {
                    return Err(Failure::new(
                        Reason::Corrupted,
                        "rclone's listing ended before its end",
                    )
                    .with_help("run the backup again"));
                }
            }
            PassEnd::Cycle(cycle) => return Ok(Some(cycle)),
        }
        Ok(None)
    }
}

/// Result of one pass.
struct Pass {
    /// Number of items that no earlier pass listed.
    item_count: usize,
    end: PassEnd,
}

/// End of a pass.
enum PassEnd {
    /// The closing bracket.
    Bracket,
    /// The end of the stream, without a bracket.
    NoBracket,
    /// A cycle of links, at which the pass was dropped.
    Cycle(LinkCycle),
}

/// Reads one pass, and sends the items that no earlier pass listed.
async fn read_items(
    mut lines: StreamReader<u8>,
    directory: &str,
    sender: &mut mpsc::Sender<Vec<Item>>,
    cycles: &mut CycleDetector,
) -> Result<Pass, Failure> {
    let mut item_count = 0;
    let mut parser = Parser::default();
    let mut buffer = Vec::with_capacity(READ_BYTES);
    loop {
        let (result, bytes) = lines.read(buffer).await;
        let mut items = Vec::new();
        let mut parsed = parser.feed(&bytes, |item| items.push(item)).map(|()| None);
        if parsed.is_ok() && !matches!(result, StreamResult::Complete(_)) {
            parsed = parser.end(|item| items.push(item)).map(Some);
        }
        let cycle = cycles.add(&mut items).err();
        item_count += items.len();
        if !directory.is_empty() {
            for item in &mut items {
                item.path = join(directory, &item.path);
            }
        }
        if !items.is_empty() && sender.send(items).await.is_err() {
            return Err(Failure::new(Reason::Cancelled, "the scan was cancelled"));
        }
        if let Some(cycle) = cycle {
            return Ok(Pass { item_count, end: PassEnd::Cycle(cycle) });
        }
        if let Some(is_closed) = parsed? {
            let end = if is_closed { PassEnd::Bracket } else { PassEnd::NoBracket };
            return Ok(Pass { item_count, end });
        }
        buffer = bytes;
        buffer.clear();
    }
}

/// Sends the errors of single paths, except for temporary ones that are kept for another try.
/// If there may be another pass, each path is reported once.
async fn report_errors(
    mut list_errors: StreamReader<ListError>,
    directory: &str,
    config: ListingConfig,
    sender: &mut EventSender,
    summary: &mut ListingSummary,
) {
    loop {
        let (result, read) = list_errors.read(Vec::with_capacity(READ_ERRORS)).await;
        let mut errors = Vec::new();
        for ListError { path, failure } in read {
            let error = ListError { path: join(directory, &path), failure };
            if config.follows_links && !summary.reported.insert(path_hash(&error.path)) {
                continue;
            }
            summary.first_error.get_or_insert_with(|| error.failure.clone());
            if config.keeps_retryable
                && is_retryable(&error)
                && summary.retryable.len() < MAX_RETRYABLE
            {
                summary.retryable.push(error);
            } else {
                errors.push(error);
            }
        }
        sender.send_errors(errors).await;
        if !matches!(result, StreamResult::Complete(_)) {
            return;
        }
    }
}

/// Reports whether a server may answer when it is asked for the path once more.
fn is_retryable(error: &ListError) -> bool {
    matches!(error.failure.reason, Reason::RateLimited | Reason::Unavailable)
        && RemotePath::parse(&error.path).is_ok()
}
