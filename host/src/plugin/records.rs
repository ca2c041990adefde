//! Plakar's records and our entries, each made from the other.

use super::proto::connectors::{FileInfo, Record, Result as Acknowledgement};
use crate::connector::{Entry, Failure, Kind, Metadata, Reason, Timestamp};

/// Bits of Go's io/fs.FileMode that say what a file is.
const DIRECTORY: u32 = 1 << 31;
const SYMLINK: u32 = 1 << 27;
const IRREGULAR: u32 = 1 << 19;
/// All of them: directory, symlink, device, pipe, socket, character device, irregular.
const TYPES: u32 = DIRECTORY | SYMLINK | 1 << 26 | 1 << 25 | 1 << 24 | 1 << 21 | IRREGULAR;

/// The moments that Plakar can write down: the years 1 to 9999.
const MOMENTS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// The longest path, in bytes.
const LONGEST: usize = 64 << 10;

/// Refuses what is no path of a snapshot: whoever backs it up or restores it would take it
/// for another one.
pub fn check(path: &str) -> Result<(), Failure> {
    let names =
        path.strip_prefix('/').filter(|names| names.len() < LONGEST && !names.contains('\0'));
    let plain = |name: &str| !matches!(name, "" | "." | "..");
    if names.is_some_and(|names| names.is_empty() || names.split('/').all(plain)) {
        return Ok(());
    }
    let shown: String = path.chars().take(200).collect();
    Err(Failure::internal(format!("`{}` is no path of a snapshot", shown.escape_debug())))
}

/// The path of a snapshot under which a failure of any path is reported: where the path stops
/// being one, the rest becomes a single name, so that its directory is one that Plakar knows.
pub fn reportable(path: String) -> String {
    const SHORT: usize = 200;
    if check(&path).is_ok() {
        return path;
    }
    let below = path.strip_prefix('/').unwrap_or(&path);
    let directory = below.match_indices('/').map(|(at, _)| &below[..at]);
    let directory = directory.take_while(|directory| check(&format!("/{directory}")).is_ok());
    let directory = directory.last().filter(|_| path.len() < LONGEST).unwrap_or_default();
    let name = below[directory.len()..].trim_start_matches('/');
    let plain = |char| match char {
        '/' => '／',
        '.' => '．',
        char if char.is_control() => '\u{fffd}',
        char => char,
    };
    let name: String = name.chars().map(plain).take(SHORT).collect();
    let between = if directory.is_empty() { "" } else { "/" };
    let name = if name.is_empty() { "\u{fffd}" } else { &name };
    format!("/{directory}{between}{name}")
}

/// Refuses what Plakar can't write down.
pub fn check_moment(modified: Timestamp) -> Result<(), Failure> {
    if MOMENTS.contains(&modified.seconds) && modified.nanoseconds < 1_000_000_000 {
        return Ok(());
    }
    Err(Failure::new(Reason::Unsupported, "its time lies before the year 1 or after 9999"))
}

/// An entry as Plakar takes it. `device` is the same for all files of a remote.
pub fn record(entry: Entry, device: u64) -> Record {
    let Entry { path, metadata, link_target } = entry;
    let kind = match metadata.kind {
        Kind::File => 0,
        Kind::Directory => DIRECTORY,
        Kind::Symlink => SYMLINK,
        Kind::Other => IRREGULAR,
    };
    let name = path.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("/");
    let info = FileInfo {
        name: name.to_owned(),
        size: metadata.size.and_then(|size| i64::try_from(size).ok()).unwrap_or(-1),
        mode: kind | u32::from(metadata.permissions & 0o777),
        mod_time: Some(prost_types::Timestamp {
            seconds: metadata.modified.seconds,
            nanos: i32::try_from(metadata.modified.nanoseconds).unwrap_or_default(),
        }),
        dev: device,
        ino: metadata.identity.unwrap_or_default(),
        nlink: 1,
        ..FileInfo::default()
    };
    Record {
        has_reader: metadata.kind == Kind::File,
        pathname: path,
        target: link_target.unwrap_or_default(),
        file_info: Some(info),
        ..Record::default()
    }
}

/// A path that could not be backed up.
pub fn error(path: String, failure: &Failure) -> Record {
    Record { pathname: path, error: failure.shown(), ..Record::default() }
}

/// What Plakar wants to have restored; `None` for what isn't an entry.
pub fn entry(record: &Record) -> Option<Entry> {
    let info = record.file_info.as_ref().filter(|_| record.error.is_empty() && !record.is_xattr)?;
    let kind = match info.mode & TYPES {
        0 => Kind::File,
        DIRECTORY => Kind::Directory,
        SYMLINK => Kind::Symlink,
        _ => Kind::Other,
    };
    let time = info.mod_time.unwrap_or_default();
    Some(Entry {
        path: record.pathname.clone(),
        metadata: Metadata {
            kind,
            size: u64::try_from(info.size).ok(),
            permissions: u16::try_from(info.mode & 0o777).unwrap_or_default(),
            modified: Timestamp {
                seconds: time.seconds,
                nanoseconds: u32::try_from(time.nanos).unwrap_or_default(),
            },
            identity: Some(info.ino).filter(|number| *number != 0),
        },
        link_target: Some(record.target.clone()).filter(|target| !target.is_empty()),
    })
}

/// What became of a record, for Plakar.
pub fn acknowledge(record: Record, outcome: &Result<(), Failure>) -> Acknowledgement {
    let error = outcome.as_ref().err().map(Failure::shown);
    Acknowledgement { header: Some(record), error: error.unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_survives_its_record() {
        for kind in [Kind::File, Kind::Directory, Kind::Symlink, Kind::Other] {
            let entry = Entry {
                path: "/a/ü".into(),
                metadata: Metadata {
                    kind,
                    size: Some(7),
                    permissions: 0o640,
                    modified: Timestamp { seconds: -5, nanoseconds: 9 },
                    identity: None,
                },
                link_target: (kind == Kind::Symlink).then(|| "b".into()),
            };
            assert_eq!(super::entry(&record(entry.clone(), 3)), Some(entry));
        }
    }

    #[test]
    fn only_absolute_paths_without_detours_are_paths_of_a_snapshot() {
        for good in ["/", "/a", "/a/b c/ü", "/.a", "/a\n"] {
            assert_eq!(check(good), Ok(()), "{good:?}");
        }
        let long = format!("/{}", "a".repeat(LONGEST));
        for bad in ["", "a", "a/b", "/a/", "//a", "/a/../b", "/..", "/./a", "/a\0", &long] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn whatever_failed_has_a_path_under_which_it_can_be_reported() {
        for (path, reported) in [
            ("/a", "/a"),
            ("a/b", "/a/b"),
            ("/a/b/../c", "/a/b/．．／c"),
            ("../x/.", "/．．／x／．"),
            ("/a\0", "/a\u{fffd}"),
            ("/a//b", "/a/b"),
            ("/a/", "/a/\u{fffd}"),
            ("", "/\u{fffd}"),
            ("//", "/\u{fffd}"),
        ] {
            assert_eq!(reportable(path.to_owned()), reported, "{path:?}");
        }
        let long = reportable("/ü".repeat(LONGEST));
        assert!(check(&long).is_ok() && long.len() < 1000);
    }

    #[test]
    fn moments_that_nobody_can_write_down_are_refused() {
        let at = |seconds, nanoseconds| check_moment(Timestamp { seconds, nanoseconds });
        assert!(at(0, 999_999_999).is_ok() && at(-62_135_596_800, 0).is_ok());
        assert!(at(i64::MIN, 0).is_err() && at(i64::MAX, 0).is_err() && at(0, u32::MAX).is_err());
    }

    #[test]
    fn unknown_sizes_are_minus_one_and_the_root_has_a_name() {
        let metadata = Metadata {
            kind: Kind::Directory,
            size: None,
            permissions: 0o755,
            modified: Timestamp { seconds: 0, nanoseconds: 0 },
            identity: Some(9),
        };
        let record = record(Entry { path: "/".into(), metadata, link_target: None }, 1);
        let info = record.file_info.unwrap();
        assert_eq!((info.size, info.name.as_str(), info.ino, info.dev), (-1, "/", 9, 1));
        assert!(!record.has_reader);
    }
}
