//! rclone: its configuration, its processes and their pipes. Only this module starts rclone
//! and touches its secrets.
//!
//! - [`binary`]: finds rclone and checks its version
//! - [`remote`]: the remote that a user configured
//! - [`state`]: private directories on disk
//! - [`process`]: one rclone process, from its start to its end
//! - [`commands`]: the rclone commands that a session runs
//! - [`google_photos`]: what is particular about Google Photos

pub mod binary;
pub mod commands;
pub mod google_photos;
mod process;
pub mod remote;
pub mod state;

pub use crate::confinement::THREADS;
pub use commands::copy::Batch;
pub use commands::lsjson::Listing;
pub use commands::serve_restic::Reader;
pub use process::environment;
pub use remote::secrets::Secrets;

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use tokio::sync::OnceCell;

use crate::audit::{AuditLog, Event};
use crate::confinement::{self, Confinement};
use crate::connector::{Content, Failure, Reason, Selection, Timestamp};
use crate::kernel::RunAs;
use crate::policy::{self, Grant};
use crate::quota::SessionQuota;
use crate::quota::buffers::Buffers;
use crate::quota::counters::{Count, Counters};
use binary::Binary;
use commands::collision::Names;
use commands::concurrency::Concurrency;
use commands::rcat::Backend;
use commands::{cat, collision, destination, lsjson, rcat};
use process::Verb;
use process::quota::Usage;
use process::remote_watchdog::Watchdog;
use process::{remote_watchdog, resource_watchdog};
use remote::Remote;
use remote::fingerprint::Fingerprint;
use state::config_copy::Configuration;
use state::{Scratch, Slot, State};

/// How much of a file is here before its content is given: smaller ones are complete
/// then, or failed, and whoever reads ahead holds no more than this of a larger one.
const BEGINNING: usize = 1 << 20;

/// How soon a renewed token is back in the user's rclone.conf.
const SOON: Duration = Duration::from_secs(2);

/// The capability: rclone's verbs on one remote. Cheap to clone.
#[derive(Clone)]
pub struct Rclone {
    inner: Arc<Inner>,
}

struct Inner {
    binary: Binary,
    remote: Remote,
    /// What the policy lets the session have, and what it uses of it.
    grant: Grant,
    usage: Usage,
    /// How many files the remote takes and gives at the same time.
    concurrency: Concurrency,
    confinement: Confinement,
    _slot: Option<Slot>,
    trail: AuditLog,
    /// The configuration file that every process of the session shares.
    config: Configuration,
    /// Where batches, rclone's cache and its temporary files lie.
    scratch: Scratch,
    /// The directories that its processes may write and that are theirs alone.
    own: Vec<PathBuf>,
    /// As whom they run, if not as us.
    owner: Option<RunAs>,
    /// What must not appear in any message.
    secrets: Secrets,
    /// What the backend can do, once it was asked.
    features: OnceCell<Backend>,
    /// The names that a restore has used, where case doesn't tell them apart.
    names: OnceCell<Option<Names>>,
    /// Whether the server refused a look-up because there were too many at once.
    is_refused: Arc<AtomicBool>,
    watchdog: Arc<Watchdog>,
    /// Why nothing can be had from the remote any more today.
    in_vain: Arc<OnceLock<Failure>>,
}

impl Rclone {
    /// Prepares the session of one remote: writes its private configuration.
    pub fn new(
        binary: Binary,
        mut remote: Remote,
        state: &State,
        grant: Grant,
        trail: AuditLog,
        hosted: SessionQuota,
        streams: usize,
    ) -> Result<Self, Failure> {
        let slot = grant.limits.sessions.map(|sessions| state.slot(sessions)).transpose()?;
        let usage = Usage::of(&grant.limits, hosted);
        let config = state.configure(&mut remote)?;
        let secrets = Secrets::of(&remote);
        let scratch = state.scratch()?;
        destination::make(&grant, state.owner())?;
        let own = [scratch.own(), config.own()];
        let input = scratch.input();
        let environment = process::environment(&grant);
        let files = remote.files()?;
        let mut granted = confinement::profile::of(
            &grant,
            own.clone(),
            input,
            files,
            &environment,
            state.owner(),
        );
        granted.processes_of_owner = usage.processes_of_tenant();
        let confinement = Confinement::prepare(binary.path(), &granted)?;
        let inner = Inner {
            binary,
            remote,
            grant,
            usage,
            concurrency: Concurrency::new(streams),
            confinement,
            _slot: slot,
            trail,
            config,
            scratch,
            own: own.to_vec(),
            owner: state.owner(),
            secrets,
            features: OnceCell::new(),
            names: OnceCell::new(),
            is_refused: Arc::default(),
            watchdog: Arc::new(Watchdog::of(state.owner())),
            in_vain: Arc::default(),
        };
        let inner = Arc::new(inner);
        tokio::spawn(keep_up(Arc::downgrade(&inner)));
        tokio::spawn(remote_watchdog::watch(Arc::downgrade(&inner)));
        tokio::spawn(resource_watchdog::watch(Arc::downgrade(&inner)));
        Ok(Self { inner })
    }

    /// What tells the remote or account from any other.
    pub fn fingerprint(&self) -> Fingerprint {
        self.inner.config.fingerprint().clone()
    }

    /// What the policy lets the session have.
    pub fn grant(&self) -> &Grant {
        &self.inner.grant
    }

    /// What this program may hold of the session's bytes on their way.
    pub fn buffers(&self) -> &Arc<Buffers> {
        &self.inner.usage.buffers
    }

    /// What is counted of the session.
    pub fn account(&self) -> &Arc<Counters> {
        &self.inner.usage.account
    }

    /// Refuses what would write to a remote that may only be read.
    fn writable(&self) -> Result<(), Failure> {
        if self.inner.grant.write {
            return Ok(());
        }
        Err(Failure::new(Reason::Denied, "a remote that is only read can't be written"))
    }

    /// Lists the remote.
    pub async fn list(&self, selection: Selection) -> Result<Listing, Failure> {
        lsjson::list(self, selection).await
    }

    /// The bytes of one file through a process of its own.
    pub async fn cat(&self, path: &str, size: Option<u64>) -> Result<Content, Failure> {
        let path = sound(path)?;
        let mut again = self.inner.concurrency.again();
        loop {
            match cat::cat(self, &path, size).await {
                Err(failure) if self.tries_again() && again.after(&failure).await => {}
                result => return result,
            }
        }
    }

    /// Whether reads that are too much at once are tried again. Google Photos has its own ways
    /// to refuse (`vain`).
    fn tries_again(&self) -> bool {
        !google_photos::is(&self.inner.remote)
    }

    /// Starts a process that reads many files below `root`.
    pub async fn reader(&self, root: &str) -> Result<Reader, Failure> {
        let root = if root.is_empty() { root.to_owned() } else { sound(root)? };
        Reader::start(self, &root).await
    }

    /// An empty batch of files to upload.
    pub fn batch(&self) -> Result<Batch, Failure> {
        self.writable()?;
        Batch::create(self.clone())
    }

    /// Uploads one large file.
    pub async fn receive(
        &self,
        path: &str,
        size: u64,
        modified: Timestamp,
        content: Content,
    ) -> Result<(), Failure> {
        self.writable()?;
        let path = sound(path)?;
        self.claim(&path).await?;
        rcat::receive(self, &path, size, modified, content).await
    }

    /// What the backend can do.
    async fn features(&self) -> Result<&Backend, Failure> {
        self.inner.features.get_or_try_init(|| rcat::features(self)).await
    }

    /// Takes a path for an entry of a restore.
    ///
    /// # Errors
    ///
    /// The destination takes it for the path of another entry.
    async fn claim(&self, path: &str) -> Result<(), Failure> {
        self.names().await?.map_or(Ok(()), |names| names.take(path))
    }

    /// Whether the destination doesn't tell upper case from lower.
    async fn folds_case(&self) -> Result<bool, Failure> {
        Ok(self.names().await?.is_some())
    }

    /// The names that this restore has used, where the destination doesn't tell upper case
    /// from lower.
    async fn names(&self) -> Result<Option<&Names>, Failure> {
        let names = self.inner.names.get_or_try_init(async || {
            let apart = !collision::is_to_be_asked(&self.inner.remote)
                || google_photos::is(&self.inner.remote)
                || !self.features().await?.is_case_insensitive();
            Ok((!apart).then(Names::default))
        });
        Ok(names.await?.as_ref())
    }

    /// A process with this verb; arguments follow by [`Verb::arg`].
    fn verb(&self, name: &'static str) -> Verb<'_> {
        Verb::new(self, name)
    }

    /// Runs a command that prints nothing.
    async fn run(&self, name: &'static str, args: &[&str]) -> Result<(), Failure> {
        let verb = args.iter().fold(self.verb(name), |verb, arg| verb.arg(*arg));
        let mut process = verb.start(false, None).await?;
        drop(process.stdout.take());
        process.end().await
    }

    /// Whether rclone waits longer each time that a server lets no connection in, up to
    /// minutes, where the server is better sent less: it does so over FTP.
    fn waits_for_connections(&self) -> bool {
        self.inner.remote.backends().any(|backend| backend == "ftp")
    }

    /// The same as [`Self::verb`] for a verb that reads files.
    fn reading_verb(&self, name: &'static str) -> Verb<'_> {
        let verb = self.verb(name);
        if self.inner.remote.forgets_ranges() {
            // It goes on after a break only where it gets what is missing.
            verb.args(["--low-level-retries", "1"])
        } else if google_photos::is(&self.inner.remote) {
            // One photo that Google doesn't give holds up all others meanwhile.
            verb.args(["--low-level-retries", "3"])
        } else if self.waits_for_connections() {
            // A connection that waits for the next file, for a minute by default, is one that a
            // server with few of them refuses to a listing meanwhile.
            verb.args(["--low-level-retries", "2", "--ftp-idle-timeout", "3s"])
        } else {
            verb
        }
    }

    /// The remote's root, or a path below it, as rclone takes it.
    fn target(&self, path: &str) -> String {
        self.inner.remote.target(path)
    }

    /// A private file with these paths, one a line.
    fn file_of_lines(&self, paths: &[String]) -> Result<PathBuf, Failure> {
        let mut text = String::new();
        for path in paths {
            if path.contains(['\n', '\r']) {
                return Err(Failure::new(
                    Reason::Unsupported,
                    format!("`{}` has a line break in its name", path.escape_debug()),
                ));
            }
            text += &sound(path)?;
            text.push('\n');
        }
        self.inner.scratch.file("files", text.as_bytes())
    }

    fn config_file(&self) -> PathBuf {
        self.inner.config.file()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let account = &self.usage.account;
        self.trail.record_best_effort(Event::Session {
            remote: self.config.fingerprint().short(),
            processes: account.get(Count::Started),
            bytes_in: account.get(Count::BytesIn),
            bytes_out: account.get(Count::BytesOut),
            milliseconds: self.trail.elapsed().as_millis().try_into().unwrap_or(u64::MAX),
        });
    }
}

/// Brings back what rclone renews soon after it has, for as long as the session lasts.
async fn keep_up(inner: Weak<Inner>) {
    loop {
        tokio::time::sleep(SOON).await;
        match inner.upgrade() {
            Some(inner) => inner.config.bring_back(),
            None => return,
        }
    }
}

/// A path below the remote's root as the contract wants it: a guest can't name
/// anything else.
pub fn sound(path: &str) -> Result<String, Failure> {
    if !path.contains('\0') && path.split('/').all(policy::is_safe_name) {
        return Ok(path.to_owned());
    }
    Err(Failure::new(
        Reason::Denied,
        format!("`{}` is not a path below the remote's root", path.escape_debug()),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_below_the_root_are_sound() {
        for bad in ["", "/etc/passwd", "../x", "a/../../x", "a//b", "./a", "a/", "a\0", "．．/x"]
        {
            assert_eq!(sound(bad).unwrap_err().reason, Reason::Denied, "{bad:?}");
        }
        for good in ["a", "-a", "a/b c", "a\nb", "remote:x", "{}"] {
            assert_eq!(sound(good).unwrap(), good);
        }
    }
}
