//! The verbs `batch` and `receive`: files on their way to the remote.

use scenarios::Reason;
use scenarios::fault::Fault;
use scenarios::tree::{self, Node};
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;
use wit_bindgen::{FutureReader, StreamReader, StreamResult, spawn_local};

use crate::bindings::exports::plakar::connector::rclone::{self, GuestBatch, Outcome};
use crate::bindings::plakar::connector::types::{Content, Entry, Failure, Kind, Timestamp};
use crate::bindings::{wit_future, wit_stream};
use crate::reading::counted;
use crate::remote;
use crate::world::{World, disk, failure, sound, wait, world};

/// How many bytes a batch may hold.
const BUDGET: u64 = 256 << 20;

/// Entries in a directory of their own.
pub struct Batch {
    directory: PathBuf,
    bytes: Cell<u64>,
    /// The directories that were added; others are only made.
    directories: RefCell<HashSet<String>>,
}

impl Drop for Batch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

impl GuestBatch for Batch {
    async fn create() -> Result<rclone::Batch, Failure> {
        let world = world();
        world.note("batch", "");
        let refused = world.fault(|fault| match fault {
            Fault::NoBatch(reason) => Some(*reason),
            _ => None,
        });
        if let Some(reason) = refused {
            return Err(failure(reason, "no batch can be made: make room on the disk"));
        }
        let directory = world.batches.join(world.count("batches").to_string());
        fs::create_dir_all(&directory).map_err(disk)?;
        Ok(rclone::Batch::new(Self {
            directory,
            bytes: Cell::default(),
            directories: RefCell::default(),
        }))
    }

    async fn add(&self, entry: Entry, content: Option<Content>) -> Result<(), Failure> {
        let world = world();
        sound(&entry.path)?;
        for fault in &world.scenario.faults {
            match fault {
                Fault::NotAdded(path, reason) if *path == entry.path => {
                    return Err(failure(*reason, format!("`{path}` can't be collected")));
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
                    return Err(failure(Reason::Internal, "it is in the batch already"));
                }
                let room = BUDGET - self.bytes.get();
                let bytes = taken(content, entry.metadata.size, room).await?;
                self.bytes.set(self.bytes.get() + bytes.len() as u64);
                Node { path: entry.path, bytes: Some(bytes), modified }
            }
            _ => return Err(failure(Reason::Unsupported, "neither a file nor a directory")),
        };
        tree::put(&self.directory, &node).map_err(disk)?;
        tree::touch(&self.directory.join(&node.path), modified).map_err(disk)
    }

    async fn send(
        batch: rclone::Batch,
    ) -> (StreamReader<Outcome>, FutureReader<Result<(), Failure>>) {
        let world = world();
        world.note("send", "");
        let (mut output, outcomes) = wit_stream::new();
        let (ended, end) = wit_future::new(|| Err(failure(Reason::Internal, "given up")));
        let batch: Self = batch.into_inner();
        spawn_local(async move {
            let (writing, another) = world.begin_write();
            // Others have the time to begin while this goes on.
            wait(world.slowness().max(1)).await;
            let (told, result) = batch.sent(&world, another && world.scenario.is_photos());
            drop(writing);
            output.write_all(told).await;
            drop(output);
            let _ = ended.write(result).await;
        });
        (outcomes, end)
    }
}

impl Batch {
    /// Uploads all; gives what is said of it, and how it ends.
    fn sent(&self, world: &World, another: bool) -> (Vec<Outcome>, Result<(), Failure>) {
        let nodes = match tree::show(&self.directory) {
            Ok(nodes) => nodes,
            Err(error) => return (Vec::new(), Err(disk(error))),
        };
        let mut told = Vec::new();
        if world.has(&Fault::Strangers) {
            told.push(Outcome { path: "a stranger".to_owned(), outcome: Ok(()) });
        }
        let (directories, files): (Vec<_>, Vec<_>) =
            nodes.into_values().partition(|node| node.bytes.is_none());
        for node in files {
            let outcome = match another {
                true => Err(failure(Reason::RateLimited, "concurrent write request")),
                false => upload(world, &node),
            };
            told.extend(said(world, node.path, outcome));
            if let Some(reason) = ending(world, told.len()) {
                return (told, Err(failure(reason, "rclone ended: run the restore again")));
            }
        }
        for node in directories.into_iter().rev() {
            let added = self.directories.borrow().contains(&node.path);
            // Google Photos makes albums with what goes into them.
            let known = world.scenario.is_photos()
                || world.remote.join(remote::full(world, &node.path)).is_dir();
            // rclone only mentions directories that fail.
            if (added || !known)
                && let Err(failure) = upload(world, &node)
            {
                told.push(Outcome { path: node.path, outcome: Err(failure) });
            }
        }
        if let Some(reason) = ending(world, usize::MAX) {
            return (told, Err(failure(reason, "rclone ended: run the restore again")));
        }
        (told, Ok(()))
    }
}

/// Why a batch ends now, when so much was said.
fn ending(world: &World, told: usize) -> Option<Reason> {
    world.fault(|fault| match fault {
        Fault::BatchEnds { after, reason } if told >= *after => Some(*reason),
        _ => None,
    })
}

/// What is said of one file: once, as a rule.
fn said(world: &World, path: String, outcome: Result<(), Failure>) -> Vec<Outcome> {
    for fault in &world.scenario.faults {
        match fault {
            Fault::Silent(silent) if *silent == path => return Vec::new(),
            Fault::Twice(twice) if *twice == path => {
                let again = Err(failure(Reason::Internal, "it was said before"));
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

fn upload(world: &World, node: &Node) -> Result<(), Failure> {
    let fails = world.fault(|fault| match fault {
        Fault::NotSent(path, reason) if *path == node.path => Some(*reason),
        _ => None,
    });
    match fails {
        Some(reason) => Err(failure(reason, format!("`{}` can't be uploaded", node.path))),
        None => remote::put(world, node),
    }
}

pub async fn receive(
    path: String,
    size: u64,
    modified: Timestamp,
    content: Content,
) -> Result<(), Failure> {
    let world = world();
    world.note("receive", &path);
    sound(&path)?;
    let (_writing, another) = world.begin_write();
    if another && world.scenario.is_photos() {
        return Err(failure(Reason::RateLimited, "concurrent write request"));
    }
    let bytes = taken(content, Some(size), u64::MAX).await?;
    upload(&world, &Node { path, bytes: Some(bytes), modified: time(modified) })
}

/// Takes a content that must be whole.
async fn taken(
    (mut stream, end): Content,
    size: Option<u64>,
    room: u64,
) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    loop {
        let (result, piece) = stream.read(Vec::with_capacity(256 << 10)).await;
        bytes.extend_from_slice(&piece);
        if bytes.len() as u64 > room {
            return Err(failure(Reason::RateLimited, "the batch is full"));
        }
        if !matches!(result, StreamResult::Complete(_)) {
            break;
        }
    }
    end.await?;
    counted(bytes.len() as u64, size)?;
    Ok(bytes)
}

fn time(modified: Timestamp) -> tree::Time {
    (u64::try_from(modified.seconds).unwrap_or_default(), modified.nanoseconds)
}
