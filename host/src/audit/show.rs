//! What an audit log tells of each session, in a line.

use bytesize::ByteSize;
use std::collections::BTreeMap;
use std::io::BufRead;
use std::time::Duration;

use super::{Entry, Event};

/// What is known of a session.
#[derive(Default)]
struct Session {
    time: Option<jiff::Timestamp>,
    uid: u32,
    what: String,
    verdict: String,
    /// Processes that ended, and of them those that failed.
    processes: u64,
    failed: u64,
    bytes_in: u64,
    bytes_out: u64,
    milliseconds: Option<u64>,
}

/// A table of the sessions in a log, in the order in which they began, and the number of
/// lines that make no sense.
pub fn table(log: impl BufRead) -> std::io::Result<(Vec<String>, usize)> {
    let mut sessions: BTreeMap<String, Session> = BTreeMap::new();
    let mut senseless = 0;
    for line in log.lines() {
        let line = line?;
        match serde_json::from_str::<Entry>(&line) {
            Ok(entry) => sessions.entry(entry.session.clone()).or_default().take(entry),
            // Other programs may write to the same stderr.
            Err(_) => senseless += usize::from(!line.trim().is_empty()),
        }
    }
    let mut sessions: Vec<_> = sessions.into_values().collect();
    sessions.sort_by_key(|session| session.time);
    let head = format!(
        "{:<20} {:>6}  {:>9} {:>10} {:>10} {:>9}  what",
        "began", "uid", "processes", "read", "written", "took"
    );
    Ok(([head].into_iter().chain(sessions.iter().map(Session::line)).collect(), senseless))
}

impl Session {
    fn take(&mut self, entry: Entry) {
        self.time = self.time.or(Some(entry.time));
        self.uid = entry.uid;
        match entry.event {
            Event::Decision { remote, backend, path, r#use, rules, allowed, why } => {
                self.what = format!("{} of {backend}:{path} ({remote})", r#use);
                let by = Vec::from_iter(rules).join(", ");
                self.verdict = match (allowed, by.is_empty()) {
                    (true, true) => "allowed by the built-in policy".to_owned(),
                    (true, false) => format!("allowed by {by}"),
                    (false, _) => format!("refused: {why}"),
                };
            }
            Event::Refusal { who, why } => {
                self.what = who;
                self.verdict = format!("refused: {why}");
            }
            Event::Unstarted { why, .. } => self.verdict += &format!(", but not begun: {why}"),
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
            Event::Session { milliseconds, .. } => self.milliseconds = Some(milliseconds),
        }
    }

    fn line(&self) -> String {
        let began = self.time.unwrap_or_default().strftime("%Y-%m-%d %H:%M:%SZ");
        let processes = match self.failed {
            0 => self.processes.to_string(),
            failed => format!("{} ({failed}!)", self.processes),
        };
        let took = match self.milliseconds {
            Some(milliseconds) => format!("{:.1?}", Duration::from_millis(milliseconds)),
            None => "-".to_owned(),
        };
        format!(
            "{began:<20} {:>6}  {processes:>9} {:>10} {:>10} {took:>9}  {}: {}",
            self.uid,
            ByteSize(self.bytes_out).display().iec().to_string(),
            ByteSize(self.bytes_in).display().iec().to_string(),
            self.what,
            self.verdict
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(session: &str, event: Event) -> String {
        let time = jiff::Timestamp::UNIX_EPOCH;
        let entry = Entry { time, session: session.to_owned(), uid: 1000, tenant: None, event };
        serde_json::to_string(&entry).unwrap()
    }

    #[test]
    fn each_session_is_a_line() {
        let remote = || "0123456789abcdef".to_owned();
        let decision = |allowed| Event::Decision {
            remote: remote(),
            backend: "s3".to_owned(),
            path: "bucket".to_owned(),
            r#use: "importer".to_owned(),
            rules: ["p.toml:3".to_owned()].into(),
            allowed,
            why: if allowed { String::new() } else { "no".to_owned() },
        };
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
            entry("c", Event::Unstarted { remote: remote(), why: "busy".to_owned() }),
            entry("a", process("exit status: 1")),
            entry("a", end),
        ];
        let (lines, senseless) = table(log.join("\n").as_bytes()).unwrap();
        assert_eq!((lines.len(), senseless), (4, 1));
        for part in ["2 (1!)", "4.0 KiB", "1.5s", "importer of s3:bucket", "allowed by p.toml:3"] {
            assert!(lines[1].contains(part), "{part}: {}", lines[1]);
        }
        assert!(lines[2].ends_with("refused: no"), "{}", lines[2]);
        assert!(lines[3].ends_with("allowed by p.toml:3, but not begun: busy"), "{}", lines[3]);
    }
}
