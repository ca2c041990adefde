//! Conversions between Plakar's records and our entries.

use super::proto::connectors::{FileInfo, Record, Result as Acknowledgement};
use crate::connector::{Entry, Failure, Kind, Metadata, Reason, Timestamp};
use crate::invocation;

/// Bits of Go's io/fs.FileMode that say what a file is.
const DIRECTORY: u32 = 1 << 31;
const SYMLINK: u32 = 1 << 27;
const IRREGULAR: u32 = 1 << 19;
/// All of them: directory, symlink, device, pipe, socket, character device, irregular.
const TYPES: u32 = DIRECTORY | SYMLINK | 1 << 26 | 1 << 25 | 1 << 24 | 1 << 21 | IRREGULAR;

/// The times that Plakar can represent, as Unix time: the years 1 to 9999.
const REPRESENTABLE_TIMES: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// Maximum length of a path in bytes.
const MAX_PATH_BYTES: usize = 64 << 10;

/// Checks that a path is one of a snapshot: a backup or a restore would take any other for a
/// different path.
///
/// # Errors
///
/// Fails if the path is relative or too long, or has an empty, `.` or `..` name.
pub fn check_path(path: &str) -> Result<(), Failure> {
    let names = path
        .strip_prefix('/')
        .filter(|names| names.len() < MAX_PATH_BYTES && !names.contains('\0'));
    let is_plain = |name: &str| !matches!(name, "" | "." | "..");
    if names.is_some_and(|names| names.is_empty() || names.split('/').all(is_plain)) {
        return Ok(());
    }
    let shown: String = path.chars().take(200).collect();
    Err(Failure::internal(format!("`{}` is not a path of a snapshot", shown.escape_debug())))
}

/// Returns the path of a snapshot under which a failure of any path is reported. Where the path
/// stops being valid, the rest becomes a single name in a directory that Plakar knows.
pub fn reportable_path(path: String) -> String {
    const MAX_NAME_CHARS: usize = 200;
    if check_path(&path).is_ok() {
        return path;
    }
    let below = path.strip_prefix('/').unwrap_or(&path);
    let directory = below.match_indices('/').map(|(at, _)| &below[..at]);
    let directory = directory.take_while(|directory| check_path(&format!("/{directory}")).is_ok());
    let directory = directory.last().filter(|_| path.len() < MAX_PATH_BYTES).unwrap_or_default();
    let name = below[directory.len()..].trim_start_matches('/');
    let plain = |char| match char {
        '/' => '／',
        '.' => '．',
        char if char.is_control() => '\u{fffd}',
        char => char,
    };
    let name: String = name.chars().map(plain).take(MAX_NAME_CHARS).collect();
    let between = if directory.is_empty() { "" } else { "/" };
    let name = if name.is_empty() { "\u{fffd}" } else { &name };
    format!("/{directory}{between}{name}")
}

/// Checks that Plakar can represent a time.
///
/// # Errors
///
/// Fails if the time is out of its range.
pub fn check_time(modified: Timestamp) -> Result<(), Failure> {
    if REPRESENTABLE_TIMES.contains(&modified.seconds) && modified.nanoseconds < 1_000_000_000 {
        return Ok(());
    }
    Err(Failure::new(Reason::Unsupported, "its time lies before the year 1 or after 9999"))
}

/// Makes the record of an entry. `device` is the same for all files of a remote.
pub fn from_entry(entry: Entry, device: u64) -> Record {
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

/// Returns a failure's message as Plakar shows it, with commands that work where it is read.
pub fn message(failure: &Failure) -> String {
    invocation::with_command(&failure.to_string()).into_owned()
}

/// Makes the record of a path that could not be backed up.
pub fn from_failure(path: String, failure: &Failure) -> Record {
    Record { pathname: path, error: message(failure), ..Record::default() }
}

/// Makes the entry of a record that is restored; `None` if the record isn't one of an entry.
pub fn to_entry(record: &Record) -> Option<Entry> {
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

/// Makes the acknowledgement of a record that was restored, or not.
pub fn acknowledge(record: Record, outcome: &Result<(), Failure>) -> Acknowledgement {
    let error = outcome.as_ref().err().map(message);
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
            assert_eq!(to_entry(&from_entry(entry.clone(), 3)), Some(entry));
        }
    }

    #[test]
    fn only_absolute_paths_without_detours_are_paths_of_a_snapshot() {
        for good in ["/", "/a", "/a/b c/ü", "/.a", "/a\n"] {
            assert_eq!(check_path(good), Ok(()), "{good:?}");
        }
        let long = format!("/{}", "a".repeat(MAX_PATH_BYTES));
        for bad in ["", "a", "a/b", "/a/", "//a", "/a/../b", "/..", "/./a", "/a\0", &long] {
            assert!(check_path(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn any_path_that_failed_can_be_reported() {
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
            assert_eq!(reportable_path(path.to_owned()), reported, "{path:?}");
        }
        let long = reportable_path("/ü".repeat(MAX_PATH_BYTES));
        assert!(check_path(&long).is_ok() && long.len() < 1000);
    }

    #[test]
    fn times_out_of_range_are_refused() {
        let at = |seconds, nanoseconds| check_time(Timestamp { seconds, nanoseconds });
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
        let record = from_entry(Entry { path: "/".into(), metadata, link_target: None }, 1);
        let info = record.file_info.unwrap();
        assert_eq!((info.size, info.name.as_str(), info.ino, info.dev), (-1, "/", 9, 1));
        assert!(!record.has_reader);
    }
}
