//! Entries of the snapshot: each photo with all its paths, in the order of the archives.

use siphasher::sip::SipHasher13;
use std::hash::Hasher;

use super::directory::ExportDirectory;
use super::reader::{FileLocation, TakeoutReader};
use crate::bindings::exports::plakar::connector::importer::ScanEvent;
use crate::bindings::plakar::connector::types::{Entry, Failure, Kind, Metadata, Timestamp};
use crate::importer::events::EventSender;
use crate::lsjson::identity_from_id;
use crate::path::RemotePath;
use crate::takeout::marks::Mark;
use crate::takeout::snapshot::{Snapshot, SnapshotFile};
use crate::takeout::{FileInfo, FileSource};

/// Number of events that are sent at once.
const GROUP: usize = 256;

/// Sends the entries of a snapshot, and adds its files to the reader.
///
/// # Errors
///
/// The path of an unpacked file is invalid.
pub async fn send(
    mut snapshot: Snapshot,
    directory: &ExportDirectory,
    reader: &TakeoutReader,
    events: &mut EventSender,
) -> Result<(), Failure> {
    let mut group = Vec::new();
    for path in &snapshot.directories {
        let identity = snapshot.is_album(path).then(|| identity_from_id(path));
        let entry = directory_entry(events.root().absolute(path), path, identity);
        group.push(ScanEvent::Entry(entry));
    }
    // Each is dropped when the reader has it, which needs as much memory.
    for file in std::mem::take(&mut snapshot.files) {
        let absolute = |path: String| events.root().absolute(&path);
        let paths: Vec<_> = snapshot.paths(&file).map(absolute).collect();
        reader.add(location(file.info, directory)?, file.info.size, &paths);
        let identity = identity(file.info, directory);
        group.extend(paths.into_iter().map(|path| ScanEvent::Entry(entry(path, &file, identity))));
        if group.len() >= GROUP && !events.send(std::mem::take(&mut group)).await {
            return Ok(());
        }
    }
    events.send(group).await;
    Ok(())
}

fn location(info: FileInfo, directory: &ExportDirectory) -> Result<FileLocation, Failure> {
    Ok(match info.source {
        FileSource::Entry { archive, entry } => FileLocation::Entry { archive, entry },
        FileSource::Unpacked(number) => {
            let file = usize::try_from(number).ok().and_then(|it| directory.files.get(it));
            let path = file.map_or("", |file| &*file.path);
            FileLocation::Unpacked(RemotePath::parse(path)?)
        }
    })
}

/// Returns the identity of a file: it is the same in each export that has the same bytes.
fn identity(info: FileInfo, directory: &ExportDirectory) -> Option<u64> {
    if let FileSource::Unpacked(number) = info.source {
        return directory.identity(usize::try_from(number).ok()?);
    }
    let mut hasher = SipHasher13::new();
    hasher.write_u64(info.size);
    hasher.write_u32(info.crc32?);
    Some(hasher.finish())
}

fn entry(path: String, file: &SnapshotFile, identity: Option<u64>) -> Entry {
    let metadata = Metadata {
        kind: Kind::File,
        size: Some(file.info.size),
        permissions: 0o644,
        modified: Timestamp { seconds: file.modified, nanoseconds: 0 },
        identity,
    };
    Entry { path, metadata, link_target: None }
}

/// Creates the entry of a directory. Albums have an identity, so that a restore creates those
/// without photos as well.
fn directory_entry(absolute: String, path: &str, album: Option<u64>) -> Entry {
    let unknown = Timestamp { seconds: 0, nanoseconds: 0 };
    let mark = Mark::metadata(path).map(|(identity, time)| (Some(identity), time));
    let (identity, modified) = mark.unwrap_or((album, unknown));
    let metadata =
        Metadata { kind: Kind::Directory, size: Some(0), permissions: 0o755, modified, identity };
    Entry { path: absolute, metadata, link_target: None }
}
