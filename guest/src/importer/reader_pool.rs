//! The importer's reads: small files through one long-lived process, large ones
//! through a process each.

use std::cell::Cell;
use std::rc::Rc;
use tokio::sync::Mutex;
use wit_bindgen::spawn_local;

use crate::bindings::plakar::connector::rclone::{self, Reader};
use crate::bindings::plakar::connector::types::{Content, Failure, Reason};
use crate::importer::google_photos;
use crate::importer::prefetch;
use crate::path::RemotePath;
use crate::session::Session;

/// Files from this size on are read by a process of their own, which goes on where a
/// transfer breaks; the one for all begins only once.
pub const LARGE: u64 = 8 << 20;

/// How many files a reader is asked for before another takes its place: rclone's server
/// keeps half a kilobyte of each for good.
const READS: u32 = 50_000;

/// How often a reader that died is started again, before reads go without.
const STARTS: u32 = 5;

/// The processes that read small files.
pub struct Readers {
    /// For everything below the root, each taking its turn.
    root: Vec<Slot>,
    turn: Cell<usize>,
    /// For the files directly in one directory called `data`, the last that was
    /// read from: see [`in_data_directory`].
    data: Mutex<(String, Slot)>,
    /// Whether the root's readers were asked to list everything.
    warm: Cell<bool>,
}

type Slot = Mutex<Started>;

impl Readers {
    /// At most so many processes for everything below the root.
    pub fn new(processes: usize) -> Self {
        Self {
            root: (0..processes).map(|_| Slot::default()).collect(),
            turn: Cell::default(),
            data: Mutex::default(),
            warm: Cell::default(),
        }
    }

    /// The next one's turn.
    fn next(&self) -> &Slot {
        let turn = self.turn.get();
        self.turn.set((turn + 1) % self.root.len());
        &self.root[turn]
    }
}

#[derive(Default)]
struct Started {
    reader: Option<Rc<Reader>>,
    starts: u32,
    /// How many files the reader was asked for.
    reads: u32,
}

/// The bytes of a file that the scan found.
pub async fn read(session: &Rc<Session>, absolute: &str) -> Result<Content, Failure> {
    let photo = session.ahead.photo(absolute).filter(|photo| photo.is_shared());
    match (&session.photos, photo) {
        (Some(photos), Some(photo)) => {
            google_photos::shared_download::read(session, photos, &photo, absolute).await
        }
        _ => read_alone(session, absolute).await,
    }
}

/// The bytes of this very path: what was fetched ahead, or else now.
pub async fn read_alone(session: &Rc<Session>, absolute: &str) -> Result<Content, Failure> {
    let fetching = session.ahead.take(absolute);
    prefetch::advance(session);
    if session.photos.is_none()
        && session.ahead.deserves_warmth()
        && !session.readers.warm.replace(true)
    {
        spawn_local(warm(session.clone()));
    }
    let read = match fetching {
        Some(fetching) => match fetching.await {
            Ok(Ok(content)) => Ok(content),
            Ok(Err(failure)) if is_final(&failure) => Err(failure),
            _ => open(session, absolute).await,
        },
        None => open(session, absolute).await,
    };
    match read {
        // What is fetched ahead may be what there is no more room for.
        Err(failure)
            if failure.reason == Reason::RateLimited
                && session.photos.is_none()
                && session.ahead.let_go() =>
        {
            open(session, absolute).await
        }
        read => read,
    }
}

/// Lets the readers list everything, so that reads need no look-up. Reads go on
/// meanwhile; where it fails they go on as before.
async fn warm(session: Rc<Session>) {
    for slot in &session.readers.root {
        if let Some(reader) = started(slot, "").await {
            let _ = reader.warm().await;
        }
    }
}

/// Opens a file that the scan found.
pub async fn open(session: &Session, absolute: &str) -> Result<Content, Failure> {
    let size = session.ahead.size(absolute);
    let Some(path) = session.root.relative(absolute)? else {
        return Err(Failure::new(Reason::Unsupported, "a directory has no content"));
    };
    if let Some((photos, photo)) = session.photos.as_ref().zip(session.ahead.photo(absolute)) {
        return google_photos::reader::open(photos, &path, &photo.id, session.ahead.total()).await;
    }
    if size.is_none_or(|size| size < LARGE)
        && let Some(read) = read_small(&session.readers, &path, size).await
    {
        return read;
    }
    // The server behind the reader gives no reasons: this says what is wrong,
    // where anything is.
    rclone::cat(path.to_string(), size).await.map_err(|failure| named(&path, failure))
}

/// A failure of a file, with what its name has to do with it.
fn named(path: &RemotePath, failure: Failure) -> Failure {
    // rclone shows this for what isn't UTF-8, and finds no such file.
    if failure.reason == Reason::NotFound && path.as_str().contains('\u{fffd}') {
        return Failure::new(
            Reason::NotFound,
            "its name isn't UTF-8, and rclone can't read it: rename it at the remote",
        );
    }
    failure
}

/// Whether another try would come to the same.
fn is_final(failure: &Failure) -> bool {
    failure.reason == Reason::Unsupported
}

/// The file by way of a reader; `None` where it is to be read in another way.
async fn read_small(
    readers: &Readers,
    path: &RemotePath,
    size: Option<u64>,
) -> Option<Result<Content, Failure>> {
    if in_data_directory(path) {
        let mut data = readers.data.lock().await;
        if data.0 != path.parent() {
            *data = (path.parent().to_owned(), Slot::default());
        }
        let (root, slot) = &*data;
        let reader = started(slot, root).await?;
        drop(data);
        let read = reader.read(path.name().to_owned(), size).await;
        if gone(&read) {
            lost(&readers.data.lock().await.1, &reader).await;
        }
        settled(read)
    } else {
        let slot = readers.next();
        let reader = started(slot, "").await?;
        let read = reader.read(path.to_string(), size).await;
        if gone(&read) {
            lost(slot, &reader).await;
        }
        settled(read)
    }
}

/// A read that succeeded, or whose failure is final.
fn settled(read: Result<Content, Failure>) -> Option<Result<Content, Failure>> {
    match read {
        Err(failure) if !is_final(&failure) => None,
        read => Some(read),
    }
}

/// Whether the process is gone.
pub fn gone(read: &Result<Content, Failure>) -> bool {
    matches!(read, Err(Failure { reason: Reason::Cancelled, .. }))
}

/// Forgets a reader that is gone. Another read may have seen it first, and a new one be
/// there.
async fn lost(slot: &Slot, gone: &Rc<Reader>) {
    slot.lock().await.reader.take_if(|reader| Rc::ptr_eq(reader, gone));
}

/// The reader of this slot, started if need be.
async fn started(slot: &Slot, root: &str) -> Option<Rc<Reader>> {
    let mut slot = slot.lock().await;
    slot.reads += 1;
    if slot.reads > READS && slot.reader.take().is_some() {
        // It ends when the last of its reads does.
        slot.starts -= 1;
        slot.reads = 1;
    }
    if slot.reader.is_none() && slot.starts < STARTS {
        slot.starts += 1;
        slot.reader = Reader::start(root.to_owned()).await.ok().map(Rc::new);
    }
    slot.reader.clone()
}

/// Whether rclone's server would take the path for another one: it redirects
/// `data/name` to `data/na/name`, wherever `data` lies.
///
/// Source: `matchData` in rclone's cmd/serve/restic/restic.go.
fn in_data_directory(path: &RemotePath) -> bool {
    path.parent().rsplit('/').next() == Some("data") && path.name().len() >= 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_the_server_would_redirect_are_known() {
        for (path, redirected) in [
            ("data/ab", true),
            ("x/data/abcd", true),
            ("data/é", true),
            ("data/a", false),
            ("data/ab/abcd", false),
            ("mydata/abcd", false),
            ("data", false),
        ] {
            let path = RemotePath::parse(path).unwrap();
            assert_eq!(in_data_directory(&path), redirected, "{path}");
        }
    }
}
