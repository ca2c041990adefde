//! Lists a remote once through the component, to see whether it answers.

use std::io;
use std::time::Duration;

use super::report::Report;
use super::store;
use super::takeout;
use super::target::Target;
use crate::connector::{Failure, Kind, Location, Reason};
use crate::direction::Direction;
use crate::policy::hosts::lookup;
use crate::quota::SessionQuota;
use crate::rclone::backends;
use crate::rclone::binary::Binary;
use crate::rclone::remote::Remote;
use crate::rclone::state::State;
use crate::sandbox::{ScanEvent, Session};
use crate::session::{self, OpenSession, Prepared, RemoteSpec, SessionContext};

/// Time limit of a remote's first listing.
const LIST_TIMEOUT: Duration = Duration::from_secs(60);

/// The directory of all photos.
const LIBRARY: &str = "media/all";

/// Time after which the listing of [`LIBRARY`] shows that it isn't empty: that of an empty
/// library is a single call.
const LIBRARY_TIMEOUT: Duration = Duration::from_secs(10);

/// The parts of the sessions that reach the remote.
pub struct Probe<'a> {
    pub target: &'a Target,
    pub state: &'a State,
    pub binary: Binary,
    pub context: &'a SessionContext,
}

impl Probe<'_> {
    /// Lists the remote once, through the component.
    ///
    /// # Errors
    ///
    /// Fails if the remote is not allowed, or can't be listed in time.
    pub async fn reach(&self, remote: &Remote) -> Result<(), Failure> {
        let is_google_photos = remote.is_google_photos();
        let path = remote.path().trim_matches('/');
        // The library itself may have thousands of pages.
        let is_costly = path.is_empty() || path.split('/').next() == Some("media");
        let probed = if is_google_photos && is_costly {
            backends::GOOGLE_PHOTOS_PROBE_DIR
        } else {
            self.target.path()
        };
        let (session, _) = self.open(probed).await?;
        let listed = tokio::time::timeout(LIST_TIMEOUT, session.ping_importer()).await;
        listed.unwrap_or_else(|_| {
            Err(Failure::new(Reason::Unavailable, "the remote doesn't answer within a minute")
                .with_help("check the network and the server, and run it again"))
        })?;
        drop(session);
        if is_google_photos && path.is_empty() {
            let (session, _) = self.open(LIBRARY).await?;
            let found = tokio::time::timeout(LIBRARY_TIMEOUT, find_file(&session)).await;
            return found.unwrap_or(Ok(()));
        }
        Ok(())
    }

    /// Looks at the store at the remote's path; returns whether there is one.
    ///
    /// # Errors
    ///
    /// Fails if the report can't be printed.
    pub async fn check_store(&self, report: &mut Report, remote: &Remote) -> io::Result<bool> {
        if remote.is_google_photos() {
            return Ok(false);
        }
        match self.open(self.target.path()).await {
            Ok((session, root)) => store::check(report, &session, &root).await,
            Err(failure) => report.failure(&failure).map(|()| true),
        }
    }

    /// Looks at the exports of Google Takeout at the remote's path, if there are any.
    ///
    /// # Errors
    ///
    /// Fails if the report can't be printed.
    pub async fn check_takeout(&self, report: &mut Report, remote: &Remote) -> io::Result<()> {
        if remote.is_google_photos() {
            return Ok(());
        }
        let exports = match self.open(self.target.path()).await {
            Ok((session, root)) => takeout::find_exports(&session, &root).await,
            Err(failure) => return report.failure(&failure),
        };
        if exports.is_empty() {
            return Ok(());
        }
        let mut spec = self.target.spec(self.target.path());
        spec.config.insert("view".to_owned(), "takeout".to_owned());
        match self.open_spec(spec).await {
            Ok((session, root)) => takeout::check(report, &exports, &session, &root).await,
            Err(failure) => report.failure(&failure),
        }
    }

    /// Opens a session on the remote at another path; returns it, and its root.
    async fn open(&self, path: &str) -> Result<(Session, String), Failure> {
        self.open_spec(self.target.spec(path)).await
    }

    /// Opens a session on a remote that is described; returns it, and its root.
    async fn open_spec(&self, spec: RemoteSpec) -> Result<(Session, String), Failure> {
        let authorized = session::authorize(spec, self.context, Direction::Backup)?;
        lookup::check_public(&authorized.grant.public_hosts).await?;
        let prepared = Prepared {
            quota: SessionQuota::default(),
            state: self.state.clone(),
            binary: self.binary.clone(),
        };
        let OpenSession { session, remote, .. } =
            session::start(authorized, prepared, self.context)?;
        let Location { root } = session.open_importer(remote).await?;
        Ok((session, root))
    }
}

/// Waits for the first file of a listing, or its end, which may be a failure.
async fn find_file(session: &Session) -> Result<(), Failure> {
    let mut scan = session.scan().await?;
    while let Some(events) = scan.found.recv().await {
        let is_file = |event: &ScanEvent| match event {
            ScanEvent::Entry(entry) => entry.metadata.kind == Kind::File,
            ScanEvent::Error(_) => false,
        };
        if events.iter().any(is_file) {
            return Ok(());
        }
    }
    scan.end.await.unwrap_or(Ok(()))
}
