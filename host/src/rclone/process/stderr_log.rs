//! What an rclone process says on stderr: JSON lines, turned into `tracing`
//! events and kept as the reasons of failures.

use serde::Deserialize;
use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use tracing::Instrument;

use super::retry_watchdog::Vain;
use crate::rclone::remote::secrets::Secrets;

/// The longest line that is looked at; the rest of it is dropped.
const LONGEST_LINE: usize = 64 << 10;
/// Of how many files errors are kept at the same time.
const KEPT: usize = 10_000;

/// One thing that rclone said of one file or directory, or of everything.
#[derive(Debug, Clone, Deserialize)]
pub struct Line {
    pub level: Level,
    #[serde(rename = "msg")]
    pub message: String,
    /// The path below the remote's root that it is about; `None` where it is
    /// about the run.
    pub object: Option<String>,
    /// The Go type of the object: `*local.Fs`, `*s3.Object`, `string`.
    #[serde(default, rename = "objectType")]
    pub object_type: Option<String>,
    /// The place in rclone's source that logs it: `crypt/crypt.go:358`.
    #[serde(default)]
    pub source: Option<String>,
}

impl Line {
    /// Whether it is about the remote as a whole, not about a path in it.
    pub fn is_about_remote(&self) -> bool {
        self.object_type.as_deref().is_some_and(|kind| kind.ends_with("Fs"))
    }

    /// Whether it is about one file or directory: a text may be something else.
    pub fn is_about_object(&self) -> bool {
        let kind = self.object_type.as_deref().unwrap_or_default();
        ["Object", "Directory", "Dir"].iter().any(|name| kind.ends_with(name))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Debug,
    Info,
    Notice,
    Warning,
    Error,
    Critical,
    Alert,
    Emergency,
}

impl Level {
    pub fn is_error(self) -> bool {
        matches!(self, Self::Error | Self::Critical | Self::Alert | Self::Emergency)
    }
}

/// How rclone's server says, at the level of debugging, why it doesn't give a file.
///
/// Source: rclone's lib/http/serve/serve.go and cmd/serve/restic/restic.go.
const REFUSALS: [&str; 2] = ["Get request open error:", "GET request error:"];

/// How rclone's server says once more, in Go's words, why a listing failed.
const REPEATED: &str = "list failed: &";

/// How a process begins to say that its run failed: `Failed to lsjson with 2 errors: last
/// error was: ...`.
///
/// Source: `Run` in rclone's cmd/cmd.go.
pub const SUMMARY: &str = "Failed to ";

/// Gets every line, as it comes.
pub type Sink = mpsc::Sender<Line>;

/// How many of these lines may wait: whoever takes them must keep up, or rclone says more
/// than there is to say.
pub const SAID: usize = 1 << 16;

/// The log of one process.
pub struct Log {
    taking: Arc<Mutex<Taking>>,
    pipe: Arc<AsyncFd<OwnedFd>>,
    follower: Option<tokio::task::JoinHandle<()>>,
}

#[derive(Default)]
struct Kept {
    /// The last error of each file.
    errors: HashMap<String, String>,
    /// The last error of all.
    last: Option<String>,
    /// What the process says of its whole run where that failed.
    summary: Option<String>,
}

impl Log {
    /// Follows the read end of a pipe until it is closed.
    pub fn follow(
        pipe: OwnedFd,
        verb: &'static str,
        secrets: Secrets,
        sink: Option<Sink>,
        vain: Vain,
    ) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&pipe, true)?;
        // SAFETY: the descriptor is owned by what is registered, so it stays the same
        // and open until it is deregistered.
        let pipe = unsafe { AsyncFd::register(pipe) }.map_err(|failed| failed.into_parts().1)?;
        let pipe = Arc::new(pipe);
        let taking =
            Taking { verb, secrets, sink, vain, kept: Kept::default(), partial: Vec::new() };
        let taking = Arc::new(Mutex::new(taking));
        let follower = tokio::spawn(follow(pipe.clone(), taking.clone()).in_current_span());
        Ok(Self { taking, pipe, follower: Some(follower) })
    }

    /// Takes in everything that was written before the call.
    pub fn flush(&self) {
        lock(&self.taking).drain(self.pipe.get_ref());
    }

    /// Returns when the pipe was closed and everything was taken in.
    pub async fn finish(&mut self) {
        // A grandchild may hold the pipe open for ever.
        let patience = std::time::Duration::from_secs(1);
        if let Some(follower) = self.follower.take() {
            let stop = follower.abort_handle();
            if tokio::time::timeout(patience, follower).await.is_err() {
                stop.abort();
            }
        }
        // Whoever takes what is said of single files learns that this was all.
        lock(&self.taking).sink = None;
    }

    /// The error that was logged about a file, which is forgotten by this.
    pub fn take_error(&self, object: &str) -> Option<String> {
        lock(&self.taking).kept.errors.remove(object)
    }

    /// What the process said of its whole run, if that failed.
    pub fn summary(&self) -> Option<String> {
        lock(&self.taking).kept.summary.clone()
    }

    /// The last error of all.
    pub fn last_error(&self) -> Option<String> {
        lock(&self.taking).kept.last.clone()
    }
}

fn lock(taking: &Mutex<Taking>) -> MutexGuard<'_, Taking> {
    taking.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn follow(pipe: Arc<AsyncFd<OwnedFd>>, taking: Arc<Mutex<Taking>>) {
    loop {
        match pipe.readable().await {
            Ok(mut ready) => ready.clear_ready(),
            Err(_) => return,
        }
        if !lock(&taking).drain(pipe.get_ref()) {
            return;
        }
    }
}

/// Takes in what comes.
struct Taking {
    verb: &'static str,
    secrets: Secrets,
    sink: Option<Sink>,
    vain: Vain,
    kept: Kept,
    partial: Vec<u8>,
}

impl Taking {
    /// Reads until the pipe is empty; says whether it is still open.
    fn drain(&mut self, pipe: &OwnedFd) -> bool {
        let mut buffer = [0; 16 << 10];
        loop {
            match rustix::io::read(pipe, &mut buffer) {
                Ok(0) => return false,
                Ok(count) => self.feed(&buffer[..count]),
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => return true,
                Err(_) => return false,
            }
        }
    }

    fn feed(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = LONGEST_LINE.saturating_sub(self.partial.len());
            self.partial.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") {
                let line = std::mem::take(&mut self.partial);
                self.line(line.trim_ascii());
            }
        }
    }

    fn line(&mut self, line: &[u8]) {
        if line.is_empty() {
            return;
        }
        // What isn't JSON comes from Go's runtime or from a stranger.
        let mut line = serde_json::from_slice(line).unwrap_or_else(|_| Line {
            level: Level::Notice,
            message: String::from_utf8_lossy(line).into_owned(),
            object: None,
            object_type: None,
            source: None,
        });
        line.message = self.secrets.strike(&line.message);
        self.vain.hear(&line.message, Instant::now());
        if line.level == Level::Debug
            && REFUSALS.iter().any(|words| line.message.starts_with(words))
        {
            line.level = Level::Error;
        }
        self.trace(&line);
        self.keep(&line);
        if let Some(sink) = &self.sink {
            // Nobody listening any more is no reason to stop taking in.
            if let Err(mpsc::error::TrySendError::Full(_)) = sink.try_send(line) {
                self.vain.tell("rclone reports more than can be taken in: install rclone anew");
            }
        }
    }

    fn trace(&self, Line { level, message, object, .. }: &Line) {
        let object = self.secrets.strike(object.as_deref().unwrap_or_default());
        let verb = self.verb;
        match level {
            // The connector reports errors itself, with the path in Plakar's words.
            level if level.is_error() => tracing::info!(verb, object, "{message}"),
            Level::Notice | Level::Warning => tracing::info!(verb, object, "{message}"),
            _ => tracing::debug!(verb, object, "{message}"),
        }
    }

    fn keep(&mut self, Line { level, message, object, .. }: &Line) {
        if message.starts_with(REPEATED) {
            return;
        }
        let kept = &mut self.kept;
        if object.is_none() && *level == Level::Notice && message.starts_with(SUMMARY) {
            kept.summary = Some(message.clone());
        }
        match object {
            Some(object) if level.is_error() && !object.is_empty() => {
                if kept.errors.len() < KEPT {
                    kept.errors.insert(object.clone(), message.clone());
                }
                kept.last = Some(message.clone());
            }
            _ if level.is_error() => kept.last = Some(message.clone()),
            // The summary comes as a notice, after the errors it sums up.
            _ if kept.last.is_none() && *level == Level::Notice && message.starts_with(SUMMARY) => {
                kept.last = Some(message.clone());
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
        let log =
            Log::follow(read, "test", Secrets::default(), None, Vain::new(false, |_| ())).unwrap();
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
            3 => prop::sample::select(vec!["hunter22", "a/b", "All requests per day", "GET request error:", "list failed: &", "\\u0000", "\\\"", "é"]).prop_map(str::to_owned),
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
        crate::fuzzing::check_property(input, |(lines, piece)| {
            let (sink, mut said) = mpsc::channel(SAID);
            let mut taking = Taking {
                verb: "test",
                secrets: Secrets::test(&["hunter22"]),
                sink: Some(sink),
                vain: Vain::new(false, |_| ()),
                kept: Kept::default(),
                partial: Vec::new(),
            };
            for piece in lines.concat().chunks(piece) {
                taking.feed(piece);
                assert!(taking.partial.len() <= LONGEST_LINE);
            }
            taking.sink = None;
            let kept = &taking.kept;
            let said = std::iter::from_fn(|| said.try_recv().ok()).map(|line| line.message);
            let all = kept.errors.values().cloned().chain(kept.last.clone()).chain(said);
            assert!(all.into_iter().all(|message| !message.contains("hunter22")));
        });
    }

    #[tokio::test]
    async fn secrets_are_struck_out_and_nonsense_is_survived() {
        let (mut write, read) = pair();
        let secrets = Secrets::test(&["hunter22"]);
        let mut log = Log::follow(read, "test", secrets, None, Vain::new(false, |_| ())).unwrap();
        write.write_all(&[b'x'; 60_000]).unwrap();
        writeln!(write, "\nnot json\n{{}}").unwrap();
        writeln!(write, r#"{{"level":"error","msg":"bad hunter22"}}"#).unwrap();
        drop(write);
        log.finish().await;
        assert_eq!(log.last_error().unwrap(), "bad ***");
    }
}
