//! The title of an album of Google Photos that is backed up or restored alone: Plakar strips
//! the path of the root from each entry, and the album's title is in that path.

use super::proto::connectors::Record;
use super::records;
use crate::connector::Entry;

/// Marks the root of a backup as an album: albums are known by their identity, and that of an
/// album that is backed up alone isn't listed.
pub fn mark_root(entry: &mut Entry, identity: u64) {
    entry.metadata.identity.get_or_insert(identity);
}

/// Returns the directory to which a restore goes that begins with this record, if it is an
/// album: one whose root has an identity and no time goes below `album_directory`.
pub fn destination(first: &Record, album_directory: Option<&str>) -> Option<String> {
    let info = first.file_info.as_ref().filter(|_| first.pathname == "/")?;
    let time = info.mod_time.unwrap_or_default();
    let is_album = info.ino != 0 && (time.seconds, time.nanos) == (0, 0);
    let destination = format!("{}{}", album_directory?, info.name);
    let is_valid = !info.name.contains('/') && records::check_path(&destination).is_ok();
    (is_album && is_valid).then_some(destination)
}

/// Moves an entry below that directory.
pub fn relocate(mut entry: Entry, destination: &str) -> Entry {
    entry.path = match entry.path.as_str() {
        "/" if !destination.is_empty() => destination.to_owned(),
        path => [destination, path].concat(),
    };
    entry
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::proto::connectors::FileInfo;

    fn record(pathname: &str, name: &str, ino: u64, seconds: i64) -> Record {
        let mod_time = Some(prost_types::Timestamp { seconds, nanos: 0 });
        let info = FileInfo { name: name.to_owned(), ino, mod_time, ..FileInfo::default() };
        Record { pathname: pathname.to_owned(), file_info: Some(info), ..Record::default() }
    }

    #[test]
    fn an_album_goes_among_the_albums_and_nothing_else_does() {
        let album = record("/", "Trip", 7, 0);
        assert_eq!(destination(&album, Some("/album/")).as_deref(), Some("/album/Trip"));
        assert_eq!(destination(&album, Some("/")).as_deref(), Some("/Trip"));
        assert_eq!(destination(&album, None), None);
        for (first, what) in [
            (record("/", "Trip", 7, 1), "a directory of a disk"),
            (record("/", "all", 0, 0), "a view"),
            (record("/", "/", 7, 0), "the whole snapshot"),
            (record("/", "..", 7, 0), "not a name"),
            (record("/a", "Trip", 7, 0), "not the first"),
        ] {
            assert_eq!(destination(&first, Some("/album/")), None, "{what}");
        }
    }
}
