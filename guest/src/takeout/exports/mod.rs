//! Exports in a directory: which of the listed files are parts of which export, and which parts
//! are missing.
//!
//! - [`archive_names`]: what the names of archives say
//! - [`parts`]: parts that are there several times, or missing

mod archive_names;
mod parts;

use std::collections::BTreeMap;

use super::Problem;
use crate::bindings::plakar::connector::types::{Failure, Reason};
use crate::path::join;
use archive_names::{ArchiveFormat, ArchiveName};
use parts::{Archive, choose, report_gaps};

/// Endings of files that are being downloaded or uploaded.
const PARTIAL_ENDINGS: [&str; 5] = [".crdownload", ".download", ".part", ".partial", ".tmp"];

/// Beginning of the name of an unpacked export, in lower case.
const UNPACKED: &str = "takeout";

/// File of the directory, as it was listed.
#[derive(Clone, Debug)]
pub struct ListedFile {
    /// Path relative to the directory.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
    /// Unix time of its modification.
    pub modified: i64,
}

/// Exports of a directory.
#[derive(Debug, Default)]
pub struct Exports {
    /// The exports, newest first.
    pub exports: Vec<Export>,
    pub problems: Vec<Problem>,
}

/// One export. Files are given by their numbers in the listing.
#[derive(Debug, Default)]
pub struct Export {
    /// Name that its parts share, or the directory that an unpacked one is in.
    pub name: String,
    /// Unix time by which it is newer or older than others.
    pub time: i64,
    /// Its archives, in the order of their parts.
    pub archives: Vec<usize>,
    /// Its unpacked files, with their paths in the export.
    pub unpacked: Vec<(usize, String)>,
    /// Whether no part is known to be missing.
    pub is_complete: bool,
}

/// Archives and unpacked files of an export, before it is known which are used.
#[derive(Default)]
struct Group {
    /// Archives by series and part.
    parts: BTreeMap<(u32, u32), Vec<Archive>>,
    unpacked: Vec<(usize, String)>,
    /// Newest modification of an unpacked file.
    modified: i64,
}

/// Key of a group: dated exports by their time, the others by the directory that they are in.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum GroupKey {
    Dated(String),
    Directory(String),
}

impl Exports {
    /// Groups listed files into exports.
    pub fn group(files: &[ListedFile]) -> Self {
        let mut problems = Vec::new();
        let mut groups: BTreeMap<GroupKey, Group> = BTreeMap::new();
        for (number, file) in files.iter().enumerate() {
            add(&mut groups, number, file, &mut problems);
        }
        let mut exports = Vec::new();
        for (key, group) in groups {
            exports.push(group.into_export(key, files, &mut problems));
        }
        // The name decides among exports of one time, so that each scan has the same order.
        exports.sort_by(|one, other| (other.time, &other.name).cmp(&(one.time, &one.name)));
        exports.retain(|export| !export.archives.is_empty() || !export.unpacked.is_empty());
        Self { exports, problems }
    }
}

/// Adds a file to the group that it belongs to.
fn add(
    groups: &mut BTreeMap<GroupKey, Group>,
    number: usize,
    file: &ListedFile,
    problems: &mut Vec<Problem>,
) {
    let (directory, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
    if let Some(archive) = ArchiveName::parse(name) {
        let key = GroupKey::Dated(archive.time.clone());
        let part = (archive.series, archive.part);
        let archive = Archive { name: archive, file: number };
        groups.entry(key).or_default().parts.entry(part).or_default().push(archive);
        return;
    }
    let unpacked = Unpacked::find(directory);
    if unpacked.is_none()
        && let Some(failure) = check_name(name)
    {
        problems.push(Problem { path: file.path.clone(), failure });
        return;
    }
    let unpacked = unpacked.unwrap_or_default();
    let path = join(&join(unpacked.root, unpacked.below), name);
    let group = groups.entry(unpacked.key).or_default();
    group.modified = group.modified.max(file.modified);
    group.unpacked.push((number, path));
}

/// Directory of an unpacked export.
struct Unpacked<'a> {
    key: GroupKey,
    /// Directory in the export that stands for it, the same for all parts that were unpacked.
    root: &'static str,
    /// Path below it.
    below: &'a str,
}

impl Default for Unpacked<'_> {
    fn default() -> Self {
        Self { key: GroupKey::Directory(String::new()), root: "", below: "" }
    }
}

impl<'a> Unpacked<'a> {
    /// Finds the unpacked export that a directory is in. Some programs unpack each part into a
    /// directory of its own: `Takeout`, `Takeout 2`, or the name of the archive.
    fn find(directory: &'a str) -> Option<Self> {
        let mut start = 0;
        for name in directory.split('/') {
            let end = start + name.len();
            let below = directory.get(end + 1..).unwrap_or_default();
            if let Some(archive) = ArchiveName::parse_directory(name) {
                return Some(Self { key: GroupKey::Dated(archive.time), root: "", below });
            }
            let head = name.get(..UNPACKED.len()).unwrap_or_default();
            if head.eq_ignore_ascii_case(UNPACKED) {
                let parent = directory[..start].trim_end_matches('/').to_owned();
                return Some(Self { key: GroupKey::Directory(parent), root: "Takeout", below });
            }
            start = end + 1;
        }
        None
    }
}

/// Returns why a file outside of unpacked exports can't be read, though it may be a part of one.
fn check_name(name: &str) -> Option<Failure> {
    let lower = name.to_lowercase();
    if let Some(whole) = PARTIAL_ENDINGS.iter().find_map(|ending| lower.strip_suffix(ending))
        && (lower.starts_with(UNPACKED) || ArchiveFormat::split(whole).is_some())
    {
        let message = format!("`{}` is not complete yet", name.escape_debug());
        let failure = Failure::new(Reason::Corrupted, message);
        return Some(failure.with_help("run the backup again when it is complete"));
    }
    ArchiveFormat::split(name)?;
    let message = format!("`{}` doesn't have the name of a part of an export", name.escape_debug());
    Some(Failure::new(Reason::Unsupported, message).with_help(
        "give it back the name that Google gave it (`takeout-20260102T030405Z-001.zip`), or move \
         it elsewhere",
    ))
}

impl Group {
    fn into_export(
        self,
        key: GroupKey,
        files: &[ListedFile],
        problems: &mut Vec<Problem>,
    ) -> Export {
        let Self { parts, unpacked, modified } = self;
        let before = problems.len();
        // An unpacked part may be the one that is missing.
        if unpacked.is_empty() {
            report_gaps(&parts, files, problems);
        }
        let mut archives = Vec::new();
        for candidates in parts.into_values() {
            archives.extend(choose(candidates, files, problems));
        }
        let is_complete = problems.len() == before;
        let (name, time) = match key {
            GroupKey::Dated(time) => (format!("takeout-{time}"), parse_time(&time)),
            GroupKey::Directory(directory) => (directory, modified),
        };
        Export { name, time, archives, unpacked, is_complete }
    }
}

/// Parses the time in a name, which has the form `20260102T030405Z`.
fn parse_time(text: &str) -> i64 {
    let form = |range: std::ops::Range<usize>| text.get(range).unwrap_or_default();
    let time = format!(
        "{}-{}-{}T{}:{}:{}Z",
        form(0..4),
        form(4..6),
        form(6..8),
        form(9..11),
        form(11..13),
        form(13..15)
    );
    time.parse::<jiff::Timestamp>().map(jiff::Timestamp::as_second).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(files: &[(&str, u64)]) -> (Vec<ListedFile>, Exports) {
        let files: Vec<_> = files.iter().map(|(path, size)| listed(path, *size)).collect();
        let exports = Exports::group(&files);
        (files, exports)
    }

    fn listed(path: &str, size: u64) -> ListedFile {
        ListedFile { path: path.to_owned(), size, modified: 1_700_000_000 }
    }

    fn problems(exports: &Exports) -> Vec<(&str, &str)> {
        let problems = exports.problems.iter();
        problems.map(|problem| (&*problem.path, &*problem.failure.message)).collect()
    }

    #[test]
    fn the_parts_of_one_time_are_one_export_and_the_newest_is_first() {
        let (_, exports) = group(&[
            ("takeout-20250101T000000Z-002.zip", 1),
            ("takeout-20250101T000000Z-001.zip", 1),
            ("2026/takeout-20260101T000000Z-3-001.zip", 1),
            ("2026/takeout-20260101T000000Z-3-002.zip", 1),
        ]);
        let shown: Vec<_> =
            exports.exports.iter().map(|export| (&*export.name, &*export.archives)).collect();
        let expected =
            [("takeout-20260101T000000Z", &[2, 3][..]), ("takeout-20250101T000000Z", &[1, 0][..])];
        assert_eq!(shown, expected);
        assert_eq!(exports.exports[1].time, 1_735_689_600);
        assert!(exports.problems.is_empty() && exports.exports.iter().all(|it| it.is_complete));
    }

    #[test]
    fn each_gap_is_a_problem_of_its_first_part() {
        let (_, exports) = group(&[
            ("a/takeout-20250101T000000Z-002.zip", 1),
            ("a/takeout-20250101T000000Z-006.zip", 1),
            ("takeout-20260101T000000Z-3-001.zip", 1),
            ("takeout-20260101T000000Z-3-003.zip", 1),
        ]);
        let paths: Vec<_> = problems(&exports).iter().map(|(path, _)| path.to_string()).collect();
        assert_eq!(
            paths,
            [
                "a/takeout-20250101T000000Z-001.zip",
                "a/takeout-20250101T000000Z-003.zip",
                "takeout-20260101T000000Z-3-002.zip"
            ]
        );
        assert!(problems(&exports)[1].1.contains("parts 3 to 5"));
        assert!(exports.exports.iter().all(|export| !export.is_complete));
    }

    #[test]
    fn a_second_download_of_a_part_is_read_once() {
        let (files, exports) = group(&[
            ("takeout-20250101T000000Z-001 (1).zip", 5),
            ("takeout-20250101T000000Z-001.zip", 5),
        ]);
        assert_eq!(files[exports.exports[0].archives[0]].path, "takeout-20250101T000000Z-001.zip");
        assert_eq!((exports.exports[0].archives.len(), exports.problems.len()), (1, 0));
        let (files, exports) = group(&[
            ("takeout-20250101T000000Z-001 (1).zip", 5),
            ("takeout-20250101T000000Z-001.zip", 4),
        ]);
        let chosen = exports.exports[0].archives[0];
        assert_eq!(files[chosen].path, "takeout-20250101T000000Z-001 (1).zip");
        assert_eq!(problems(&exports)[0].0, "takeout-20250101T000000Z-001.zip");
    }

    #[test]
    fn a_tgz_is_a_problem_unless_its_part_is_there_as_zip() {
        let (_, exports) = group(&[
            ("takeout-20250101T000000Z-001.tgz", 9),
            ("takeout-20250101T000000Z-002.tgz", 9),
            ("takeout-20250101T000000Z-002.zip", 5),
        ]);
        assert_eq!(exports.exports[0].archives, [2]);
        assert_eq!(problems(&exports).len(), 1);
        let help = exports.problems[0].failure.help.as_deref().unwrap_or_default();
        assert!(help.contains("export as .zip") && help.contains("archive extract"), "{help}");
    }

    #[test]
    fn what_may_be_a_part_is_never_ignored() {
        let (_, exports) = group(&[
            ("photos.zip", 1),
            ("takeout-20250101T000000Z-001.zip.part", 1),
            ("notes.txt", 1),
            ("Takeout/Drive/own.zip", 1),
        ]);
        let paths: Vec<_> = problems(&exports).iter().map(|(path, _)| path.to_string()).collect();
        assert_eq!(paths, ["photos.zip", "takeout-20250101T000000Z-001.zip.part"]);
    }

    #[test]
    fn unpacked_parts_are_one_export() {
        let (_, exports) = group(&[
            ("Takeout/Google Photos/Photos from 2023/a.jpg", 1),
            ("Takeout 2/Google Photos/Photos from 2023/a.jpg.json", 1),
            ("old/takeout/Google Photos/Photos from 2020/b.jpg", 1),
            ("takeout-20250101T000000Z-001/Takeout/Google Photos/x/c.jpg", 1),
            ("takeout-20250101T000000Z-002.zip", 1),
        ]);
        let shown: Vec<_> = exports
            .exports
            .iter()
            .map(|export| {
                let paths = export.unpacked.iter().map(|(_, path)| path.as_str()).collect();
                (export.name.as_str(), export.archives.len(), paths)
            })
            .collect();
        let expected: [(&str, usize, Vec<&str>); 3] = [
            ("takeout-20250101T000000Z", 1, vec!["Takeout/Google Photos/x/c.jpg"]),
            ("old", 0, vec!["Takeout/Google Photos/Photos from 2020/b.jpg"]),
            (
                "",
                0,
                vec![
                    "Takeout/Google Photos/Photos from 2023/a.jpg",
                    "Takeout/Google Photos/Photos from 2023/a.jpg.json",
                ],
            ),
        ];
        assert_eq!(shown, expected);
        assert!(exports.exports.iter().all(|export| export.is_complete));
    }
}
