//! rclone: its configuration, its processes and their pipes. Only this module starts rclone
//! and reads its secrets.
//!
//! - [`binary`]: finds rclone and checks its version
//! - [`backends`], [`google_photos`]: facts about backends, and checks of one of them
//! - [`remote`], [`remote_path`]: the remote that a user configured, and paths below its root
//! - [`state`]: private directories on disk
//! - [`process`]: one rclone process, from its start to its end
//! - [`session`]: what the commands of a session share, with [`destination`] and [`used_names`]
//!   for its restores
//! - [`commands`]: the rclone commands that a session runs

pub mod backends;
pub mod binary;
pub mod commands;
mod destination;
pub mod google_photos;
mod objects;
mod process;
pub mod remote;
mod remote_path;
mod session;
pub mod state;
mod used_names;

pub use commands::copy::Batch;
pub use commands::lsjson::Listing;
pub use commands::serve_restic::Reader;
pub use objects::{Extent, Objects, Parcel, PutOutcome};
pub use process::command::environment;
pub use remote::secrets::Secrets;

use std::sync::Arc;

use crate::audit::AuditLog;
use crate::connector::{Content, Failure, ListOptions, Timestamp};
use crate::policy::Grant;
use crate::quota::SessionQuota;
use crate::quota::buffers::Buffers;
use crate::quota::counters::Counters;
use binary::Binary;
use commands::{cat, collision, lsjson, rcat};
use remote::Remote;
use remote::fingerprint::Fingerprint;
use remote_path::RemotePath;
use session::RcloneSession;
use state::{State, cache};

/// The directory of a store's locks.
const LOCKS_DIR: &str = "locks";

/// The capability that a component gets: commands on one remote. Cheap to clone.
#[derive(Clone)]
pub struct Rclone {
    session: RcloneSession,
    /// The objects of the remote, if the session is one of a store.
    objects: Option<Objects>,
}

impl Rclone {
    /// Prepares the session of one remote.
    ///
    /// # Errors
    ///
    /// All session slots are taken, the remote isn't allowed any more, or a private file or
    /// the confinement can't be prepared.
    pub fn new(
        binary: Binary,
        remote: Remote,
        state: &State,
        grant: Grant,
        trail: AuditLog,
        hosted: SessionQuota,
        streams: usize,
    ) -> Result<Self, Failure> {
        let session = RcloneSession::new(binary, remote, state, grant, trail, hosted, streams)?;
        Ok(Self { session, objects: None })
    }

    /// The fingerprint of the remote.
    pub fn fingerprint(&self) -> Fingerprint {
        self.session.fingerprint()
    }

    /// The grant of the policy.
    pub fn grant(&self) -> &Grant {
        self.session.grant()
    }

    /// The bytes that this program may hold of the session.
    pub fn buffers(&self) -> &Arc<Buffers> {
        self.session.buffers()
    }

    /// The counters of the session.
    pub fn account(&self) -> &Arc<Counters> {
        self.session.account()
    }

    /// Returns what an earlier session, or this one, has kept under a key.
    pub async fn recall(&self, key: &str) -> Option<Content> {
        let reservation = self.buffers().try_reserve(cache::MAX_BUFFERED_BYTES)?;
        Some(self.session.cache().recall(key).await?.with_reservation(reservation))
    }

    /// Keeps a content under a key for the next sessions of the remote.
    ///
    /// # Errors
    ///
    /// The content fails or is too large, or there is no room for it.
    pub async fn remember(&self, key: &str, content: Content) -> Result<(), Failure> {
        self.session.cache().remember(key, content).await
    }

    /// The same as the capability of a store: whole objects, and no other uploads.
    pub fn with_objects(self) -> Self {
        self.session.activity().leave_retries_to_component();
        let objects = Objects::new(self.session.clone());
        Self { objects: Some(objects), ..self }
    }

    /// The objects of a store.
    ///
    /// # Errors
    ///
    /// The session isn't one of a store.
    pub fn objects(&self) -> Result<Objects, Failure> {
        self.objects.clone().ok_or_else(objects::not_granted)
    }

    /// Checks that files may be uploaded otherwise than as objects.
    fn check_uploads(&self) -> Result<(), Failure> {
        match self.objects {
            None => self.session.check_writable(),
            Some(_) => Err(Failure::denied("a session of a store uploads nothing but objects")),
        }
    }

    /// Lists the remote.
    ///
    /// # Errors
    ///
    /// A path isn't below the root, or rclone can't be started.
    pub async fn list(&self, options: ListOptions) -> Result<Listing, Failure> {
        if let Some(objects) = &self.objects {
            if options.directory.starts_with(LOCKS_DIR) {
                objects.remove_abandoned_locks().await;
            }
            objects.start_server();
        }
        lsjson::list(&self.session, options).await
    }

    /// Reads one file through a process of its own.
    ///
    /// # Errors
    ///
    /// The path isn't below the root, or rclone can't read the start of the file.
    pub async fn cat(&self, path: &str, size: Option<u64>) -> Result<Content, Failure> {
        let path = RemotePath::parse(path)?;
        let mut retry = self.session.concurrency().retry();
        loop {
            match cat::cat(&self.session, &path, size).await {
                Err(failure)
                    if self.session.retries_overload() && retry.is_allowed(&failure).await => {}
                result => return result,
            }
        }
    }

    /// Starts a process that reads many files below `root`.
    ///
    /// # Errors
    ///
    /// The path isn't below the root, or rclone can't be started.
    pub async fn reader(&self, root: &str) -> Result<Reader, Failure> {
        Reader::start(&self.session, RemotePath::parse_or_root(root)?).await
    }

    /// Creates an empty batch of files to upload.
    ///
    /// # Errors
    ///
    /// The remote may only be read, or the session has too many batches.
    pub fn batch(&self) -> Result<Batch, Failure> {
        self.check_uploads()?;
        Batch::create(self.session.clone())
    }

    /// Uploads one large file.
    ///
    /// # Errors
    ///
    /// The remote may only be read, another entry has the same path there, or the upload
    /// fails.
    pub async fn upload(
        &self,
        path: &str,
        size: u64,
        modified: Timestamp,
        content: Content,
    ) -> Result<(), Failure> {
        self.check_uploads()?;
        let path = RemotePath::parse(path)?;
        collision::claim(&self.session, &path).await?;
        rcat::upload(&self.session, &path, size, modified, content).await
    }
}
