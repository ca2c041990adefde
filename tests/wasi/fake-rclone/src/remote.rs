//! Contents of the remote, as its backend shows them: a tree, or an account of Google Photos.
//! Paths are relative to the session's root.

use scenarios::fault::Fault;
use scenarios::photos::{self, Photo};
use scenarios::tree::{self, Listed, Node, Time};
use scenarios::types::{Failure, Reason};
use std::collections::HashMap;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use crate::run_state::{RunState, io_failure};

/// Length of the shortest ID that rclone recognizes in a name of Google Photos.
const MIN_ID_BYTES: usize = 55;

/// Item of a listing.
pub struct Item {
    pub path: String,
    /// Size in bytes; -1 if it is unknown, and for directories.
    pub size: i64,
    pub modified: Time,
    pub directory: bool,
    pub id: String,
}

/// Returns the path relative to the remote's own root.
pub fn full_path(state: &RunState, path: &str) -> String {
    let names = [state.scenario.root, path];
    names.into_iter().filter(|path| !path.is_empty()).collect::<Vec<_>>().join("/")
}

/// Returns where a file is on the disk.
pub fn on_disk(state: &RunState, path: &str) -> PathBuf {
    state.remote.join(full_path(state, path))
}

/// Lists the children of a directory, by name.
pub fn entries(state: &RunState, directory: &str) -> Result<Vec<Item>, Failure> {
    state.log("directory", directory);
    if !state.scenario.is_photos() {
        let root = state.remote.join(state.scenario.root);
        let listed = tree::entries(&root, directory).map_err(read_failure)?;
        return Ok(listed.into_iter().map(|listed| item(state, listed)).collect());
    }
    let (ids, directories) = views(state, directory)?;
    let named = photo_names(state, &ids)?;
    let join = |name: &str| match directory {
        "" => name.to_owned(),
        _ => format!("{directory}/{name}"),
    };
    let directories = directories.into_iter().map(|name| Item {
        path: join(&name),
        size: -1,
        // rclone reports the time of its own start.
        modified: (1_700_000_000 + state.increment("directories") as u64, 1),
        directory: true,
        id: String::new(),
    });
    let photos = named.into_iter().map(|(name, id, made)| Item {
        path: join(&name),
        size: -1,
        modified: made,
        directory: false,
        id,
    });
    Ok(directories.chain(photos).collect())
}

/// Returns one file of a tree, if it exists.
pub fn file(state: &RunState, path: &str) -> Option<Item> {
    let listed = tree::entry(&state.remote.join(state.scenario.root), path).ok()?;
    listed.size.is_some().then(|| item(state, listed))
}

fn item(state: &RunState, Listed { path, size, modified }: Listed) -> Item {
    let id =
        if state.has_fault(&Fault::Ids) { format!("id-of-{path}-{size:?}") } else { String::new() };
    let known = size.filter(|_| !state.has_fault(&Fault::NoSizes));
    Item {
        size: known.and_then(|size| size.try_into().ok()).unwrap_or(-1),
        modified,
        directory: size.is_none(),
        path,
        id,
    }
}

/// Returns the IDs and directories that a directory of Google Photos shows.
fn views(state: &RunState, directory: &str) -> Result<(Vec<String>, Vec<String>), Failure> {
    let all = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let full = full_path(state, directory);
    Ok(match full.as_str() {
        "" => (Vec::new(), all(&["album", "feature", "media", "shared-album", "upload"])),
        "media" => (Vec::new(), all(&["all", "by-day", "by-month", "by-year"])),
        "feature" => (Vec::new(), all(&["favorites"])),
        _ => {
            let known = ["media/all", "album", "shared-album", "feature/favorites", "upload"];
            let made = state.remote.join(&full).is_dir();
            if !made && !known.contains(&full.as_str()) && !full.starts_with("media/by-") {
                return Err(Failure::new(Reason::NotFound, "directory not found"));
            }
            let (ids, directories) = photos::shown(&state.remote, &full).map_err(read_failure)?;
            (ids, directories.into_iter().collect())
        }
    })
}

/// Returns photos by name. Photos that share a name have their IDs in it.
fn photo_names(state: &RunState, ids: &[String]) -> Result<Vec<(String, String, Time)>, Failure> {
    let mut photos = Vec::new();
    let mut counts = HashMap::<String, usize>::new();
    for id in ids {
        let (name, made) = photos::get(&state.remote, id).map_err(read_failure)?;
        *counts.entry(name.clone()).or_default() += 1;
        photos.push((name, id.clone(), made));
    }
    for (name, id, _) in &mut photos {
        if counts[name.as_str()] > 1 {
            let (stem, extension) = name.split_at(name.rfind('.').unwrap_or(name.len()));
            *name = format!("{stem} {{{id}}}{extension}");
        }
    }
    photos.sort();
    Ok(photos)
}

/// Returns the ID in a name of Google Photos.
pub fn id_in_name(name: &str) -> Option<&str> {
    let (_, rest) = name.rsplit_once('{')?;
    let (id, _) = rest.split_once('}')?;
    (id.len() >= MIN_ID_BYTES).then_some(id)
}

/// Reads a file, or the photo with an ID.
pub fn bytes(state: &RunState, path: &str, id: Option<&str>) -> Result<Vec<u8>, Failure> {
    match id {
        Some(id) => {
            state.log("download", id);
            photos::bytes(&state.remote, id).map_err(read_failure)
        }
        None => fs::read(on_disk(state, path)).map_err(read_failure),
    }
}

/// Creates the failure of an I/O error of a read.
fn read_failure(error: std::io::Error) -> Failure {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => {
            Failure::new(Reason::NotFound, "it doesn't exist").with_help("check the path")
        }
        _ => io_failure(error),
    }
}

/// Writes a file or a directory.
pub fn put(state: &RunState, node: &Node) -> Result<(), Failure> {
    let refused = state.find_fault(|fault| match fault {
        Fault::ReadOnly => Some("the remote is read-only"),
        Fault::Refuses(part) if node.path.contains(part) => Some("the backend rejects the name"),
        _ => None,
    });
    if let Some(why) = refused {
        return Err(Failure::new(Reason::Denied, why));
    }
    if state.scenario.is_photos() {
        return store(state, node);
    }
    let root = state.remote.join(state.scenario.root);
    tree::put(&root, node).map_err(io_failure)?;
    if !state.has_fault(&Fault::NoTimes) {
        return tree::touch(&root.join(&node.path), node.modified).map_err(io_failure);
    }
    tree::touch(&root.join(&node.path), (1_900_000_000, 0)).map_err(io_failure)
}

/// Writes to Google Photos, which accepts uploads in two directories.
fn store(state: &RunState, node: &Node) -> Result<(), Failure> {
    let path = full_path(state, &node.path);
    let (directory, name) = path.rsplit_once('/').unwrap_or(("", &path));
    if node.bytes.is_none() {
        // An album, which is created unless it exists.
        if !state.remote.join(&path).is_dir() {
            state.log("created", &path);
        }
        return fs::create_dir_all(state.remote.join(&path)).map_err(io_failure);
    }
    let shown = match directory {
        "upload" => Vec::new(),
        album if album.starts_with("album/") => vec![album.to_owned()],
        _ => return Err(Failure::new(Reason::Unsupported, "can't upload files here")),
    };
    let photo = Photo {
        id: format!("uploaded{:0>60}", state.increment("uploaded")),
        name: name.to_owned(),
        bytes: node.bytes.clone().unwrap_or_default(),
        made: node.modified,
        shown,
        own: true,
    };
    state.log("uploaded", &path);
    photos::add(&state.remote, &photo).map_err(io_failure)
}
