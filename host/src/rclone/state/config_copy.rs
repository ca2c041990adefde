//! The private copy of a remote's configuration, which rclone rewrites when it refreshes a
//! token.
//!
//! `remotes/DIGEST/` in the state directory is shared by all sessions of a remote. Its `own/`
//! holds `rclone.conf` and is all of it that rclone may write; the files that the host trusts
//! are next to that. The digest is of the configuration as it was passed, so that a changed one
//! has a new directory.
//!
//! What rclone has rewritten is kept. For an imported remote that is permanent, since nothing
//! else has it. For a remote of the user's own rclone.conf it lasts until the change is written
//! back, which is tried soon after it, when the session ends, and when any other one starts.
//! `started.json` has what the user's file said.
//!
//! Creating, matching or removing such a directory and writing the user's file take the lock of
//! the whole state; a session holds the shared lock of its directory.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::baseline::{self, Baseline};
use super::cleanup::cleanup;
use super::files::{
    IoResultExt, chown_to, create_private_dir, create_traversable_dir, hex_digest,
    write_private_file,
};
use super::layout::{PRISTINE_FILE, REFRESH_LOCK_FILE, REMOTES_DIR, WRITABLE_DIR, config_file};
use super::lock::lock_dir_shared;
use super::token_lock::RefreshLock;
use super::{State, records, write_back};
use crate::connector::{Failure, Reason};
use crate::rclone::remote::Remote;
use crate::rclone::remote::fingerprint::Fingerprint;
use crate::rclone::remote::ini::{self, Sections};
use crate::rclone::remote::validate;

/// The configuration file of a session's remote.
pub struct ConfigCopy {
    state: State,
    directory: PathBuf,
    lock: Option<File>,
    fingerprint: Fingerprint,
    refresh_lock: RefreshLock,
    last_stamp: Mutex<Option<FileStamp>>,
    has_warned: AtomicBool,
}

/// Inode and modification time of a file, which change when it is replaced.
type FileStamp = (u64, i64, i64);

fn stamp(directory: &Path) -> Option<FileStamp> {
    let meta = fs::symlink_metadata(config_file(directory)).ok()?;
    Some((meta.ino(), meta.mtime(), meta.mtime_nsec()))
}

impl ConfigCopy {
    /// Opens or creates the copy of a remote's configuration. A remote of the user's own
    /// rclone.conf is reloaded from there.
    ///
    /// # Errors
    ///
    /// The user's rclone.conf can't be read any more, a kept copy has changes that aren't
    /// allowed, or the state directory can't be written.
    pub fn open(state: &State, remote: &mut Remote) -> Result<Self, Failure> {
        let _state_lock = state.lock()?;
        baseline::write_back_remote(state, remote);
        remote.reload()?;
        let directory = directory_of(state, remote);
        create_traversable_dir(&directory, state.owner()).at_path(&directory)?;
        let lock = lock_dir_shared(&directory).at_path(&directory)?;
        let config = config_file(&directory);
        match ini::read_untrusted(&config) {
            Ok(kept) => {
                check_copy(&kept, remote.sections(), &directory)?;
                chown_existing(state, &kept, &directory).at_path(&directory)?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                create(state, remote, &directory)?;
            }
            Err(error) => return Err(error).at_path(&directory),
        }
        Ok(Self {
            fingerprint: records::canonical_fingerprint(state, &remote.fingerprint()),
            state: state.clone(),
            refresh_lock: RefreshLock::new(config, directory.join(REFRESH_LOCK_FILE)),
            last_stamp: Mutex::new(stamp(&directory)),
            directory,
            lock: Some(lock),
            has_warned: AtomicBool::new(false),
        })
    }

    /// The path of the file.
    pub fn file(&self) -> PathBuf {
        config_file(&self.directory)
    }

    /// The directory of the file, which rclone may write to.
    pub fn writable_dir(&self) -> PathBuf {
        self.directory.join(WRITABLE_DIR)
    }

    /// The fingerprint of the remote, which stays the same when its token is refreshed.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// The lock for the process that refreshes an expired token.
    pub fn refresh_lock(&self) -> &RefreshLock {
        &self.refresh_lock
    }

    /// Writes back what rclone has refreshed since the last call. If the file is unchanged,
    /// this only costs one `stat`.
    pub fn write_back(&self) {
        let now = stamp(&self.directory);
        let mut last = self.last_stamp.lock().unwrap_or_else(PoisonError::into_inner);
        // The file is missing for a moment while rclone replaces it.
        if now.is_none() || *last == now {
            return;
        }
        *last = now;
        if let Ok(_state_lock) = self.state.lock() {
            self.warn_once(baseline::write_back_copy(&self.state, &self.directory).map(|_| ()));
        }
    }

    fn warn_once(&self, written: io::Result<()>) {
        if let Err(error) = written
            && let Some(Baseline { file, name, .. }) = Baseline::read(&self.directory)
            && !self.has_warned.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(
                "rclone has renewed the token of `{name}`, and `{}` can't be changed ({error}), \
                 so that it is kept for the next run; help: make the file writable, or rclone \
                 itself may need `rclone config reconnect {name}:`",
                file.display()
            );
        }
    }
}

impl Drop for ConfigCopy {
    fn drop(&mut self) {
        drop(self.lock.take());
        if let Ok(_state_lock) = self.state.lock() {
            self.warn_once(cleanup(&self.state, &self.directory));
        }
    }
}

/// Writes the copy of a remote's configuration for the first time.
fn create(state: &State, remote: &Remote, directory: &Path) -> Result<(), Failure> {
    match Baseline::new(remote) {
        Some(baseline) => baseline.write(directory),
        None => {
            let digest = hex_digest(&remote.to_ini());
            write_private_file(&directory.join(PRISTINE_FILE), digest.as_bytes(), None)
        }
    }
    .at_path(directory)?;
    let writable = directory.join(WRITABLE_DIR);
    create_private_dir(&writable).at_path(&writable)?;
    write_private_file(&config_file(directory), &remote.to_ini(), state.owner())
        .at_path(directory)?;
    chown_to(&writable, state.owner()).at_path(&writable)
}

/// Gives a kept copy to the user that rclone runs as, if the operator has given the tenant
/// another user since. The file is written again, as it may have been replaced by a link.
fn chown_existing(state: &State, kept: &str, directory: &Path) -> io::Result<()> {
    let owner = state.owner();
    let config = config_file(directory);
    let meta = fs::symlink_metadata(&config)?;
    if owner.is_none_or(|owner| (owner.uid, owner.gid) == (meta.uid(), meta.gid())) {
        return Ok(());
    }
    write_private_file(&config, kept.as_bytes(), owner)?;
    chown_to(&directory.join(WRITABLE_DIR), owner)
}

/// The directory of a remote, whether it exists or not.
fn directory_of(state: &State, remote: &Remote) -> PathBuf {
    let remotes = state.root().join(REMOTES_DIR);
    let text = remote.to_ini();
    let Some((file, name)) = remote.user_file() else { return remotes.join(hex_digest(&text)) };
    for (directory, baseline) in baseline::baselines_of(state, remote) {
        if baseline.sections == *remote.sections() {
            return directory;
        }
    }
    let file = file.as_os_str().as_encoded_bytes();
    remotes.join(hex_digest(&[file, name.as_bytes(), text.as_slice()].join(&0)))
}

/// Whether rclone has rewritten a remote's configuration, and only the copy has the changes.
pub fn has_unsaved_changes(state: &State, remote: &Remote) -> bool {
    let Ok(copy) = ini::read_untrusted(&config_file(&directory_of(state, remote))) else {
        return false;
    };
    match remote.user_file() {
        None => copy.as_bytes() != remote.to_ini(),
        Some(_) => ini::parse(&copy)
            .is_ok_and(|copy| !write_back::diff(remote.sections(), &copy).is_empty()),
    }
}

/// Rejects a kept copy with changes that aren't allowed. The policy has allowed `passed`, of
/// which rclone refreshes some options only.
fn check_copy(kept: &str, passed: &Sections, directory: &Path) -> Result<(), Failure> {
    let Err(why) = check_changes(kept, passed) else { return Ok(()) };
    Err(Failure::new(
        Reason::Denied,
        format!("what rclone has made of the remote's configuration is refused: {why}"),
    )
    .with_help(format!(
        "remove `{}` to start from the configuration as it was",
        directory.display()
    )))
}

fn check_changes(kept: &str, passed: &Sections) -> Result<(), String> {
    let kept = ini::parse(kept).map_err(|line| format!("line {line} can't be parsed"))?;
    validate::check(&kept).map_err(|failure| failure.message)?;
    match write_back::forbidden_change(passed, &kept) {
        None => Ok(()),
        Some(key) => Err(format!("the option `{key}` isn't what it was")),
    }
}

#[cfg(test)]
impl ConfigCopy {
    /// Ends as a killed session does; returns the file that is left.
    pub fn killed(self) -> PathBuf {
        let mut killed = std::mem::ManuallyDrop::new(self);
        drop(killed.lock.take());
        killed.file()
    }

    /// Whether a user was warned that the copy is kept.
    pub fn has_warned(&self) -> bool {
        self.has_warned.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::super::layout::CONFIG_FILE;
    use super::*;
    use crate::kernel::UserIds;
    use crate::rclone::remote::RemoteSpec;

    fn state() -> (tempfile::TempDir, State) {
        let directory = tempfile::tempdir().unwrap();
        let state = State::open_at(directory.path().join("plakbox"), None).unwrap();
        (directory, state)
    }

    fn imported(token: &str) -> Remote {
        let pairs = [("rclone_type", "drive"), ("rclone_token", token), ("location", "rclone://")];
        let config = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        Remote::from_plakar(RemoteSpec { config, ..RemoteSpec::default() }).unwrap().0
    }

    #[test]
    fn a_configuration_that_rclone_left_alone_is_not_kept() {
        let (_directory, state) = state();
        let one = ConfigCopy::open(&state, &mut imported("t")).unwrap();
        let two = ConfigCopy::open(&state, &mut imported("t")).unwrap();
        assert_eq!(one.file(), two.file());
        drop(one);
        assert!(two.file().exists(), "another session uses it");
        drop(two);
        assert_eq!(state.remote_dirs().count(), 0);
    }

    #[test]
    fn an_imported_configuration_that_was_rewritten_is_kept_for_the_same_remote_only() {
        let (_directory, state) = state();
        let first = ConfigCopy::open(&state, &mut imported("t")).unwrap();
        assert!(!state.has_unsaved_changes(&imported("t")));
        fs::write(first.file(), "[remote]\ntype = drive\ntoken = refreshed\n").unwrap();
        assert!(
            state.has_unsaved_changes(&imported("t")) && !state.has_unsaved_changes(&imported("u"))
        );
        fs::write(first.file().with_file_name("rclone.conf123"), "half").unwrap();
        drop(first);
        let again = ConfigCopy::open(&state, &mut imported("t")).unwrap();
        assert!(fs::read_to_string(again.file()).unwrap().contains("token = refreshed"));
        assert!(!again.file().with_file_name("rclone.conf123").exists());
        let other = ConfigCopy::open(&state, &mut imported("u")).unwrap();
        assert!(fs::read_to_string(other.file()).unwrap().contains("token = u"));
    }

    #[test]
    fn a_token_that_was_kept_before_rclone_had_a_directory_of_its_own_is_not_lost() {
        let (_directory, state) = state();
        let config = ConfigCopy::open(&state, &mut imported("t")).unwrap().killed();
        let own = config.parent().unwrap();
        let former = own.with_file_name(CONFIG_FILE);
        fs::write(&former, "[remote]\ntype = drive\ntoken = refreshed\n").unwrap();
        fs::remove_dir_all(own).unwrap();
        let state = State::open_at(state.root().to_owned(), None).unwrap();
        let again = ConfigCopy::open(&state, &mut imported("t")).unwrap();
        assert!(fs::read_to_string(again.file()).unwrap().contains("token = refreshed"));
        assert!(!former.exists());
    }

    #[test]
    fn a_kept_configuration_with_what_may_not_be_is_refused() {
        let (_directory, state) = state();
        let config = ConfigCopy::open(&state, &mut imported("t")).unwrap().killed();
        let text = fs::read_to_string(&config).unwrap();
        fs::write(&config, text + "ssh = touch x\n").unwrap();
        let failure = ConfigCopy::open(&state, &mut imported("t")).err().unwrap();
        assert_eq!(failure.reason, Reason::Denied);
        assert!(failure.message.contains("the option `ssh`"), "{}", failure.message);
    }

    #[test]
    fn a_configuration_kept_before_tenants_had_users_of_their_own_is_given_to_its_user() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let (_directory, state) = state();
        let config = ConfigCopy::open(&state, &mut imported("t")).unwrap().killed();
        let text = fs::read_to_string(&config).unwrap().replace("token = t", "token = refreshed");
        fs::write(&config, &text).unwrap();
        let owner = UserIds { uid: 71_000, gid: 71_000 };
        let state = State::open_at(state.root().to_owned(), Some(owner)).unwrap();
        let _given = ConfigCopy::open(&state, &mut imported("t")).unwrap();
        assert_eq!(fs::read_to_string(&config).unwrap(), text);
        for path in [config.as_path(), config.parent().unwrap()] {
            let meta = fs::metadata(path).unwrap();
            assert_eq!((meta.uid(), meta.gid(), meta.mode() & 0o077), (71_000, 71_000, 0));
        }
    }
}
