//! `rclone serve restic`: reads many small files through one process, which speaks HTTP/2 over
//! its pipes and reads any path.
//!
//! - [`connection`]: HTTP/2 over the pipes of a process
//! - [`range`]: reads of a part of a file

pub mod connection;
mod range;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper::header::RANGE;
use hyper::{Request, Response, StatusCode};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

use super::concurrency::Retry;
use super::growth;
use super::transfer::{INITIAL_BUFFER_BYTES, Pumped, check_length, pump};
use crate::connector::{Content, Failure, Reason};
use crate::rclone::process::Process;
use crate::rclone::process::errors;
use crate::rclone::remote_path::RemotePath;
use crate::rclone::session::RcloneSession;
use connection::{MAX_FRAME_BYTES, STREAM_WINDOW_BYTES};

/// Time limit for opening an empty file on a server where it may be a named pipe.
const EMPTY_FILE_TIMEOUT: Duration = Duration::from_secs(20);

/// Number of chunks that may wait for the reader.
const MAX_QUEUED_CHUNKS: usize = 2;

type Sender = http2::SendRequest<Empty<Bytes>>;

/// Number of bytes of a content that this program holds while it isn't read: the buffer at its
/// start with the frame in which that ends, and the window.
pub fn max_buffered_bytes(size: Option<u64>) -> u64 {
    size.unwrap_or(u64::MAX).min(
        INITIAL_BUFFER_BYTES as u64 + u64::from(MAX_FRAME_BYTES) + u64::from(STREAM_WINDOW_BYTES),
    )
}

/// A running server. Dropping the last clone ends it.
#[derive(Clone)]
pub struct Reader {
    sender: Sender,
    process: Arc<Process>,
    /// Whether files may be truncated to the length that was listed.
    may_truncate: bool,
    /// Whether opening an empty file may block for ever.
    may_hang: bool,
    session: RcloneSession,
    root: RemotePath,
}

impl Reader {
    /// Starts a server of the files below `root`.
    ///
    /// # Errors
    ///
    /// rclone can't be started, or doesn't speak HTTP/2.
    pub async fn start(session: &RcloneSession, root: RemotePath) -> Result<Self, Failure> {
        let command = session
            .reading_command("serve")
            .args(["restic", "--stdio", "--use-server-modtime"])
            .args(["--checkers", &session.concurrency().checkers()])
            .arg(session.target(&root));
        let mut process = command.with_stdin().spawn().await?;
        let sender = connection::connect(&mut process).await?;
        let may_truncate = growth::may_truncate(session.remote());
        let may_hang = session.remote().backend() == "sftp";
        let (process, session) = (Arc::new(process), session.clone());
        Ok(Self { sender, process, may_truncate, may_hang, session, root })
    }

    /// Lists everything below the root once. The server caches what it has listed, so that a
    /// read costs one call instead of two.
    ///
    /// # Errors
    ///
    /// The root can't be listed.
    pub async fn warm_up(&self) -> Result<(), Failure> {
        let request = Request::get("http://localhost/")
            .header("accept", "application/vnd.x.restic.rest.v2")
            .body(Empty::new())
            .map_err(|error| Failure::internal(error.to_string()))?;
        let response = self.sender.clone().send_request(request).await;
        let response = response.map_err(|error| self.connection_failure(&error))?;
        if response.status() != StatusCode::OK {
            self.process.log.flush();
            return Err(match self.process.log.last_error() {
                Some(error) => errors::classify(&error),
                None => Failure::internal(format!("rclone serve answered {}", response.status())),
            });
        }
        let mut body = response.into_body();
        while let Some(frame) = body.frame().await {
            frame.map_err(|error| self.connection_failure(&error))?;
        }
        Ok(())
    }

    /// Reads one file below the reader's root.
    ///
    /// # Errors
    ///
    /// The path isn't below the root, or the file can't be opened.
    pub async fn read(&self, path: &str, size: Option<u64>) -> Result<Content, Failure> {
        let mut retry = self.session.concurrency().retry();
        loop {
            let read = if self.may_hang && size == Some(0) {
                self.open_empty(path).await
            } else {
                self.open(path, size).await
            };
            match read {
                Ok(content) => return Ok(content),
                Err(failure) => self.before_retry(&mut retry, failure).await?,
            }
        }
    }

    /// Waits before another attempt. An overload is retried here, where rclone has its
    /// connections.
    ///
    /// # Errors
    ///
    /// The failure isn't one of an overload, or was retried often enough.
    async fn before_retry(&self, retry: &mut Retry<'_>, failure: Failure) -> Result<(), Failure> {
        if self.session.retries_overload() && retry.is_allowed(&failure).await {
            return Ok(());
        }
        self.process.activity().record_failure(&failure);
        Err(failure)
    }

    /// Opens an empty file, which over SFTP may be a named pipe: the server would wait for a
    /// writer for ever.
    async fn open_empty(&self, path: &str) -> Result<Content, Failure> {
        let read = tokio::time::timeout(EMPTY_FILE_TIMEOUT, self.open(path, Some(0))).await;
        read.unwrap_or_else(|_| {
            Err(Failure::new(
                Reason::Unsupported,
                "it has no bytes and can't be opened, as a named pipe",
            )
            .with_help(
                "leave it out with Plakar's `-ignore`, or set `skip_links` on the remote, which \
                 leaves out links as well",
            ))
        })
    }

    async fn open(&self, path: &str, size: Option<u64>) -> Result<Content, Failure> {
        let path = parse_path(path)?;
        let reserved = self.session.buffers().reserve(max_buffered_bytes(size)).await?;
        let response = self.request(&path, None).await?;
        if response.status() != StatusCode::OK {
            return Err(self.refusal(&path, response.status()));
        }
        let content = self.clone().buffer_start(response.into_body(), path, size).await?;
        Ok(content.with_reservation(reserved))
    }

    /// Asks for a file, or for a range of it.
    async fn request(
        &self,
        path: &RemotePath,
        range: Option<&str>,
    ) -> Result<Response<Incoming>, Failure> {
        let mut request = Request::get(connection::uri(path));
        if let Some(range) = range {
            request = request.header(RANGE, range);
        }
        let request = request
            .body(Empty::new())
            .map_err(|error| Failure::internal(format!("`{path}` can't be asked for: {error}")))?;
        let waiting = self.process.activity().begin_wait();
        let response = self.sender.clone().send_request(request).await;
        drop(waiting);
        response.map_err(|error| self.connection_failure(&error))
    }

    /// The failure of a request that was answered with this status, by what rclone logged.
    fn refusal(&self, path: &RemotePath, status: StatusCode) -> Failure {
        self.process.log.flush();
        match (self.process.log.take_error(path), status) {
            (Some(error), _) => errors::classify(&error),
            (None, StatusCode::NOT_FOUND) => Failure::new(Reason::NotFound, "file not found"),
            (None, status) => Failure::internal(format!("rclone serve answered {status}")),
        }
    }

    /// Reads the next bytes of a body, and records the answer.
    async fn next_chunk(&self, body: &mut Incoming) -> Option<hyper::Result<Bytes>> {
        let waiting = self.process.activity().begin_wait();
        let chunk = next_data(body).await;
        drop(waiting);
        if let Some(Ok(_)) = &chunk {
            self.process.activity().record_answer();
        }
        chunk
    }

    /// Buffers the start of a body. A small content is checked as a whole before it is
    /// returned, a larger one while it is read.
    async fn buffer_start(
        self,
        mut body: Incoming,
        path: RemotePath,
        size: Option<u64>,
    ) -> Result<Content, Failure> {
        let mut buffered = VecDeque::new();
        let (mut count, mut more) = (0, None);
        while count < INITIAL_BUFFER_BYTES as u64 {
            let ended = match self.next_chunk(&mut body).await {
                Some(Ok(chunk)) => {
                    count += chunk.len() as u64;
                    self.process.throttle(chunk.len()).await;
                    if count > max_buffered_bytes(size) && more.is_none() {
                        // It is longer than it was listed.
                        more =
                            Some(self.session.buffers().reserve(max_buffered_bytes(None)).await?);
                    }
                    if let Some(surplus) = self.surplus(count, size) {
                        growth::warn_truncated(&path, count - surplus);
                        buffered.push_back(growth::truncate(&chunk, surplus));
                        return Ok(Content::complete(buffered));
                    }
                    buffered.push_back(chunk);
                    continue;
                }
                Some(Err(error)) => Err(self.connection_failure(&error)),
                None => Ok(()),
            };
            self.check_complete(ended, &path, count, size).await?;
            return Ok(more
                .into_iter()
                .fold(Content::complete(buffered), Content::with_reservation));
        }
        let (writer, content) = Content::channel(MAX_QUEUED_CHUNKS);
        let mut content =
            more.into_iter().fold(content.with_prefix(buffered), Content::with_reservation);
        let drained = content.buffer_drained();
        tokio::spawn(async move {
            // Until the content is read, the rest stays with rclone. A dropped content is
            // detected below.
            let _ = drained.await;
            let result = self.send_rest(body, writer.bytes(), &path, count, size).await;
            writer.finish(result);
        });
        Ok(content)
    }

    /// Number of bytes that came beyond the listed size, of a file that may be truncated.
    fn surplus(&self, count: u64, size: Option<u64>) -> Option<u64> {
        let surplus = size.filter(|_| self.may_truncate).and_then(|size| count.checked_sub(size));
        surplus.filter(|surplus| *surplus > 0)
    }

    /// The failure of a broken exchange: of the whole process, or of this file.
    fn connection_failure(&self, error: &hyper::Error) -> Failure {
        if let Some(failure) = self.process.fatal_failure() {
            return failure;
        }
        let reason = if self.sender.is_closed() { Reason::Cancelled } else { Reason::Unavailable };
        Failure::new(reason, format!("rclone serve broke off: {error}")).with_help("run it again")
    }

    /// Sends the rest of a body.
    async fn send_rest(
        &self,
        mut body: Incoming,
        bytes: &mpsc::Sender<Bytes>,
        path: &str,
        mut count: u64,
        size: Option<u64>,
    ) -> Result<(), Failure> {
        let ended = loop {
            // A chunk is only read once there is room for it.
            let Ok(permit) = bytes.reserve().await else { return Err(Failure::cancelled()) };
            let chunk = tokio::select! {
                chunk = self.next_chunk(&mut body) => chunk,
                () = bytes.closed() => return Err(Failure::cancelled()),
            };
            match chunk {
                None => break Ok(()),
                Some(Err(error)) => break Err(self.connection_failure(&error)),
                Some(Ok(chunk)) => {
                    count += chunk.len() as u64;
                    self.process.throttle(chunk.len()).await;
                    let surplus = self.surplus(count, size);
                    let chunk = growth::truncate(&chunk, surplus.unwrap_or_default());
                    permit.send(chunk);
                    if let Some(surplus) = surplus {
                        growth::warn_truncated(path, count - surplus);
                        return Ok(());
                    }
                }
            }
        };
        match (self.check_complete(ended, path, count, size).await, size) {
            (Err(failure), Some(size))
                if self.may_truncate && count <= size && growth::is_growth_error(&failure) =>
            {
                self.read_rest(bytes, path, count, size).await
            }
            (result, _) => result,
        }
    }

    /// Sends the rest of a file that has grown.
    async fn read_rest(
        &self,
        bytes: &mpsc::Sender<Bytes>,
        path: &str,
        count: u64,
        size: u64,
    ) -> Result<(), Failure> {
        growth::warn_truncated(path, size);
        let slash = if self.root.is_empty() { "" } else { "/" };
        let path = format!("{}{slash}{path}", self.root);
        let mut process = growth::read_rest(&self.session, &path, count).await?;
        let Pumped { count: more, is_cut } = pump(&mut process, bytes, Some(size - count)).await?;
        if !is_cut {
            process.wait().await?;
        }
        check_length(count + more, Some(size))
    }

    /// Checks that a content is complete.
    async fn check_complete(
        &self,
        ended: Result<(), Failure>,
        path: &str,
        count: u64,
        size: Option<u64>,
    ) -> Result<(), Failure> {
        // A broken transfer of unknown size ends like a complete one, and one that was
        // restarted half way has the right size. rclone logs the error before it ends the
        // stream.
        self.process.log.flush();
        if let Some(error) = self.process.log.take_error(path) {
            return Err(errors::classify(&error));
        }
        ended?;
        check_length(count, size)
    }
}

/// Parses a path that the server reads as it is.
fn parse_path(path: &str) -> Result<RemotePath, Failure> {
    let path = RemotePath::parse(path)?;
    if connection::is_redirected(&path) {
        return Err(Failure::new(
            Reason::Unsupported,
            format!("`{path}` would be taken for another file by rclone's server"),
        ));
    }
    Ok(path)
}

/// Reads the next bytes of a body.
async fn next_data(body: &mut Incoming) -> Option<hyper::Result<Bytes>> {
    loop {
        match body.frame().await?.map(|frame| frame.into_data()) {
            Ok(Ok(chunk)) => return Some(Ok(chunk)),
            // Trailers.
            Ok(Err(_)) => (),
            Err(error) => return Some(Err(error)),
        }
    }
}
