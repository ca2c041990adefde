//! The verb `list`: `rclone lsjson`, line by line.

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncReadExt;
use tokio::sync::{mpsc, oneshot};

use super::log::{Line, SAID};
use super::process::Process;
use super::{Rclone, reason, sound};
use crate::account::Count;
use crate::contract::{Failure, Selection, Trouble};

/// How much of a pipe is taken at once.
pub const PIECE: usize = 256 << 10;

/// How rclone begins to say that a directory could not be listed; it goes on with
/// the others then (rclone's fs/walk/walk.go).
const NOT_LISTED: &str = "error listing";

/// How many files are looked up at once.
const LOOK_UPS: &str = "64";

/// A listing as it comes.
pub struct Listing {
    pub lines: mpsc::Receiver<Bytes>,
    /// What could not be listed.
    pub troubles: mpsc::Receiver<Trouble>,
    pub end: oneshot::Receiver<Result<(), Failure>>,
}

pub async fn list(rclone: &Rclone, selection: Selection) -> Result<Listing, Failure> {
    let mut verb = rclone.verb("lsjson").arg("--no-mimetype");
    if selection.recursive {
        verb = verb.arg("--recursive");
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
        verb = verb.args(["--no-traverse", "--checkers", LOOK_UPS]);
    }
    for directory in &selection.excluded {
        verb = verb.arg("--filter").arg(format!("- /{}/**", literal(&sound(directory)?)));
    }
    let directory = match selection.directory.as_str() {
        "" => String::new(),
        directory => sound(directory)?,
    };
    let (sink, said) = mpsc::channel(SAID);
    let process = verb.arg(rclone.target(&directory)).start(false, Some(sink)).await?;
    let (lines_in, lines) = mpsc::channel(4);
    let (troubles_in, troubles) = mpsc::channel(64);
    let (end_in, end) = oneshot::channel();
    tokio::spawn(async move {
        let result = run(process, lines_in, tell(said, troubles_in)).await;
        if let Some(names) = names {
            // What stays goes with the session.
            let _ = std::fs::remove_file(names);
        }
        let _ = end_in.send(result);
    });
    Ok(Listing { lines, troubles, end })
}

/// A path as a pattern of rclone's filters that matches nothing else.
///
/// Source: rclone's documentation of filters, "Pattern syntax".
fn literal(path: &str) -> String {
    path.chars().fold(String::new(), |pattern, char| match char {
        '*' | '?' | '[' | ']' | '{' | '}' | '\\' => pattern + "\\" + char.encode_utf8(&mut [0; 4]),
        _ => pattern + char.encode_utf8(&mut [0; 4]),
    })
}

/// Streams the listing and waits for its end.
async fn run(
    mut process: Process,
    lines: mpsc::Sender<Bytes>,
    telling: impl Future<Output = usize> + Send + 'static,
) -> Result<(), Failure> {
    let telling = tokio::spawn(telling);
    pump(&mut process, &lines).await?;
    drop(lines);
    process.end_told(async { telling.await.unwrap_or_default() }).await
}

/// Passes on what rclone says of single directories; returns how many there were.
async fn tell(mut said: mpsc::Receiver<Line>, troubles: mpsc::Sender<Trouble>) -> usize {
    let mut count = 0;
    while let Some(Line { level, message, object }) = said.recv().await {
        match object {
            Some(path)
                if level.is_error() && !path.is_empty() && message.starts_with(NOT_LISTED) =>
            {
                count += 1;
                let failure = reason::understand(&message);
                // Nobody listening is told by the end.
                let _ = troubles.send(Trouble { path, failure }).await;
            }
            _ => {}
        }
    }
    count
}

/// Moves a process's output on until it ends, or until nobody takes it.
pub async fn pump(process: &mut Process, bytes: &mpsc::Sender<Bytes>) -> Result<u64, Failure> {
    let stdout = process.stdout.take();
    let mut stdout = stdout.ok_or_else(|| Failure::internal("rclone has no output"))?;
    let mut count = 0;
    loop {
        let mut piece = BytesMut::with_capacity(PIECE);
        let read = tokio::select! {
            read = stdout.read_buf(&mut piece) => read,
            () = bytes.closed() => return Err(Failure::cancelled()),
        };
        match read {
            Ok(0) => return Ok(count),
            Ok(read) => {
                count += read as u64;
                process.passed(Count::BytesOut, read).await;
            }
            Err(error) => {
                return Err(Failure::internal(format!("rclone's output can't be read: {error}")));
            }
        }
        if bytes.send(piece.freeze()).await.is_err() {
            return Err(Failure::cancelled());
        }
    }
}
