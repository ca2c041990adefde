//! The log that an rclone process writes to stderr: JSON lines, which become `tracing` events and
//! the reasons of failures.

use serde::Deserialize;
use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::mpsc;
use tracing::Instrument;

use super::errors::LOG_OVERFLOW;
use super::retry_watchdog::RetryWatchdog;
use crate::rclone::remote::secrets::Secrets;

/// Number of bytes of a line that are read; the rest is dropped.
const MAX_LINE_BYTES: usize = 64 << 10;
/// Number of files whose last error is kept.
const MAX_KEPT_ERRORS: usize = 10_000;

/// One record of rclone's log.
#[derive(Debug, Clone, Deserialize)]
pub struct LogRecord {
    pub level: LogLevel,
    #[serde(rename = "msg")]
    pub message: String,
    /// The path below the remote's root that the record is about; `None` for the whole run.
    pub object: Option<String>,
    /// The Go type of the object: `*local.Fs`, `*s3.Object`, `string`.
    #[serde(default, rename = "objectType")]
    pub object_type: Option<String>,
    /// The line of rclone's source that logs it: `crypt/crypt.go:358`.
    #[serde(default)]
    pub source: Option<String>,
}

impl LogRecord {
    /// Whether the record is about the remote as a whole.
    pub fn is_about_remote(&self) -> bool {
        self.object_type.as_deref().is_some_and(|kind| kind.ends_with("Fs"))
    }

    /// Whether the record is about one file or directory. A `string` may be something else.
    pub fn is_about_object(&self) -> bool {
        let kind = self.object_type.as_deref().unwrap_or_default();
        ["Object", "Directory", "Dir"].iter().any(|name| kind.ends_with(name))
    }
}

/// The levels of rclone's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    Debug,
    Info,
    Notice,
    Warning,
    Error,
    Critical,
    Alert,
    Emergency,
}

impl LogLevel {
    /// Whether this is the level of an error.
    pub fn is_error(self) -> bool {
        matches!(self, Self::Error | Self::Critical | Self::Alert | Self::Emergency)
    }
}

/// Debug messages by which rclone's server logs why it doesn't return a file.
///
/// Source: rclone's lib/http/serve/serve.go and cmd/serve/restic/restic.go.
const SERVER_ERRORS: [&str; 4] = [
    "Get request open error:",
    "GET request error:",
    "HEAD request error:",
    "Delete request error:",
];

/// Prefix of the error by which rclone's server repeats why a listing failed, as a Go value.
const REPEATED_LISTING_ERROR: &str = "list failed: &";

/// Prefix of the summary that a process logs if its run failed: `Failed to lsjson with 2 errors:
/// last error was: ...`.
///
/// Source: `Run` in rclone's cmd/cmd.go.
pub const SUMMARY_PREFIX: &str = "Failed to ";

/// Receives each record.
pub type LogSink = mpsc::Sender<LogRecord>;

/// Capacity of a log channel, in records. If the receiver falls this far behind, the process counts
/// as broken and is killed.
pub const LOG_CHANNEL_CAPACITY: usize = 1 << 16;

/// The log of one process.
pub struct StderrLog {
    reader: Arc<Mutex<LogReader>>,
    pipe: Arc<Receiver>,
    follower: Option<tokio::task::JoinHandle<()>>,
}

#[derive(Default)]
struct LastErrors {
    /// The last error of each file.
    by_object: HashMap<String, String>,
    /// The last error of all.
    last: Option<String>,
    /// The summary of a failed run.
    summary: Option<String>,
}

impl StderrLog {
    /// Reads the log from a pipe until it is closed.
    ///
    /// # Errors
    ///
    /// The pipe can't be polled.
    pub fn follow(
        pipe: OwnedFd,
        verb: &'static str,
        secrets: Secrets,
        sink: Option<LogSink>,
        watchdog: RetryWatchdog,
    ) -> io::Result<Self> {
        let pipe = Arc::new(Receiver::from_owned_fd(pipe)?);
        let reader = LogReader {
            verb,
            secrets,
            sink,
            watchdog,
            errors: LastErrors::default(),
            partial: Vec::new(),
        };
        let reader = Arc::new(Mutex::new(reader));
        let follower = tokio::spawn(follow(pipe.clone(), reader.clone()).in_current_span());
        Ok(Self { reader, pipe, follower: Some(follower) })
    }

    /// Reads everything that was written before the call.
    pub fn flush(&self) {
        // `try_read` would not read what the runtime hasn't noticed yet.
        lock(&self.reader).drain(|buffer| Ok(rustix::io::read(&*self.pipe, buffer)?));
    }

    /// Waits until the pipe is closed and everything is read.
    pub async fn finish(&mut self) {
        // A grandchild may keep the pipe open for ever.
        let timeout = std::time::Duration::from_secs(1);
        if let Some(follower) = self.follower.take() {
            let stop = follower.abort_handle();
            if tokio::time::timeout(timeout, follower).await.is_err() {
                stop.abort();
            }
        }
        // This closes the channel of the records.
        lock(&self.reader).sink = None;
    }

    /// Removes and returns the error that was logged about a file.
    pub fn take_error(&self, object: &str) -> Option<String> {
        lock(&self.reader).errors.by_object.remove(object)
    }

    /// The summary of the run, if it failed.
    pub fn summary(&self) -> Option<String> {
        lock(&self.reader).errors.summary.clone()
    }

    /// The last error of all.
    pub fn last_error(&self) -> Option<String> {
        lock(&self.reader).errors.last.clone()
    }
}

fn lock(reader: &Mutex<LogReader>) -> MutexGuard<'_, LogReader> {
    reader.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn follow(pipe: Arc<Receiver>, reader: Arc<Mutex<LogReader>>) {
    while pipe.readable().await.is_ok() {
        if !lock(&reader).drain(|buffer| pipe.try_read(buffer)) {
            return;
        }
    }
}

/// Reads the log and keeps its errors.
struct LogReader {
    verb: &'static str,
    secrets: Secrets,
    sink: Option<LogSink>,
    watchdog: RetryWatchdog,
    errors: LastErrors,
    partial: Vec<u8>,
}

impl LogReader {
    /// Reads until the pipe is empty. Returns whether it is still open.
    fn drain(&mut self, mut read: impl FnMut(&mut [u8]) -> io::Result<usize>) -> bool {
        let mut buffer = [0; 16 << 10];
        loop {
            match read(&mut buffer) {
                Ok(0) => return false,
                Ok(count) => self.feed(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
            }
        }
    }

    fn feed(&mut self, bytes: &[u8]) {
        for chunk in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = MAX_LINE_BYTES.saturating_sub(self.partial.len());
            self.partial.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if chunk.ends_with(b"\n") {
                let line = std::mem::take(&mut self.partial);
                self.handle_line(line.trim_ascii());
            }
        }
    }

    fn handle_line(&mut self, line: &[u8]) {
        if line.is_empty() {
            return;
        }
        // Lines that aren't JSON come from Go's runtime or a library.
        let mut line = serde_json::from_slice(line).unwrap_or_else(|_| LogRecord {
            level: LogLevel::Notice,
            message: String::from_utf8_lossy(line).into_owned(),
            object: None,
            object_type: None,
            source: None,
        });
        line.message = self.secrets.redact(&line.message);
        self.watchdog.observe(&line.message, Instant::now());
        if line.level == LogLevel::Debug
            && SERVER_ERRORS.iter().any(|words| line.message.starts_with(words))
        {
            line.level = LogLevel::Error;
        }
        self.trace(&line);
        self.keep(&line);
        if let Some(sink) = &self.sink {
            // A dropped receiver doesn't stop the reader.
            if let Err(mpsc::error::TrySendError::Full(_)) = sink.try_send(line) {
                self.watchdog.trip(LOG_OVERFLOW);
            }
        }
    }

    fn trace(&self, LogRecord { level, message, object, .. }: &LogRecord) {
        let object = self.secrets.redact(object.as_deref().unwrap_or_default());
        let verb = self.verb;
        match level {
            // The connector reports errors with the path as Plakar knows it.
            level if level.is_error() => tracing::info!(verb, object, "{message}"),
            LogLevel::Notice | LogLevel::Warning => tracing::info!(verb, object, "{message}"),
            _ => tracing::debug!(verb, object, "{message}"),
        }
    }

    fn keep(&mut self, LogRecord { level, message, object, .. }: &LogRecord) {
        if message.starts_with(REPEATED_LISTING_ERROR) {
            return;
        }
        let errors = &mut self.errors;
        if object.is_none() && *level == LogLevel::Notice && message.starts_with(SUMMARY_PREFIX) {
            errors.summary = Some(message.clone());
        }
        match object {
            Some(object) if level.is_error() && !object.is_empty() => {
                if errors.by_object.len() < MAX_KEPT_ERRORS {
                    errors.by_object.insert(object.clone(), message.clone());
                }
                errors.last = Some(message.clone());
            }
            _ if level.is_error() => errors.last = Some(message.clone()),
            // The summary is a notice after the errors that it sums up.
            _ if errors.last.is_none()
                && *level == LogLevel::Notice
                && message.starts_with(SUMMARY_PREFIX) =>
            {
                errors.last = Some(message.clone());
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn pair() -> (std::fs::File, OwnedFd) {
        let (read, write) = rustix::pipe::pipe().unwrap();
        (write.into(), read)
    }

    #[tokio::test]
    async fn a_flush_takes_in_all_that_was_written_before() {
        let (mut write, read) = pair();
        let log = StderrLog::follow(
            read,
            "test",
            Secrets::default(),
            None,
            RetryWatchdog::new(false, |_| ()),
        )
        .unwrap();
        for at in 0..200 {
            let line = format!(r#"{{"level":"error","msg":"no {at}","object":"a/{at}"}}"#);
            writeln!(write, "{line}").unwrap();
            log.flush();
            assert_eq!(log.take_error(&format!("a/{at}")).unwrap(), format!("no {at}"));
        }
    }

    #[test]
    fn whatever_is_logged_is_taken_in_without_secrets_and_within_bounds() {
        use proptest::prelude::*;
        let text = prop_oneof![
            3 => prop::sample::select(vec![
                "hunter22", "a/b", "All requests per day", "GET request error:", "list failed: &",
                "\\u0000", "\\\"", "é",
            ]).prop_map(str::to_owned),
            1 => "[ -~]{0,20}",
        ];
        let level = prop::sample::select(vec!["error", "notice", "debug", "info", "shout", ""]);
        let line = prop_oneof![
            4 => (level, text.clone(), text.clone()).prop_map(|(level, message, object)| {
                format!("{{\"level\":\"{level}\",\"msg\":\"{message}\",\"object\":\"{object}\"}}\n").into_bytes()
            }),
            1 => text.prop_map(String::into_bytes),
            1 => prop::collection::vec(any::<u8>(), 0..200),
            1 => (60_000_usize..70_000).prop_map(|length| vec![b'x'; length]),
        ];
        let input = (prop::collection::vec(line, 0..20), 1_usize..5000);
        crate::random_inputs::check_property(input, |(lines, chunk)| {
            let (sink, mut records) = mpsc::channel(LOG_CHANNEL_CAPACITY);
            let mut reader = LogReader {
                verb: "test",
                secrets: Secrets::test(&["hunter22"]),
                sink: Some(sink),
                watchdog: RetryWatchdog::new(false, |_| ()),
                errors: LastErrors::default(),
                partial: Vec::new(),
            };
            for chunk in lines.concat().chunks(chunk) {
                reader.feed(chunk);
                assert!(reader.partial.len() <= MAX_LINE_BYTES);
            }
            reader.sink = None;
            let errors = &reader.errors;
            let messages = std::iter::from_fn(|| records.try_recv().ok()).map(|line| line.message);
            let all = errors.by_object.values().cloned().chain(errors.last.clone()).chain(messages);
            assert!(all.into_iter().all(|message| !message.contains("hunter22")));
        });
    }

    #[tokio::test]
    async fn secrets_are_struck_out_and_nonsense_is_survived() {
        let (mut write, read) = pair();
        let secrets = Secrets::test(&["hunter22"]);
        let mut log =
            StderrLog::follow(read, "test", secrets, None, RetryWatchdog::new(false, |_| ()))
                .unwrap();
        write.write_all(&[b'x'; 60_000]).unwrap();
        writeln!(write, "\nnot json\n{{}}").unwrap();
        writeln!(write, r#"{{"level":"error","msg":"bad hunter22"}}"#).unwrap();
        drop(write);
        log.finish().await;
        assert_eq!(log.last_error().unwrap(), "bad ***");
    }
}
