//! Parts of an export: which file is read if a part is there several times, and which parts are
//! missing.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::ListedFile;
use super::archive_names::{ArchiveFormat, ArchiveName};
use crate::bindings::plakar::connector::types::{Failure, Reason};
use crate::path::join;
use crate::takeout::Problem;

/// Archive, by its name and its number in the listing.
pub struct Archive {
    pub name: ArchiveName,
    pub file: usize,
}

/// Chooses the archive of a part that is read, of all files that have its number.
pub fn choose(
    mut candidates: Vec<Archive>,
    files: &[ListedFile],
    problems: &mut Vec<Problem>,
) -> Option<usize> {
    // The complete one is the largest, and the one with the plain name is Google's.
    candidates.sort_by_key(|archive| {
        let is_tgz = archive.name.format == ArchiveFormat::Tgz;
        let file = &files[archive.file];
        (is_tgz, Reverse(file.size), archive.name.is_copy, file.path.clone())
    });
    let mut candidates = candidates.into_iter();
    let first = candidates.next()?;
    if first.name.format == ArchiveFormat::Tgz {
        let path = files[first.file].path.clone();
        problems.push(Problem { path: path.clone(), failure: tgz(&path) });
        return None;
    }
    for other in candidates.filter(|other| other.name.format == ArchiveFormat::Zip) {
        let (file, chosen) = (&files[other.file], &files[first.file]);
        if file.size < chosen.size {
            let message = format!(
                "it is smaller than `{}`, which is the same part of the export",
                chosen.path.escape_debug()
            );
            let failure = Failure::new(Reason::Corrupted, message).with_help("remove it");
            problems.push(Problem { path: file.path.clone(), failure });
        }
    }
    Some(first.file)
}

fn tgz(path: &str) -> Failure {
    let message = "a .tgz file has no directory of its files, so that it can't be read in parts";
    Failure::new(Reason::Unsupported, message).with_help(format!(
        "create the export as .zip, or unpack it: `rclone archive extract REMOTE:{path} REMOTE:Takeout`"
    ))
}

/// Reports the parts that are missing between the first and the last one.
pub fn report_gaps(
    parts: &BTreeMap<(u32, u32), Vec<Archive>>,
    files: &[ListedFile],
    problems: &mut Vec<Problem>,
) {
    let mut last = (0, 0);
    for (&(series, part), candidates) in parts {
        let first = if last.0 == series { last.1 + 1 } else { 1 };
        last = (series, part);
        let Some(archive) = candidates.first().filter(|_| first < part) else { continue };
        let path = &files[archive.file].path;
        let (directory, _) = path.rsplit_once('/').unwrap_or_default();
        let path = join(directory, &archive.name.of_part(first));
        problems.push(Problem { path, failure: missing(&archive.name, first, part - 1) });
    }
}

fn missing(name: &ArchiveName, first: u32, last: u32) -> Failure {
    let export = name.export();
    let message = if first == last {
        format!("part {first} of the export `{export}` is missing")
    } else {
        format!("the parts {first} to {last} of the export `{export}` are missing")
    };
    Failure::new(Reason::NotFound, message)
        .with_help("copy what is missing to the others, or run the backup when it has arrived")
}
