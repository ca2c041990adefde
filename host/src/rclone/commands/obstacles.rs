//! What stands at a destination where a batch is to go and can't: a directory in a file's
//! place, a file in a directory's, and where upper case isn't told from lower, a file of
//! another name.
//!
//! rclone doesn't look. It fails for the whole run where it can't make a directory, says on
//! some backends that it has, and on WebDAV, where a file can't be written over a directory,
//! it cleans up by removing the directory with all that is in it (`Update` in rclone's
//! backend/webdav, where a PUT failed).

use serde::Deserialize;
use std::collections::{BTreeSet, HashMap};
use tokio::io::AsyncReadExt;

use super::concurrency;
use super::lsjson::literal;
use crate::connector::{Failure, Reason};
use crate::policy;
use crate::rclone::{Rclone, google_photos};

/// Backends without directories of their own, or with more than one object of a name.
const WITHOUT: [&str; 10] = [
    "s3",
    "google cloud storage",
    "azureblob",
    "b2",
    "swift",
    "oracleobjectstorage",
    "qingstor",
    "storj",
    "drive",
    google_photos::BACKEND,
];

/// A name that makes rclone look for a directory, and that nothing has.
const NOTHING: &str = "\u{f8ff}plakbox looks for a directory\u{f8ff}";

/// The longest listing that is read: it holds what stands in the places of one batch.
const LONGEST: u64 = 64 << 20;

/// What a batch holds, by path.
#[derive(Debug, Default, Clone)]
pub struct Planned {
    pub files: BTreeSet<String>,
    pub directories: BTreeSet<String>,
}

/// An entry that can't go where it belongs.
#[derive(Debug)]
pub struct Obstacle {
    pub path: String,
    /// Where something stands in its way: its own path, or one above it.
    pub place: String,
    pub failure: Failure,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Found {
    path: String,
    is_dir: bool,
}

/// Finds what stands in the way of a batch. What can't be listed is left to the copy, which
/// lists it, too.
pub async fn find(rclone: &Rclone, planned: &Planned) -> Result<Vec<Obstacle>, Failure> {
    if WITHOUT.contains(&rclone.inner.remote.backend()) {
        return Ok(Vec::new());
    }
    let folds_case = rclone.folds_case().await?;
    let filters = filters(planned, folds_case);
    let filters = rclone.inner.scratch.file("filters", filters.as_bytes())?;
    let mut again = rclone.inner.concurrency.again();
    let listed = loop {
        match listed(rclone, &filters, folds_case).await {
            Err(failure) if again.after(&failure).await => (),
            result => break result,
        }
    };
    let _ = std::fs::remove_file(filters);
    match listed {
        Ok(found) => {
            let mut obstacles = in_the_way(planned, &found);
            if folds_case {
                obstacles.extend(spelled_otherwise(planned, &found));
            }
            Ok(obstacles)
        }
        Err(failure) if failure.reason == Reason::NotFound => Ok(Vec::new()),
        // There it could cost what is there.
        Err(failure) if over_webdav(rclone) || concurrency::is_too_much(&failure) => Err(failure),
        Err(_) => Ok(Vec::new()),
    }
}

fn over_webdav(rclone: &Rclone) -> bool {
    rclone.inner.remote.sections().values().any(|section| policy::backend(section) == "webdav")
}

async fn listed(
    rclone: &Rclone,
    filters: &std::path::Path,
    folds_case: bool,
) -> Result<Vec<Found>, Failure> {
    let verb = rclone.verb("lsjson").args(["--recursive", "--no-modtime", "--no-mimetype"]);
    let verb = if folds_case { verb.arg("--ignore-case") } else { verb };
    let verb = verb.arg("--include-from").arg(filters).arg(rclone.target(""));
    let mut process = verb.start(false, None).await?;
    let mut text = Vec::new();
    if let Some(stdout) = process.stdout.take() {
        let read = stdout.take(LONGEST).read_to_end(&mut text).await;
        read.map_err(|error| Failure::internal(format!("rclone's output can't be read: {error}")))?;
    }
    process.end().await?;
    serde_json::from_slice(&text)
        .map_err(|error| Failure::internal(format!("rclone's listing can't be read: {error}")))
}

/// Every directory that is needed, by an entry of its own or by what is below it.
fn needed(planned: &Planned) -> BTreeSet<&str> {
    let all = planned.files.iter().chain(&planned.directories);
    let above = all.flat_map(|path| path.match_indices('/').map(|(at, _)| &path[..at]));
    above.chain(planned.directories.iter().map(String::as_str)).collect()
}

/// rclone's filters for files in the places of directories, and directories in those of files;
/// where the destination `folds_case`, also for files in the places of files.
fn filters(planned: &Planned, folds_case: bool) -> String {
    let files = needed(planned).into_iter().map(|path| format!("/{}\n", pattern(path)));
    let directories = planned.files.iter();
    let directories = directories.map(|path| format!("/{}/{NOTHING}\n", pattern(path)));
    let same = planned.files.iter().filter(|_| folds_case);
    let same = same.map(|path| format!("/{}\n", pattern(path)));
    files.chain(directories).chain(same).collect()
}

/// A path as a pattern, which stands in a line: what lines can't have is any character.
fn pattern(path: &str) -> String {
    let pattern = literal(path).replace(['\n', '\r'], "?");
    match pattern.strip_suffix(char::is_whitespace) {
        Some(trimmed) => format!("{trimmed}?"),
        None => pattern,
    }
}

fn in_the_way(planned: &Planned, found: &[Found]) -> Vec<Obstacle> {
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
        let failure = Failure::new(
            Reason::Denied,
            format!(
                "a {what} is in the way at `{place}`: rename or remove it there, and restore again"
            ),
        );
        obstacles.push(Obstacle { path: path.clone(), place, failure });
    }
    obstacles
}

/// Files that would replace one whose name differs in case alone.
fn spelled_otherwise(planned: &Planned, found: &[Found]) -> Vec<Obstacle> {
    let files: BTreeSet<_> = found.iter().filter(|it| !it.is_dir).map(|it| &it.path).collect();
    let there: HashMap<_, _> = files.iter().map(|path| (path.to_lowercase(), *path)).collect();
    let mut obstacles = Vec::new();
    for path in planned.files.iter().filter(|path| !files.contains(path)) {
        let Some(other) = there.get(&path.to_lowercase()) else { continue };
        let message = format!(
            "the destination takes it for `{}`, which is there and differs only in upper and lower case: rename that, or restore to another place",
            other.escape_debug()
        );
        let failure = Failure::new(Reason::Denied, message);
        obstacles.push(Obstacle { path: path.clone(), place: path.clone(), failure });
    }
    obstacles
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(files: &[&str], directories: &[&str]) -> Planned {
        let set = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect();
        Planned { files: set(files), directories: set(directories) }
    }

    #[test]
    fn only_what_is_of_another_kind_is_in_the_way() {
        let planned = planned(&["a/b/c", "d", "e"], &["a", "f", "f/g"]);
        let found = [("a", true), ("a/b", false), ("d", true), ("e", false), ("f", false)];
        let found = found.map(|(path, is_dir)| Found { path: path.to_owned(), is_dir });
        let obstacles = in_the_way(&planned, &found);
        let told: Vec<_> =
            obstacles.iter().map(|it| (it.path.as_str(), it.place.as_str())).collect();
        assert_eq!(told, [("a/b/c", "a/b"), ("d", "d"), ("f", "f"), ("f/g", "f")]);
    }

    #[test]
    fn filters_are_lines_of_patterns() {
        let planned = planned(&["x/[a]*", "line\nbreak", "space "], &["dir "]);
        let lines = |folds_case| -> Vec<_> {
            let filters = filters(&planned, folds_case);
            filters.lines().map(|line| line.replace(NOTHING, "N")).collect()
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
        let found = found.map(|(path, is_dir)| Found { path: path.to_owned(), is_dir });
        let paths = spelled_otherwise(&planned, &found).into_iter().map(|it| it.path);
        assert_eq!(paths.collect::<Vec<_>>(), ["a/Ü"]);
    }
}
