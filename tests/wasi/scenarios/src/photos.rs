//! An account of Google Photos in a directory: `photos/ID/NAME` is a photo, and `album/TITLE/ID`,
//! `shared-album/TITLE/ID` and `feature/favorites/ID` are the places where it is shown.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

use crate::tree::{self, Node, Time};

/// rclone's name of the backend.
pub const BACKEND: &str = "google photos";

/// Photo.
#[derive(Debug, Clone)]
pub struct Photo {
    /// ID of the same length as Google's.
    pub id: String,
    /// Name of its file.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Time at which it was taken.
    pub made: Time,
    /// Directories in which rclone shows it, in addition to `media/all`.
    pub shown: Vec<String>,
    /// Whether it is in the library. If not, only `shown` has it.
    pub own: bool,
}

/// First bytes of a JPEG file.
const MAGIC: [u8; 3] = [0xff, 0xd8, 0xff];

/// Creates a photo. The ID, the bytes and the time depend on its number: a higher one is newer.
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

/// Creates an account.
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

/// Returns the IDs of the photos that rclone shows in a directory, and the names of its child
/// directories.
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

/// Returns the name and the time of the photo with an ID.
pub fn get(root: &Path, id: &str) -> io::Result<(String, Time)> {
    let found = tree::entries(root, &format!("photos/{id}"))?.pop();
    let found = found.ok_or(io::ErrorKind::NotFound)?;
    let name = found.path.rsplit('/').next().unwrap_or_default().to_owned();
    Ok((name, found.modified))
}

/// Returns the bytes of the photo with an ID.
pub fn bytes(root: &Path, id: &str) -> io::Result<Vec<u8>> {
    let (name, _) = get(root, id)?;
    fs::read(root.join("photos").join(id).join(name))
}

/// Returns the contents of the account: `DIRECTORY/NAME` for each place where a photo is shown,
/// and `upload/NAME` for a photo that is only in the library.
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
