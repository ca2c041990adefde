//! The verb `reader`: many small files through one `rclone serve restic --stdio`,
//! which speaks HTTP/2 over its pipes and reads any path.

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::BufReader;
use tokio::sync::mpsc;
use tokio_util::io::InspectReader;

use super::growth;
use super::lsjson::{Pumped, pump};
use crate::connector::{Content, Failure, Reason};
use crate::quota::counters::Count;
use crate::rclone::process::Process;
use crate::rclone::process::errors;
use crate::rclone::{BEGINNING, Rclone, sound};

/// What stays as it is in a path.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'~');

/// How much of one file may be on its way before anybody takes it.
const WINDOW: u32 = 1 << 20;
/// The same for all files of a reader together: more than all of them may have, so that
/// those that nobody takes yet hold up no other.
const WINDOWS: u32 = 256 << 20;
/// The largest frame: one Plakar chunk.
const FRAME: u32 = 1 << 20;

/// How long a file without bytes may take to be opened on a server where it may be a named
/// pipe.
const EMPTY: Duration = Duration::from_secs(20);

/// How many pieces may wait for whoever reads.
const PIECES: usize = 2;

/// How much is taken from the pipe at once.
const BUFFER: usize = 256 << 10;

type Sender = http2::SendRequest<Empty<Bytes>>;

/// What one content may come to here while nobody reads on: what is taken in before it is
/// given, which ends in a frame, or else pieces; and what lies in its window.
pub fn at_most(size: Option<u64>) -> u64 {
    size.unwrap_or(u64::MAX).min(BEGINNING as u64 + u64::from(FRAME) + u64::from(WINDOW))
}

/// A running server. Dropping the last clone ends it.
#[derive(Clone)]
pub struct Reader {
    sender: Sender,
    process: Arc<Process>,
    /// Whether files may be cut to the length that was listed.
    may_cut: bool,
    /// Whether a file without bytes may be one that never answers.
    may_hang: bool,
    rclone: Rclone,
    root: String,
}

impl Reader {
    pub async fn start(rclone: &Rclone, root: &str) -> Result<Self, Failure> {
        let verb = rclone.reading_verb("serve").args(["restic", "--stdio", "--use-server-modtime"]);
        let verb = verb.args(["--checkers", &rclone.inner.concurrency.listings()]);
        let mut process = verb.arg(rclone.target(root)).start(true, None).await?;
        let pipes = process.stdout.take().zip(process.stdin.take());
        let (stdout, stdin) = pipes.ok_or_else(|| Failure::internal("rclone has no pipes"))?;
        // Many small files come with one system call.
        let account = process.account.clone();
        let count = move |bytes: &[u8]| account.add(Count::BytesOut, bytes.len() as u64);
        let stdout = InspectReader::new(stdout, count);
        let stdout = BufReader::with_capacity(BUFFER, stdout);
        let io = TokioIo::new(tokio::io::join(stdout, stdin));
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOWS)
            .max_frame_size(FRAME)
            .handshake(io)
            .await
            .map_err(|error| Failure::internal(format!("rclone serve doesn't answer: {error}")))?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                // Every read that this ends says so itself.
                tracing::debug!("the connection to rclone serve ended: {error}");
            }
        });
        let may_cut = growth::is_possible(&rclone.inner.remote);
        let may_hang = rclone.inner.remote.backend() == "sftp";
        let (rclone, root) = (rclone.clone(), root.to_owned());
        Ok(Self { sender, process: Arc::new(process), may_cut, may_hang, rclone, root })
    }

    /// Lists everything below the root once: the server keeps what it has listed,
    /// so that a read costs one call instead of two.
    pub async fn warm(&self) -> Result<(), Failure> {
        let request = Request::get("http://localhost/")
            .header("accept", "application/vnd.x.restic.rest.v2")
            .body(Empty::new())
            .map_err(|error| Failure::internal(error.to_string()))?;
        let response = self.sender.clone().send_request(request).await;
        let response = response.map_err(|error| self.broken(&error))?;
        if response.status() != StatusCode::OK {
            self.process.log.flush();
            return Err(match self.process.log.last_error() {
                Some(error) => errors::understand(&error),
                None => Failure::internal(format!("rclone serve said {}", response.status())),
            });
        }
        let mut body = response.into_body();
        while let Some(frame) = body.frame().await {
            frame.map_err(|error| self.broken(&error))?;
        }
        Ok(())
    }

    /// The bytes of one file below the reader's root. What is too much at once is tried
    /// again here, where rclone has the connections.
    pub async fn read(&self, path: &str, size: Option<u64>) -> Result<Content, Failure> {
        let mut again = self.rclone.inner.concurrency.again();
        loop {
            let read = match self.may_hang && size == Some(0) {
                true => self.begin_empty(path).await,
                false => self.begin(path, size).await,
            };
            match read {
                Err(failure) if self.rclone.tries_again() && again.after(&failure).await => {}
                Err(failure) => {
                    self.process.watchdog().failed(&failure);
                    return Err(failure);
                }
                Ok(content) => return Ok(content),
            }
        }
    }

    /// A file without bytes, which SFTP shows a named pipe as, too: the server waits for a
    /// writer to it for ever.
    async fn begin_empty(&self, path: &str) -> Result<Content, Failure> {
        let read = tokio::time::timeout(EMPTY, self.begin(path, Some(0))).await;
        read.unwrap_or_else(|_| {
            Err(Failure::new(
                Reason::Unsupported,
                "it has no bytes and can't be opened, as a named pipe: leave it out with Plakar's `-ignore`, or set `skip_links` on the remote, which leaves out links as well",
            ))
        })
    }

    async fn begin(&self, path: &str, size: Option<u64>) -> Result<Content, Failure> {
        let path = sound(path)?;
        if redirected(&path) {
            return Err(Failure::new(
                Reason::Unsupported,
                format!("`{path}` would be taken for another file by rclone's server"),
            ));
        }
        let uri = format!("http://localhost/{}", utf8_percent_encode(&path, ESCAPED));
        let request = Request::get(uri)
            .body(Empty::new())
            .map_err(|error| Failure::internal(format!("`{path}` can't be asked for: {error}")))?;
        let aside = self.rclone.buffers().reserve(at_most(size)).await?;
        let waiting = self.process.watchdog().wait();
        let response = self.sender.clone().send_request(request).await;
        drop(waiting);
        let response = response.map_err(|error| self.broken(&error))?;
        if response.status() != StatusCode::OK {
            self.process.log.flush();
            return Err(match (self.process.log.take_error(&path), response.status()) {
                (Some(error), _) => errors::understand(&error),
                (None, StatusCode::NOT_FOUND) => Failure::new(Reason::NotFound, "file not found"),
                (None, status) => Failure::internal(format!("rclone serve said {status}")),
            });
        }
        let content = self.clone().content(response.into_body(), path, size).await?;
        Ok(content.with_reservation(aside))
    }

    /// The next bytes of a body.
    async fn data(&self, body: &mut Incoming) -> Option<hyper::Result<Bytes>> {
        let waiting = self.process.watchdog().wait();
        let piece = data(body).await;
        drop(waiting);
        if let Some(Ok(_)) = &piece {
            self.process.watchdog().answered();
        }
        piece
    }

    /// Small contents are checked before they are given, the others while they are.
    async fn content(
        self,
        mut body: Incoming,
        path: String,
        size: Option<u64>,
    ) -> Result<Content, Failure> {
        let mut held = VecDeque::new();
        let (mut count, mut more) = (0, None);
        while count < BEGINNING as u64 {
            let ended = match self.data(&mut body).await {
                Some(Ok(piece)) => {
                    count += piece.len() as u64;
                    self.process.pace(piece.len()).await;
                    if count > at_most(size) && more.is_none() {
                        // It isn't as long as was said.
                        more = Some(self.rclone.buffers().reserve(at_most(None)).await?);
                    }
                    if let Some(surplus) = self.surplus(count, size) {
                        growth::warn(&path, count - surplus);
                        held.push_back(growth::cut(&piece, surplus));
                        return Ok(Content::complete(held));
                    }
                    held.push_back(piece);
                    continue;
                }
                Some(Err(error)) => Err(self.broken(&error)),
                None => Ok(()),
            };
            self.complete(ended, &path, count, size).await?;
            return Ok(more.into_iter().fold(Content::complete(held), Content::with_reservation));
        }
        let (writer, content) = Content::channel(PIECES);
        let mut content =
            more.into_iter().fold(content.with_prefix(held), Content::with_reservation);
        let drained = content.buffer_drained();
        tokio::spawn(async move {
            // What nobody reads stays where it is. Who doesn't want it at all is told below.
            let _ = drained.await;
            let result = self.pass_on(body, writer.bytes(), &path, count, size).await;
            writer.finish(result);
        });
        Ok(content)
    }

    /// How many bytes came that were not listed, of a file that may be cut.
    fn surplus(&self, count: u64, size: Option<u64>) -> Option<u64> {
        let surplus = size.filter(|_| self.may_cut).and_then(|size| count.checked_sub(size));
        surplus.filter(|surplus| *surplus > 0)
    }

    /// What a broken exchange means: the process is gone, or only this file is.
    fn broken(&self, error: &hyper::Error) -> Failure {
        if let Some(failure) = self.process.ended_by() {
            return failure;
        }
        let reason = match self.sender.is_closed() {
            true => Reason::Cancelled,
            false => Reason::Unavailable,
        };
        Failure::new(reason, format!("rclone serve broke off: {error}: run it again"))
    }

    async fn pass_on(
        &self,
        mut body: Incoming,
        bytes: &mpsc::Sender<Bytes>,
        path: &str,
        mut count: u64,
        size: Option<u64>,
    ) -> Result<(), Failure> {
        let ended = loop {
            // There is a place for it before it is taken.
            let Ok(place) = bytes.reserve().await else { return Err(Failure::cancelled()) };
            let piece = tokio::select! {
                piece = self.data(&mut body) => piece,
                () = bytes.closed() => return Err(Failure::cancelled()),
            };
            match piece {
                None => break Ok(()),
                Some(Err(error)) => break Err(self.broken(&error)),
                Some(Ok(piece)) => {
                    count += piece.len() as u64;
                    self.process.pace(piece.len()).await;
                    let surplus = self.surplus(count, size);
                    let piece = growth::cut(&piece, surplus.unwrap_or_default());
                    place.send(piece);
                    if let Some(surplus) = surplus {
                        growth::warn(path, count - surplus);
                        return Ok(());
                    }
                }
            }
        };
        match (self.complete(ended, path, count, size).await, size) {
            (Err(failure), Some(size)) if self.may_cut && count <= size && growth::is(&failure) => {
                self.rest(bytes, path, count, size).await
            }
            (result, _) => result,
        }
    }

    /// Passes on the rest of a file that has grown.
    async fn rest(
        &self,
        bytes: &mpsc::Sender<Bytes>,
        path: &str,
        count: u64,
        size: u64,
    ) -> Result<(), Failure> {
        growth::warn(path, size);
        let slash = if self.root.is_empty() { "" } else { "/" };
        let path = format!("{}{slash}{path}", self.root);
        let mut process = growth::rest(&self.rclone, &path, count).await?;
        let Pumped { count: more, is_cut } = pump(&mut process, bytes, Some(size - count)).await?;
        if !is_cut {
            process.end().await?;
        }
        counted(count + more, Some(size))
    }

    /// Whether what came is all of it.
    async fn complete(
        &self,
        ended: Result<(), Failure>,
        path: &str,
        count: u64,
        size: Option<u64>,
    ) -> Result<(), Failure> {
        // A transfer of unknown size that breaks ends like a whole one, and one that
        // was begun anew half way has its size; rclone says so on stderr, before it
        // ends the stream.
        self.process.log.flush();
        if let Some(error) = self.process.log.take_error(path) {
            return Err(errors::understand(&error));
        }
        ended?;
        counted(count, size)
    }
}

/// The next bytes of a body.
async fn data(body: &mut Incoming) -> Option<hyper::Result<Bytes>> {
    loop {
        match body.frame().await?.map(|frame| frame.into_data()) {
            Ok(Ok(piece)) => return Some(Ok(piece)),
            // Trailers.
            Ok(Err(_)) => (),
            Err(error) => return Some(Err(error)),
        }
    }
}

/// Compares the bytes that came with those that were announced.
pub fn counted(count: u64, size: Option<u64>) -> Result<(), Failure> {
    match size {
        Some(size) if size != count => Err(Failure::new(
            Reason::Corrupted,
            format!(
                "{count} bytes came where {size} were listed: the file changed while it was read, or its transfer broke; run the backup again"
            ),
        )),
        _ => Ok(()),
    }
}

/// Whether the server would take the path for another one: it redirects
/// `data/name` to `data/na/name`, wherever `data` lies.
///
/// Source: `matchData` in rclone's cmd/serve/restic/restic.go.
fn redirected(path: &str) -> bool {
    let mut names = path.rsplit('/');
    let name = names.next().unwrap_or_default();
    names.next() == Some("data") && name.len() >= 2
}
