//! The session of a plugin: takes the remote from Plakar, starts the component, and reports
//! where it works.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};
use tracing::Span;

use super::records;
use crate::connector::{Failure, Location, Reason};
use crate::direction::Direction;
use crate::sandbox::Session;
use crate::session::tenant::TenantClient;
use crate::session::{self, OpenRequest, OpenSession, RemoteSpec, SessionContext, album};

/// The refusal of a second request for a session.
const SECOND_REQUEST: &str = "a connection has one session, and this one has asked for it already";

/// A plugin's session: not opened yet, open, or closed.
pub struct PluginSession {
    /// The context of the session, or the reason why there will be none.
    context: Result<SessionContext, Failure>,
    /// Whether Plakar has requested the session, which it does once (kloset's NewImporter
    /// starts a plugin for each importer, and calls `Init` at once).
    requested: AtomicBool,
    session: Mutex<Option<(Session, Option<BusyGuard>)>>,
}

/// A guard that marks a client as busy: it has a session, or is about to.
struct BusyGuard(Arc<watch::Sender<bool>>);

impl BusyGuard {
    fn new(client: &TenantClient) -> Self {
        client.busy.send_replace(true);
        Self(client.busy.clone())
    }
}

impl Drop for BusyGuard {
    fn drop(&mut self) {
        self.0.send_replace(false);
    }
}

/// The request with which Plakar opens a session.
pub struct InitRequest {
    pub config: HashMap<String, String>,
    pub hostname: String,
    pub directory: String,
}

/// The reply to it.
pub struct InitReply {
    pub origin: String,
    /// The connector's protocol: snapshots of different connectors are no parents of each other.
    pub r#type: String,
    pub root: String,
    /// rclone's name of the backend.
    pub backend: String,
    /// The path inside the remote.
    pub path: String,
    /// The device number of every file.
    pub device: u64,
    /// Whether the remote is an album of Google Photos.
    pub is_album: bool,
    /// The directory of albums, if the remote is a library of Google Photos.
    pub album_directory: Option<&'static str>,
}

impl PluginSession {
    /// Makes a session that opens when Plakar requests it.
    pub fn new(context: SessionContext) -> Self {
        Self::with_context(Ok(context))
    }

    /// Makes a session that is refused as soon as Plakar requests it.
    pub fn refused(reason: Failure) -> Self {
        Self::with_context(Err(reason))
    }

    fn with_context(context: Result<SessionContext, Failure>) -> Self {
        Self { context, requested: AtomicBool::new(false), session: Mutex::new(None) }
    }

    /// Returns the span of the session's lines in the log.
    pub fn span(&self) -> Span {
        self.client().map_or_else(Span::none, |client| client.span.clone())
    }

    /// Returns the token that aborts the session's connection, if it has one.
    pub fn abort_token(&self) -> Option<CancellationToken> {
        self.client().map(|client| client.abort.clone())
    }

    fn client(&self) -> Option<&TenantClient> {
        self.context.as_ref().ok().and_then(|context| context.client.as_ref())
    }

    /// Returns the directory that Plakar started this program in; empty if Plakar runs elsewhere.
    pub fn own_directory(&self) -> String {
        let directory = std::env::current_dir().ok().filter(|_| self.client().is_none());
        directory.map(|path| path.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// Opens the session that Plakar requests.
    ///
    /// # Errors
    ///
    /// Fails if it was refused or requested before, or can't be opened.
    pub async fn open(
        &self,
        direction: Direction,
        request: InitRequest,
    ) -> Result<InitReply, Status> {
        let context = self.context.as_ref().map_err(status)?;
        let opened = async {
            if self.requested.swap(true, Ordering::Relaxed) {
                return Err(Failure::denied(SECOND_REQUEST).with_help("connect again"));
            }
            // Dropped with the session, or with the failed attempt.
            let busy = self.client().map(BusyGuard::new);
            self.try_open(&context.refreshed()?, direction, request, busy).await
        };
        opened.await.map_err(|failure| {
            if let Some(client) = &context.client {
                client.account.record_failure(&failure);
            }
            status(&failure)
        })
    }

    async fn try_open(
        &self,
        context: &SessionContext,
        direction: Direction,
        InitRequest { config, hostname, directory }: InitRequest,
        busy: Option<BusyGuard>,
    ) -> Result<InitReply, Failure> {
        let spec = RemoteSpec { config: config.into_iter().collect(), hostname, directory };
        let request = OpenRequest { spec, direction, quiet: false };
        let OpenSession { session, remote, fingerprint, protocol } =
            session::open(request, context).await?;
        let origin = format!("{}-{}", remote.backend.replace(' ', "-"), fingerprint.short());
        let is_album = album::is_album(&remote);
        let album_directory = album::album_directory(&remote);
        let (backend, path) = (remote.backend.clone(), remote.root.clone());
        let opened = match direction {
            Direction::Backup => session.open_importer(remote).await,
            Direction::Restore => session.open_exporter(remote).await,
            Direction::Store => session.open_store(remote).await,
        };
        let Location { root } = opened?;
        *self.session.lock().await = Some((session, busy));
        let device = fingerprint.device();
        let r#type = protocol;
        Ok(InitReply { origin, r#type, root, backend, path, device, is_album, album_directory })
    }

    /// Returns the open session.
    ///
    /// # Errors
    ///
    /// Fails if none is open.
    pub async fn session(&self) -> Result<Session, Status> {
        let session = self.session.lock().await;
        let session = session.as_ref().map(|(session, _)| session.clone());
        session.ok_or_else(|| Status::failed_precondition("nothing was opened yet"))
    }

    /// Closes the session.
    pub async fn close(&self) {
        self.session.lock().await.take();
    }
}

/// Counts a failure of the session, and makes the status that Plakar shows.
pub fn count_failure(session: &Session, failure: &Failure) -> Status {
    session.account().record_failure(failure);
    status(failure)
}

/// Makes the status of a failure. Plakar shows the message alone; the code is for programs,
/// and never one that Plakar takes for a broken connection.
pub fn status(failure: &Failure) -> Status {
    let code = match failure.reason {
        Reason::InvalidConfiguration => Code::InvalidArgument,
        Reason::Unauthenticated => Code::Unauthenticated,
        Reason::Denied => Code::PermissionDenied,
        Reason::NotFound => Code::NotFound,
        Reason::Unsupported => Code::Unimplemented,
        Reason::RateLimited => Code::ResourceExhausted,
        Reason::Unavailable | Reason::Cancelled => Code::Aborted,
        Reason::Corrupted => Code::DataLoss,
        Reason::Internal => Code::Internal,
    };
    Status::new(code, records::message(failure))
}
