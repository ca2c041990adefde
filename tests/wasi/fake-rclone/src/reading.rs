//! The verbs `cat` and `reader`: the bytes of files.

use scenarios::Reason;
use scenarios::fault::Fault;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use wit_bindgen::spawn_local;

use crate::bindings::exports::plakar::connector::rclone::{self, GuestReader};
use crate::bindings::plakar::connector::types::{Content, Failure};
use crate::bindings::{wit_future, wit_stream};
use crate::remote;
use crate::world::{World, failure, sound, wait, world};

/// A content is given when it is complete or this much of it is there.
const BEGINNING: usize = 1 << 20;

/// How much is passed on at once.
const PIECE: usize = 256 << 10;

pub async fn cat(path: String, size: Option<u64>) -> Result<Content, Failure> {
    let world = world();
    world.note("cat", &path);
    sound(&path)?;
    content(&world, &path, None, size).await
}

/// A process that reads many files.
pub struct Reader {
    root: String,
    reads: Cell<usize>,
    dead: Cell<bool>,
    warm: Cell<bool>,
    /// Photos' addresses by their names: whose it is, and after how many downloads it
    /// was had.
    known: RefCell<HashMap<String, (String, usize)>>,
}

impl GuestReader for Reader {
    async fn start(root: String) -> Result<rclone::Reader, Failure> {
        let world = world();
        world.note("reader", &root);
        if !root.is_empty() {
            sound(&root)?;
        }
        if world.has(&Fault::NoReader) {
            return Err(failure(Reason::Internal, "rclone serve doesn't answer"));
        }
        Ok(rclone::Reader::new(Self {
            root,
            reads: Cell::default(),
            dead: Cell::default(),
            warm: Cell::default(),
            known: RefCell::default(),
        }))
    }

    async fn warm(&self) -> Result<(), Failure> {
        let world = world();
        world.note("warm", &self.root);
        if world.has(&Fault::NoWarmth) {
            return Err(failure(Reason::Unavailable, "it takes too long"));
        }
        self.warm.set(true);
        if world.scenario.is_photos() {
            self.learn(&world)?;
        }
        Ok(())
    }

    async fn read(&self, path: String, size: Option<u64>) -> Result<Content, Failure> {
        let world = world();
        world.note("read", &path);
        sound(&path)?;
        self.live(&world)?;
        if redirected(&path) {
            return Err(failure(Reason::Unsupported, "it would be taken for another file"));
        }
        let photo = match world.scenario.is_photos() {
            true => Some(self.photo(&world, &path)?),
            false => None,
        };
        if !self.warm.get() && photo.is_none() {
            world.note("look-up", &path);
        }
        let below = match self.root.as_str() {
            "" => path,
            root => format!("{root}/{path}"),
        };
        let content = content(&world, &below, photo.as_deref(), size).await;
        // It may have gone meanwhile.
        if self.dead.get() { Err(gone()) } else { content }
    }
}

impl Reader {
    /// Counts a read; the process may be gone.
    fn live(&self, world: &World) -> Result<(), Failure> {
        self.reads.set(self.reads.get() + 1);
        for fault in &world.scenario.faults {
            if let Fault::ReaderDies { after, times } = fault
                && !self.dead.get()
                && self.reads.get() > *after
                && world.counted("died") < *times
            {
                world.count("died");
                self.dead.set(true);
            }
        }
        if self.dead.get() { Err(gone()) } else { Ok(()) }
    }

    /// Lists its directory of photos, which gives each one's address.
    fn learn(&self, world: &World) -> Result<(), Failure> {
        let mut known = self.known.borrow_mut();
        for item in remote::entries(world, &self.root)? {
            let name = item.path.rsplit('/').next().unwrap_or_default().to_owned();
            known.insert(name, (item.id, world.counted("downloads")));
        }
        Ok(())
    }

    /// The ID of the photo with this name: known, asked for by an ID in the name, or
    /// looked for by listing all; and whether Google still gives it.
    fn photo(&self, world: &World, name: &str) -> Result<String, Failure> {
        if !self.known.borrow().contains_key(name) {
            match remote::id_in(name) {
                Some(id) => {
                    world.note("look-up", id);
                    let found = (id.to_owned(), world.counted("downloads"));
                    self.known.borrow_mut().insert(name.to_owned(), found);
                }
                None => self.learn(world)?,
            }
        }
        let known = self.known.borrow();
        let Some((id, had)) = known.get(name) else {
            return Err(failure(Reason::NotFound, "file not found"));
        };
        let lasts = world.fault(|fault| match fault {
            Fault::Expires(downloads) => Some(*downloads),
            _ => None,
        });
        if lasts.is_some_and(|lasts| world.counted("downloads") - had >= lasts) {
            return Err(failure(Reason::Denied, "403 Forbidden"));
        }
        world.count("downloads");
        Ok(id.clone())
    }
}

fn gone() -> Failure {
    failure(Reason::Cancelled, "rclone serve broke off")
}

/// Whether rclone's server would take the path for `data/xx/name`.
fn redirected(path: &str) -> bool {
    let mut names = path.rsplit('/');
    let name = names.next().unwrap_or_default();
    names.next() == Some("data") && name.len() >= 2
}

/// What came of a file before its end, and the end; `None`: it never comes.
struct Given {
    bytes: Vec<u8>,
    end: Option<Result<(), Failure>>,
}

/// Reads a file as rclone does here, and gives it as the host does.
async fn content(
    world: &Rc<World>,
    path: &str,
    photo: Option<&str>,
    size: Option<u64>,
) -> Result<Content, Failure> {
    let reading = world.begin_read();
    match world.slowness() {
        0 => {}
        milliseconds => wait(milliseconds).await,
    }
    let Given { bytes, end } = given(world, path, photo, size)?;
    let whole = bytes.len() < BEGINNING;
    match (whole, end) {
        (true, None) => std::future::pending().await,
        (true, Some(Err(failure))) => Err(failure),
        (_, end) => {
            // What is whole is read, whoever takes it when.
            let reading = (!whole).then_some(reading);
            Ok(pass_on(world.clone(), path.to_owned(), bytes, end, reading))
        }
    }
}

fn given(
    world: &World,
    path: &str,
    photo: Option<&str>,
    size: Option<u64>,
) -> Result<Given, Failure> {
    let mut bytes = remote::bytes(world, path, photo)?;
    // Faults of photos are of all their paths.
    let is = |other: &str| other == path || photo.is_some_and(|id| id.ends_with(other));
    let mut end = None;
    let mut stalls = false;
    for fault in &world.scenario.faults {
        match fault {
            Fault::Refused(other, reason) if is(other) => {
                return Err(failure(*reason, format!("`{path}` can't be read")));
            }
            Fault::Grows { path: other, by } if is(other) => {
                bytes.extend(std::iter::repeat_n(b'+', *by));
            }
            Fault::Breaks { path: other, at, said, times }
                if is(other) && world.count(&format!("break {other}")) < *times =>
            {
                bytes.truncate(*at);
                if *said {
                    let message = "the transfer broke: run the backup again";
                    end = Some(Err(failure(Reason::Unavailable, message)));
                }
            }
            Fault::Stalls { path: other, at } if is(other) => {
                bytes.truncate(*at);
                stalls = true;
            }
            _ => {}
        }
    }
    let counted = counted(bytes.len() as u64, size);
    Ok(Given { bytes, end: (!stalls).then(|| end.unwrap_or(counted)) })
}

/// Compares what came with what was announced.
pub fn counted(count: u64, size: Option<u64>) -> Result<(), Failure> {
    match size {
        Some(size) if size != count => {
            Err(failure(Reason::Corrupted, format!("{count} bytes came where {size} were listed")))
        }
        _ => Ok(()),
    }
}

fn pass_on(
    world: Rc<World>,
    path: String,
    bytes: Vec<u8>,
    end: Option<Result<(), Failure>>,
    reading: Option<impl Sized + 'static>,
) -> Content {
    let (mut output, stream) = wit_stream::new();
    let (ended, ending) = wit_future::new(|| Err(failure(Reason::Internal, "given up")));
    spawn_local(async move {
        let _reading = reading;
        for piece in bytes.chunks(PIECE) {
            if !output.write_all(piece.to_vec()).await.is_empty() {
                return world.note("dropped", &path);
            }
        }
        let Some(end) = end else { return std::future::pending().await };
        drop(output);
        let _ = ended.write(end).await;
    });
    (stream, ending)
}
