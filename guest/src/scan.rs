//! The importer's scan: rclone's listing, entry by entry.

use futures::channel::mpsc;
use futures::{FutureExt, SinkExt, Stream, StreamExt};
use std::pin::pin;
use std::rc::Rc;
use wit_bindgen::{FutureReader, StreamReader, StreamResult, StreamWriter, spawn_local};

use crate::bindings::exports::plakar::connector::importer::Discovery;
use crate::bindings::plakar::connector::rclone::{self, Selection, Trouble};
use crate::bindings::plakar::connector::types::{
    Entry, Failure, Kind, Metadata, Reason, Timestamp,
};
use crate::bindings::{wit_future, wit_stream};
use crate::duplicates::Seen;
use crate::listing::{Item, Parser};
use crate::path::RemotePath;
use crate::photos;
use crate::photos::once::Photo;
use crate::session::{self, Session};
use crate::times::{self, Known};

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
            discover(session, times::own(session, items), found).await;
        } else {
            let known = items.map(|some| some.into_iter().map(Ok).collect());
            discover(session, known, found).await;
        }
    };
    futures::join!(end, knowing).0
}

/// A listing that has begun. Its items have to be taken while its end is waited for.
pub struct Listing<E> {
    pub items: mpsc::Receiver<Vec<Item>>,
    /// How it ended, once its items were taken.
    pub end: E,
}

/// Begins a listing. Paths that can't be listed go to `failed`.
pub async fn begin(
    session: &Session,
    selection: Selection,
    failed: mpsc::Sender<Vec<Discovery>>,
) -> Result<Listing<impl Future<Output = Result<(), Failure>>>, Failure> {
    let (lines, troubles, end) = rclone::list(selection).await?;
    let (items_in, items) = mpsc::channel(2);
    let end = async move {
        let listing = list(lines, items_in);
        let (complete, troubles) = futures::join!(listing, report(session, troubles, failed));
        // A listing that makes no sense is given up, so its end would only say that.
        let complete = complete?;
        end.await?;
        if !complete && troubles == 0 {
            return Err(Failure::new(
                Reason::Corrupted,
                "rclone's listing ended before its end: run the backup again",
            ));
        }
        Ok(())
    };
    Ok(Listing { items, end })
}

/// A listing that is short enough to be had at once; what can't be listed isn't told.
pub async fn whole(selection: Selection) -> (Vec<Item>, Result<(), Failure>) {
    let mut items = Vec::new();
    let ended = async {
        let (mut lines, troubles, end) = rclone::list(selection).await?;
        // Troubles that nobody takes would hold up the end.
        drop(troubles);
        let mut parser = Parser::default();
        loop {
            let (result, piece) = lines.read(Vec::with_capacity(PIECE)).await;
            parser.feed(&piece, |item| items.push(item))?;
            if !matches!(result, StreamResult::Complete(_)) {
                parser.end(|item| items.push(item))?;
                return end.await;
            }
        }
    }
    .await;
    (items, ended)
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

/// Takes the listing apart; says whether it came to its end.
async fn list(
    mut lines: StreamReader<u8>,
    mut items: mpsc::Sender<Vec<Item>>,
) -> Result<bool, Failure> {
    let mut parser = Parser::default();
    let mut buffer = Vec::with_capacity(PIECE);
    loop {
        let (result, piece) = lines.read(buffer).await;
        let mut some = Vec::new();
        let mut parsed = parser.feed(&piece, |item| some.push(item)).map(|()| None);
        if parsed.is_ok() && !matches!(result, StreamResult::Complete(_)) {
            parsed = parser.end(|item| some.push(item)).map(Some);
        }
        if !some.is_empty() && items.send(some).await.is_err() {
            return Err(Failure::new(Reason::Cancelled, "the scan was cancelled"));
        }
        if let Some(complete) = parsed? {
            return Ok(complete);
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

/// Reports the paths that rclone couldn't list; says how many.
async fn report(
    session: &Session,
    mut troubles: StreamReader<Trouble>,
    mut found: mpsc::Sender<Vec<Discovery>>,
) -> usize {
    let mut count = 0;
    loop {
        let (result, some) = troubles.read(Vec::with_capacity(64)).await;
        count += some.len();
        let failed =
            |Trouble { path, failure }| Discovery::Failed((session.root.absolute(&path), failure));
        let some: Vec<_> = some.into_iter().map(failed).collect();
        if !some.is_empty() {
            // A closed channel ends the listing, which says so itself.
            found.send(some).map(drop).await;
        }
        if !matches!(result, StreamResult::Complete(_)) {
            return count;
        }
    }
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
