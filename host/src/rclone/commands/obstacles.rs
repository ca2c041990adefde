//! Obstacles at a destination: a directory in the place of a file of a batch, a file in the
//! place of a directory, and at a case-insensitive destination a file whose name differs only
//! in case.
//!
//! rclone doesn't detect them. It fails for the whole run where it can't create a directory,
//! reports success on some backends, and on WebDAV, where a file can't be written over a
//! directory, it cleans up by removing the directory with all that is in it (`Update` in
//! rclone's backend/webdav, where a PUT failed).

use serde::Deserialize;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use super::collision;
use super::lsjson::escape_pattern;
use crate::connector::{Failure, Reason};
use crate::policy;
use crate::rclone::backends;
use crate::rclone::process::errors::overload::is_overload;
use crate::rclone::session::RcloneSession;

/// A name that makes rclone look for a directory, and that no entry has.
const PROBE_NAME: &str = "\u{f8ff}plakbox looks for a directory\u{f8ff}";

/// The largest listing that is read: of the paths of one batch.
const MAX_LISTING_BYTES: u64 = 64 << 20;

/// The paths of a batch.
#[derive(Debug, Default, Clone)]
pub struct BatchPaths {
    pub files: BTreeSet<String>,
    pub directories: BTreeSet<String>,
}

/// An entry that can't be written to its path.
#[derive(Debug)]
pub struct Obstacle {
    pub path: String,
    /// The path of the obstacle: the entry's own, or one above it.
    pub place: String,
    pub failure: Failure,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListedEntry {
    path: String,
    is_dir: bool,
}

/// Finds the obstacles of a batch. A directory that can't be listed is left to the copy, which
/// lists it, too.
///
/// # Errors
///
/// The destination is overloaded, or is a WebDAV server that can't be listed.
pub async fn find(session: &RcloneSession, planned: &BatchPaths) -> Result<Vec<Obstacle>, Failure> {
    if !backends::find(session.remote().backend()).has_directories {
        return Ok(Vec::new());
    }
    let folds_case = collision::folds_case(session).await?;
    let filters = filters(planned, folds_case);
    let filters = session.scratch().write_file("filters", filters.as_bytes())?;
    let mut retry = session.concurrency().retry();
    let listed = loop {
        match list_destination(session, &filters, folds_case).await {
            Err(failure) if retry.is_allowed(&failure).await => (),
            result => break result,
        }
    };
    let _ = std::fs::remove_file(filters);
    match listed {
        Ok(found) => {
            let mut obstacles = find_type_conflicts(planned, &found);
            if folds_case {
                obstacles.extend(find_case_conflicts(planned, &found));
            }
            Ok(obstacles)
        }
        Err(failure) if failure.reason == Reason::NotFound => Ok(Vec::new()),
        // On WebDAV an obstacle could be removed.
        Err(failure) if uses_webdav(session) || is_overload(&failure) => Err(failure),
        Err(_) => Ok(Vec::new()),
    }
}

fn uses_webdav(session: &RcloneSession) -> bool {
    session.remote().sections().values().any(|section| policy::backend(section) == "webdav")
}

async fn list_destination(
    session: &RcloneSession,
    filters: &Path,
    folds_case: bool,
) -> Result<Vec<ListedEntry>, Failure> {
    let mut command =
        session.command("lsjson").args(["--recursive", "--no-modtime", "--no-mimetype"]);
    if folds_case {
        command = command.arg("--ignore-case");
    }
    let command = command.arg("--include-from").arg(filters).arg(session.target(""));
    command.spawn().await?.json_output(MAX_LISTING_BYTES, "listing").await
}

/// Every directory that is required, by its own entry or by entries below it.
fn required_directories(planned: &BatchPaths) -> BTreeSet<&str> {
    let all = planned.files.iter().chain(&planned.directories);
    let above = all.flat_map(|path| path.match_indices('/').map(|(at, _)| &path[..at]));
    above.chain(planned.directories.iter().map(String::as_str)).collect()
}

/// rclone's filters for files in the place of directories, and directories in the place of
/// files. If the destination `folds_case`, also for files in the place of files.
fn filters(planned: &BatchPaths, folds_case: bool) -> String {
    let files =
        required_directories(planned).into_iter().map(|path| format!("/{}\n", pattern(path)));
    let directories = planned.files.iter();
    let directories = directories.map(|path| format!("/{}/{PROBE_NAME}\n", pattern(path)));
    let same = planned.files.iter().filter(|_| folds_case);
    let same = same.map(|path| format!("/{}\n", pattern(path)));
    files.chain(directories).chain(same).collect()
}

/// A path as a pattern in a line of its own. A character that a line can't have matches any.
fn pattern(path: &str) -> String {
    let pattern = escape_pattern(path).replace(['\n', '\r'], "?");
    match pattern.strip_suffix(char::is_whitespace) {
        Some(trimmed) => format!("{trimmed}?"),
        None => pattern,
    }
}

/// Finds files in the place of directories, and directories in the place of files.
fn find_type_conflicts(planned: &BatchPaths, found: &[ListedEntry]) -> Vec<Obstacle> {
    let there: HashMap<_, _> = found.iter().map(|it| (it.path.as_str(), it.is_dir)).collect();
    let is_file = |path: &str| there.get(path) == Some(&false);
    let blocked = |path: &str| {
        let above = path.match_indices('/').map(|(at, _)| &path[..at]);
        above.into_iter().find(|path| is_file(path)).map(str::to_owned)
    };
    let mut obstacles = Vec::new();
    for path in planned.files.iter().chain(&planned.directories) {
        let directory = planned.directories.contains(path);
        let (what, place) = match blocked(path) {
            Some(above) => ("file", above),
            None if directory && is_file(path) => ("file", path.clone()),
            None if !directory && there.get(path.as_str()) == Some(&true) => {
                ("directory", path.clone())
            }
            None => continue,
        };
        let failure = Failure::new(Reason::Denied, format!("a {what} is in the way at `{place}`"))
            .with_help("rename or remove it there, and restore again");
        obstacles.push(Obstacle { path: path.clone(), place, failure });
    }
    obstacles
}

/// Finds files that would replace one whose name differs only in case.
fn find_case_conflicts(planned: &BatchPaths, found: &[ListedEntry]) -> Vec<Obstacle> {
    let files: BTreeSet<_> = found.iter().filter(|it| !it.is_dir).map(|it| &it.path).collect();
    let there: HashMap<_, _> = files.iter().map(|path| (path.to_lowercase(), *path)).collect();
    let mut obstacles = Vec::new();
    for path in planned.files.iter().filter(|path| !files.contains(path)) {
        let Some(other) = there.get(&path.to_lowercase()) else { continue };
        let message = format!(
            "the destination takes it for `{}`, which is there and differs only in upper and \
             lower case",
            other.escape_debug()
        );
        let failure =
            Failure::denied(message).with_help("rename that, or restore to another place");
        obstacles.push(Obstacle { path: path.clone(), place: path.clone(), failure });
    }
    obstacles
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(files: &[&str], directories: &[&str]) -> BatchPaths {
        let set = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect();
        BatchPaths { files: set(files), directories: set(directories) }
    }

    #[test]
    fn only_what_is_of_another_kind_is_in_the_way() {
        let planned = planned(&["a/b/c", "d", "e"], &["a", "f", "f/g"]);
        let found = [("a", true), ("a/b", false), ("d", true), ("e", false), ("f", false)];
        let found = found.map(|(path, is_dir)| ListedEntry { path: path.to_owned(), is_dir });
        let obstacles = find_type_conflicts(&planned, &found);
        let places: Vec<_> =
            obstacles.iter().map(|it| (it.path.as_str(), it.place.as_str())).collect();
        assert_eq!(places, [("a/b/c", "a/b"), ("d", "d"), ("f", "f"), ("f/g", "f")]);
    }

    #[test]
    fn filters_are_lines_of_patterns() {
        let planned = planned(&["x/[a]*", "line\nbreak", "space "], &["dir "]);
        let lines = |folds_case| -> Vec<_> {
            let filters = filters(&planned, folds_case);
            filters.lines().map(|line| line.replace(PROBE_NAME, "N")).collect()
        };
        let usual = ["/dir?", "/x", "/line?break/N", "/space?/N", "/x/\\[a\\]\\*/N"];
        assert_eq!(lines(false), usual);
        let files = ["/line?break", "/space?", "/x/\\[a\\]\\*"];
        assert_eq!(lines(true), [usual.as_slice(), &files].concat());
    }

    #[test]
    fn a_file_that_differs_in_case_alone_is_in_the_way_and_one_of_the_same_name_is_not() {
        let planned = planned(&["a/Ü", "b", "c"], &["D"]);
        let found = [("A/ü", false), ("b", false), ("C", true), ("d", true)];
        let found = found.map(|(path, is_dir)| ListedEntry { path: path.to_owned(), is_dir });
        let paths = find_case_conflicts(&planned, &found).into_iter().map(|it| it.path);
        assert_eq!(paths.collect::<Vec<_>>(), ["a/Ü"]);
    }
}
