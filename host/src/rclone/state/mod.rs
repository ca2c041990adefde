//! The state directory: what is kept for the next run, what lasts as long as a session, and
//! what a killed session left behind.
//!
//! - `remotes/DIGEST/`: the configuration of one remote (see [`config_copy`]).
//! - `sessions/ID/`: the directory of one session (see [`scratch`]), with `own/` for rclone's
//!   cache and temporary files, and `input/` for the batches and path lists that rclone reads.
//! - `identities/`, `told/`, `rclone-version`: records for later runs (see [`records`]).
//! - `caches/DIGEST/`: what a component keeps for later sessions (see [`cache`]).
//! - `slots/N/`: the session slots of a user (see [`lock`]).
//!
//! rclone may write in the directories called `own`, and nowhere else. Where a tenant's
//! processes run as a separate user, that user passes through the other directories by its
//! group, and can't change what is in them.
//!
//! The directories of remotes and sessions are locked while they are in use. Those without a
//! lock are swept when the next session starts.
//!
//! - [`layout`]: names of files and directories
//! - [`files`], [`lock`]: modes, owners, atomic writes and locks
//! - [`scratch`], [`records`]: files of one session, and of all
//! - [`config_copy`], [`baseline`], [`write_back`], [`cleanup`]: configurations of remotes
//! - [`token_lock`]: only one process refreshes a token

pub mod baseline;
pub mod cache;
mod cleanup;
pub mod config_copy;
mod files;
pub mod layout;
pub mod lock;
pub mod records;
pub mod scratch;
pub mod token_lock;
mod write_back;

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::remote::Remote;
use crate::connector::Failure;
use crate::kernel::UserIds;
use crate::user_dirs;
use files::{IoResultExt, STATE_ENV, create_traversable_dir};
use layout::{REMOTES_DIR, SESSIONS_DIR};

/// The state directory, of mode 0700 as everything in it.
#[derive(Clone)]
pub struct State {
    root: PathBuf,
    owner: Option<UserIds>,
}

impl State {
    /// Opens the state of this user, and sweeps what killed sessions left in it.
    ///
    /// # Errors
    ///
    /// There is no home directory, or the state directory can't be written.
    pub fn open() -> Result<Self, Failure> {
        let standard = || user_dirs::state().map(|states| states.join("plakbox"));
        let root =
            env::var_os(STATE_ENV).map(PathBuf::from).or_else(standard).ok_or_else(|| {
                Failure::internal("there is no home directory")
                    .with_help(format!("set HOME or {STATE_ENV}"))
            })?;
        Self::open_at(root, None)
    }

    /// Opens the state in this directory, and sweeps it. `owner` is the user that rclone runs
    /// as, if that isn't this process's.
    ///
    /// # Errors
    ///
    /// The directory can't be written.
    pub fn open_at(root: PathBuf, owner: Option<UserIds>) -> Result<Self, Failure> {
        for directory in [root.clone(), root.join(REMOTES_DIR), root.join(SESSIONS_DIR)] {
            create_traversable_dir(&directory, owner).at_path(&directory)?;
        }
        let state = Self { root, owner };
        if let Ok(_lock) = state.lock() {
            scratch::sweep(&state.root);
        }
        if let Ok(_lock) = state.lock() {
            cleanup::sweep_remotes(&state);
        }
        Ok(state)
    }

    /// The user that rclone runs as, if that isn't this process's.
    pub fn owner(&self) -> Option<UserIds> {
        self.owner
    }

    /// Waits for the lock of the whole state. It is taken before the lock of any directory in
    /// it.
    ///
    /// # Errors
    ///
    /// The state directory was removed or can't be written.
    pub fn lock(&self) -> Result<File, Failure> {
        lock::lock_dir(&self.root).at_path(&self.root)
    }

    /// Writes back to the user's rclone.conf what rclone has refreshed of a remote.
    pub fn write_back(&self, remote: &Remote) {
        if let Ok(_lock) = self.lock() {
            baseline::write_back_remote(self, remote);
        }
    }

    /// Whether the configuration of a remote has changes that are only in the state directory,
    /// for the next run.
    pub fn has_unsaved_changes(&self, remote: &Remote) -> bool {
        config_copy::has_unsaved_changes(self, remote)
    }

    fn root(&self) -> &Path {
        &self.root
    }

    /// The directories of all remotes.
    fn remote_dirs(&self) -> impl Iterator<Item = PathBuf> + use<> {
        let entries = fs::read_dir(self.root.join(REMOTES_DIR));
        entries.into_iter().flatten().flatten().map(|entry| entry.path())
    }
}

#[cfg(test)]
mod tests {
    use super::config_copy::ConfigCopy;
    use super::files::create_private_dir;
    use super::scratch::Scratch;
    use super::*;
    use crate::rclone::remote::RemoteSpec;

    fn remote(token: &str) -> Remote {
        let pairs = [("rclone_type", "drive"), ("rclone_token", token), ("location", "rclone://")];
        let config = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        Remote::from_plakar(RemoteSpec { config, ..RemoteSpec::default() }).unwrap().0
    }

    #[test]
    fn what_a_killed_session_left_is_swept_and_a_living_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let state = State::open_at(directory.path().join("plakbox"), None).unwrap();
        let dead = state.root.join("sessions/dead");
        create_private_dir(&dead).unwrap();
        fs::write(dead.join("batch"), "x").unwrap();
        let living = Scratch::create(&state).unwrap();
        let abandoned = ConfigCopy::open(&state, &mut remote("t")).unwrap();
        let file = abandoned.file();
        std::mem::forget(abandoned);
        let again = State::open_at(state.root.clone(), None).unwrap();
        assert!(!dead.exists() && living.writable_dir().exists() && living.input_dir().exists());
        assert!(file.exists(), "its lock is still held, as by a living session");
        drop(living);
        assert_eq!(fs::read_dir(again.root.join("sessions")).unwrap().count(), 0);
    }
}
