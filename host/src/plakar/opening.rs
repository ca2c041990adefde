//! What both kinds of plugin do first: take the remote from Plakar, start the
//! component, and say where it works.

use std::collections::HashMap;
use tokio::sync::Mutex;
use tonic::{Code, Status};

use super::Role;
use crate::contract::{Failure, Location, Reason};
use crate::opened::{self, Opened, Setting};
use crate::rclone::photos::Aim;
use crate::rclone::remote::Said;
use crate::sandbox::Session;

/// A plugin's session: not opened yet, open, or closed.
pub struct Opening {
    setting: Setting,
    session: Mutex<Option<Session>>,
}

/// What Plakar is told of an opened session.
pub struct Answer {
    pub origin: String,
    /// The connector's protocol: what another connector found is no parent of its snapshots.
    pub r#type: String,
    pub root: String,
    /// The device number of every file.
    pub device: u64,
}

impl Opening {
    pub fn new(setting: Setting) -> Self {
        Self { setting, session: Mutex::new(None) }
    }

    /// Opens the session that Plakar asks for.
    pub async fn open(
        &self,
        role: Role,
        config: HashMap<String, String>,
        hostname: String,
        directory: String,
    ) -> Result<Answer, Status> {
        let said = Said { config: config.into_iter().collect(), hostname, directory };
        let aim = match role {
            Role::Importer => Aim::BackUp,
            Role::Exporter => Aim::Restore,
        };
        let Opened { session, remote, fingerprint, protocol } =
            opened::open(said, &self.setting, aim).await.map_err(|failure| status(&failure))?;
        let origin = format!("{}-{}", remote.backend.replace(' ', "-"), fingerprint.short());
        let opened = match role {
            Role::Importer => session.open_importer(remote).await,
            Role::Exporter => session.open_exporter(remote).await,
        };
        let Location { root } = opened.map_err(|failure| status(&failure))?;
        *self.session.lock().await = Some(session);
        Ok(Answer { origin, r#type: protocol, root, device: fingerprint.device() })
    }

    /// The open session.
    pub async fn session(&self) -> Result<Session, Status> {
        let session = self.session.lock().await;
        session.clone().ok_or_else(|| Status::failed_precondition("nothing was opened yet"))
    }

    pub async fn close(&self) {
        self.session.lock().await.take();
    }
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
