//! Exports of Google Takeout: archives as Google makes them, and the snapshot that they make.

use std::collections::BTreeSet;

use crate::tree::{Node, Time, bytes};

/// Folder of Google Photos in an archive.
const SERVICE: &str = "Takeout/Google Photos";

/// Time of all archives, which no photo has.
const ARCHIVED: Time = (1_790_000_000, 0);

/// Photo of an account.
#[derive(Debug, Clone)]
pub struct ExportedPhoto {
    /// Name with which it was uploaded.
    pub title: String,
    /// Contents.
    pub bytes: Vec<u8>,
    /// Unix time at which it was taken.
    pub taken: u64,
    /// Fields of the sidecar in addition to the title and the time.
    pub fields: &'static str,
}

/// Creates a photo of 2023. The bytes and the time depend on its number.
pub fn exported(number: u64, title: &str) -> ExportedPhoto {
    let size = 1000 + usize::try_from(number % 1000).unwrap();
    let title = title.to_owned();
    ExportedPhoto { title, bytes: bytes(number, size), taken: 1_680_000_000 + number, fields: "" }
}

impl ExportedPhoto {
    /// Returns its sidecar.
    pub fn json(&self) -> Vec<u8> {
        let Self { title, taken, fields, .. } = self;
        let taken = format!(r#""photoTakenTime":{{"timestamp":"{taken}","formatted":"x"}}"#);
        format!(r#"{{"title":"{title}","imageViews":"3",{taken}{fields}}}"#).into_bytes()
    }

    /// Returns its file in a folder of an archive, and its sidecar.
    pub fn files(&self, folder: &str) -> Vec<(String, Vec<u8>)> {
        let path = format!("{SERVICE}/{folder}/{}", self.title);
        let sidecar = format!("{path}.supplemental-metadata.json");
        vec![(path, self.bytes.clone()), (sidecar, self.json())]
    }

    /// Returns its node in a snapshot.
    pub fn node(&self, path: &str) -> Node {
        Node { path: path.to_owned(), bytes: Some(self.bytes.clone()), modified: (self.taken, 0) }
    }

    /// Returns the nodes of the photo, and of its sidecar beside the first path.
    pub fn nodes(&self, paths: &[&str]) -> Vec<Node> {
        let mut nodes: Vec<_> = paths.iter().map(|path| self.node(path)).collect();
        let path = format!("sidecar/{}.json", paths[0]);
        nodes.push(Node { path, bytes: Some(self.json()), modified: (self.taken, 0) });
        nodes
    }
}

/// Returns the JSON file that makes a folder an album.
pub fn album(folder: &str, title: &str) -> (String, Vec<u8>) {
    let json = format!(r#"{{"title":"{title}"}}"#).into_bytes();
    (format!("{SERVICE}/{folder}/metadata.json"), json)
}

/// Returns the node of the JSON file of an album in a snapshot.
pub fn album_node(title: &str) -> Node {
    let json = format!(r#"{{"title":"{title}"}}"#).into_bytes();
    Node { path: format!("sidecar/album/{title}.json"), bytes: Some(json), modified: (0, 0) }
}

/// Returns a snapshot: files, and the directories above them with the times that they have.
pub fn snapshot(files: Vec<Node>) -> Vec<Node> {
    let mut directories = BTreeSet::new();
    for file in &files {
        directories.extend(file.path.match_indices('/').map(|(at, _)| file.path[..at].to_owned()));
    }
    let directories = directories.into_iter().map(|path| {
        let is_marked = ["archive", "trash", "other", "sidecar"].contains(&&*path);
        Node { path, bytes: None, modified: (u64::from(is_marked), 0) }
    });
    directories.chain(files).collect()
}

/// Creates an archive whose files are stored.
pub fn archive(name: &str, files: Vec<(String, Vec<u8>)>) -> Node {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    let count = u16::try_from(files.len()).unwrap();
    for (name, content) in files {
        let (offset, size) = (long(bytes.len()), long(content.len()));
        let crc32 = crc32(&content).to_le_bytes();
        let length = short(name.len());
        // Version 2.0, names in UTF-8, stored, no time.
        let common =
            [&[20, 0, 0, 8, 0, 0, 0, 0, 33, 0][..], &crc32, &size, &size, &length].concat();
        bytes.extend([&b"PK\x03\x04"[..], &common, &[0; 2], name.as_bytes(), &content].concat());
        let head = [&b"PK\x01\x02\x14\x00"[..], &common, &[0; 12], &offset].concat();
        directory.extend([&head, name.as_bytes()].concat());
    }
    let (start, size) = (long(bytes.len()), long(directory.len()));
    bytes.extend(directory);
    let count = count.to_le_bytes();
    bytes.extend([&b"PK\x05\x06\0\0\0\0"[..], &count, &count, &size, &start, &[0; 2]].concat());
    Node { path: name.to_owned(), bytes: Some(bytes), modified: ARCHIVED }
}

fn short(number: usize) -> [u8; 2] {
    u16::try_from(number).unwrap().to_le_bytes()
}

fn long(number: usize) -> [u8; 4] {
    u32::try_from(number).unwrap().to_le_bytes()
}

/// Returns the CRC-32 of bytes.
fn crc32(bytes: &[u8]) -> u32 {
    let table = |byte: u32| (0..8).fold(byte, |sum, _| (sum >> 1) ^ (0xedb8_8320 * (sum & 1)));
    !bytes.iter().fold(!0, |sum, byte| table((sum ^ u32::from(*byte)) & 0xff) ^ (sum >> 8))
}
