//! A table of an audit log: one row for each decision and its session.

use bytesize::ByteSize;
use std::collections::BTreeMap;
use std::io::BufRead;
use std::time::Duration;

use super::{AuditRecord, Event};
use crate::terminal::escape;

/// One decision with its session, or a session without a decision.
#[derive(Default)]
struct Row {
    time: jiff::Timestamp,
    uid: u32,
    /// Fingerprint of the remote, once there was a decision about it.
    decided: Option<String>,
    what: String,
    verdict: String,
    /// Number of processes that ended.
    processes: u64,
    /// Number of these that failed.
    failed: u64,
    bytes_in: u64,
    bytes_out: u64,
    milliseconds: Option<u64>,
    /// Number of objects of a store that were put.
    stored: u64,
    /// Number of objects of a store that were removed.
    deleted: u64,
    /// Number of changes to objects of a store that were refused.
    refused: u64,
}

/// The rows in the order of their first record, and their indices by session.
#[derive(Default)]
struct Rows {
    rows: Vec<Row>,
    by_session: BTreeMap<String, Vec<usize>>,
}

/// Formats the decisions in a log, in chronological order. Returns the lines of the table and
/// the number of invalid lines in the log.
///
/// # Errors
///
/// The log can't be read.
pub fn table(log: impl BufRead) -> std::io::Result<(Vec<String>, usize)> {
    let mut rows = Rows::default();
    let mut invalid = 0;
    for line in log.lines() {
        let line = line?;
        match serde_json::from_str::<AuditRecord>(&line) {
            Ok(record) => rows.add(record),
            // Other programs may write to the same stderr.
            Err(_) => invalid += usize::from(!line.trim().is_empty()),
        }
    }
    let mut rows = rows.rows;
    rows.sort_by_key(|row| row.time);
    let head = format!(
        "{:<20} {:>6}  {:>9} {:>10} {:>10} {:>9}  what",
        "began", "uid", "processes", "read", "written", "took"
    );
    Ok(([head].into_iter().chain(rows.iter().map(Row::line)).collect(), invalid))
}

impl Rows {
    /// Adds a record to the row that it belongs to, or to a new one.
    fn add(&mut self, record: AuditRecord) {
        let Self { rows, by_session } = self;
        let own = by_session.entry(record.session).or_default();
        let last = own.last().copied();
        let existing = match &record.event {
            // A connection may ask several times. Records before the first decision, such as
            // `rclone version`, belong to that decision.
            Event::Decision { .. } | Event::Refusal { .. } => {
                last.filter(|at| rows[*at].decided.is_none())
            }
            Event::ObjectStored { .. }
            | Event::ObjectDeleted { .. }
            | Event::ObjectRefused { .. } => last,
            Event::StartFailed { remote, .. }
            | Event::Process { remote, .. }
            | Event::Session { remote, .. } => {
                let same = |at: &&usize| rows[**at].decided.as_ref() == Some(remote);
                own.iter().rev().find(same).copied().or(last)
            }
        };
        let at = existing.unwrap_or_else(|| {
            own.push(rows.len());
            rows.push(Row { time: record.time, ..Row::default() });
            rows.len() - 1
        });
        rows[at].uid = record.uid;
        rows[at].apply(record.event);
    }
}

impl Row {
    fn apply(&mut self, event: Event) {
        match event {
            Event::Decision { remote, backend, path, r#use, rules, allowed, why } => {
                self.what = format!("{} of {backend}:{path} ({remote})", r#use);
                self.decided = Some(remote);
                let by = Vec::from_iter(rules).join(", ");
                self.verdict = match (allowed, by.is_empty()) {
                    (true, true) => "allowed by the built-in policy".to_owned(),
                    (true, false) => format!("allowed by {by}"),
                    (false, _) => format!("refused: {why}"),
                };
            }
            Event::Refusal { who, why } => {
                self.decided = Some(String::new());
                self.what = who;
                self.verdict = format!("refused: {why}");
            }
            Event::StartFailed { why, .. } => {
                self.verdict += &format!(", but failed to start: {why}")
            }
            Event::Process { remote, outcome, bytes_in, bytes_out, .. } => {
                if remote.is_empty() && self.what.is_empty() {
                    self.what = "`rclone version` alone".to_owned();
                    self.verdict = outcome.clone();
                }
                self.processes += 1;
                self.failed += u64::from(outcome != "exit status: 0" && outcome != "stopped");
                self.bytes_in += bytes_in;
                self.bytes_out += bytes_out;
            }
            Event::ObjectStored { .. } => self.stored += 1,
            Event::ObjectDeleted { .. } => self.deleted += 1,
            Event::ObjectRefused { .. } => self.refused += 1,
            Event::Session { milliseconds, .. } => self.milliseconds = Some(milliseconds),
        }
    }

    /// Formats the row as one line, with escapes for control characters.
    fn line(&self) -> String {
        let began = self.time.strftime("%Y-%m-%d %H:%M:%SZ");
        let processes = match self.failed {
            0 => self.processes.to_string(),
            failed => format!("{} ({failed}!)", self.processes),
        };
        let took = match self.milliseconds {
            Some(milliseconds) => format!("{:.1?}", Duration::from_millis(milliseconds)),
            None => "-".to_owned(),
        };
        let mut objects = String::new();
        for (count, what) in
            [(self.stored, "stored"), (self.deleted, "deleted"), (self.refused, "refused")]
        {
            if count > 0 {
                objects += &format!(", {count} objects {what}");
            }
        }
        format!(
            "{began:<20} {:>6}  {processes:>9} {:>10} {:>10} {took:>9}  {}: {}{objects}",
            self.uid,
            ByteSize(self.bytes_out).display().iec().to_string(),
            ByteSize(self.bytes_in).display().iec().to_string(),
            escape(&self.what),
            escape(&self.verdict)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(session: &str, event: Event) -> String {
        let time = jiff::Timestamp::UNIX_EPOCH;
        let record =
            AuditRecord { time, session: session.to_owned(), uid: 1000, tenant: None, event };
        serde_json::to_string(&record).unwrap()
    }

    const REMOTE: &str = "0123456789abcdef";

    fn decision(remote: &str, path: &str, allowed: bool) -> Event {
        Event::Decision {
            remote: remote.to_owned(),
            backend: "s3".to_owned(),
            path: path.to_owned(),
            r#use: "importer".to_owned(),
            rules: ["p.toml:3".to_owned()].into(),
            allowed,
            why: if allowed { String::new() } else { "no".to_owned() },
        }
    }

    #[test]
    fn each_decision_of_a_session_is_a_line_however_many_there_are() {
        let end = |remote: &str| Event::Session {
            remote: remote.to_owned(),
            processes: 1,
            bytes_in: 0,
            bytes_out: 0,
            milliseconds: 1500,
        };
        let log = [
            entry("a", decision("", "first", false)),
            entry("a", decision("r2", "second", false)),
            entry("a", decision("r3", "third", true)),
            entry("a", decision("r4", "fourth", false)),
            entry("a", end("r3")),
        ];
        let (lines, _) = table(log.join("\n").as_bytes()).unwrap();
        assert_eq!(lines.len(), 5, "{lines:#?}");
        for (line, path) in lines[1..].iter().zip(["first", "second", "third", "fourth"]) {
            assert!(line.contains(path), "{line}");
            assert_eq!(line.contains("refused: no"), path != "third", "{line}");
            assert_eq!(line.contains("1.5s"), path == "third", "{line}");
        }
    }

    #[test]
    fn nothing_in_a_log_reaches_a_terminal_that_obeys_it() {
        let path = "x\u{1b}]0;t\u{7}\u{1b}[2J\u{202e}\r\n2099-01-01 forged\u{9b}1m";
        let log = [
            entry("a", decision(REMOTE, path, true)),
            entry("b", Event::Refusal { who: path.to_owned(), why: path.to_owned() }),
        ];
        let (lines, _) = table(log.join("\n").as_bytes()).unwrap();
        assert_eq!(lines.len(), 3, "{lines:#?}");
        assert!(!lines.iter().any(|line| line.contains(crate::terminal::is_unsafe)), "{lines:#?}");
        assert!(lines[1].contains(r"\r\n2099-01-01 forged"), "{}", lines[1]);
    }

    #[test]
    fn each_session_is_a_line() {
        let remote = || REMOTE.to_owned();
        let decision = |allowed| decision(REMOTE, "bucket", allowed);
        let process = |outcome: &str| Event::Process {
            remote: remote(),
            argv: vec!["rclone".to_owned()],
            outcome: outcome.to_owned(),
            bytes_in: 0,
            bytes_out: 2048,
            milliseconds: 5,
        };
        let end = Event::Session {
            remote: remote(),
            processes: 2,
            bytes_in: 0,
            bytes_out: 4096,
            milliseconds: 1500,
        };
        let log = [
            entry("a", decision(true)),
            entry("a", process("exit status: 0")),
            "rclone says something".to_owned(),
            entry("b", decision(false)),
            entry("c", decision(true)),
            entry("c", Event::StartFailed { remote: remote(), why: "busy".to_owned() }),
            entry("a", process("exit status: 1")),
            entry("a", end),
        ];
        let (lines, invalid) = table(log.join("\n").as_bytes()).unwrap();
        assert_eq!((lines.len(), invalid), (4, 1));
        for part in ["2 (1!)", "4.0 KiB", "1.5s", "importer of s3:bucket", "allowed by p.toml:3"] {
            assert!(lines[1].contains(part), "{part}: {}", lines[1]);
        }
        assert!(lines[2].ends_with("refused: no"), "{}", lines[2]);
        assert!(
            lines[3].ends_with("allowed by p.toml:3, but failed to start: busy"),
            "{}",
            lines[3]
        );
    }
}
