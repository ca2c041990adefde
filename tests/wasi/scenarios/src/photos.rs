//! An account of Google Photos in a directory: `photos/ID/NAME` holds a photo, and
//! `album/TITLE/ID`, `shared-album/TITLE/ID` and `feature/favorites/ID` say where it is
//! shown.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

use crate::tree::{self, Node, Time};

/// rclone's name of the backend.
pub const BACKEND: &str = "google photos";

/// A photo.
#[derive(Debug, Clone)]
pub struct Photo {
    /// As long as Google's.
    pub id: String,
    pub name: String,
    pub bytes: Vec<u8>,
    pub made: Time,
    /// Directories of rclone's that show it, beside `media/all`.
    pub shown: Vec<String>,
    /// Whether the library has it; if not, only `shown` does.
    pub own: bool,
}

/// How a JPEG begins.
const MAGIC: [u8; 3] = [0xff, 0xd8, 0xff];

/// A photo, its number making its ID, its bytes and its age: higher is newer.
pub fn photo(number: u32, name: &str, shown: &[&str]) -> Photo {
    let id = format!("A-_{number:0>60}");
    let bytes = tree::bytes(u64::from(number), 1000 + number as usize);
    Photo {
        bytes: [&MAGIC[..], &bytes].concat(),
        made: (1_500_000_000 + u64::from(number), 0),
        name: name.to_owned(),
        shown: shown.iter().map(|shown| (*shown).to_owned()).collect(),
        id,
        own: true,
    }
}

/// Makes an account.
pub fn lay(root: &Path, photos: &[Photo]) -> io::Result<()> {
    fs::create_dir_all(root.join("photos"))?;
    for photo in photos {
        add(root, photo)?;
    }
    Ok(())
}

/// Adds a photo.
pub fn add(root: &Path, photo: &Photo) -> io::Result<()> {
    let Photo { id, name, bytes, made, shown, own } = photo;
    let path = format!("photos/{id}/{name}");
    tree::put(root, &Node { path, bytes: Some(bytes.clone()), modified: *made })?;
    let shown = shown.iter().map(String::as_str).chain(own.then_some("media/all"));
    for directory in shown {
        let path = format!("{directory}/{id}");
        tree::put(root, &Node { path, bytes: Some(Vec::new()), modified: *made })?;
    }
    Ok(())
}

/// The IDs that a directory of rclone's shows, and the names of directories in it.
pub fn shown(root: &Path, directory: &str) -> io::Result<(Vec<String>, BTreeSet<String>)> {
    let (mut ids, mut directories) = (Vec::new(), BTreeSet::new());
    if !root.join(directory).is_dir() {
        return Ok((ids, directories));
    }
    for listed in tree::entries(root, directory)? {
        let name = listed.path.rsplit('/').next().unwrap_or_default().to_owned();
        match listed.size {
            Some(_) => ids.push(name),
            None => drop(directories.insert(name)),
        }
    }
    Ok((ids, directories))
}

/// A photo by its ID: its name, and when it was made. One that isn't there is an error.
pub fn get(root: &Path, id: &str) -> io::Result<(String, Time)> {
    let found = tree::entries(root, &format!("photos/{id}"))?.pop();
    let found = found.ok_or(io::ErrorKind::NotFound)?;
    let name = found.path.rsplit('/').next().unwrap_or_default().to_owned();
    Ok((name, found.modified))
}

/// Its bytes.
pub fn bytes(root: &Path, id: &str) -> io::Result<Vec<u8>> {
    let (name, _) = get(root, id)?;
    fs::read(root.join("photos").join(id).join(name))
}

/// What is in the account: `DIRECTORY/NAME` for each photo where it is shown, and
/// `upload/NAME` for those that only the library has.
pub fn show(root: &Path) -> io::Result<BTreeMap<String, Node>> {
    let mut shown_in = BTreeMap::<String, Vec<String>>::new();
    let tree = tree::show(root)?;
    for path in tree.values().filter(|node| node.bytes.is_some()).map(|node| &node.path) {
        let (directory, id) = path.rsplit_once('/').unwrap_or_default();
        if !directory.starts_with("photos/") && directory != "media/all" {
            shown_in.entry(id.to_owned()).or_default().push(directory.to_owned());
        }
    }
    let mut account = BTreeMap::new();
    for id in shown(root, "photos")?.1 {
        let (name, modified) = get(root, &id)?;
        let bytes = Some(bytes(root, &id)?);
        let directories = shown_in.remove(&id).unwrap_or_else(|| vec!["upload".to_owned()]);
        for directory in directories {
            let path = format!("{directory}/{name}");
            account.insert(path.clone(), Node { path, bytes: bytes.clone(), modified });
        }
    }
    Ok(account)
}
