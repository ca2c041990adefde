//! What the remote holds, as its backend shows it: a tree, or an account of Google
//! Photos. Paths are below the session's root.

use scenarios::Reason;
use scenarios::fault::Fault;
use scenarios::photos::{self, Photo};
use scenarios::tree::{self, Listed, Node, Time};
use std::collections::HashMap;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use crate::bindings::plakar::connector::types::Failure;
use crate::world::{World, disk, failure};

/// The shortest ID that rclone takes for one in a name of Google Photos.
const SHORTEST_ID: usize = 55;

/// One line of a listing.
pub struct Item {
    pub path: String,
    /// -1 where it isn't known, and for directories.
    pub size: i64,
    pub modified: Time,
    pub directory: bool,
    pub id: String,
}

/// A path below the remote's own root.
pub fn full(world: &World, path: &str) -> String {
    let names = [world.scenario.root, path];
    names.into_iter().filter(|path| !path.is_empty()).collect::<Vec<_>>().join("/")
}

fn on_disk(world: &World, path: &str) -> PathBuf {
    world.remote.join(full(world, path))
}

/// What lies directly in a directory, by name.
pub fn entries(world: &World, directory: &str) -> Result<Vec<Item>, Failure> {
    world.note("directory", directory);
    if !world.scenario.is_photos() {
        let root = world.remote.join(world.scenario.root);
        let listed = tree::entries(&root, directory).map_err(unreadable)?;
        return Ok(listed.into_iter().map(|listed| item(world, listed)).collect());
    }
    let (ids, directories) = views(world, directory)?;
    let named = named(world, &ids)?;
    let join = |name: &str| match directory {
        "" => name.to_owned(),
        _ => format!("{directory}/{name}"),
    };
    let directories = directories.into_iter().map(|name| Item {
        path: join(&name),
        size: -1,
        // rclone gives the time of its own start.
        modified: (1_700_000_000 + world.count("directories") as u64, 1),
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

/// One file of a tree; `None` where there is none.
pub fn file(world: &World, path: &str) -> Option<Item> {
    let listed = tree::entry(&world.remote.join(world.scenario.root), path).ok()?;
    listed.size.is_some().then(|| item(world, listed))
}

fn item(world: &World, Listed { path, size, modified }: Listed) -> Item {
    let id = match world.has(&Fault::Ids) {
        true => format!("id-of-{path}-{size:?}"),
        false => String::new(),
    };
    let known = size.filter(|_| !world.has(&Fault::NoSizes));
    Item {
        size: known.and_then(|size| size.try_into().ok()).unwrap_or(-1),
        modified,
        directory: size.is_none(),
        path,
        id,
    }
}

/// The IDs and directories that a directory of Google Photos shows.
fn views(world: &World, directory: &str) -> Result<(Vec<String>, Vec<String>), Failure> {
    let all = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let full = full(world, directory);
    Ok(match full.as_str() {
        "" => (Vec::new(), all(&["album", "feature", "media", "shared-album", "upload"])),
        "media" => (Vec::new(), all(&["all", "by-day", "by-month", "by-year"])),
        "feature" => (Vec::new(), all(&["favorites"])),
        _ => {
            let known = ["media/all", "album", "shared-album", "feature/favorites", "upload"];
            let made = world.remote.join(&full).is_dir();
            if !made && !known.contains(&full.as_str()) && !full.starts_with("media/by-") {
                return Err(failure(Reason::NotFound, "directory not found"));
            }
            let (ids, directories) = photos::shown(&world.remote, &full).map_err(unreadable)?;
            (ids, directories.into_iter().collect())
        }
    })
}

/// Photos by name: those that share one get their IDs into it.
fn named(world: &World, ids: &[String]) -> Result<Vec<(String, String, Time)>, Failure> {
    let mut photos = Vec::new();
    let mut counts = HashMap::<String, usize>::new();
    for id in ids {
        let (name, made) = photos::get(&world.remote, id).map_err(unreadable)?;
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

/// The ID in a name of Google Photos.
pub fn id_in(name: &str) -> Option<&str> {
    let (_, rest) = name.rsplit_once('{')?;
    let (id, _) = rest.split_once('}')?;
    (id.len() >= SHORTEST_ID).then_some(id)
}

/// The bytes of a file; of a photo, those behind this ID.
pub fn bytes(world: &World, path: &str, id: Option<&str>) -> Result<Vec<u8>, Failure> {
    match id {
        Some(id) => {
            world.note("download", id);
            photos::bytes(&world.remote, id).map_err(unreadable)
        }
        None => fs::read(on_disk(world, path)).map_err(unreadable),
    }
}

fn unreadable(error: std::io::Error) -> Failure {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => {
            failure(Reason::NotFound, "it is not there: check the path")
        }
        _ => disk(error),
    }
}

/// Takes a file, or a directory.
pub fn put(world: &World, node: &Node) -> Result<(), Failure> {
    let refused = world.fault(|fault| match fault {
        Fault::ReadOnly => Some("the remote is read-only"),
        Fault::Refuses(part) if node.path.contains(part) => Some("the backend takes no such name"),
        _ => None,
    });
    if let Some(why) = refused {
        return Err(failure(Reason::Denied, why));
    }
    if world.scenario.is_photos() {
        return upload(world, node);
    }
    let root = world.remote.join(world.scenario.root);
    tree::put(&root, node).map_err(disk)?;
    if !world.has(&Fault::NoTimes) {
        return tree::touch(&root.join(&node.path), node.modified).map_err(disk);
    }
    tree::touch(&root.join(&node.path), (1_900_000_000, 0)).map_err(disk)
}

/// Google Photos takes uploads in two places.
fn upload(world: &World, node: &Node) -> Result<(), Failure> {
    let path = full(world, &node.path);
    let (directory, name) = path.rsplit_once('/').unwrap_or(("", &path));
    if node.bytes.is_none() {
        // An album, which is made unless it is there.
        if !world.remote.join(&path).is_dir() {
            world.note("created", &path);
        }
        return fs::create_dir_all(world.remote.join(&path)).map_err(disk);
    }
    let shown = match directory {
        "upload" => Vec::new(),
        album if album.starts_with("album/") => vec![album.to_owned()],
        _ => return Err(failure(Reason::Unsupported, "can't upload files here")),
    };
    let photo = Photo {
        id: format!("uploaded{:0>60}", world.count("uploaded")),
        name: name.to_owned(),
        bytes: node.bytes.clone().unwrap_or_default(),
        made: node.modified,
        shown,
        own: true,
    };
    world.note("uploaded", &path);
    photos::add(&world.remote, &photo).map_err(disk)
}
