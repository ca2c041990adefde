//! The function `cat` and the resource `reader`: contents of files.

use scenarios::fault::Fault;
use scenarios::types::{Content, Failure, Reason};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use wit_bindgen::spawn_local;

use crate::bindings::exports::plakar::connector::rclone::{self, GuestReader};
use crate::bindings::{wit_future, wit_stream};
use crate::remote;
use crate::run_state::{RunState, check_path, run_state, wait};

/// Number of bytes that are buffered before a content is returned.
const INITIAL_BUFFER_BYTES: usize = 1 << 20;

/// Number of bytes that are passed on at once.
const CHUNK_BYTES: usize = 256 << 10;

/// Reads a file by a process of its own.
pub async fn cat(path: String, size: Option<u64>) -> Result<Content, Failure> {
    let state = run_state();
    state.log("cat", &path);
    check_path(&path)?;
    content(&state, &path, None, size).await
}

/// Process that reads many files.
pub struct Reader {
    root: String,
    reads: Cell<usize>,
    is_dead: Cell<bool>,
    is_warm: Cell<bool>,
    /// Addresses of photos by their names: the ID, and the number of downloads when the address
    /// was obtained.
    addresses: RefCell<HashMap<String, (String, usize)>>,
}

impl GuestReader for Reader {
    async fn start(root: String) -> Result<rclone::Reader, Failure> {
        let state = run_state();
        state.log("reader", &root);
        if !root.is_empty() {
            check_path(&root)?;
        }
        if state.has_fault(&Fault::NoReader) {
            return Err(Failure::new(Reason::Internal, "rclone serve doesn't answer"));
        }
        Ok(rclone::Reader::new(Self {
            root,
            reads: Cell::default(),
            is_dead: Cell::default(),
            is_warm: Cell::default(),
            addresses: RefCell::default(),
        }))
    }

    async fn warm_up(&self) -> Result<(), Failure> {
        let state = run_state();
        state.log("warm", &self.root);
        if state.has_fault(&Fault::NoWarmUp) {
            return Err(Failure::new(Reason::Unavailable, "timed out"));
        }
        self.is_warm.set(true);
        if state.scenario.is_photos() {
            self.list_photos(&state)?;
        }
        Ok(())
    }

    async fn read(&self, path: String, size: Option<u64>) -> Result<Content, Failure> {
        let state = run_state();
        state.log("read", &path);
        let below = self.locate(&state, &path)?;
        let is_photo = state.scenario.is_photos();
        let photo = is_photo.then(|| self.photo(&state, &path)).transpose()?;
        if !self.is_warm.get() && photo.is_none() {
            state.log("look-up", &path);
        }
        let content = content(&state, &below, photo.as_deref(), size).await;
        // The process may have ended meanwhile.
        if self.is_dead.get() { Err(disconnected()) } else { content }
    }

    async fn read_range(&self, path: String, offset: u64, length: u64) -> Result<Content, Failure> {
        let state = run_state();
        state.log("range", &format!("{path} {offset}+{length}"));
        let below = self.locate(&state, &path)?;
        let content = content_of(&state, &below, None, Wanted::Range { offset, length }).await;
        if self.is_dead.get() { Err(disconnected()) } else { content }
    }
}

impl Reader {
    /// Counts a read, and returns the file's path below the remote's root.
    ///
    /// # Errors
    ///
    /// The path is refused, or the process has ended.
    fn locate(&self, state: &RunState, path: &str) -> Result<String, Failure> {
        check_path(path)?;
        self.count_read(state)?;
        if is_redirected(path) {
            return Err(Failure::new(
                Reason::Unsupported,
                "the server would take it for a different file",
            ));
        }
        Ok(match self.root.as_str() {
            "" => path.to_owned(),
            root => format!("{root}/{path}"),
        })
    }

    /// Counts a read.
    ///
    /// # Errors
    ///
    /// The process has ended.
    fn count_read(&self, state: &RunState) -> Result<(), Failure> {
        self.reads.set(self.reads.get() + 1);
        for fault in &state.scenario.faults {
            if let Fault::ReaderDies { after, times } = fault
                && !self.is_dead.get()
                && self.reads.get() > *after
                && state.counter("died") < *times
            {
                state.increment("died");
                self.is_dead.set(true);
            }
        }
        if self.is_dead.get() { Err(disconnected()) } else { Ok(()) }
    }

    /// Lists its directory of photos, which returns the address of each.
    fn list_photos(&self, state: &RunState) -> Result<(), Failure> {
        let mut addresses = self.addresses.borrow_mut();
        for item in remote::entries(state, &self.root)? {
            let name = item.path.rsplit('/').next().unwrap_or_default().to_owned();
            addresses.insert(name, (item.id, state.counter("downloads")));
        }
        Ok(())
    }

    /// Returns the ID of the photo with a name: from its address, from an ID in the name, or from
    /// a listing.
    ///
    /// # Errors
    ///
    /// There is no such photo, or its address has expired.
    fn photo(&self, state: &RunState, name: &str) -> Result<String, Failure> {
        if !self.addresses.borrow().contains_key(name) {
            match remote::id_in_name(name) {
                Some(id) => {
                    state.log("look-up", id);
                    let address = (id.to_owned(), state.counter("downloads"));
                    self.addresses.borrow_mut().insert(name.to_owned(), address);
                }
                None => self.list_photos(state)?,
            }
        }
        let addresses = self.addresses.borrow();
        let Some((id, obtained)) = addresses.get(name) else {
            return Err(Failure::new(Reason::NotFound, "file not found"));
        };
        let lifetime = state.find_fault(|fault| match fault {
            Fault::Expires(downloads) => Some(*downloads),
            _ => None,
        });
        if lifetime.is_some_and(|lifetime| state.counter("downloads") - obtained >= lifetime) {
            return Err(Failure::new(Reason::Denied, "403 Forbidden"));
        }
        state.increment("downloads");
        Ok(id.clone())
    }
}

fn disconnected() -> Failure {
    Failure::new(Reason::Cancelled, "rclone serve disconnected")
}

/// Reports whether rclone's server would take the path for `data/xx/name`.
fn is_redirected(path: &str) -> bool {
    let mut names = path.rsplit('/');
    let name = names.next().unwrap_or_default();
    names.next() == Some("data") && name.len() >= 2
}

/// Bytes of a file as rclone reads them.
struct ReadResult {
    bytes: Vec<u8>,
    /// End of the read, or `None` if it never ends.
    end: Option<Result<(), Failure>>,
}

/// What is wanted of a file.
#[derive(Clone, Copy)]
enum Wanted {
    /// All of it, which has this size if that is known.
    Whole(Option<u64>),
    /// A part of it.
    Range { offset: u64, length: u64 },
}

/// Reads a file, and returns its content as the host does.
pub async fn content(
    state: &Rc<RunState>,
    path: &str,
    photo: Option<&str>,
    size: Option<u64>,
) -> Result<Content, Failure> {
    content_of(state, path, photo, Wanted::Whole(size)).await
}

async fn content_of(
    state: &Rc<RunState>,
    path: &str,
    photo: Option<&str>,
    wanted: Wanted,
) -> Result<Content, Failure> {
    let reading = state.begin_read();
    match state.delay_ms() {
        0 => {}
        milliseconds => wait(milliseconds).await,
    }
    let ReadResult { bytes, end } = read_bytes(state, path, photo, wanted)?;
    let is_buffered = bytes.len() < INITIAL_BUFFER_BYTES;
    match (is_buffered, end) {
        (true, None) => std::future::pending().await,
        (true, Some(Err(failure))) => Err(failure),
        (_, end) => {
            // A buffered file counts as read before its content is.
            let reading = (!is_buffered).then_some(reading);
            Ok(pass_on(state.clone(), path.to_owned(), bytes, end, reading))
        }
    }
}

/// Reads a file with the faults of the scenario.
fn read_bytes(
    state: &RunState,
    path: &str,
    photo: Option<&str>,
    wanted: Wanted,
) -> Result<ReadResult, Failure> {
    let mut bytes = remote::bytes(state, path, photo)?;
    let size = match wanted {
        Wanted::Whole(size) => size,
        Wanted::Range { offset, length } => {
            bytes = part(&bytes, offset, length).ok_or_else(|| {
                Failure::new(Reason::Corrupted, format!("`{path}` is shorter than it was listed"))
            })?;
            Some(length)
        }
    };
    // A fault of a photo applies to all its paths.
    let applies_to = |other: &str| other == path || photo.is_some_and(|id| id.ends_with(other));
    let mut end = None;
    let mut stalls = false;
    for fault in &state.scenario.faults {
        match fault {
            Fault::Refused(other, reason) if applies_to(other) => {
                return Err(Failure::new(*reason, format!("`{path}` can't be read")));
            }
            Fault::Grows { path: other, by } if applies_to(other) => {
                bytes.extend(std::iter::repeat_n(b'+', *by));
            }
            Fault::Breaks { path: other, at, reported, times }
                if applies_to(other) && state.increment(&format!("break {other}")) < *times =>
            {
                bytes.truncate(*at);
                if *reported {
                    let message = "the transfer broke";
                    let help = "run the backup again";
                    end = Some(Err(Failure::new(Reason::Unavailable, message).with_help(help)));
                }
            }
            Fault::Stalls { path: other, at } if applies_to(other) => {
                bytes.truncate(*at);
                stalls = true;
            }
            _ => {}
        }
    }
    let checked = check_size(bytes.len() as u64, size);
    Ok(ReadResult { bytes, end: (!stalls).then(|| end.unwrap_or(checked)) })
}

/// Returns `length` bytes from `offset` on, or `None` if there are fewer.
fn part(bytes: &[u8], offset: u64, length: u64) -> Option<Vec<u8>> {
    let start = usize::try_from(offset).ok()?;
    let end = start.checked_add(usize::try_from(length).ok()?)?;
    bytes.get(start..end).map(<[u8]>::to_vec)
}

/// Compares the number of bytes with the expected size.
pub fn check_size(count: u64, size: Option<u64>) -> Result<(), Failure> {
    match size {
        Some(size) if size != count => {
            Err(Failure::new(Reason::Corrupted, format!("{count} bytes instead of {size}")))
        }
        _ => Ok(()),
    }
}

fn pass_on(
    state: Rc<RunState>,
    path: String,
    bytes: Vec<u8>,
    end: Option<Result<(), Failure>>,
    reading: Option<impl Sized + 'static>,
) -> Content {
    let (mut output, stream) = wit_stream::new();
    let (ended, ending) = wit_future::new(|| Err(Failure::new(Reason::Internal, "dropped")));
    spawn_local(async move {
        let _reading = reading;
        for chunk in bytes.chunks(CHUNK_BYTES) {
            if !output.write_all(chunk.to_vec()).await.is_empty() {
                return state.log("dropped", &path);
            }
        }
        let Some(end) = end else { return std::future::pending().await };
        drop(output);
        let _ = ended.write(end).await;
    });
    (stream, ending)
}
