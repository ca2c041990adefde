//! What both kinds of plugin do first: take the remote from Plakar, start the
//! component, and say where it works.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};
use tracing::Span;

use super::parts;
use crate::connector::{Failure, Location, Reason};
use crate::direction::Direction;
use crate::rclone::google_photos::Aim;
use crate::rclone::remote::Said;
use crate::sandbox::Session;
use crate::session::open::{self, Opened, Setting};
use crate::session::tenant::Client;

/// What a second request for a session is refused with.
const AGAIN: &str =
    "a connection has one session, and this one has asked for it already: connect again";

/// A plugin's session: not opened yet, open, or closed.
pub struct Opening {
    /// Or why there will be none.
    setting: Result<Setting, Failure>,
    /// Whether Plakar has asked for it, which it does once (kloset's NewImporter starts a
    /// plugin for each importer, and calls `Init` at once).
    asked: AtomicBool,
    session: Mutex<Option<(Session, Option<Busy>)>>,
}

/// A client that has a session, or is about to, as long as this is held.
struct Busy(Arc<watch::Sender<bool>>);

impl Busy {
    fn of(client: &Client) -> Self {
        client.busy.send_replace(true);
        Self(client.busy.clone())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.send_replace(false);
    }
}

/// What Plakar is told of an opened session.
pub struct Answer {
    pub origin: String,
    /// The connector's protocol: what another connector found is no parent of its snapshots.
    pub r#type: String,
    pub root: String,
    /// The device number of every file.
    pub device: u64,
    /// Whether it is an album of Google Photos.
    pub is_album: bool,
    /// Where it takes albums, if it is a library of Google Photos.
    pub albums: Option<&'static str>,
}

impl Opening {
    pub fn new(setting: Setting) -> Self {
        Self::of(Ok(setting))
    }

    /// A session that is refused as soon as Plakar asks for it.
    pub fn refused(why: Failure) -> Self {
        Self::of(Err(why))
    }

    fn of(setting: Result<Setting, Failure>) -> Self {
        Self { setting, asked: AtomicBool::new(false), session: Mutex::new(None) }
    }

    /// What the session's lines in the log belong to.
    pub fn span(&self) -> Span {
        self.client().map_or_else(Span::none, |client| client.span.clone())
    }

    /// What cuts the session's connection off, if anything does.
    pub fn cut(&self) -> Option<CancellationToken> {
        self.client().map(|client| client.cut.clone())
    }

    fn client(&self) -> Option<&Client> {
        self.setting.as_ref().ok().and_then(|setting| setting.client.as_ref())
    }

    /// Opens the session that Plakar asks for.
    pub async fn open(
        &self,
        role: Direction,
        config: HashMap<String, String>,
        hostname: String,
        directory: String,
    ) -> Result<Answer, Status> {
        let setting = self.setting.as_ref().map_err(status)?;
        let opened = async {
            if self.asked.swap(true, Ordering::Relaxed) {
                return Err(Failure::new(Reason::Denied, AGAIN));
            }
            // Dropped with the session, or with the attempt.
            let busy = self.client().map(Busy::of);
            let setting = setting.at_present()?;
            self.attempt(&setting, role, config, hostname, directory, busy).await
        };
        opened.await.map_err(|failure| {
            if let Some(client) = &setting.client {
                client.account.record_failure(&failure);
            }
            status(&failure)
        })
    }

    async fn attempt(
        &self,
        setting: &Setting,
        role: Direction,
        config: HashMap<String, String>,
        hostname: String,
        directory: String,
        busy: Option<Busy>,
    ) -> Result<Answer, Failure> {
        let said = Said { config: config.into_iter().collect(), hostname, directory };
        let aim = match role {
            Direction::Backup => Aim::BackUp,
            Direction::Restore => Aim::Restore,
        };
        let Opened { session, remote, fingerprint, protocol } =
            open::open(said, setting, aim).await?;
        let origin = format!("{}-{}", remote.backend.replace(' ', "-"), fingerprint.short());
        let (is_album, albums) = (parts::is_album(&remote), parts::albums_of(&remote));
        let opened = match role {
            Direction::Backup => session.open_importer(remote).await,
            Direction::Restore => session.open_exporter(remote).await,
        };
        let Location { root } = opened?;
        *self.session.lock().await = Some((session, busy));
        let device = fingerprint.device();
        Ok(Answer { origin, r#type: protocol, root, device, is_album, albums })
    }

    /// The open session.
    pub async fn session(&self) -> Result<Session, Status> {
        let session = self.session.lock().await;
        let session = session.as_ref().map(|(session, _)| session.clone());
        session.ok_or_else(|| Status::failed_precondition("nothing was opened yet"))
    }

    pub async fn close(&self) {
        self.session.lock().await.take();
    }
}

/// A session's failure as Plakar shows it, which is counted.
pub fn told(session: &Session, failure: &Failure) -> Status {
    session.account().record_failure(failure);
    status(failure)
}

/// A failure as Plakar shows it: the message alone. The code is for programs, and
/// never one that Plakar takes for a broken connection.
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
    Status::new(code, failure.shown())
}
