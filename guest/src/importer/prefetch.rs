//! Reads ahead of Plakar, which opens one file at a time: the contents of coming
//! records are fetched, several at once and in the order of the records, before
//! they are asked for.
//!
//! How far ahead grows by one file with each file that Plakar opens, and falls to
//! nothing when it passes one over. So a first backup soon has all streams busy,
//! and a backup with few changes fetches nothing in vain: what was fetched and not
//! wanted is never more than what was wanted before it.

use futures::future::{Either, select};
use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::pin::pin;
use std::rc::Rc;
use tokio::sync::oneshot;
use wit_bindgen::spawn_local;

use crate::bindings::plakar::connector::types::{Content, Failure};
use crate::importer::google_photos::shared_download::Photo;
use crate::importer::reader_pool;
use crate::session::Session;

/// How much of one file the host holds; the rest of a larger one waits at rclone.
const HELD: u64 = 1 << 20;

/// What a file of unknown size counts for until it is known.
const UNKNOWN: u64 = 256 << 10;

/// The part of the files begun ahead, as a divisor, that is begun anew together.
const TOGETHER: usize = 8;

/// How many large files are begun ahead: each is a process of its own.
const LARGE: usize = 2;

/// How many photos may be new since the last backup without any other being fetched:
/// they are listed first, before all that are old.
const NEW_PHOTOS: usize = 16;

/// The most files that the reader may keep: some KiB apiece.
const WARM: usize = 20_000;

/// The files that Plakar may open next, and what was fetched of them.
#[derive(Default)]
pub struct Ahead {
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    /// What was found and not begun, in the order of the records.
    coming: VecDeque<Rc<str>>,
    /// What was found and isn't settled.
    files: HashMap<Rc<str>, File>,
    /// Files that Plakar opened since it last passed one over.
    streak: usize,
    /// Files that are begun and not opened.
    held: usize,
    /// Their bytes, as far as they are or will be held.
    reserved: u64,
    /// Those of them that have a process of their own.
    large: usize,
    /// How many files were found so far, and whether they were all.
    total: usize,
    listed: bool,
}

struct File {
    size: Option<u64>,
    /// The photo that this is a path of, and whether another path of it comes before.
    photo: Option<Rc<Photo>>,
    follows: bool,
    stage: Stage,
}

/// Where the outcome of a fetch goes; closed when nobody wants it any more.
type Fetcher = oneshot::Sender<Result<Content, Failure>>;

/// What comes of a fetch. A failure is no file's fate yet: it may be read again.
pub type Fetching = oneshot::Receiver<Result<Content, Failure>>;

enum Stage {
    Found,
    Begun { reserved: u64, large: bool, fetching: Fetching },
    Opened,
}

impl Ahead {
    /// Notes a file that Plakar is going to be told of.
    pub fn found(&self, path: &str, size: Option<u64>, photo: Option<Rc<Photo>>) {
        let mut state = self.state.borrow_mut();
        let path: Rc<str> = path.into();
        let follows = photo.as_ref().is_some_and(|photo| !photo.first());
        state.total += 1;
        state.coming.push_back(path.clone());
        state.files.insert(path, File { size, photo, follows, stage: Stage::Found });
    }

    /// Notes that everything was found.
    pub fn listed(&self) {
        self.state.borrow_mut().listed = true;
    }

    /// Whether a listing by the reader itself would save more calls than it costs,
    /// and fits in its memory: when many files are being read in a row and many are
    /// still to come.
    pub fn deserves_warmth(&self) -> bool {
        let state = self.state.borrow();
        state.listed && state.total <= WARM && state.streak >= 4 && state.coming.len() >= 32
    }

    /// The size of a file that isn't settled, where it is known.
    pub fn size(&self, path: &str) -> Option<u64> {
        self.state.borrow().files.get(path)?.size
    }

    /// How many files were found so far.
    pub fn total(&self) -> usize {
        self.state.borrow().total
    }

    /// The photo that this is a path of.
    pub fn photo(&self, path: &str) -> Option<Rc<Photo>> {
        self.state.borrow().files.get(path)?.photo.clone()
    }

    /// Notes that Plakar is done with a file: what was fetched in vain is dropped.
    pub fn settled(&self, path: &str) {
        let mut state = self.state.borrow_mut();
        let Some(file) = state.files.remove(path) else { return };
        if !matches!(file.stage, Stage::Opened) {
            state.streak = 0;
        }
        state.release(&file.stage);
        file.photo.iter().for_each(|photo| photo.settled());
        // Files are settled in about the order in which they were found.
        while state.coming.front().is_some_and(|path| !state.files.contains_key(path)) {
            state.coming.pop_front();
        }
    }

    /// Drops what was fetched and Plakar hasn't opened, which may hold the room that what it
    /// opens now needs; says whether there was anything. It is read when it is opened.
    pub fn let_go(&self) -> bool {
        let mut state = self.state.borrow_mut();
        state.streak = 0;
        let begun = |file: &&mut File| matches!(file.stage, Stage::Begun { .. });
        let dropped: Vec<Stage> = state
            .files
            .values_mut()
            .filter(begun)
            .map(|file| std::mem::replace(&mut file.stage, Stage::Found))
            .collect();
        dropped.iter().for_each(|stage| state.release(stage));
        !dropped.is_empty()
    }

    /// Takes what is being fetched of a file that Plakar opens. `None`: nothing is,
    /// and it is to be read as if nothing had been tried.
    pub fn take(&self, path: &str) -> Option<Fetching> {
        let mut state = self.state.borrow_mut();
        state.streak += 1;
        let file = state.files.get_mut(path)?;
        let stage = std::mem::replace(&mut file.stage, Stage::Opened);
        state.release(&stage);
        match stage {
            Stage::Begun { fetching, .. } => Some(fetching),
            Stage::Found | Stage::Opened => None,
        }
    }
}

impl File {
    fn is_to_be_fetched(&self) -> bool {
        matches!(self.stage, Stage::Found) && !self.follows
    }
}

impl State {
    fn release(&mut self, stage: &Stage) {
        if let Stage::Begun { reserved, large, .. } = stage {
            self.held -= 1;
            self.reserved -= reserved;
            self.large -= usize::from(*large);
        }
    }

    /// How many files may be begun and not opened.
    fn most(&self, session: &Session) -> usize {
        // A change or a few among many files say nothing of the next file.
        let few = if session.photos.is_some() { NEW_PHOTOS } else { 1 };
        self.streak.saturating_sub(few).min(session.options.streams)
    }

    /// Whether there is room for several files: begun together they wake rclone, the host
    /// and the component less often than one by one.
    fn has_room(&self, session: &Session) -> bool {
        let most = self.most(session);
        most.saturating_sub(self.held) > most / TOGETHER
    }

    /// The next file to begin, if there is one and room for it.
    fn next(&mut self, session: &Session) -> Option<(Rc<str>, Fetcher)> {
        while self.held < self.most(session) {
            let path = self.coming.front()?.clone();
            let Some(file) = self.files.get_mut(&path).filter(|file| file.is_to_be_fetched())
            else {
                // Settled or opened before its turn came, or read with another path.
                self.coming.pop_front();
                continue;
            };
            let reserved = file.size.unwrap_or(UNKNOWN).min(HELD);
            let large = file.size.is_some_and(|size| size >= reader_pool::LARGE);
            if self.reserved + reserved > session.options.read_ahead || large && self.large >= LARGE
            {
                return None;
            }
            let (sender, fetching) = oneshot::channel();
            file.stage = Stage::Begun { reserved, large, fetching };
            self.coming.pop_front();
            self.held += 1;
            self.reserved += reserved;
            self.large += usize::from(large);
            return Some((path, sender));
        }
        None
    }
}

/// Begins as many files as may be begun, unless they are too few to be worth it yet.
pub fn advance(session: &Rc<Session>) {
    if !session.ahead.state.borrow().has_room(session) {
        return;
    }
    loop {
        let next = session.ahead.state.borrow_mut().next(session);
        let Some((path, sender)) = next else { return };
        let session = session.clone();
        spawn_local(async move {
            let mut sender = sender;
            let fetched = {
                let fetching = pin!(reader_pool::open(&session, &path));
                let unwanted = pin!(sender.closed());
                match select(fetching, unwanted).await {
                    Either::Left((fetched, _)) => fetched,
                    // Dropping the call ends it at rclone's end, too.
                    Either::Right(_) => return,
                }
            };
            let _ = sender.send(fetched);
        });
    }
}
