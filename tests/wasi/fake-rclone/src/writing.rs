//! The resource `batch` and the function `upload`: uploads.

use scenarios::fault::Fault;
use scenarios::tree::{self, Node};
use scenarios::types::{Content, Entry, Failure, Kind, Reason, Timestamp};
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;
use wit_bindgen::{FutureReader, StreamReader, StreamResult, spawn_local};

use crate::bindings::exports::plakar::connector::rclone::{self, GuestBatch, Outcome};
use crate::bindings::{wit_future, wit_stream};
use crate::reading::check_size;
use crate::remote;
use crate::run_state::{RunState, check_path, io_failure, run_state, wait};

/// Maximum number of bytes of a batch.
const MAX_BATCH_BYTES: u64 = 256 << 20;

/// Batch, whose entries are in a directory of their own.
pub struct Batch {
    directory: PathBuf,
    bytes: Cell<u64>,
    /// Directories that were added. Others are created without a time.
    directories: RefCell<HashSet<String>>,
}

impl Drop for Batch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

impl GuestBatch for Batch {
    async fn create() -> Result<rclone::Batch, Failure> {
        let state = run_state();
        state.log("batch", "");
        let refused = state.find_fault(|fault| match fault {
            Fault::NoBatch(reason) => Some(*reason),
            _ => None,
        });
        if let Some(reason) = refused {
            return Err(
                Failure::new(reason, "no batch can be created").with_help("make room on the disk")
            );
        }
        let directory = state.batches.join(state.increment("batches").to_string());
        fs::create_dir_all(&directory).map_err(io_failure)?;
        Ok(rclone::Batch::new(Self {
            directory,
            bytes: Cell::default(),
            directories: RefCell::default(),
        }))
    }

    async fn add(&self, entry: Entry, content: Option<Content>) -> Result<(), Failure> {
        let state = run_state();
        check_path(&entry.path)?;
        for fault in &state.scenario.faults {
            match fault {
                Fault::NotAdded(path, reason) if *path == entry.path => {
                    return Err(Failure::new(*reason, format!("`{path}` can't be added")));
                }
                _ => {}
            }
        }
        let modified = time(entry.metadata.modified);
        let node = match (entry.metadata.kind, content) {
            (Kind::Directory, None) => {
                self.directories.borrow_mut().insert(entry.path.clone());
                Node { path: entry.path, bytes: None, modified }
            }
            (Kind::File, Some(content)) => {
                if self.directory.join(&entry.path).exists() {
                    return Err(Failure::new(Reason::Internal, "it is already in the batch"));
                }
                let room = MAX_BATCH_BYTES - self.bytes.get();
                let bytes = read_all(content, entry.metadata.size, room).await?;
                self.bytes.set(self.bytes.get() + bytes.len() as u64);
                Node { path: entry.path, bytes: Some(bytes), modified }
            }
            _ => return Err(Failure::new(Reason::Unsupported, "neither a file nor a directory")),
        };
        tree::put(&self.directory, &node).map_err(io_failure)?;
        tree::touch(&self.directory.join(&node.path), modified).map_err(io_failure)
    }

    async fn send(
        batch: rclone::Batch,
    ) -> (StreamReader<Outcome>, FutureReader<Result<(), Failure>>) {
        let state = run_state();
        state.log("send", "");
        let (mut output, outcomes) = wit_stream::new();
        let (ended, end) = wit_future::new(|| Err(Failure::new(Reason::Internal, "dropped")));
        let batch: Self = batch.into_inner();
        spawn_local(async move {
            let (uploading, is_concurrent) = state.begin_upload();
            // Other uploads may begin meanwhile.
            wait(state.delay_ms().max(1)).await;
            let (reported, result) =
                batch.upload(&state, is_concurrent && state.scenario.is_photos());
            drop(uploading);
            output.write_all(reported).await;
            drop(output);
            let _ = ended.write(result).await;
        });
        (outcomes, end)
    }
}

impl Batch {
    /// Uploads the batch. Returns the outcomes that are reported, and how the upload ends.
    fn upload(&self, state: &RunState, is_concurrent: bool) -> (Vec<Outcome>, Result<(), Failure>) {
        let nodes = match tree::show(&self.directory) {
            Ok(nodes) => nodes,
            Err(error) => return (Vec::new(), Err(io_failure(error))),
        };
        let mut reported = Vec::new();
        if state.has_fault(&Fault::UnknownOutcomes) {
            reported.push(Outcome { path: "unknown".to_owned(), outcome: Ok(()) });
        }
        let (directories, files): (Vec<_>, Vec<_>) =
            nodes.into_values().partition(|node| node.bytes.is_none());
        for node in files {
            let outcome = if is_concurrent {
                Err(Failure::new(Reason::RateLimited, "concurrent write request"))
            } else {
                store(state, &node)
            };
            reported.extend(outcomes(state, node.path, outcome));
            if let Some(reason) = early_end(state, reported.len()) {
                return (
                    reported,
                    Err(Failure::new(reason, "rclone ended").with_help("run the restore again")),
                );
            }
        }
        for node in directories.into_iter().rev() {
            let added = self.directories.borrow().contains(&node.path);
            // Google Photos creates albums with their photos.
            let exists = state.scenario.is_photos()
                || state.remote.join(remote::full_path(state, &node.path)).is_dir();
            // rclone only mentions directories that fail.
            if (added || !exists)
                && let Err(failure) = store(state, &node)
            {
                reported.push(Outcome { path: node.path, outcome: Err(failure) });
            }
        }
        if let Some(reason) = early_end(state, usize::MAX) {
            return (
                reported,
                Err(Failure::new(reason, "rclone ended").with_help("run the restore again")),
            );
        }
        (reported, Ok(()))
    }
}

/// Returns why a batch ends early, after a number of reported outcomes.
fn early_end(state: &RunState, reported: usize) -> Option<Reason> {
    state.find_fault(|fault| match fault {
        Fault::BatchEnds { after, reason } if reported >= *after => Some(*reason),
        _ => None,
    })
}

/// Returns the outcomes that are reported of one file: one, as a rule.
fn outcomes(state: &RunState, path: String, outcome: Result<(), Failure>) -> Vec<Outcome> {
    for fault in &state.scenario.faults {
        match fault {
            Fault::NoOutcome(silent) if *silent == path => return Vec::new(),
            Fault::TwoOutcomes(twice) if *twice == path => {
                let again = Err(Failure::new(Reason::Internal, "it was reported before"));
                return vec![
                    Outcome { path: path.clone(), outcome },
                    Outcome { path, outcome: again },
                ];
            }
            _ => {}
        }
    }
    vec![Outcome { path, outcome }]
}

/// Uploads one file or directory.
fn store(state: &RunState, node: &Node) -> Result<(), Failure> {
    let fails = state.find_fault(|fault| match fault {
        Fault::NotSent(path, reason) if *path == node.path => Some(*reason),
        _ => None,
    });
    match fails {
        Some(reason) => Err(Failure::new(reason, format!("`{}` can't be uploaded", node.path))),
        None => remote::put(state, node),
    }
}

/// Uploads one file as it arrives.
pub async fn upload(
    path: String,
    size: u64,
    modified: Timestamp,
    content: Content,
) -> Result<(), Failure> {
    let state = run_state();
    state.log("receive", &path);
    check_path(&path)?;
    let (_uploading, is_concurrent) = state.begin_upload();
    if is_concurrent && state.scenario.is_photos() {
        return Err(Failure::new(Reason::RateLimited, "concurrent write request"));
    }
    let bytes = read_all(content, Some(size), u64::MAX).await?;
    store(&state, &Node { path, bytes: Some(bytes), modified: time(modified) })
}

/// Reads a content, which has to be complete.
pub async fn read_all(
    (mut stream, end): Content,
    size: Option<u64>,
    room: u64,
) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    loop {
        let (result, piece) = stream.read(Vec::with_capacity(256 << 10)).await;
        bytes.extend_from_slice(&piece);
        if bytes.len() as u64 > room {
            return Err(Failure::new(Reason::RateLimited, "the batch is full"));
        }
        if !matches!(result, StreamResult::Complete(_)) {
            break;
        }
    }
    end.await?;
    check_size(bytes.len() as u64, size)?;
    Ok(bytes)
}

fn time(modified: Timestamp) -> tree::Time {
    (u64::try_from(modified.seconds).unwrap_or_default(), modified.nanoseconds)
}
