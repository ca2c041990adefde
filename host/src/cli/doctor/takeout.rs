//! Google Takeout exports at a remote's path: their archives, and the photos, albums and sidecars
//! that a backup with `view=takeout` would have.

use jiff::{Timestamp, civil, tz::TimeZone};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

use super::report::Report;
use super::scan;
use super::tally::{Sample, Total};
use crate::connector::{Entry, Failure, Kind};
use crate::sandbox::{ScanEvent, Session};

/// Time after which a directory without an export among its first entries has none.
const FIND_TIMEOUT: Duration = Duration::from_secs(10);

/// Number of entries after which a directory without an export has none.
const FIND_ENTRIES: usize = 2000;

/// Time limit of the listing of a directory that has exports.
const LIST_TIMEOUT: Duration = Duration::from_secs(60);

/// Archives by the time in their names, and unpacked exports by their names.
pub type Exports = BTreeMap<String, Total>;

/// Lists the root until it is clear which exports it has. A directory that can't be listed has
/// none: other checks say so.
pub async fn find_exports(session: &Session, root: &str) -> Exports {
    let mut exports = Exports::new();
    let Ok(mut scan) = session.scan().await else { return exports };
    let mut seen = 0;
    loop {
        let limit = if exports.is_empty() { FIND_TIMEOUT } else { LIST_TIMEOUT };
        let Ok(Some(events)) = tokio::time::timeout(limit, scan.found.recv()).await else {
            return exports;
        };
        for event in events {
            seen += 1;
            let ScanEvent::Entry(entry) = event else { continue };
            let path = entry.path.strip_prefix(root).unwrap_or(&entry.path);
            let path = path.trim_start_matches('/');
            if let Some(export) = export_of(path, entry.metadata.kind) {
                exports.entry(export.to_owned()).or_default().add(&entry);
            }
        }
        if exports.is_empty() && seen > FIND_ENTRIES {
            return exports;
        }
    }
}

/// Returns the export that an entry of the root is a part of: the time in the name of an archive,
/// `takeout-20250101T000000Z-001.zip`, or the name of a directory, `Takeout`.
fn export_of(path: &str, kind: Kind) -> Option<&str> {
    if path.contains('/') {
        return None;
    }
    if kind == Kind::Directory {
        return path.starts_with("Takeout").then_some(path);
    }
    let (stamp, rest) = path.strip_prefix("takeout-")?.split_once('-')?;
    let is_archive = [".zip", ".tgz"].iter().any(|ending| rest.ends_with(ending));
    (is_archive && stamp.ends_with('Z') && stamp.contains('T')).then_some(stamp)
}

/// Reports what a backup of the exports would have.
///
/// # Errors
///
/// Fails if the report can't be printed.
pub async fn check(
    report: &mut Report,
    exports: &Exports,
    session: &Session,
    root: &str,
) -> io::Result<()> {
    let each = exports.iter().map(|(name, total)| match total.bytes {
        0 => format!("{name}, unpacked"),
        _ => format!("{name}, {}", total.text("archives")),
    });
    let each = Vec::from_iter(each).join("; ");
    report.ok(format!("there are {} exports of Google Takeout: {each}", exports.len()))?;
    match survey(session, root).await {
        Ok(survey) => survey.print(report),
        Err(failure) => report.failure(&failure),
    }
}

/// What a scan of the exports shows.
#[derive(Debug, Default)]
struct Survey {
    /// Photos and videos, each counted once for each directory that isn't an album.
    photos: Total,
    archived: Total,
    trashed: Total,
    others: Total,
    favorites: u64,
    albums: u64,
    /// Paths of files that have the time at which their year begins.
    undated: BTreeSet<String>,
    sidecars: u64,
    /// Sidecars without a photo.
    unmatched: Sample<String>,
    failures: Sample<(String, Failure)>,
}

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
        let (top, rest) = path.split_once('/').unwrap_or((path, ""));
        if entry.metadata.kind == Kind::Directory {
            self.albums += u64::from(top == "album" && !rest.is_empty());
            return;
        }
        match top {
            "media" => self.photos.add(entry),
            "archive" => self.archived.add(entry),
            "trash" => self.trashed.add(entry),
            "other" => self.others.add(entry),
            "feature" => self.favorites += 1,
            "sidecar" => {
                self.sidecars += 1;
                if let Some(path) = rest.strip_prefix("unmatched/") {
                    self.unmatched.add(path.to_owned());
                }
                self.undated.remove(rest.strip_suffix(".json").unwrap_or(rest));
                return;
            }
            _ => return,
        }
        if top != "feature" && is_beginning_of_year(entry.metadata.modified.seconds) {
            self.undated.insert(path.to_owned());
        }
    }

    fn print(&self, report: &mut Report) -> io::Result<()> {
        for (path, failure) in &self.failures.first {
            report.failure(&failure.clone().with_context(format_args!("`{path}`")))?;
        }
        if self.failures.more() > 0 {
            report.problem(format!("{} more paths can't be read", self.failures.more()))?;
        }
        let Self { photos, archived, trashed, others, favorites, albums, sidecars, .. } = self;
        let photos = photos.text("photos and videos");
        report.ok(format!(
            "they have {photos}, {albums} albums, {favorites} favourites, {} in the archive, {} in \
             the trash, {} elsewhere, {sidecars} sidecars",
            archived.count, trashed.count, others.count
        ))?;
        if !self.undated.is_empty() {
            let example = self.undated.first().map(String::as_str).unwrap_or_default();
            report.warning(format!(
                "{} photos and videos have no sidecar with a time, and get the beginning of their \
                 year, for example `{example}`",
                self.undated.len()
            ))?;
        }
        if let Some(example) = self.unmatched.first.first() {
            report.warning(format!(
                "{} sidecars belong to no photo that is there, or to more than one, for example \
                 `{example}`",
                self.unmatched.count
            ))?;
        }
        Ok(())
    }
}

/// Whether a time, in seconds since 1970, is the first second of a year.
fn is_beginning_of_year(seconds: i64) -> bool {
    let Ok(time) = Timestamp::from_second(seconds) else { return false };
    let time = time.to_zoned(TimeZone::UTC).datetime();
    (time.month(), time.day(), time.time()) == (1, 1, civil::Time::midnight())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_and_unpacked_directories_of_exports_are_told_by_their_names() {
        for (path, kind, export) in [
            ("takeout-20250101T000000Z-001.zip", Kind::File, Some("20250101T000000Z")),
            ("takeout-20250101T000000Z-3-012.zip", Kind::File, Some("20250101T000000Z")),
            ("takeout-20250101T000000Z-001 (1).zip", Kind::File, Some("20250101T000000Z")),
            ("takeout-20250101T000000Z-001.tgz", Kind::File, Some("20250101T000000Z")),
            ("takeout-notes.zip", Kind::File, None),
            ("holiday.zip", Kind::File, None),
            ("old/takeout-20250101T000000Z-001.zip", Kind::File, None),
            ("Takeout", Kind::Directory, Some("Takeout")),
            ("Takeout 2", Kind::Directory, Some("Takeout 2")),
            ("photos", Kind::Directory, None),
        ] {
            assert_eq!(export_of(path, kind), export, "{path}");
        }
    }

    #[test]
    fn only_the_first_second_of_a_year_stands_for_a_missing_time() {
        assert!(is_beginning_of_year(1_704_067_200));
        assert!(is_beginning_of_year(-31_536_000));
        assert!(!is_beginning_of_year(1_704_067_201));
        assert!(!is_beginning_of_year(1_690_000_000));
    }
}
