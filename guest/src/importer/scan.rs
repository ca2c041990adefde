//! The importer's scan: rclone's listing, entry by entry.

use futures::channel::mpsc;
use futures::{SinkExt, Stream, StreamExt, stream};
use std::collections::HashSet;
use std::pin::pin;
use std::rc::Rc;
use wit_bindgen::{FutureReader, StreamReader, StreamResult, StreamWriter, spawn_local};

use super::listing::Listed;
pub use super::listing::{Listing, begin};
use crate::bindings::exports::plakar::connector::importer::Discovery;
use crate::bindings::plakar::connector::rclone::{self, Selection, Trouble};
use crate::bindings::plakar::connector::types::{
    Entry, Failure, Kind, Metadata, Reason, Timestamp,
};
use crate::bindings::{wit_future, wit_stream};
use crate::importer::dedup::Seen;
use crate::importer::google_photos;
use crate::importer::google_photos::shared_download::Photo;
use crate::importer::mod_times::{self, Known};
use crate::lsjson::parser::{Item, Parser};
use crate::path::RemotePath;
use crate::session::{self, Session};

/// How often what was refused for a while is asked for again.
const TRIES: usize = 5;

/// How much of the listing is taken at once.
pub const PIECE: usize = 64 * 1024;

/// Reaches the remote: lists until an entry came, which only the remote can tell.
pub async fn ping() -> Result<(), Failure> {
    let session = session::current()?;
    let directory = match &session.photos {
        Some(_) => google_photos::views::probe(session.root.path()).to_owned(),
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
            Some(photos) => google_photos::scan::scan(session, photos, found.clone()).await,
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

/// Lists all that there is, in one listing, and again what was refused for a while.
async fn everything(session: &Session, found: mpsc::Sender<Vec<Discovery>>) -> Result<(), Failure> {
    let Listed { mut items, first, mut refused, .. } =
        below(session, String::new(), &found).await?;
    for _ in 0..TRIES {
        if refused.is_empty() {
            break;
        }
        let (files, left) = files_again(session, refused, &found).await;
        let (listed, left) = directories_again(session, left, &found).await;
        items += files + listed;
        refused = left;
    }
    fail(session, refused, found).await;
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

/// Lists all that is below a directory.
async fn below(
    session: &Session,
    directory: String,
    found: &mpsc::Sender<Vec<Discovery>>,
) -> Result<Listed, Failure> {
    let costly = mod_times::are_costly(session);
    let selection = Selection {
        directory,
        recursive: true,
        hashes: session.lists_hashes() && !costly,
        server_times: costly || !session.options.own_times,
        files: None,
        excluded: Vec::new(),
    };
    let Listing { items, end } = begin(session, selection, found.clone()).await?;
    let knowing = async {
        if costly {
            discover(session, mod_times::own(session, items), found.clone()).await;
        } else {
            let known = items.map(|some| some.into_iter().map(Ok).collect());
            discover(session, known, found.clone()).await;
        }
    };
    let (ended, ()) = futures::join!(end, knowing);
    ended
}

/// Looks up what the server refused while everything was listed at once: how many files
/// were found, and what still isn't known.
async fn files_again(
    session: &Session,
    refused: Vec<Trouble>,
    found: &mpsc::Sender<Vec<Discovery>>,
) -> (usize, Vec<Trouble>) {
    let files: Vec<_> = refused.iter().map(|trouble| trouble.path.clone()).collect();
    let (mut known, mut failed) = mod_times::found(session, files).await;
    let (mut items, mut left) = (Vec::<Known>::new(), Vec::new());
    for Trouble { path, failure } in refused {
        match known.remove(&path) {
            Some(item) => items.push(Ok(item)),
            None => {
                let failure = failed.remove(&path).unwrap_or(failure);
                left.push(Trouble { path, failure });
            }
        }
    }
    let count = items.len();
    discover(session, stream::once(async { items }), found.clone()).await;
    (count, left)
}

/// Lists again the directories among what the server refused, one after the other: how many
/// objects they hold, and what is refused still.
async fn directories_again(
    session: &Session,
    refused: Vec<Trouble>,
    found: &mpsc::Sender<Vec<Discovery>>,
) -> (usize, Vec<Trouble>) {
    let (mut count, mut left) = (0, Vec::new());
    // Those that lie together come together.
    let mut above = (None, HashSet::new());
    for trouble in refused {
        let (parent, name) = trouble.path.rsplit_once('/').unwrap_or(("", &trouble.path));
        if above.0.as_deref() != Some(parent) {
            above = (Some(parent.to_owned()), directories_in(parent).await);
        }
        // rclone lists a file as if it were a directory with that file in it.
        if !above.1.contains(name) {
            left.push(trouble);
            continue;
        }
        match below(session, trouble.path.clone(), found).await {
            Ok(listed) => {
                count += listed.items;
                left.extend(listed.refused);
            }
            Err(_) => left.push(trouble),
        }
    }
    (count, left)
}

/// The names of the directories in one, as far as they can be listed.
async fn directories_in(directory: &str) -> HashSet<String> {
    let selection = Selection {
        directory: directory.to_owned(),
        recursive: false,
        hashes: false,
        server_times: true,
        files: None,
        excluded: Vec::new(),
    };
    let mut names = HashSet::new();
    let keep = |item: Item| {
        if item.is_dir {
            names.insert(item.path);
        }
    };
    // What isn't listed is refused still.
    let _ = each(selection, keep).await;
    names
}

/// Reports what can't be listed.
async fn fail(session: &Session, troubles: Vec<Trouble>, mut found: mpsc::Sender<Vec<Discovery>>) {
    let failed = troubles.into_iter().map(|Trouble { path, failure }| {
        Discovery::Failed((session.root.absolute(&path), failure))
    });
    let failed: Vec<_> = failed.collect();
    if !failed.is_empty() {
        // A closed channel ends the scan, which says so itself.
        let _ = found.send(failed).await;
    }
}

/// A listing that is short enough to be had at once: its items, what can't be listed, and
/// how it ended.
pub async fn whole(selection: Selection) -> (Vec<Item>, Vec<Trouble>, Result<(), Failure>) {
    let mut items = Vec::new();
    let (failed, ended) = each(selection, |item| items.push(item)).await;
    (items, failed, ended)
}

/// Gives each item of a listing to `keep`: what can't be listed, and how it ended.
async fn each(
    selection: Selection,
    mut keep: impl FnMut(Item),
) -> (Vec<Trouble>, Result<(), Failure>) {
    let mut failed = Vec::new();
    let ended = async {
        let (mut lines, mut troubles, end) = rclone::list(selection).await?;
        let taking = async {
            let mut parser = Parser::default();
            loop {
                let (result, piece) = lines.read(Vec::with_capacity(PIECE)).await;
                parser.feed(&piece, &mut keep)?;
                if !matches!(result, StreamResult::Complete(_)) {
                    parser.end(&mut keep)?;
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
    (failed, ended)
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
