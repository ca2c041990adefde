//! The Kloset store at a remote's path: its objects, its locks, and what doesn't belong to it.

use jiff::{SignedDuration, Timestamp};
use std::io;

use super::report::Report;
use super::scan;
use super::tally::{Sample, Total};
use crate::connector::{self, Content, Entry, Failure, Kind, Reason};
use crate::sandbox::{ScanEvent, Session};

/// The name of a store's configuration.
const CONFIG: &str = "CONFIG";

/// The bytes with which it begins.
///
/// Source: kloset's connectors/storage/serialization.go.
const MAGIC: &[u8] = b"_KLOSET_";

/// Number of objects of a kind above which Plakar can soon not list them any more: it
/// receives all names in one message of at most 4 MiB.
const MANY_OBJECTS: u64 = 100_000;

/// Age from which Plakar takes a lock for one that was left behind.
///
/// Source: kloset's repository/lock.go.
const STALE_LOCK_AGE: SignedDuration = SignedDuration::from_mins(10);

/// The part of a store that a path is.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    Config,
    Directory,
    Packfile,
    State,
    Lock,
    /// A file that an interrupted upload has left.
    Temporary,
    Foreign,
}

/// Contents of a store, by its listing.
#[derive(Debug, Default)]
struct Survey {
    packfiles: Total,
    states: Total,
    temporary: Total,
    locks: Sample<(String, Timestamp)>,
    foreign: Sample<String>,
    failures: Sample<(String, Failure)>,
}

/// Checks the store at the session's root; returns whether there is one.
///
/// # Errors
///
/// Fails if the report can't be printed.
pub async fn check(report: &mut Report, session: &Session, root: &str) -> io::Result<bool> {
    match is_store(session, root).await {
        Ok(true) => {}
        Ok(false) => return Ok(false),
        Err(failure) => {
            report.failure(&failure)?;
            return Ok(true);
        }
    }
    match survey(session, root).await {
        Ok(survey) => survey.print(report, Timestamp::now())?,
        Err(failure) => report.failure(&failure)?,
    }
    Ok(true)
}

/// Whether the root has the configuration of a store.
async fn is_store(session: &Session, root: &str) -> Result<bool, Failure> {
    let path = format!("{}/{CONFIG}", root.trim_end_matches('/'));
    let Content { mut bytes, end } = match session.read(path).await {
        Ok(content) => content,
        // A remote that is backed up may not be readable everywhere.
        Err(Failure {
            reason: Reason::NotFound | Reason::Denied | Reason::Unsupported, ..
        }) => {
            return Ok(false);
        }
        Err(failure) => return Err(failure),
    };
    let mut start = Vec::new();
    while let Some(chunk) = bytes.recv().await {
        start.extend_from_slice(&chunk[..chunk.len().min(MAGIC.len() - start.len())]);
        if start.len() == MAGIC.len() {
            return Ok(start == MAGIC);
        }
    }
    connector::wait_end(end).await?;
    Ok(false)
}

/// Lists everything below the root.
async fn survey(session: &Session, root: &str) -> Result<Survey, Failure> {
    let mut survey = Survey::default();
    scan::for_each(session, |event| match event {
        ScanEvent::Entry(entry) => survey.add(&entry, root),
        ScanEvent::Error(error) => survey.failures.add(error),
    })
    .await?;
    Ok(survey)
}

impl Survey {
    fn add(&mut self, entry: &Entry, root: &str) {
        let path = entry.path.strip_prefix(root).unwrap_or(&entry.path).trim_start_matches('/');
        match classify(path, entry.metadata.kind == Kind::Directory) {
            Part::Config | Part::Directory => {}
            Part::Packfile => self.packfiles.add(entry),
            Part::State => self.states.add(entry),
            Part::Temporary => self.temporary.add(entry),
            Part::Foreign => self.foreign.add(path.to_owned()),
            Part::Lock => {
                let modified = Timestamp::from_second(entry.metadata.modified.seconds);
                self.locks.add((path.to_owned(), modified.unwrap_or_default()));
            }
        }
    }

    fn print(&self, report: &mut Report, now: Timestamp) -> io::Result<()> {
        let Self { packfiles, states, temporary, locks, foreign, failures } = self;
        for (path, failure) in &failures.first {
            report.failure(&failure.clone().with_context(format_args!("`{path}`")))?;
        }
        if failures.more() > 0 {
            let more = failures.more();
            report.problem(format!("{more} more paths of the store can't be listed"))?;
        }
        if failures.count == 0 {
            let (packfiles, states) = (packfiles.text("packfiles"), states.text("states"));
            let locks = locks.count;
            report.ok(format!("it is a Kloset store: {packfiles}, {states}, {locks} locks"))?;
        }
        if packfiles.count.max(states.count) > MANY_OBJECTS {
            report.warning(
                "plakar can't use a store of more than about 120,000 packfiles or states; help: \
                 start a new store, and keep this one for what is in it",
            )?;
        }
        for (path, modified) in &locks.first {
            let age = now.duration_since(*modified);
            if age > STALE_LOCK_AGE {
                report.warning(format!(
                    "`{path}` is the lock of a backup that was stopped {age:#} ago; help: run \
                     `plakar maintenance` or the next backup, which removes it"
                ))?;
            }
        }
        if temporary.count > 0 {
            let what = temporary.text("files");
            report.warning(format!(
                "interrupted uploads have left {what} in `tmp`; help: run the next backup, which \
                 removes those that are a day old"
            ))?;
        }
        self.print_foreign(report, foreign)
    }

    fn print_foreign(&self, report: &Report, foreign: &Sample<String>) -> io::Result<()> {
        for path in &foreign.first {
            report.warning(format!(
                "`{path}` isn't a file of a store, and is left alone; help: remove it if you \
                 don't need it"
            ))?;
        }
        match foreign.more() {
            0 => Ok(()),
            more => report.warning(format!("{more} more files aren't files of a store")),
        }
    }
}

/// Tells what a path below the root of a store is.
fn classify(path: &str, is_directory: bool) -> Part {
    let names: Vec<&str> = path.split('/').collect();
    if is_directory {
        return match names[..] {
            [""] | ["packfiles" | "states" | "locks" | "tmp"] => Part::Directory,
            ["packfiles" | "states", bucket] if is_bucket(bucket) => Part::Directory,
            _ => Part::Foreign,
        };
    }
    let (directory, name) = match names[..] {
        [CONFIG] => return Part::Config,
        ["tmp", _] => return Part::Temporary,
        [directory, name] => (directory, name),
        [directory @ ("packfiles" | "states"), bucket, name] if name.starts_with(bucket) => {
            (directory, name)
        }
        _ => return Part::Foreign,
    };
    match directory {
        _ if !is_object_name(name) => Part::Foreign,
        "packfiles" => Part::Packfile,
        "states" => Part::State,
        "locks" => Part::Lock,
        _ => Part::Foreign,
    }
}

fn is_bucket(name: &str) -> bool {
    name.len() == 2 && is_lower_hex(name)
}

fn is_object_name(name: &str) -> bool {
    name.len() == 64 && is_lower_hex(name)
}

fn is_lower_hex(name: &str) -> bool {
    name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_belongs_to_a_store_only_under_the_name_and_place_of_an_object() {
        let name = "ab".repeat(32);
        for (path, part) in [
            ("CONFIG".to_owned(), Part::Config),
            (format!("packfiles/{name}"), Part::Packfile),
            (format!("packfiles/ab/{name}"), Part::Packfile),
            (format!("states/ab/{name}"), Part::State),
            (format!("locks/{name}"), Part::Lock),
            ("tmp/0123456789abcdef".to_owned(), Part::Temporary),
            (format!("packfiles/ac/{name}"), Part::Foreign),
            (format!("locks/ab/{name}"), Part::Foreign),
            (format!("packfiles/{}", name.to_uppercase()), Part::Foreign),
            (format!("packfiles/{}", &name[1..]), Part::Foreign),
            (format!("others/{name}"), Part::Foreign),
            ("packfiles/.DS_Store".to_owned(), Part::Foreign),
            ("readme".to_owned(), Part::Foreign),
        ] {
            assert_eq!(classify(&path, false), part, "{path}");
        }
        for (path, part) in [
            ("", Part::Directory),
            ("packfiles/ab", Part::Directory),
            ("packfiles/abc", Part::Foreign),
            ("locks/ab", Part::Foreign),
            ("others", Part::Foreign),
        ] {
            assert_eq!(classify(path, true), part, "{path}");
        }
    }
}
