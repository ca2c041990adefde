//! The listing of a scan: one pass over the remote, and another around each cycle of links.

use futures::channel::mpsc;
use futures::{FutureExt, SinkExt};
use std::collections::HashSet;
use wit_bindgen::{StreamReader, StreamResult};

use super::link_cycles::{Cycle, Cycles, digest};
use super::scan::PIECE;
use crate::bindings::exports::plakar::connector::importer::Discovery;
use crate::bindings::plakar::connector::rclone::{self, Selection, Trouble};
use crate::bindings::plakar::connector::types::{Failure, Reason};
use crate::lsjson::parser::{Item, Parser};
use crate::path::RemotePath;
use crate::session::Session;

/// How many paths are asked for again after a listing.
const REFUSED: usize = 10_000;

/// How many cycles of links a scan goes around: each costs another listing.
const CYCLES: usize = 100;

/// A listing that has begun. Its items have to be taken while its end is waited for.
pub struct Listing<E> {
    pub items: mpsc::Receiver<Vec<Item>>,
    /// How it ended, once its items were taken.
    pub end: E,
}

/// What a listing came to.
#[derive(Default)]
pub struct Listed {
    /// How many objects it named.
    pub items: usize,
    /// Why the first path that could not be listed couldn't.
    pub first: Option<Failure>,
    /// What a server refused for a while, and isn't reported yet.
    pub refused: Vec<Trouble>,
    /// Digests of the paths that were reported, where there may be another pass.
    reported: HashSet<u64>,
}

/// Begins a listing. Its paths are relative to the remote's root, whatever directory is
/// listed. Those that can't be listed go to `failed`.
pub async fn begin(
    session: &Session,
    mut selection: Selection,
    mut failed: mpsc::Sender<Vec<Discovery>>,
) -> Result<Listing<impl Future<Output = Result<Listed, Failure>>>, Failure> {
    let mut pass = rclone::list(selection.clone()).await?;
    let (mut items_in, items) = mpsc::channel(2);
    let end = async move {
        let mut cycles = Cycles::on(&session.backend);
        let mut listed = Listed::default();
        loop {
            let (lines, troubles, end) = pass;
            let directory = &selection.directory;
            let follows = cycles.follows();
            let taking = take(lines, directory, &mut items_in, &mut cycles);
            let reporting = report(session, troubles, directory, &mut failed, &mut listed, follows);
            let (taken, ()) = futures::join!(taking, reporting);
            // A listing that can't be understood is given up, so its end would only say that.
            let Taken { items, end: last } = taken?;
            listed.items += items;
            match last {
                Last::Bracket => end.await?,
                Last::Cut => {
                    end.await?;
                    if listed.first.is_none() {
                        return Err(Failure::new(
                            Reason::Corrupted,
                            "rclone's listing ended before its end: run the backup again",
                        ));
                    }
                }
                Last::Cycle(cycle) if selection.excluded.len() == CYCLES => {
                    return Err(cycle.into());
                }
                Last::Cycle(cycle) => {
                    let path = session.root.absolute(&below(directory, cycle.path.clone()));
                    selection.excluded.push(cycle.path.clone());
                    // A closed channel ends the next listing, which says so itself.
                    let _ = failed.send(vec![Discovery::Failed((path, cycle.into()))]).await;
                    cycles.begin_pass();
                    pass = rclone::list(selection.clone()).await?;
                    continue;
                }
            }
            return Ok(listed);
        }
    };
    Ok(Listing { items, end })
}

/// What one pass came to.
struct Taken {
    /// How many objects it named that no pass before it had.
    items: usize,
    end: Last,
}

/// How one pass ended.
enum Last {
    /// With the bracket that closes it.
    Bracket,
    /// Without.
    Cut,
    /// It was given up at a cycle of links.
    Cycle(Cycle),
}

/// Takes one pass apart, and passes on what no pass before it has shown.
async fn take(
    mut lines: StreamReader<u8>,
    directory: &str,
    items: &mut mpsc::Sender<Vec<Item>>,
    cycles: &mut Cycles,
) -> Result<Taken, Failure> {
    let mut count = 0;
    let mut parser = Parser::default();
    let mut buffer = Vec::with_capacity(PIECE);
    loop {
        let (result, piece) = lines.read(buffer).await;
        let mut some = Vec::new();
        let mut parsed = parser.feed(&piece, |item| some.push(item)).map(|()| None);
        if parsed.is_ok() && !matches!(result, StreamResult::Complete(_)) {
            parsed = parser.end(|item| some.push(item)).map(Some);
        }
        let cycle = cycles.follow(&mut some).err();
        count += some.len();
        for item in &mut some {
            item.path = below(directory, std::mem::take(&mut item.path));
        }
        if !some.is_empty() && items.send(some).await.is_err() {
            return Err(Failure::new(Reason::Cancelled, "the scan was cancelled"));
        }
        if let Some(cycle) = cycle {
            return Ok(Taken { items: count, end: Last::Cycle(cycle) });
        }
        if let Some(complete) = parsed? {
            let end = if complete { Last::Bracket } else { Last::Cut };
            return Ok(Taken { items: count, end });
        }
        buffer = piece;
        buffer.clear();
    }
}

/// Reports the paths that rclone couldn't list, but for those that may be found when they
/// are asked for again; each path once, if there may be a pass `again`.
async fn report(
    session: &Session,
    mut troubles: StreamReader<Trouble>,
    directory: &str,
    found: &mut mpsc::Sender<Vec<Discovery>>,
    listed: &mut Listed,
    again: bool,
) {
    loop {
        let (result, some) = troubles.read(Vec::with_capacity(64)).await;
        let mut failed = Vec::new();
        for Trouble { path, failure } in some {
            let trouble = Trouble { path: below(directory, path), failure };
            if again && !listed.reported.insert(digest(&trouble.path)) {
                continue;
            }
            listed.first.get_or_insert_with(|| trouble.failure.clone());
            if is_for_a_while(&trouble)
                && session.photos.is_none()
                && listed.refused.len() < REFUSED
            {
                listed.refused.push(trouble);
            } else {
                let Trouble { path, failure } = trouble;
                failed.push(Discovery::Failed((session.root.absolute(&path), failure)));
            }
        }
        if !failed.is_empty() {
            // A closed channel ends the listing, which says so itself.
            found.send(failed).map(drop).await;
        }
        if !matches!(result, StreamResult::Complete(_)) {
            return;
        }
    }
}

/// A path below a directory as one below the root.
fn below(directory: &str, path: String) -> String {
    match (directory, path.as_str()) {
        ("", _) => path,
        (_, "") => directory.to_owned(),
        _ => format!("{directory}/{path}"),
    }
}

/// Whether a server may answer when it is asked for the path once more.
fn is_for_a_while(trouble: &Trouble) -> bool {
    matches!(trouble.failure.reason, Reason::RateLimited | Reason::Unavailable)
        && RemotePath::parse(&trouble.path).is_ok()
}
