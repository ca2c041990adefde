//! The rclone servers of a store: `rclone serve restic` at the store's root, which speaks HTTP/2
//! over its pipes. One remembers what it has looked up. The other one looks it up each time: it
//! is for objects that other clients may replace, and keeps locks from waiting for the uploads
//! of large objects.

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper::{Method, Request, Response, StatusCode};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Mutex;

use crate::connector::{Failure, Reason};
use crate::quota::counters::Count;
use crate::rclone::commands::serve_restic::connection;
use crate::rclone::process::Process;
use crate::rclone::process::errors::full;
use crate::rclone::remote_path::RemotePath;
use crate::rclone::session::RcloneSession;

/// Number of requests after which a server is replaced: rclone's server never frees a part of
/// the memory for each object.
const MAX_ANSWERS: u64 = 50_000;

/// The body of a request.
pub type Body = UnsyncBoxBody<Bytes, io::Error>;

/// How a server looks up objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookups {
    /// Once.
    Remembered,
    /// Each time.
    Fresh,
}

/// A server that is started when it is needed, and replaced when it has ended.
pub struct Slot {
    lookups: Lookups,
    running: Mutex<Option<Arc<Server>>>,
}

impl Slot {
    /// Makes a slot without a server.
    pub fn new(lookups: Lookups) -> Self {
        Self { lookups, running: Mutex::new(None) }
    }

    /// Returns the server. `started` is called if it is a new one.
    ///
    /// # Errors
    ///
    /// It can't be started.
    pub async fn server(
        &self,
        session: &RcloneSession,
        started: impl FnOnce(),
    ) -> Result<Arc<Server>, Failure> {
        let mut running = self.running.lock().await;
        let is_usable = |server: &&Arc<Server>| !server.is_closed() && !server.is_used_up();
        if let Some(server) = running.as_ref().filter(is_usable) {
            return Ok(server.clone());
        }
        let server = Arc::new(Server::start(session, self.lookups).await?);
        *running = Some(server.clone());
        started();
        Ok(server)
    }
}

/// A running server. Dropping it ends it.
pub struct Server {
    sender: http2::SendRequest<Body>,
    process: Process,
    /// Number of requests that it has answered.
    answers: AtomicU64,
}

impl Server {
    /// Starts a server at the root of the session's remote.
    async fn start(session: &RcloneSession, lookups: Lookups) -> Result<Self, Failure> {
        let mut command = session.reading_command("serve");
        command = command.args(["restic", "--stdio", "--use-server-modtime"]);
        command = command.args(["--checkers", &session.concurrency().checkers()]);
        if lookups == Lookups::Fresh {
            // It logs why a lookup fails at its debug level only.
            command = command.arg("--cache-objects=false").with_debug_log();
        }
        if session.remote().backends().any(|backend| backend == "b2")
            && !session.grant().append_only
        {
            // Without it, B2 keeps what is deleted or replaced as an older version.
            command = command.arg("--b2-hard-delete");
        }
        let mut process = command.arg(session.directory_target("")).with_stdin().spawn().await?;
        let sender = connection::connect(&mut process).await?;
        Ok(Self { sender, process, answers: AtomicU64::new(0) })
    }

    /// Whether the server has ended.
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Whether it has answered so many requests that it needs too much memory.
    fn is_used_up(&self) -> bool {
        self.answers.load(Ordering::Relaxed) >= MAX_ANSWERS
    }

    /// The process of the server.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Sends a request without a body.
    ///
    /// # Errors
    ///
    /// The server ends before it answers.
    pub async fn request(
        &self,
        method: Method,
        path: &RemotePath,
        range: Option<String>,
    ) -> Result<Response<Incoming>, Failure> {
        let mut request = Request::builder().method(method).uri(connection::uri(path));
        if let Some(range) = range {
            request = request.header("range", range);
        }
        let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
        match self.send(request.body(body), path).await? {
            Ok(response) => Ok(response),
            Err(error) => Err(self.broken(&error).await),
        }
    }

    /// The size of an object; `None` if the backend reports that it doesn't exist.
    ///
    /// # Errors
    ///
    /// The backend reports neither.
    pub async fn head(&self, path: &RemotePath) -> Result<Option<u64>, Failure> {
        let response = self.request(Method::HEAD, path, None).await?;
        match response.status() {
            StatusCode::OK => {
                let length = response.headers().get("content-length");
                let size = length.and_then(|text| text.to_str().ok()?.parse().ok());
                let unsupported = || {
                    let message = format!("the backend reports no size of `{path}`");
                    Failure::new(Reason::Unsupported, message)
                };
                size.ok_or_else(unsupported).map(Some)
            }
            // Source: rclone's cmd/serve/restic: a HEAD is answered with 404 only if the backend
            // says so.
            StatusCode::NOT_FOUND => {
                self.process.log.flush();
                // It isn't the reason of what fails later.
                let _ = self.process.log.take_error(path);
                Ok(None)
            }
            status => Err(self.reason(path, status)),
        }
    }

    /// Sends an object of `size` bytes, and returns when the server has answered, or has ended:
    /// nothing of it arrives later.
    ///
    /// # Errors
    ///
    /// The server ends before it answers, or the backend doesn't take the object.
    pub async fn post(&self, path: &RemotePath, size: u64, body: Body) -> Result<(), Failure> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(connection::uri(path))
            .header("content-length", size);
        let response = match self.send(request.body(body), path).await? {
            Ok(response) => response,
            Err(error) => {
                self.process.end().await;
                return Err(self.broken(&error).await);
            }
        };
        let status = response.status();
        if status == StatusCode::OK {
            self.process.account.add(Count::BytesIn, size);
            return Ok(());
        }
        Err(self.reason(path, status))
    }

    async fn send(
        &self,
        request: hyper::http::Result<Request<Body>>,
        path: &RemotePath,
    ) -> Result<hyper::Result<Response<Incoming>>, Failure> {
        let request = request
            .map_err(|error| Failure::internal(format!("`{path}` can't be asked for: {error}")))?;
        let waiting = self.process.activity().begin_wait();
        let response = self.sender.clone().send_request(request).await;
        drop(waiting);
        if let Ok(response) = &response {
            self.answers.fetch_add(1, Ordering::Relaxed);
            if response.status().is_success() {
                self.process.activity().record_answer();
            }
        }
        Ok(response)
    }

    /// The failure of an exchange that broke off.
    pub async fn broken(&self, error: &hyper::Error) -> Failure {
        if self.is_closed() {
            self.process.end().await;
            self.process.log.flush();
        }
        if let Some(failure) = self.process.fatal_failure() {
            return failure;
        }
        // A server that can't use the remote ends before its first answer.
        if self.is_closed()
            && self.answers.load(Ordering::Relaxed) == 0
            && let Some(error) = self.process.log.last_error()
        {
            return self.classify(&error);
        }
        Failure::new(Reason::Unavailable, format!("rclone serve broke off: {error}"))
            .with_help("run it again")
    }

    /// The failure of a request that was answered with this status, by what rclone logged.
    pub fn reason(&self, path: &RemotePath, status: StatusCode) -> Failure {
        self.process.log.flush();
        match self.process.log.take_error(path) {
            Some(error) => self.classify(&error),
            None => {
                let message = format!("`{path}`: rclone answered {status}");
                let failure = Failure::new(Reason::Unavailable, message);
                self.process.activity().record_failure(&failure);
                failure
            }
        }
    }

    fn classify(&self, error: &str) -> Failure {
        let failure = full::classify_upload(error);
        self.process.activity().record_failure(&failure);
        failure
    }
}
