//! The importer's scan: rclone's listing, entry by entry.

use futures::channel::mpsc;
use futures::{FutureExt, SinkExt, Stream, StreamExt, stream};
use std::pin::pin;
use std::rc::Rc;
use wit_bindgen::{FutureReader, StreamReader, StreamResult, StreamWriter, spawn_local};

use crate::bindings::exports::plakar::connector::importer::Discovery;
use crate::bindings::plakar::connector::rclone::{self, Selection, Trouble};
use crate::bindings::plakar::connector::types::{
    Entry, Failure, Kind, Metadata, Reason, Timestamp,
};
use crate::bindings::{wit_future, wit_stream};
use crate::cycle::Cycles;
use crate::duplicates::Seen;
use crate::listing::{Item, Parser};
use crate::path::RemotePath;
use crate::photos;
use crate::photos::once::Photo;
use crate::session::{self, Session};
use crate::times::{self, Known};

/// How many paths are asked for again after a listing.
const REFUSED: usize = 10_000;

/// How much of the listing is taken at once.
const PIECE: usize = 64 * 1024;

/// Reaches the remote: lists until an entry came, which only the remote can tell.
pub async fn ping() -> Result<(), Failure> {
    let session = session::current()?;
    let directory = match &session.photos {
        Some(_) => photos::views::probe(session.root.path()).to_owned(),
        None => String::new(),
    };
    let selection = Selection {
        directory,
        recursive: false,
        hashes: false,
        server_times: true,
        files: None,
        excluded: Vec::new(),
    };
    let (mut lines, mut troubles, end) = rclone::list(selection).await?;
    loop {
        let (result, piece) = lines.read(Vec::with_capacity(PIECE)).await;
        if piece.contains(&b'{') {
            return Ok(());
        }
        if !matches!(result, StreamResult::Complete(_)) {
            // The end may wait until the troubles before it are taken.
            let first = async move {
                let (_, some) = troubles.read(Vec::with_capacity(1)).await;
                some
            };
            let (end, some) = futures::join!(end.into_future(), first);
            end?;
            return some.into_iter().next().map_or(Ok(()), |trouble| Err(trouble.failure));
        }
    }
}

/// Starts the scan, which goes on after this returns.
pub fn scan(
    settled: StreamReader<String>,
) -> (StreamReader<Discovery>, FutureReader<Result<(), Failure>>) {
    let (discoveries, found) = wit_stream::new();
    let (ended, end) = wit_future::new(|| Err(Failure::internal("the scan was given up")));
    spawn_local(async move {
        let result = match session::current() {
            Ok(session) => {
                spawn_local(settle(session.clone(), settled));
                run(&session, discoveries).await
            }
            Err(failure) => {
                // Whoever takes the entries first learns that there are none.
                drop(discoveries);
                Err(failure)
            }
        };
        // Nobody waiting for the end is as good as an end.
        let _ = ended.write(result).await;
    });
    (found, end)
}

/// Forgets what Plakar is done with.
async fn settle(session: Rc<Session>, mut settled: StreamReader<String>) {
    loop {
        let (result, paths) = settled.read(Vec::with_capacity(256)).await;
        for path in &paths {
            session.ahead.settled(path);
        }
        if !matches!(result, StreamResult::Complete(_)) {
            return;
        }
    }
}

async fn run(session: &Session, mut output: StreamWriter<Discovery>) -> Result<(), Failure> {
    let (found, mut discoveries) = mpsc::channel::<Vec<Discovery>>(2);
    let finding = async {
        let ended = match &session.photos {
            Some(photos) => photos::scan::scan(session, photos, found.clone()).await,
            None => everything(session, found.clone()).await,
        };
        session.ahead.listed();
        found.clone().close_channel();
        ended
    };
    let sending = async {
        output.write_all(vec![Discovery::Found(root_entry(session))]).await;
        while let Some(some) = discoveries.next().await {
            if !output.write_all(some).await.is_empty() {
                // Nobody reads on: closing the channel stops the others.
                return discoveries.close();
            }
        }
    };
    let (ended, ()) = futures::join!(finding, sending);
    ended
}

/// Lists all that there is, in one listing.
async fn everything(session: &Session, found: mpsc::Sender<Vec<Discovery>>) -> Result<(), Failure> {
    let costly = times::are_costly(session);
    let selection = Selection {
        directory: String::new(),
        recursive: true,
        hashes: session.lists_hashes() && !costly,
        server_times: costly || !session.options.own_times,
        files: None,
        excluded: Vec::new(),
    };
    let Listing { items, end } = begin(session, selection, found.clone()).await?;
    let knowing = async {
        if costly {
            discover(session, times::own(session, items), found.clone()).await;
        } else {
            let known = items.map(|some| some.into_iter().map(Ok).collect());
            discover(session, known, found.clone()).await;
        }
    };
    let (ended, ()) = futures::join!(end, knowing);
    let Listed { mut items, first, refused } = ended?;
    if !refused.is_empty() {
        items += again(session, refused, found).await;
    }
    match first {
        // What was there yesterday must not become an empty snapshot.
        Some(failure) if items == 0 => Err(failure),
        None if items == 0 && session.is_nothing_missing() => Err(Failure::new(
            Reason::NotFound,
            "nothing is there, and this backend has no empty directories: check the path",
        )),
        _ => Ok(()),
    }
}

/// Looks up what the server refused while everything was listed at once; says how many
/// were found.
async fn again(
    session: &Session,
    refused: Vec<Trouble>,
    found: mpsc::Sender<Vec<Discovery>>,
) -> usize {
    let files: Vec<_> = refused.iter().map(|trouble| trouble.path.clone()).collect();
    let (mut known, mut failed) = times::found(session, files).await;
    let known: Vec<Known> = refused
        .into_iter()
        .map(|Trouble { path, failure }| match known.remove(&path) {
            Some(item) => Ok(item),
            None => Err((failed.remove(&path).unwrap_or(failure), path)),
        })
        .map(|known| known.map_err(|(failure, path)| (path, failure)))
        .collect();
    let count = known.iter().filter(|known| known.is_ok()).count();
    discover(session, stream::once(async { known }), found).await;
    count
}

/// A listing that has begun. Its items have to be taken while its end is waited for.
pub struct Listing<E> {
    pub items: mpsc::Receiver<Vec<Item>>,
    /// How it ended, once its items were taken.
    pub end: E,
}

/// What a listing came to.
pub struct Listed {
    /// How many objects it named.
    items: usize,
    /// Why the first path that could not be listed couldn't.
    first: Option<Failure>,
    /// What a server refused for a while, and isn't reported yet.
    refused: Vec<Trouble>,
}

/// Begins a listing. Paths that can't be listed go to `failed`.
pub async fn begin(
    session: &Session,
    selection: Selection,
    failed: mpsc::Sender<Vec<Discovery>>,
) -> Result<Listing<impl Future<Output = Result<Listed, Failure>>>, Failure> {
    let (lines, troubles, end) = rclone::list(selection).await?;
    let (items_in, items) = mpsc::channel(2);
    let end = async move {
        let listing = list(lines, items_in, Cycles::on(&session.backend));
        let (listed, reported) = futures::join!(listing, report(session, troubles, failed));
        let Reported { first, refused } = reported;
        // A listing that can't be understood is given up, so its end would only say that.
        let (items, complete) = listed?;
        end.await?;
        if !complete && first.is_none() {
            return Err(Failure::new(
                Reason::Corrupted,
                "rclone's listing ended before its end: run the backup again",
            ));
        }
        Ok(Listed { items, first, refused })
    };
    Ok(Listing { items, end })
}

/// A listing that is short enough to be had at once: its items, what can't be listed, and
/// how it ended.
pub async fn whole(selection: Selection) -> (Vec<Item>, Vec<Trouble>, Result<(), Failure>) {
    let (mut items, mut failed) = (Vec::new(), Vec::new());
    let ended = async {
        let (mut lines, mut troubles, end) = rclone::list(selection).await?;
        let taking = async {
            let mut parser = Parser::default();
            loop {
                let (result, piece) = lines.read(Vec::with_capacity(PIECE)).await;
                parser.feed(&piece, |item| items.push(item))?;
                if !matches!(result, StreamResult::Complete(_)) {
                    parser.end(|item| items.push(item))?;
                    return Ok::<(), Failure>(());
                }
            }
        };
        let telling = async {
            loop {
                let (result, some) = troubles.read(Vec::with_capacity(64)).await;
                failed.extend(some);
                if !matches!(result, StreamResult::Complete(_)) {
                    return;
                }
            }
        };
        let (taken, ()) = futures::join!(taking, telling);
        taken?;
        end.await
    }
    .await;
    (items, failed, ended)
}

/// The listing's own directory, which rclone doesn't list. Its time isn't known,
/// so it is the same at every backup.
fn root_entry(session: &Session) -> Entry {
    Entry {
        path: session.root.path().to_owned(),
        metadata: Metadata {
            kind: Kind::Directory,
            size: Some(0),
            permissions: 0o755,
            modified: Timestamp { seconds: 0, nanoseconds: 0 },
            identity: None,
        },
        link_target: None,
    }
}

/// Takes the listing apart; says how many objects it named, and whether it came to its end.
async fn list(
    mut lines: StreamReader<u8>,
    mut items: mpsc::Sender<Vec<Item>>,
    mut cycles: Cycles,
) -> Result<(usize, bool), Failure> {
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
        count += some.len();
        some.iter().try_for_each(|item| cycles.add(item))?;
        if !some.is_empty() && items.send(some).await.is_err() {
            return Err(Failure::new(Reason::Cancelled, "the scan was cancelled"));
        }
        if let Some(complete) = parsed? {
            return Ok((count, complete));
        }
        buffer = piece;
        buffer.clear();
    }
}

/// Turns what is known into discoveries.
async fn discover(
    session: &Session,
    known: impl Stream<Item = Vec<Known>>,
    mut found: mpsc::Sender<Vec<Discovery>>,
) {
    let mut seen = Seen::on(&session.backend);
    let mut known = pin!(known);
    while let Some(some) = known.next().await {
        let discoveries = some.into_iter().map(|known| match known {
            Ok(item) => discovery(session, &mut seen, &item, None),
            Err((path, failure)) => Discovery::Failed((session.root.absolute(&path), failure)),
        });
        if found.send(discoveries.collect()).await.is_err() {
            // Dropping what is known stops the listing, which says so itself.
            return;
        }
    }
}

/// What came of reporting paths.
#[derive(Default)]
struct Reported {
    first: Option<Failure>,
    refused: Vec<Trouble>,
}

/// Reports the paths that rclone couldn't list, but for those that may be found when they
/// are asked for again.
async fn report(
    session: &Session,
    mut troubles: StreamReader<Trouble>,
    mut found: mpsc::Sender<Vec<Discovery>>,
) -> Reported {
    let mut reported = Reported::default();
    loop {
        let (result, some) = troubles.read(Vec::with_capacity(64)).await;
        let mut failed = Vec::new();
        for trouble in some {
            reported.first.get_or_insert_with(|| trouble.failure.clone());
            if is_for_a_while(&trouble)
                && session.photos.is_none()
                && reported.refused.len() < REFUSED
            {
                reported.refused.push(trouble);
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
            return reported;
        }
    }
}

/// Whether a server may answer when it is asked for the path once more.
fn is_for_a_while(trouble: &Trouble) -> bool {
    matches!(trouble.failure.reason, Reason::RateLimited | Reason::Unavailable)
        && RemotePath::parse(&trouble.path).is_ok()
}

/// An item as Plakar is told of it. `photo` is the photo that the path is one of.
pub fn discovery(
    session: &Session,
    seen: &mut Seen,
    item: &Item,
    photo: Option<&Rc<Photo>>,
) -> Discovery {
    let absolute = session.root.absolute(&item.path);
    if let Err(error) = RemotePath::parse(&item.path) {
        return Discovery::Failed((absolute, error.into()));
    }
    if !seen.insert(&item.path) {
        let message = "the remote holds another object of the same name in this directory, \
                       and only one of them was backed up: rename one of them (`rclone dedupe`)";
        return Discovery::Failed((absolute, Failure::new(Reason::Unsupported, message)));
    }
    let mut metadata = item.metadata();
    if matches!(metadata.kind, Kind::File) {
        session.ahead.found(&absolute, metadata.size, photo.cloned());
    } else if session.photos.is_some() {
        // rclone gives its own start as the time of every directory there.
        metadata.modified = Timestamp { seconds: 0, nanoseconds: 0 };
        // By this a restore knows the album again.
        metadata.identity = item.identity();
    }
    Discovery::Found(Entry { path: absolute, metadata, link_target: None })
}
