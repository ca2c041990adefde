//! The verb `list`: `rclone lsjson`, line by line.

use bytes::{Bytes, BytesMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::AsyncReadExt;
use tokio::sync::{mpsc, oneshot};

use super::{concurrency, growth, upstreams};
use crate::connector::{Chunks, Failure, Reason, Selection, Trouble};
use crate::quota::counters::Count;
use crate::rclone::process::Process;
use crate::rclone::process::omissions::{self, Account};
use crate::rclone::process::reported::Told;
use crate::rclone::process::stderr_log::{Line, SAID};
use crate::rclone::{Rclone, google_photos, sound};

/// How much of a pipe is taken at once.
pub const PIECE: usize = 256 << 10;

/// How many of them may wait for whoever reads a listing, and how much that is with the one
/// that is taken.
const PIECES: usize = 4;
const HELD: u64 = (PIECES as u64 + 1) * PIECE as u64;

/// How many calls a second look files up where the server has refused some: few enough for
/// the limits that web servers are given as a rule.
const LOOK_UPS_PER_SECOND: &str = "10";

/// A listing as it comes.
pub struct Listing {
    pub lines: Chunks,
    /// What could not be listed.
    pub troubles: mpsc::Receiver<Trouble>,
    pub end: oneshot::Receiver<Result<(), Failure>>,
}

pub async fn list(rclone: &Rclone, selection: Selection) -> Result<Listing, Failure> {
    let aside = rclone.buffers().reserve(HELD).await?;
    let mut verb = rclone.verb("lsjson").arg("--no-mimetype");
    if omissions::are_quiet(rclone.inner.remote.backends()) {
        verb = verb.debug();
    }
    let is_refused = rclone.inner.is_refused.load(Ordering::Relaxed);
    if selection.recursive {
        verb = verb.arg("--recursive");
    } else if !google_photos::is(&rclone.inner.remote) && !is_refused {
        // A look whether the remote answers.
        verb = verb.args(["--low-level-retries", "3", "--contimeout", "15s", "--timeout", "30s"]);
    }
    if rclone.inner.remote.backends().any(|backend| backend == "swift") {
        // A server may send fewer entries than it was asked for before the end.
        verb = verb.arg("--swift-fetch-until-empty-page");
    }
    if selection.hashes {
        verb = verb.arg("--hash");
    }
    if selection.server_times {
        verb = verb.arg("--use-server-modtime");
    }
    let names = selection.files.as_deref().map(|files| rclone.file_of_lines(files)).transpose()?;
    if let Some(names) = &names {
        verb = verb.arg("--files-from-raw").arg(names);
        verb = verb.arg("--no-traverse");
        verb = if is_refused {
            verb.args(["--checkers", "1", "--tpslimit", LOOK_UPS_PER_SECOND])
        } else {
            verb.args(["--checkers", &rclone.inner.concurrency.now().to_string()])
        };
    } else if is_refused {
        // What is read meanwhile falls back to fewer streams.
        tokio::time::sleep(concurrency::pause(1)).await;
        verb = verb.args(["--checkers", "1"]);
    } else {
        verb = verb.args(["--checkers", &rclone.inner.concurrency.listings()]);
    }
    for directory in &selection.excluded {
        verb = verb.arg("--filter").arg(format!("- /{}/**", literal(&sound(directory)?)));
    }
    let directory = match selection.directory.as_str() {
        "" => String::new(),
        directory => sound(directory)?,
    };
    let is_filtered = !selection.excluded.is_empty() || names.is_some();
    let (sink, said) = mpsc::channel(SAID);
    let upstreams = upstreams::of(&rclone.inner.remote);
    upstreams::check(rclone, &upstreams).await?;
    let process = verb.arg(rclone.target(&directory)).start(false, Some(sink)).await?;
    let rclone = rclone.clone();
    let is_refused = rclone.inner.is_refused.clone();
    let (lines_in, lines) = mpsc::channel(PIECES);
    let (troubles_in, troubles) = mpsc::channel(64);
    let (end_in, end) = oneshot::channel();
    tokio::spawn(async move {
        let mut result =
            run(process, lines_in, tell(said, troubles_in, is_refused, is_filtered)).await;
        if result.is_ok() {
            // One that went away meanwhile was left out from then on.
            result = upstreams::check(&rclone, &upstreams).await;
        }
        if let Some(names) = names {
            // What stays goes with the session.
            let _ = std::fs::remove_file(names);
        }
        let _ = end_in.send(result);
    });
    Ok(Listing { lines: Chunks::from(lines).with_reservation(aside), troubles, end })
}

/// A path as a pattern of rclone's filters that matches nothing else.
///
/// Source: rclone's documentation of filters, "Pattern syntax".
pub fn literal(path: &str) -> String {
    path.chars().fold(String::new(), |pattern, char| match char {
        '*' | '?' | '[' | ']' | '{' | '}' | '\\' => pattern + "\\" + char.encode_utf8(&mut [0; 4]),
        _ => pattern + char.encode_utf8(&mut [0; 4]),
    })
}

/// Streams the listing and waits for its end.
async fn run(
    mut process: Process,
    lines: mpsc::Sender<Bytes>,
    telling: impl Future<Output = (Told, Option<Failure>)> + Send + 'static,
) -> Result<(), Failure> {
    let telling = tokio::spawn(telling);
    pump(&mut process, &lines, None).await?;
    drop(lines);
    let mut short = None;
    let told = async {
        let (told, failure) = telling.await.unwrap_or_default();
        short = failure;
        told
    };
    process.end_told(told).await?;
    short.map_or(Ok(()), Err)
}

/// Accounts for everything that rclone says of single paths: passes on what it leaves
/// out. The failure is of what can't be told by a path: the listing is short.
async fn tell(
    mut said: mpsc::Receiver<Line>,
    troubles: mpsc::Sender<Trouble>,
    is_refused: Arc<AtomicBool>,
    is_filtered: bool,
) -> (Told, Option<Failure>) {
    let (mut told, mut short) = (Told::default(), None);
    while let Some(line) = said.recv().await {
        match omissions::account(&line, is_filtered) {
            Account::Nothing => {}
            Account::Run(failure) => short = short.or(Some(failure)),
            Account::Path(path, failure) => {
                told.note(&line.message);
                if matches!(failure.reason, Reason::RateLimited | Reason::Unavailable) {
                    is_refused.store(true, Ordering::Relaxed);
                }
                // Nobody listening is told by the end.
                let _ = troubles.send(Trouble { path, failure }).await;
            }
        }
    }
    (told, short)
}

/// What moving a process's output on came to.
pub struct Pumped {
    /// How many bytes were moved.
    pub count: u64,
    /// Whether there were more than wanted.
    pub is_cut: bool,
}

/// Moves a process's output on until it ends, `most` bytes are moved, or the receiver is gone.
pub async fn pump(
    process: &mut Process,
    bytes: &mpsc::Sender<Bytes>,
    most: Option<u64>,
) -> Result<Pumped, Failure> {
    let stdout = process.stdout.take();
    let mut stdout = stdout.ok_or_else(|| Failure::internal("rclone has no output"))?;
    let mut count = 0;
    loop {
        let mut piece = BytesMut::with_capacity(PIECE);
        let read = tokio::select! {
            read = async {
                let _waiting = process.watchdog().wait();
                stdout.read_buf(&mut piece).await
            } => read,
            () = bytes.closed() => return Err(Failure::cancelled()),
        };
        match read {
            Ok(0) => return Ok(Pumped { count, is_cut: false }),
            Ok(read) => {
                count += read as u64;
                process.watchdog().answered();
                process.passed(Count::BytesOut, read).await;
            }
            Err(error) => {
                return Err(Failure::internal(format!("rclone's output can't be read: {error}")));
            }
        }
        let surplus = most.and_then(|most| count.checked_sub(most)).filter(|surplus| *surplus > 0);
        let piece = match surplus {
            Some(surplus) => growth::cut(&piece.freeze(), surplus),
            None => piece.freeze(),
        };
        if bytes.send(piece).await.is_err() {
            return Err(Failure::cancelled());
        }
        if let Some(surplus) = surplus {
            return Ok(Pumped { count: count - surplus, is_cut: true });
        }
    }
}
