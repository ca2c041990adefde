//! Everything that concerns rclone: its configuration, its processes and their
//! pipes. Only this module starts rclone and touches its secrets.
//!
//! - [`binary`]: which rclone, and whether it is recent enough
//! - [`remote`], [`users`]: what a user says of a remote, imported or in the own rclone.conf
//! - [`location`]: which mistake a location is that names none
//! - [`conf`], [`sections`]: the form of that file, and what may be in it
//! - [`configuration`]: its private configuration
//! - [`started`], [`renewed`]: what rclone renews of a user's own remote, and its way back
//! - [`token`]: whose turn it is to refresh one
//! - [`destination`]: local directories that a restore makes
//! - [`fingerprint`]: what tells one remote or account from another
//! - [`state`]: the private directories, what is kept in them and what is swept
//! - [`concurrency`]: how many files at the same time
//! - [`usage`]: what a session uses up of what it may have
//! - [`held`]: the end of a session that has more than that of memory, threads or disk
//! - [`process`], [`spawner`]: one rclone process, from its start to its end
//! - [`confinement`]: what that process may do to this machine
//! - [`secrets`], [`obscured`]: what no message may show, and its plain form
//! - [`log`], [`vain`]: what it says on stderr, and when it can only try in vain
//! - [`watchdog`]: the end of a session whose remote doesn't answer
//! - [`reason`], [`plain`], [`proxy`]: what its words mean, without those that tell nothing,
//!   and which proxy they are about
//! - [`upstreams`]: the remotes of a union, which doesn't tell what is missing
//! - [`omission`], [`told`]: what it leaves out, and which errors an end is about
//! - [`photos`]: what is particular about Google Photos
//! - [`growth`]: files that grow while they are read
//! - [`collision`]: entries that a destination takes for one
//! - [`list`], [`cat`], [`reader`], [`batch`], [`receive`]: the verbs
//! - [`obstacles`]: what stands where a batch is to go

mod batch;
pub mod binary;
mod cat;
mod collision;
pub mod concurrency;
pub mod conf;
pub mod configuration;
mod confinement;
mod destination;
pub mod fingerprint;
mod growth;
mod held;
mod list;
mod location;
mod log;
mod obscured;
mod obstacles;
mod omission;
pub mod photos;
mod plain;
mod process;
pub mod proxy;
mod reader;
mod reason;
mod receive;
pub mod remote;
mod renewed;
mod secrets;
mod sections;
mod spawner;
mod started;
pub mod state;
pub mod token;
mod told;
mod upstreams;
mod usage;
pub mod users;
mod vain;
mod watchdog;

pub use batch::Batch;
pub use confinement::THREADS;
pub use list::Listing;
pub use process::environment;
pub use reader::Reader;
pub use secrets::Secrets;

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use tokio::sync::OnceCell;

use crate::account::{Account, Count};
use crate::audit::{Event, Trail};
use crate::buffers::Buffers;
use crate::contract::{Content, Failure, Reason, Selection, Timestamp};
use crate::policy::{self, Grant};
use crate::tenant::Hosted;
use binary::Binary;
use collision::Names;
use concurrency::Concurrency;
use configuration::Configuration;
use confinement::Confinement;
use fingerprint::Fingerprint;
use process::Verb;
use receive::Backend;
use remote::Remote;
use state::{Owner, Scratch, Slot, State};
use usage::Usage;
use watchdog::Watchdog;

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
    trail: Trail,
    /// The configuration file that every process of the session shares.
    config: Configuration,
    /// Where batches, rclone's cache and its temporary files lie.
    scratch: Scratch,
    /// The directories that its processes may write and that are theirs alone.
    own: Vec<PathBuf>,
    /// As whom they run, if not as us.
    owner: Option<Owner>,
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
        trail: Trail,
        hosted: Hosted,
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
        let mut granted = confinement::granted::of(
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
        tokio::spawn(watchdog::watch(Arc::downgrade(&inner)));
        tokio::spawn(held::watch(Arc::downgrade(&inner)));
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
    pub fn account(&self) -> &Arc<Account> {
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
        list::list(self, selection).await
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
        !photos::is(&self.inner.remote)
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
        receive::receive(self, &path, size, modified, content).await
    }

    /// What the backend can do.
    async fn features(&self) -> Result<&Backend, Failure> {
        self.inner.features.get_or_try_init(|| receive::features(self)).await
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
                || photos::is(&self.inner.remote)
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
        } else if photos::is(&self.inner.remote) {
            // One photo that Google doesn't give holds up all others meanwhile.
            verb.args(["--low-level-retries", "3"])
        } else if self.waits_for_connections() {
            verb.args(["--low-level-retries", "2"])
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
        self.trail.note_afterwards(Event::Session {
            remote: self.config.fingerprint().short(),
            processes: account.get(Count::Started),
            bytes_in: account.get(Count::BytesIn),
            bytes_out: account.get(Count::BytesOut),
            milliseconds: self.trail.lasted().as_millis().try_into().unwrap_or(u64::MAX),
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
    if !path.contains('\0') && path.split('/').all(policy::is_name) {
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
