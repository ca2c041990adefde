//! What is lost of a part's own name: Plakar strips the path of what was backed up, or is
//! restored, from each of its entries. An album of Google Photos would lose its title by
//! that, and a file that was taken for a directory has its name twice.

use super::proto::connectors::Record;
use super::records;
use crate::connector::{Entry, Kind, Remote};
use crate::rclone::google_photos;

/// Where albums lie in a remote of Google Photos that takes them: below its location.
pub fn albums_of(remote: &Remote) -> Option<&'static str> {
    if remote.backend != google_photos::BACKEND {
        return None;
    }
    match remote.root.trim_matches('/') {
        "" => Some("/album/"),
        "album" => Some("/"),
        _ => None,
    }
}

/// Whether this part of a remote is an album.
pub fn is_album(remote: &Remote) -> bool {
    let path = remote.root.trim_matches('/');
    let below = path.strip_prefix("album/").or(path.strip_prefix("shared-album/"));
    remote.backend == google_photos::BACKEND && below.is_some()
}

/// Marks the directory of an album that is backed up alone as one: albums are known by their
/// identity, and this one's isn't listed.
pub fn mark(entry: &mut Entry, identity: u64) {
    entry.metadata.identity.get_or_insert(identity);
}

/// Where a restore's entries belong, which begins with this record: an album of Google
/// Photos, whose directories have an identity and no time, goes among the `albums`.
pub fn place(first: &Record, albums: Option<&str>) -> Option<String> {
    let info = first.file_info.as_ref().filter(|_| first.pathname == "/")?;
    let time = info.mod_time.unwrap_or_default();
    let is_album = info.ino != 0 && (time.seconds, time.nanos) == (0, 0);
    let place = format!("{}{}", albums?, info.name);
    (is_album && !info.name.contains('/') && records::check(&place).is_ok()).then_some(place)
}

/// The entry in that place.
pub fn moved(mut entry: Entry, place: &str) -> Entry {
    entry.path = match entry.path.as_str() {
        "/" if !place.is_empty() => place.to_owned(),
        below => [place, below].concat(),
    };
    entry
}

/// Notices a location that is a file: its listing is that of a directory with one file of
/// the same name in it.
#[derive(Default)]
pub struct Suspicion {
    others: bool,
    twice: Option<String>,
}

impl Suspicion {
    pub fn look(&mut self, entry: &Entry) {
        let twice = entry.path.rsplit_once('/').filter(|(parent, name)| {
            entry.metadata.kind == Kind::File && parent.rsplit('/').next() == Some(name)
        });
        match twice {
            Some((parent, _)) if self.twice.is_none() => self.twice = Some(parent.to_owned()),
            _ => self.others |= entry.metadata.kind != Kind::Directory,
        }
    }

    /// Says so at the end of the listing of this root.
    pub fn tell(self, root: &str) {
        if let Some(path) = self.twice.filter(|path| path == root && !self.others) {
            let directory = path.rsplit_once('/').map_or("", |(parent, _)| parent);
            tracing::warn!(
                "the location `{}` holds one file of the same name, as if it were that file: if it is, set the location to the directory `{directory}/`",
                path.escape_debug()
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::{Metadata, Timestamp};
    use crate::plugin::proto::connectors::FileInfo;

    fn remote(backend: &str, root: &str) -> Remote {
        Remote {
            backend: backend.to_owned(),
            root: root.to_owned(),
            options: Vec::new(),
            streams: 1,
        }
    }

    fn record(pathname: &str, name: &str, ino: u64, seconds: i64) -> Record {
        let mod_time = Some(prost_types::Timestamp { seconds, nanos: 0 });
        let info = FileInfo { name: name.to_owned(), ino, mod_time, ..FileInfo::default() };
        Record { pathname: pathname.to_owned(), file_info: Some(info), ..Record::default() }
    }

    #[test]
    fn an_album_goes_among_the_albums_and_nothing_else_does() {
        let whole = albums_of(&remote(google_photos::BACKEND, "/"));
        assert_eq!(place(&record("/", "Trip", 7, 0), whole).as_deref(), Some("/album/Trip"));
        let among = albums_of(&remote(google_photos::BACKEND, "album"));
        assert_eq!(place(&record("/", "Trip", 7, 0), among).as_deref(), Some("/Trip"));
        for (first, what) in [
            (record("/", "Trip", 7, 1), "a directory of a disk"),
            (record("/", "all", 0, 0), "a view"),
            (record("/", "/", 7, 0), "the whole snapshot"),
            (record("/", "..", 7, 0), "no name"),
            (record("/a", "Trip", 7, 0), "not the first"),
        ] {
            assert_eq!(place(&first, whole), None, "{what}");
        }
        for other in [
            remote("s3", ""),
            remote(google_photos::BACKEND, "upload"),
            remote(google_photos::BACKEND, "album/X"),
        ] {
            assert_eq!(place(&record("/", "Trip", 7, 0), albums_of(&other)), None);
        }
        assert!(is_album(&remote(google_photos::BACKEND, "/album/Trip/")));
        assert!(
            !is_album(&remote(google_photos::BACKEND, "album"))
                && !is_album(&remote("s3", "album/a"))
        );
    }

    #[test]
    fn a_file_with_its_name_twice_and_alone_is_suspicious() {
        let metadata = |kind| Metadata {
            kind,
            size: None,
            permissions: 0,
            modified: Timestamp { seconds: 0, nanoseconds: 0 },
            identity: None,
        };
        let suspicious = |paths: &[&str]| {
            let mut suspicion = Suspicion::default();
            for path in paths {
                let kind = if path.ends_with('/') { Kind::Directory } else { Kind::File };
                let path = path.trim_end_matches('/').to_owned();
                suspicion.look(&Entry { path, metadata: metadata(kind), link_target: None });
            }
            suspicion.twice.is_some() && !suspicion.others
        };
        assert!(suspicious(&["/a/top/", "/a/top/top"]));
        assert!(!suspicious(&["/a/top/", "/a/top/top", "/a/top/other"]));
        assert!(!suspicious(&["/a/top/", "/a/top/x"]));
    }
}
