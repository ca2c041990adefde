//! One download for all paths of a photo: what the first reader gets is held for the
//! others, as far as memory allows; where it doesn't, they download it again.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use tokio::sync::oneshot;
use wit_bindgen::{StreamResult, StreamWriter, spawn_local};

use super::Photos;
use crate::bindings::plakar::connector::types::{Content, Failure};
use crate::bindings::{wit_future, wit_stream};
use crate::importer::prefetch;
use crate::importer::reader_pool;
use crate::session::Session;

/// How many bytes of photos are held at most.
const BUDGET: u64 = 64 << 20;

/// How much is passed on at once.
const PIECE: usize = 256 << 10;

/// A photo and how many of its paths Plakar isn't done with.
pub struct Photo {
    pub id: String,
    paths: usize,
    told: Cell<bool>,
    left: Cell<usize>,
    state: RefCell<State>,
}

enum State {
    /// Nobody has read it, or nobody to the end.
    Unread,
    /// Somebody reads it; these wait for the outcome.
    Coming(Vec<oneshot::Sender<()>>),
    Here(Rc<Held>),
}

/// Bytes that count until they are dropped.
struct Held {
    all: Rc<Cell<u64>>,
    bytes: Vec<u8>,
}

impl Held {
    /// Adds a piece, unless there is no room for it.
    fn add(&mut self, piece: &[u8]) -> bool {
        let all = self.all.get() + piece.len() as u64;
        if all > BUDGET {
            return false;
        }
        self.all.set(all);
        self.bytes.extend_from_slice(piece);
        true
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.all.set(self.all.get() - self.bytes.len() as u64);
    }
}

impl Photo {
    pub fn new(id: &str, paths: usize) -> Self {
        Self {
            id: id.to_owned(),
            paths,
            told: Cell::new(false),
            left: Cell::new(paths),
            state: RefCell::new(State::Unread),
        }
    }

    /// Whether this is asked for the first time.
    pub fn first(&self) -> bool {
        !self.told.replace(true)
    }

    /// Whether it has more than one path.
    pub fn is_shared(&self) -> bool {
        self.paths > 1
    }

    /// Notes that Plakar is done with one of its paths.
    pub fn settled(&self) {
        self.left.set(self.left.get().saturating_sub(1));
        if self.left.get() == 0 {
            self.become_(State::Unread);
        }
    }

    /// Changes the state; whoever waited looks again.
    fn become_(&self, state: State) {
        if let State::Coming(waiting) = self.state.replace(state) {
            for one in waiting {
                let _ = one.send(());
            }
        }
    }
}

/// The claim of whoever reads a photo for all. Dropping it lets another try.
struct Reading(Rc<Photo>);

impl Drop for Reading {
    fn drop(&mut self) {
        if matches!(&*self.0.state.borrow(), State::Coming(_)) {
            self.0.become_(State::Unread);
        }
    }
}

enum Turn {
    Read(Reading),
    Wait(oneshot::Receiver<()>),
    Take(Rc<Held>),
}

fn turn(photo: &Rc<Photo>) -> Turn {
    let mut state = photo.state.borrow_mut();
    match &mut *state {
        State::Here(held) => Turn::Take(held.clone()),
        State::Coming(waiting) => {
            let (sender, receiver) = oneshot::channel();
            waiting.push(sender);
            Turn::Wait(receiver)
        }
        State::Unread => {
            *state = State::Coming(Vec::new());
            Turn::Read(Reading(photo.clone()))
        }
    }
}

/// Reads a photo under one of its paths.
pub async fn read(
    session: &Rc<Session>,
    photos: &Photos,
    photo: &Rc<Photo>,
    absolute: &str,
) -> Result<Content, Failure> {
    loop {
        match turn(photo) {
            Turn::Wait(outcome) => {
                let _ = outcome.await;
            }
            Turn::Take(held) => {
                // What was fetched of this path, if anything was, isn't needed.
                drop(session.ahead.take(absolute));
                prefetch::advance(session);
                return Ok(given(&held));
            }
            Turn::Read(reading) => {
                let content = reader_pool::read_alone(session, absolute).await?;
                let held = Held { all: photos.held.clone(), bytes: Vec::new() };
                return Ok(passed_on(content, held, reading));
            }
        }
    }
}

/// What is held, as a content.
fn given(held: &Rc<Held>) -> Content {
    let (mut output, stream) = wit_stream::new();
    let (ended, end) = wit_future::new(|| Err(Failure::internal("a read was given up")));
    let held = held.clone();
    spawn_local(async move {
        for piece in held.bytes.chunks(PIECE) {
            if !output.write_all(piece.to_vec()).await.is_empty() {
                return;
            }
        }
        drop(output);
        // Whoever doesn't wait for the end doesn't want it.
        let _ = ended.write(Ok(())).await;
    });
    (stream, end)
}

/// Passes a content on and holds what goes by.
fn passed_on(content: Content, held: Held, reading: Reading) -> Content {
    let (output, stream) = wit_stream::new();
    let (ended, end) = wit_future::new(|| Err(Failure::internal("a read was given up")));
    spawn_local(async move {
        if let Some(result) = pass_on(content, output, held, reading).await {
            let _ = ended.write(result).await;
        }
    });
    (stream, end)
}

/// Returns how the content ended; `None` if nobody wanted it to its end.
async fn pass_on(
    (mut input, end): Content,
    mut output: StreamWriter<u8>,
    held: Held,
    reading: Reading,
) -> Option<Result<(), Failure>> {
    let mut held = Some(held);
    let mut buffer = Vec::with_capacity(PIECE);
    loop {
        let (result, piece) = input.read(buffer).await;
        if held.as_mut().is_some_and(|held| !held.add(&piece)) {
            held = None;
        }
        buffer = output.write_all(piece).await;
        if !buffer.is_empty() {
            return None;
        }
        if buffer.capacity() == 0 {
            buffer = Vec::with_capacity(PIECE);
        }
        if !matches!(result, StreamResult::Complete(_)) {
            let ended = end.await;
            if let (Ok(()), Some(held)) = (&ended, held)
                && reading.0.left.get() > 0
            {
                reading.0.become_(State::Here(Rc::new(held)));
            }
            return Some(ended);
        }
    }
}
