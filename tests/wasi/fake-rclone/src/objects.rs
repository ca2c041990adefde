//! The interface `objects`: whole objects of a store, and parts of them.

use futures::channel::mpsc::{self, UnboundedSender};
use futures::future::LocalBoxFuture;
use futures::{FutureExt, StreamExt};
use scenarios::fault::Fault;
use scenarios::tree::Node;
use scenarios::types::{Content, Failure, Reason};
use std::cell::RefCell;
use std::fs;
use std::io::ErrorKind;
use std::rc::Rc;
use wit_bindgen::spawn_local;

use crate::bindings::exports::plakar::connector::objects::{
    self, ExtentBorrow, GuestExtent, GuestParcel, PutOutcome,
};
use crate::bindings::{wit_future, wit_stream};
use crate::reading::content;
use crate::remote;
use crate::run_state::{RunState, check_path, io_failure, run_state};
use crate::writing::read_all;

/// Divisor of the requested waits.
const WAIT_DIVISOR: u32 = 200;

/// Time at which every object was uploaded.
const UPLOADED: (u64, u32) = (1_800_000_000, 0);

/// Maximum number of bytes of a part.
const MAX_EXTENT_BYTES: u64 = 8 << 20;

/// Number of held bytes of which each multiple is logged once.
const LOGGED_BYTES: usize = 1 << 20;

/// Bytes on their way out.
pub struct Parcel {
    bytes: Vec<u8>,
}

impl GuestParcel for Parcel {
    async fn receive(content: Content) -> Result<objects::Parcel, Failure> {
        start_pump();
        let bytes = read_all(content, None, u64::MAX).await?;
        Ok(objects::Parcel::new(Self { bytes }))
    }

    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    async fn put(&self, path: String) -> Result<PutOutcome, Failure> {
        let state = run_state();
        state.log("put", &path);
        check_path(&path)?;
        let _uploading = state.begin_read();
        crate::run_state::wait(state.delay_ms()).await;
        fail(&state, |fault| match fault {
            Fault::PutFails { below, reason, times }
                if path.starts_with(below) && state.increment("failed puts") < *times =>
            {
                Some(Failure::new(*reason, format!("`{path}` can't be uploaded")))
            }
            _ => None,
        })?;
        let is_overwritten = state.has_overwritten(&path);
        let bytes = if is_overwritten { b"different".to_vec() } else { self.bytes.clone() };
        remote::put(&state, &Node { path, bytes: Some(bytes), modified: UPLOADED })?;
        Ok(PutOutcome::Stored)
    }

    fn read(&self) -> Result<Content, Failure> {
        let state = run_state();
        state.log("read-parcel", "");
        whole(self.bytes.clone())
    }
}

/// Fails if a fault of the scenario says so.
fn fail(state: &RunState, of: impl Fn(&Fault) -> Option<Failure>) -> Result<(), Failure> {
    state.scenario.faults.iter().find_map(of).map_or(Ok(()), Err)
}

impl RunState {
    fn has_overwritten(&self, path: &str) -> bool {
        let is_of = |fault: &Fault| matches!(fault, Fault::Overwritten(other) if *other == path);
        self.scenario.faults.iter().any(is_of)
    }
}

/// Part of an object.
pub struct Extent {
    bytes: Vec<u8>,
    state: Rc<RunState>,
}

impl Drop for Extent {
    fn drop(&mut self) {
        self.state.held_bytes.set(self.state.held_bytes.get() - self.bytes.len());
    }
}

impl GuestExtent for Extent {
    async fn fetch(path: String, offset: u64, length: u64) -> Result<objects::Extent, Failure> {
        let state = run_state();
        state.log("fetch", &format!("{path} {offset} {length}"));
        start_pump();
        check_path(&path)?;
        if length > MAX_EXTENT_BYTES {
            return Err(Failure::new(Reason::Internal, format!("{length} bytes are too many")));
        }
        let reading = state.begin_read();
        crate::run_state::wait(state.delay_ms()).await;
        drop(reading);
        let bytes = remote::bytes(&state, &path, None)?;
        let begin = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let end = begin.saturating_add(usize::try_from(length).unwrap()).min(bytes.len());
        let mut bytes = bytes[begin..end].to_vec();
        for fault in &state.scenario.faults {
            match fault {
                Fault::FetchFails { below, reason, times }
                    if path.starts_with(below) && state.increment("failed fetches") < *times =>
                {
                    return Err(Failure::new(*reason, format!("`{path}` can't be read")));
                }
                Fault::FetchShort { below, to, times }
                    if path.starts_with(below) && state.increment("short fetches") < *times =>
                {
                    bytes.truncate(*to);
                }
                Fault::ExtentBudget(budget) if state.held_bytes.get() + bytes.len() > *budget => {
                    return Err(Failure::new(Reason::RateLimited, "no buffer is free"));
                }
                _ => {}
            }
        }
        hold(&state, bytes.len());
        Ok(objects::Extent::new(Self { bytes, state }))
    }

    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn join(ranges: Vec<(ExtentBorrow<'_>, u64, u64)>) -> Result<Content, Failure> {
        let state = run_state();
        state.log("join", &ranges.len().to_string());
        let mut joined = Vec::new();
        for (extent, offset, length) in ranges {
            let bytes = &extent.get::<Self>().bytes;
            let begin = usize::try_from(offset).unwrap();
            let end = begin + usize::try_from(length).unwrap();
            let part = bytes.get(begin..end);
            joined.extend(
                part.ok_or_else(|| Failure::new(Reason::Internal, "it isn't in the extent"))?,
            );
        }
        whole(joined)
    }
}

/// Counts held bytes. Logs each further MiB of them.
fn hold(state: &RunState, bytes: usize) {
    state.held_bytes.set(state.held_bytes.get() + bytes);
    while state.max_held_bytes.get() + LOGGED_BYTES <= state.held_bytes.get() {
        state.max_held_bytes.set(state.max_held_bytes.get() + LOGGED_BYTES);
        state.log("held", "");
    }
}

/// Bytes that are to be sent: a function that is not asynchronous can't send them itself.
type Sending = LocalBoxFuture<'static, ()>;

thread_local! {
    /// Sender to the task that sends, once it was started.
    static PUMP: RefCell<Option<UnboundedSender<Sending>>> = const { RefCell::new(None) };
}

/// Starts the task that sends, unless it was started.
fn start_pump() {
    PUMP.with_borrow_mut(|pump| {
        if pump.is_none() {
            let (sender, mut receiver) = mpsc::unbounded::<Sending>();
            *pump = Some(sender);
            spawn_local(async move {
                while let Some(sending) = receiver.next().await {
                    spawn_local(sending);
                }
            });
        }
    });
}

/// Returns bytes as a content that succeeds.
fn whole(bytes: Vec<u8>) -> Result<Content, Failure> {
    let (mut output, stream) = wit_stream::new();
    let (ended, end) = wit_future::new(|| Err(Failure::new(Reason::Internal, "dropped")));
    let sending = async move {
        output.write_all(bytes).await;
        drop(output);
        let _ = ended.write(Ok(())).await;
    };
    PUMP.with_borrow(|pump| match pump {
        Some(pump) => pump.unbounded_send(sending.boxed_local()).map_err(|_| ()),
        None => Err(()),
    })
    .map_err(|()| Failure::new(Reason::Internal, "nothing was fetched"))?;
    Ok((stream, end))
}

/// Reads a whole object.
pub async fn read(path: String, size: Option<u64>) -> Result<Content, Failure> {
    let state = run_state();
    state.log("read", &path);
    check_path(&path)?;
    content(&state, &path, None, size).await
}

/// Returns the size of an object.
pub async fn stat(path: &str) -> Result<Option<u64>, Failure> {
    let state = run_state();
    state.log("stat", path);
    check_path(path)?;
    crate::run_state::wait(state.delay_ms()).await;
    fail(&state, |fault| match fault {
        Fault::StatFails { below, reason, times }
            if path.starts_with(below) && state.increment("failed stats") < *times =>
        {
            Some(Failure::new(*reason, format!("`{path}` can't be looked up")))
        }
        _ => None,
    })?;
    Ok(remote::file(&state, path).and_then(|item| u64::try_from(item.size).ok()))
}

/// Removes an object.
pub async fn delete(path: &str) -> Result<(), Failure> {
    let state = run_state();
    state.log("delete", path);
    check_path(path)?;
    crate::run_state::wait(state.delay_ms()).await;
    fail(&state, |fault| match fault {
        Fault::DeleteFails { below, reason, times }
            if path.starts_with(below) && state.increment("failed deletes") < *times =>
        {
            Some(Failure::new(*reason, format!("`{path}` can't be removed")))
        }
        _ => None,
    })?;
    match fs::remove_file(remote::on_disk(&state, path)) {
        Err(error) if !matches!(error.kind(), ErrorKind::NotFound) => Err(io_failure(error)),
        _ => Ok(()),
    }
}

/// Creates directories.
pub fn create_directories(paths: &[String]) -> Result<(), Failure> {
    let state = run_state();
    for path in paths {
        state.log("mkdir", path);
        remote::put(&state, &Node { path: path.clone(), bytes: None, modified: UPLOADED })?;
    }
    Ok(())
}

/// Waits, in less time than it was asked to.
pub async fn wait(milliseconds: u32) {
    run_state().log("wait", &milliseconds.to_string());
    crate::run_state::wait(u64::from(milliseconds.div_ceil(WAIT_DIVISOR))).await;
}
