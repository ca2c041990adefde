//! A session of rclone on one remote: the parts that its commands share.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::OnceCell;

use super::backends::BackendFeatures;
use super::binary::Binary;
use super::commands::concurrency::Concurrency;
use super::destination;
use super::process::activity::Activity;
use super::process::command::{RcloneCommand, environment};
use super::process::context::ProcessContext;
use super::process::quota::RcloneQuota;
use super::process::{remote_watchdog, resource_watchdog};
use super::remote::Remote;
use super::remote::fingerprint::Fingerprint;
use super::remote::secrets::Secrets;
use super::remote_path::RemotePath;
use super::state::State;
use super::state::cache::Cache;
use super::state::config_copy::ConfigCopy;
use super::state::lock::Slot;
use super::state::scratch::Scratch;
use super::used_names::UsedNames;
use crate::audit::AuditLog;
use crate::confinement::{Confinement, Profile};
use crate::connector::{Failure, Reason};
use crate::policy::Grant;
use crate::quota::SessionQuota;
use crate::quota::buffers::Buffers;
use crate::quota::counters::Counters;

/// Interval at which refreshed tokens are written back to the user's rclone.conf.
const WRITE_BACK_INTERVAL: Duration = Duration::from_secs(2);

/// A session of rclone on one remote. Cheap to clone.
#[derive(Clone)]
pub struct RcloneSession {
    shared: Arc<Shared>,
}

struct Shared {
    context: Arc<ProcessContext>,
    cache: Cache,
    concurrency: Concurrency,
    features: OnceCell<BackendFeatures>,
    used_names: OnceCell<Option<UsedNames>>,
    is_lookup_refused: Arc<AtomicBool>,
}

impl RcloneSession {
    /// Prepares a session: writes the remote's private configuration, confines rclone and
    /// starts the watchdogs.
    ///
    /// # Errors
    ///
    /// All session slots are taken, the remote isn't allowed any more, or a private file or
    /// the confinement can't be prepared.
    pub fn new(
        binary: Binary,
        mut remote: Remote,
        state: &State,
        grant: Grant,
        trail: AuditLog,
        hosted: SessionQuota,
        streams: usize,
    ) -> Result<Self, Failure> {
        let sessions = grant.limits.sessions;
        let slot = sessions.map(|sessions| Slot::acquire(state, sessions)).transpose()?;
        let quota = RcloneQuota::new(&grant.limits, hosted);
        let config = ConfigCopy::open(state, &mut remote)?;
        let secrets = Secrets::from_remote(&remote);
        let scratch = Scratch::create(state)?;
        let owner = state.owner();
        destination::create_missing(&grant, owner)?;
        let mut profile = Profile::for_session(
            &grant,
            [scratch.writable_dir(), config.writable_dir()],
            scratch.input_dir(),
            remote.local_files()?,
            &environment(&grant),
            owner,
        );
        profile.owner_processes = quota.tenant_processes();
        let confinement = Confinement::prepare(binary.path(), &profile)?;
        let context = Arc::new(ProcessContext {
            binary,
            remote,
            grant,
            quota,
            confinement,
            slot,
            trail,
            config,
            scratch,
            owner,
            secrets,
            activity: Arc::new(Activity::new(owner)),
            fatal: Arc::default(),
        });
        tokio::spawn(write_back_loop(Arc::downgrade(&context)));
        tokio::spawn(remote_watchdog::watch(Arc::downgrade(&context)));
        tokio::spawn(resource_watchdog::watch(Arc::downgrade(&context)));
        let shared = Shared {
            cache: Cache::new(context.scratch.state_root(), &cache_identity(&context)),
            context,
            concurrency: Concurrency::new(streams),
            features: OnceCell::new(),
            used_names: OnceCell::new(),
            is_lookup_refused: Arc::default(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The fingerprint of the remote.
    pub fn fingerprint(&self) -> Fingerprint {
        self.shared.context.config.fingerprint().clone()
    }

    /// The grant of the policy.
    pub fn grant(&self) -> &Grant {
        &self.shared.context.grant
    }

    /// The remote.
    pub fn remote(&self) -> &Remote {
        &self.shared.context.remote
    }

    /// The permits of the session.
    pub fn quota(&self) -> &RcloneQuota {
        &self.shared.context.quota
    }

    /// The bytes that this program may hold of the session.
    pub fn buffers(&self) -> &Arc<Buffers> {
        &self.quota().buffers
    }

    /// The counters of the session.
    pub fn account(&self) -> &Arc<Counters> {
        &self.quota().account
    }

    /// The audit log of the session.
    pub fn audit(&self) -> &AuditLog {
        &self.shared.context.trail
    }

    /// The directory that the session's own directory is in.
    pub fn state_root(&self) -> &Path {
        self.scratch().state_root()
    }

    /// What components have kept of this remote and root.
    pub fn cache(&self) -> &Cache {
        &self.shared.cache
    }

    /// The private directory of the session.
    pub fn scratch(&self) -> &Scratch {
        &self.shared.context.scratch
    }

    /// The activity of the session.
    pub fn activity(&self) -> &Activity {
        &self.shared.context.activity
    }

    /// The number of files that the remote is asked for, or given, at the same time.
    pub fn concurrency(&self) -> &Concurrency {
        &self.shared.concurrency
    }

    /// The features of the remote, once they were queried.
    pub fn features_cell(&self) -> &OnceCell<BackendFeatures> {
        &self.shared.features
    }

    /// The names that a restore has used, if the destination is case-insensitive.
    pub fn used_names_cell(&self) -> &OnceCell<Option<UsedNames>> {
        &self.shared.used_names
    }

    /// Whether the server has refused a lookup because there were too many at a time.
    pub fn is_lookup_refused(&self) -> bool {
        self.shared.is_lookup_refused.load(Ordering::Relaxed)
    }

    /// The flag that is set when the server refuses a lookup.
    pub fn lookup_refused_flag(&self) -> Arc<AtomicBool> {
        self.shared.is_lookup_refused.clone()
    }

    /// Checks that the remote may be written.
    ///
    /// # Errors
    ///
    /// The policy grants reading only.
    pub fn check_writable(&self) -> Result<(), Failure> {
        if self.grant().write {
            return Ok(());
        }
        Err(Failure::new(Reason::Denied, "a remote that is only read can't be written"))
    }

    /// Whether an overload is retried by this program. For Google Photos the retry watchdog
    /// decides.
    pub fn retries_overload(&self) -> bool {
        !self.remote().is_google_photos()
    }

    /// Whether rclone waits for a connection up to minutes, longer each time that the server
    /// refuses one, as it does for FTP. Such a server is better sent fewer requests.
    pub fn waits_for_connections(&self) -> bool {
        self.remote().backends().any(|backend| backend == "ftp")
    }

    /// An rclone command.
    pub fn command(&self, name: &'static str) -> RcloneCommand<'_> {
        RcloneCommand::new(&self.shared.context, name)
    }

    /// An rclone command that reads files.
    pub fn reading_command(&self, name: &'static str) -> RcloneCommand<'_> {
        let command = self.command(name);
        if self.remote().lacks_range_support() {
            // After a break rclone would get the file from its start.
            command.args(["--low-level-retries", "1"])
        } else if self.remote().is_google_photos() {
            // A photo that Google doesn't give holds up all others during its retries.
            command.args(["--low-level-retries", "3"])
        } else if self.waits_for_connections() {
            // By default an idle connection stays for a minute. A server with few connections
            // refuses a listing because of it.
            command.args(["--low-level-retries", "2", "--ftp-idle-timeout", "3s"])
        } else {
            command
        }
    }

    /// Runs a command that prints nothing.
    ///
    /// # Errors
    ///
    /// The command fails.
    pub async fn run(&self, name: &'static str, args: &[&str]) -> Result<(), Failure> {
        let mut command = self.command(name);
        for arg in args {
            command = command.arg(*arg);
        }
        let mut process = command.spawn().await?;
        drop(process.stdout.take());
        process.wait().await
    }

    /// The remote's root, or a path below it, as rclone's commands take it.
    pub fn target(&self, path: &str) -> String {
        self.remote().target(path)
    }

    /// The same of a path that is known to be a directory: rclone doesn't look for a file there.
    pub fn directory_target(&self, path: &str) -> String {
        let target = self.target(path);
        let is_marked = target.ends_with(['/', ':']);
        if is_marked { target } else { target + "/" }
    }

    /// Writes a private file with these paths, one a line.
    ///
    /// # Errors
    ///
    /// A path has a line break or doesn't lead below the root, or the file can't be written.
    pub fn write_path_list(&self, paths: &[String]) -> Result<PathBuf, Failure> {
        let mut text = String::new();
        for path in paths {
            if path.contains(['\n', '\r']) {
                return Err(Failure::new(
                    Reason::Unsupported,
                    format!("`{}` has a line break in its name", path.escape_debug()),
                ));
            }
            text += &RemotePath::parse(path)?;
            text.push('\n');
        }
        self.scratch().write_file("files", text.as_bytes())
    }
}

/// What the cache of a session belongs to: a remote and a root in it.
fn cache_identity(context: &ProcessContext) -> String {
    format!("{} {}", context.config.fingerprint().to_hex(), context.remote.path())
}

/// Writes refreshed tokens back to the user's rclone.conf for as long as the session lasts.
async fn write_back_loop(context: Weak<ProcessContext>) {
    loop {
        tokio::time::sleep(WRITE_BACK_INTERVAL).await;
        match context.upgrade() {
            Some(context) => context.config.write_back(),
            None => return,
        }
    }
}
