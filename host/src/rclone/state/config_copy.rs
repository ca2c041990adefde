//! The private configuration of a session's remote, which rclone rewrites when it
//! refreshes a token.
//!
//! `remotes/DIGEST/` in the private directory is shared by all sessions of the remote. In
//! it, `own/` holds `rclone.conf` and is all of it that rclone may write; what the host keeps
//! for itself, and trusts, lies beside it. The digest is of the configuration as it was passed, so a
//! changed one starts anew. What rclone has rewritten is kept: for a remote that was
//! imported for good, since nothing else has it; for one of the user's own rclone.conf
//! until it is back in there, which is tried soon after, when the session ends, and when
//! any other one starts. `started.json` says what the user's file said.
//!
//! Whoever makes, matches or removes such a directory, or writes the user's file, holds
//! the lock of the whole state; whoever uses one holds its own, shared.

use rustix::fs::FlockOperation;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::baseline::{STARTED, Started};
use super::token_lock::{self, Turns};
use super::write_back;
use super::{At, State, give, hex, passage, private_directory, try_lock, write_private};
use crate::connector::{Failure, Reason};
use crate::rclone::remote::Remote;
use crate::rclone::remote::fingerprint::Fingerprint;
use crate::rclone::remote::ini::{self, Sections};
use crate::rclone::remote::validate;

const CONFIG: &str = "rclone.conf";
/// The directory that is rclone's own.
const OWN: &str = "own";
/// Where rclone leaves the one that it replaces, followed by digits, as after [`CONFIG`]
/// what it writes.
const OLD: &str = "rclone.conf.old";
/// The digest of an imported configuration as it was written first.
const PRISTINE: &str = "pristine";

/// The configuration file of a session's remote.
pub struct Configuration {
    state: State,
    directory: PathBuf,
    lock: Option<File>,
    fingerprint: Fingerprint,
    turns: Turns,
    /// The file as it was looked at last.
    seen: Mutex<Option<Seen>>,
    warned: AtomicBool,
}

/// What changes when a file is replaced.
type Seen = (u64, i64, i64);

fn seen(directory: &Path) -> Option<Seen> {
    let meta = fs::symlink_metadata(file_in(directory)).ok()?;
    Some((meta.ino(), meta.mtime(), meta.mtime_nsec()))
}

/// The configuration in the directory of a remote.
pub fn file_in(directory: &Path) -> PathBuf {
    directory.join(OWN).join(CONFIG)
}

impl State {
    /// The configuration file of a remote for one session. A remote of the user's own
    /// rclone.conf is what that says at this moment.
    pub fn configure(&self, remote: &mut Remote) -> Result<Configuration, Failure> {
        let _alone = self.lock()?;
        self.bring_back_of(remote);
        remote.read_again()?;
        let directory = self.directory_of(remote);
        passage(&directory, self.owner()).at(&directory)?;
        let lock = try_lock(&directory, FlockOperation::LockShared)
            .and_then(|lock| lock.ok_or_else(|| io::ErrorKind::NotFound.into()))
            .at(&directory)?;
        let config = file_in(&directory);
        match ini::read_of_rclone(&config) {
            Ok(kept) => {
                allowed(&kept, remote.sections(), &directory)?;
                self.hand_over(&kept, &directory).at(&directory)?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                match Started::now(remote) {
                    Some(started) => started.write(&directory),
                    None => {
                        let digest = hex(&remote.to_ini());
                        write_private(&directory.join(PRISTINE), digest.as_bytes(), None)
                    }
                }
                .at(&directory)?;
                let own = directory.join(OWN);
                private_directory(&own).at(&own)?;
                write_private(&config, &remote.to_ini(), self.owner()).at(&directory)?;
                give(&own, self.owner()).at(&own)?;
            }
            Err(error) => return Err(error).at(&directory),
        }
        Ok(Configuration {
            fingerprint: self.identity(&remote.fingerprint()),
            state: self.clone(),
            turns: Turns::new(config, directory.join(token_lock::LOCK)),
            seen: Mutex::new(seen(&directory)),
            directory,
            lock: Some(lock),
            warned: AtomicBool::new(false),
        })
    }

    /// Makes a kept configuration its owner's, if it was kept when the operator had given the
    /// tenant no user, or another. It is written anew, as what stands there may be a link.
    fn hand_over(&self, kept: &str, directory: &Path) -> io::Result<()> {
        let owner = self.owner();
        let config = file_in(directory);
        let meta = fs::symlink_metadata(&config)?;
        if owner.is_none_or(|owner| (owner.uid, owner.gid) == (meta.uid(), meta.gid())) {
            return Ok(());
        }
        write_private(&config, kept.as_bytes(), owner)?;
        give(&directory.join(OWN), owner)
    }

    /// Where a remote's configuration is, or would be.
    fn directory_of(&self, remote: &Remote) -> PathBuf {
        let remotes = self.root().join("remotes");
        let text = remote.to_ini();
        let Some((file, name)) = remote.of_user() else { return remotes.join(hex(&text)) };
        let same = self.started_of(remote).find(|(_, it)| it.sections == *remote.sections());
        same.map_or_else(
            || {
                let file = file.as_os_str().as_encoded_bytes();
                remotes.join(hex(&[file, name.as_bytes(), text.as_slice()].join(&0)))
            },
            |(directory, _)| directory,
        )
    }

    pub(super) fn remotes(&self) -> impl Iterator<Item = PathBuf> + use<> {
        let entries = fs::read_dir(self.root().join("remotes"));
        entries.into_iter().flatten().flatten().map(|entry| entry.path())
    }

    /// Whether rclone has rewritten a remote's configuration, and only the private
    /// directory has it, for the next run.
    pub fn keeps(&self, remote: &Remote) -> bool {
        let Ok(copy) = ini::read_of_rclone(&file_in(&self.directory_of(remote))) else {
            return false;
        };
        match remote.of_user() {
            None => copy.as_bytes() != remote.to_ini(),
            Some(_) => ini::parse(&copy)
                .is_ok_and(|copy| !write_back::changes(remote.sections(), &copy).is_empty()),
        }
    }

    /// Removes the configurations that nobody uses and nobody will need.
    pub(super) fn sweep_remotes(&self) {
        if let Ok(_alone) = self.lock() {
            self.remotes().for_each(|directory| {
                let _ = self.tidy(&directory);
            });
        }
    }

    /// Moves an imported remote's configuration to where rclone may write, from where it lay
    /// before there was such a place: it may have the only renewed token.
    fn move_in(&self, directory: &Path) -> io::Result<()> {
        let former = directory.join(CONFIG);
        let is_file = fs::symlink_metadata(&former).is_ok_and(|meta| meta.is_file());
        if !is_file || directory.join(STARTED).exists() {
            return Ok(());
        }
        passage(directory, self.owner())?;
        private_directory(&directory.join(OWN))?;
        fs::rename(former, file_in(directory))?;
        give(&directory.join(OWN), self.owner())
    }

    /// Removes a remote's directory, if nobody uses it and rclone hasn't rewritten
    /// the configuration; else only what rclone left half written.
    fn tidy(&self, directory: &Path) -> io::Result<()> {
        let Ok(Some(_lock)) = try_lock(directory, FlockOperation::NonBlockingLockExclusive) else {
            return Ok(());
        };
        self.move_in(directory)?;
        recover(&directory.join(OWN));
        let settled = match directory.join(STARTED).exists() {
            true => self.settle(directory),
            false => is_pristine(directory),
        };
        if let Ok(true) = settled {
            let _ = fs::remove_dir_all(directory);
            return Ok(());
        }
        for entry in fs::read_dir(directory.join(OWN))?.flatten() {
            if entry.file_name() != CONFIG {
                let _ = fs::remove_file(entry.path()).or_else(|_| fs::remove_dir_all(entry.path()));
            }
        }
        settled.map(|_| ())
    }
}

/// Refuses a kept configuration in which rclone wrote what may not be: the policy has
/// allowed `passed`, and of that rclone only renews a part.
fn allowed(kept: &str, passed: &Sections, directory: &Path) -> Result<(), Failure> {
    let checked = match ini::parse(kept) {
        Ok(kept) => validate::check(&kept).map_err(|failure| failure.message).and_then(|()| {
            match write_back::otherwise(passed, &kept) {
                None => Ok(()),
                Some(key) => Err(format!("the option `{key}` isn't what it was")),
            }
        }),
        Err(line) => Err(format!("line {line} makes no sense")),
    };
    checked.map_err(|why| {
        Failure::new(
            Reason::Denied,
            format!(
                "what rclone has made of the remote's configuration is refused: {why}: remove `{}` to start from the configuration as it was",
                directory.display()
            ),
        )
    })
}

/// Whether there is nothing to keep: rclone has changed nothing, or has put something in its
/// place that isn't a configuration.
fn is_pristine(directory: &Path) -> io::Result<bool> {
    let pristine = fs::read_to_string(directory.join(PRISTINE)).unwrap_or_default();
    match ini::read_of_rclone(&file_in(directory)) {
        Err(error) if ini::is_none(&error) => Ok(true),
        config => Ok(hex(config?.as_bytes()) == pristine),
    }
}

/// Puts the configuration back that rclone, when it was killed, had moved away to put
/// another one in its place, which is complete by then; or else the old one.
fn recover(directory: &Path) {
    if fs::symlink_metadata(directory.join(CONFIG)).is_ok() {
        return;
    }
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut found: Vec<_> = entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let meta = entry.metadata().ok()?;
            let whole = name.starts_with(CONFIG) && meta.is_file() && meta.len() > 0;
            whole.then(|| ((!name.starts_with(OLD), meta.modified().ok()), entry.path()))
        })
        .collect();
    found.sort();
    if let Some((_, newest)) = found.pop() {
        let _ = fs::rename(newest, directory.join(CONFIG));
    }
}

impl Configuration {
    pub fn file(&self) -> PathBuf {
        file_in(&self.directory)
    }

    /// The directory that rclone may write to.
    pub fn own(&self) -> PathBuf {
        self.directory.join(OWN)
    }

    /// What tells the remote from any other, however often its token was renewed.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// The order in which processes refresh an expired token.
    pub fn turns(&self) -> &Turns {
        &self.turns
    }

    /// Brings back what rclone has renewed since the last call. Costs a look at the file
    /// where it hasn't.
    pub fn bring_back(&self) {
        let now = seen(&self.directory);
        let mut last = self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // rclone has it out of the way for a moment while it replaces it.
        if now.is_none() || *last == now {
            return;
        }
        *last = now;
        if let Ok(_alone) = self.state.lock() {
            self.warn(self.state.settle(&self.directory).map(|_| ()));
        }
    }

    fn warn(&self, settled: io::Result<()>) {
        if let Err(error) = settled
            && let Some(Started { file, name, .. }) = Started::read(&self.directory)
            && !self.warned.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(
                "rclone has renewed the token of `{name}`, and `{}` can't be changed: {error}: it is kept for the next run; make the file writable, or rclone itself may need `rclone config reconnect {name}:`",
                file.display()
            );
        }
    }
}

impl Drop for Configuration {
    fn drop(&mut self) {
        drop(self.lock.take());
        if let Ok(_alone) = self.state.lock() {
            self.warn(self.state.tidy(&self.directory));
        }
    }
}

#[cfg(test)]
impl Configuration {
    /// Ends as a killed session does; gives the file that is left.
    pub fn killed(self) -> PathBuf {
        let mut killed = std::mem::ManuallyDrop::new(self);
        drop(killed.lock.take());
        killed.file()
    }

    pub fn has_warned(&self) -> bool {
        self.warned.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::RunAs;
    use crate::rclone::remote::Said;

    fn state() -> (tempfile::TempDir, State) {
        let directory = tempfile::tempdir().unwrap();
        let state = State::at(directory.path().join("plakbox"), None).unwrap();
        (directory, state)
    }

    fn imported(token: &str) -> Remote {
        let pairs = [("rclone_type", "drive"), ("rclone_token", token), ("location", "rclone://")];
        let config = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        Remote::from_plakar(Said { config, ..Said::default() }).unwrap().0
    }

    #[test]
    fn a_configuration_that_rclone_left_alone_is_not_kept() {
        let (_directory, state) = state();
        let one = state.configure(&mut imported("t")).unwrap();
        let two = state.configure(&mut imported("t")).unwrap();
        assert_eq!(one.file(), two.file());
        drop(one);
        assert!(two.file().exists(), "another session uses it");
        drop(two);
        assert_eq!(state.remotes().count(), 0);
    }

    #[test]
    fn an_imported_configuration_that_was_rewritten_is_kept_for_the_same_remote_only() {
        let (_directory, state) = state();
        let first = state.configure(&mut imported("t")).unwrap();
        assert!(!state.keeps(&imported("t")));
        fs::write(first.file(), "[remote]\ntype = drive\ntoken = refreshed\n").unwrap();
        assert!(state.keeps(&imported("t")) && !state.keeps(&imported("u")));
        fs::write(first.file().with_file_name("rclone.conf123"), "half").unwrap();
        drop(first);
        let again = state.configure(&mut imported("t")).unwrap();
        assert!(fs::read_to_string(again.file()).unwrap().contains("token = refreshed"));
        assert!(!again.file().with_file_name("rclone.conf123").exists());
        let other = state.configure(&mut imported("u")).unwrap();
        assert!(fs::read_to_string(other.file()).unwrap().contains("token = u"));
    }

    #[test]
    fn a_token_that_was_kept_before_rclone_had_a_directory_of_its_own_is_not_lost() {
        let (_directory, state) = state();
        let config = state.configure(&mut imported("t")).unwrap().killed();
        let own = config.parent().unwrap();
        let former = own.with_file_name(CONFIG);
        fs::write(&former, "[remote]\ntype = drive\ntoken = refreshed\n").unwrap();
        fs::remove_dir_all(own).unwrap();
        let state = State::at(state.root().to_owned(), None).unwrap();
        let again = state.configure(&mut imported("t")).unwrap();
        assert!(fs::read_to_string(again.file()).unwrap().contains("token = refreshed"));
        assert!(!former.exists());
    }

    #[test]
    fn a_kept_configuration_with_what_may_not_be_is_refused() {
        let (_directory, state) = state();
        let config = state.configure(&mut imported("t")).unwrap().killed();
        let text = fs::read_to_string(&config).unwrap();
        fs::write(&config, text + "ssh = touch x\n").unwrap();
        let failure = state.configure(&mut imported("t")).err().unwrap();
        assert_eq!(failure.reason, Reason::Denied);
        assert!(failure.message.contains("the option `ssh`"), "{}", failure.message);
    }

    #[test]
    fn a_configuration_kept_before_tenants_had_users_of_their_own_is_given_to_its_user() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let (_directory, state) = state();
        let config = state.configure(&mut imported("t")).unwrap().killed();
        let text = fs::read_to_string(&config).unwrap().replace("token = t", "token = refreshed");
        fs::write(&config, &text).unwrap();
        let owner = RunAs { uid: 71_000, gid: 71_000 };
        let state = State::at(state.root().to_owned(), Some(owner)).unwrap();
        let _given = state.configure(&mut imported("t")).unwrap();
        assert_eq!(fs::read_to_string(&config).unwrap(), text);
        for path in [config.as_path(), config.parent().unwrap()] {
            let meta = fs::metadata(path).unwrap();
            assert_eq!((meta.uid(), meta.gid(), meta.mode() & 0o077), (71_000, 71_000, 0));
        }
    }
}
