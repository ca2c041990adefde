//! The private directories: what is kept for the next run, what lasts as long as
//! a session, and what a killed session left behind.
//!
//! - `remotes/DIGEST/`: the configuration of one remote (see [`config_copy`]).
//! - `sessions/ID/`: of one session, `own/` with rclone's cache and temporary files, and
//!   `input/` with what rclone is given: batches and lists of files.
//! - `identities/`: what remotes were called before their token was renewed.
//! - `told/`: an empty file for each thing that a person is told once.
//!
//! Of all this, rclone may write in the directories called `own`, and nowhere else. Where a
//! tenant's processes run as another user, that one passes through the others (its group has
//! the right to) and can't change what is in them.
//!
//! The first two are locked by those who use them. Whatever nobody locks is swept when
//! the next session starts.

pub mod baseline;
pub mod config_copy;
pub mod token_lock;
pub mod write_back;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use rustix::fs::{FlockOperation, Gid, Mode, OFlags, RawMode, flock};
use semver::Version;
use sha2::{Digest, Sha256};
use std::env;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::UNIX_EPOCH;

use super::remote::fingerprint::Fingerprint;
use crate::connector::{Failure, Reason};
use crate::kernel::RunAs;

/// Where to keep state, if not in the user's own directory for it.
const VARIABLE: &str = "PLAKBOX_STATE";

pub(super) const LOCK: &str = "lock";

/// The directory of all that is private: 0700, as is everything in it.
#[derive(Clone)]
pub struct State {
    root: PathBuf,
    owner: Option<RunAs>,
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    let (reason, remedy) = match full {
        true => (Reason::Unavailable, "make room there".to_owned()),
        false => (Reason::Internal, format!("make it writable, or set {VARIABLE} to another one")),
    };
    let message =
        format!("the private directory `{}` can't be used: {error}: {remedy}", path.display());
    Failure::new(reason, message)
}

/// Turns an input/output error at a path into a failure.
pub(super) trait At<T> {
    fn at(self, path: &Path) -> Result<T, Failure>;
}

impl<T, E: Into<io::Error>> At<T> for Result<T, E> {
    fn at(self, path: &Path) -> Result<T, Failure> {
        self.map_err(|error| failed(path, &error.into()))
    }
}

impl State {
    /// Opens the state of this user, and sweeps what killed sessions left in it.
    pub fn open() -> Result<Self, Failure> {
        let home = || env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
        let standard = || {
            let states = env::var_os("XDG_STATE_HOME").map(PathBuf::from).or_else(home);
            states.map(|states| states.join("plakbox"))
        };
        let root = env::var_os(VARIABLE).map(PathBuf::from).or_else(standard).ok_or_else(|| {
            Failure::internal(format!("there is no home directory: set HOME or {VARIABLE}"))
        })?;
        Self::at(root, None)
    }

    /// Opens the state in this directory, which belongs to `owner` if not to us.
    pub fn at(root: PathBuf, owner: Option<RunAs>) -> Result<Self, Failure> {
        for directory in [root.clone(), root.join("remotes"), root.join("sessions")] {
            passage(&directory, owner).at(&directory)?;
        }
        let state = Self { root, owner };
        state.sweep();
        Ok(state)
    }

    /// As whom processes run that use it, if not as us.
    pub fn owner(&self) -> Option<RunAs> {
        self.owner
    }

    /// Removes what nobody uses, as far as that is possible.
    fn sweep(&self) {
        self.sweep_sessions();
        self.sweep_remotes();
    }

    fn sweep_sessions(&self) {
        let Ok(_alone) = self.lock() else { return };
        let entries = |name| fs::read_dir(self.root.join(name)).into_iter().flatten().flatten();
        for session in entries("sessions") {
            if let Ok(Some(_lock)) =
                try_lock(&session.path(), FlockOperation::NonBlockingLockExclusive)
            {
                let _ = fs::remove_dir_all(session.path());
            }
        }
    }

    /// Waits until nobody else has it. Whoever locks one of the directories in it as well
    /// does so afterwards.
    pub fn lock(&self) -> Result<File, Failure> {
        try_lock(&self.root, FlockOperation::LockExclusive)
            .and_then(|lock| lock.ok_or_else(|| io::ErrorKind::NotFound.into()))
            .at(&self.root)
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The fingerprint that a remote had before its token was renewed, or else this one.
    pub fn identity(&self, fingerprint: &Fingerprint) -> Fingerprint {
        let first = fs::read_to_string(self.identity_file(fingerprint));
        first.ok().and_then(|first| Fingerprint::from_hex(&first)).unwrap_or(fingerprint.clone())
    }

    /// Remembers that a remote is the same under another fingerprint: rclone has renewed
    /// its token.
    pub(super) fn is_still(&self, old: &Fingerprint, new: &Fingerprint) -> io::Result<()> {
        if old == new {
            return Ok(());
        }
        private_directory(&self.root.join("identities"))?;
        let first = self.identity(old);
        write_private(&self.identity_file(new), first.to_hex().as_bytes(), None)
    }

    /// Nothing has this fingerprint any more.
    pub(super) fn forget(&self, fingerprint: &Fingerprint) {
        let _ = fs::remove_file(self.identity_file(fingerprint));
    }

    fn identity_file(&self, fingerprint: &Fingerprint) -> PathBuf {
        self.root.join("identities").join(fingerprint.to_hex())
    }

    /// Whether a person is told this of a remote for the first time.
    pub fn first_time(&self, what: &str, fingerprint: &Fingerprint) -> bool {
        let directory = self.root.join("told");
        let path = directory.join(format!("{what}-{}", self.identity(fingerprint).short()));
        let mut file = OpenOptions::new();
        file.create_new(true).write(true).mode(0o600);
        // Where it can't be remembered, it is said again: nothing worse.
        private_directory(&directory).is_err()
            || !file.open(path).is_err_and(|error| error.kind() == io::ErrorKind::AlreadyExists)
    }

    /// A directory for one session's files.
    pub fn scratch(&self) -> Result<Scratch, Failure> {
        // A session that starts meanwhile may take one that isn't locked yet for a dead one's.
        let _alone = self.lock()?;
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let since = UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos();
        let name = format!("{}-{count}-{since:x}", std::process::id());
        let path = self.root.join("sessions").join(name);
        passage(&path, self.owner).at(&path)?;
        let lock = try_lock(&path, FlockOperation::NonBlockingLockExclusive)
            .and_then(|lock| lock.ok_or_else(|| io::ErrorKind::NotFound.into()))
            .at(&path)?;
        let scratch = Scratch { path, owner: self.owner, _lock: lock };
        passage(&scratch.input(), self.owner).at(&scratch.path)?;
        private_directory(&scratch.own()).at(&scratch.path)?;
        give(&scratch.own(), self.owner).at(&scratch.path)?;
        Ok(scratch)
    }

    /// One of so many places for sessions of this user, as long as it is held.
    pub fn slot(&self, sessions: u32) -> Result<Slot, Failure> {
        let directory = self.root.join("slots");
        private_directory(&directory).at(&directory)?;
        for number in 0..sessions {
            let slot = directory.join(number.to_string());
            private_directory(&slot).at(&slot)?;
            let lock = try_lock(&slot, FlockOperation::NonBlockingLockExclusive).at(&slot)?;
            if let Some(lock) = lock {
                return Ok(Slot(lock));
            }
        }
        Err(Failure::new(
            Reason::RateLimited,
            format!(
                "{sessions} sessions are running, which is all that the policy allows: run it again when one has ended"
            ),
        ))
    }

    /// The version of the rclone at this path: remembered for the file as it is
    /// now, or else asked for.
    pub async fn known_version(
        &self,
        rclone: &Path,
        ask: impl Future<Output = Result<Version, Failure>>,
    ) -> Result<Version, Failure> {
        let file = self.root.join("rclone-version");
        let key = fs::metadata(rclone).map(|meta| {
            let time = (meta.mtime(), meta.mtime_nsec());
            format!("{}\n{time:?} {} {}", rclone.display(), meta.size(), meta.ino())
        });
        let Ok(key) = key else { return ask.await };
        if let Some((known, version)) =
            fs::read_to_string(&file).unwrap_or_default().rsplit_once('\n')
            && known == key
            && let Ok(version) = Version::parse(version)
        {
            return Ok(version);
        }
        let version = ask.await?;
        // Not remembering costs a moment the next time, nothing else.
        let _ = write_private(&file, format!("{key}\n{version}").as_bytes(), None);
        Ok(version)
    }
}

/// A session's place among those of its user.
pub struct Slot(#[expect(dead_code, reason = "it is held, not read")] File);

/// The directory of one session, removed with it.
pub struct Scratch {
    path: PathBuf,
    owner: Option<RunAs>,
    _lock: File,
}

impl Scratch {
    /// The directory that rclone may write to.
    pub fn own(&self) -> PathBuf {
        self.path.join("own")
    }

    /// The directory that rclone reads what it is given from.
    pub fn input(&self) -> PathBuf {
        self.path.join("input")
    }

    /// A new file for rclone to read.
    pub fn file(&self, kind: &str, bytes: &[u8]) -> Result<PathBuf, Failure> {
        let path = self.new_path(kind);
        write_private(&path, bytes, self.owner).at(&path)?;
        Ok(path)
    }

    fn new_path(&self, kind: &str) -> PathBuf {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        self.input().join(format!("{kind}-{}", COUNT.fetch_add(1, Ordering::Relaxed)))
    }

    /// A new directory for rclone to read, and its path.
    pub fn directory(&self, kind: &str) -> Result<(Dir, PathBuf), Failure> {
        let path = self.new_path(kind);
        passage_by(&path, self.owner, LISTED).at(&path)?;
        let directory = Dir::open_ambient_dir(&path, ambient_authority()).at(&path)?;
        Ok((directory, path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

pub(super) fn private_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let meta = fs::metadata(path)?;
    if meta.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// The mode of a directory of ours that the processes of an owner pass through, and of one
/// that they may list.
const PASSED: RawMode = 0o710;
const LISTED: RawMode = 0o750;

/// A directory of ours that the processes of an owner pass through, and can't change.
pub(super) fn passage(path: &Path, owner: Option<RunAs>) -> io::Result<()> {
    passage_by(path, owner, PASSED)
}

fn passage_by(path: &Path, owner: Option<RunAs>, mode: RawMode) -> io::Result<()> {
    let Some(RunAs { gid, .. }) = owner else { return private_directory(path) };
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
    let opened = rustix::fs::open(path, flags, Mode::empty())?;
    let (us, group) = (rustix::process::geteuid(), Gid::from_raw(gid));
    rustix::fs::fchown(&opened, Some(us), Some(group))?;
    Ok(rustix::fs::fchmod(&opened, Mode::from_raw_mode(mode))?)
}

/// Locks a directory by the file in it. `None`: somebody else has it, or the
/// directory was removed meanwhile.
pub(super) fn try_lock(directory: &Path, how: FlockOperation) -> io::Result<Option<File>> {
    try_lock_file(&directory.join(LOCK), how)
}

/// The same by any file.
pub(super) fn try_lock_file(path: &Path, how: FlockOperation) -> io::Result<Option<File>> {
    let opened = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path);
    let file = match opened {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    match flock(&file, how) {
        Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
        locked => locked?,
    }
    let ours = file.metadata()?.ino();
    let still = fs::metadata(path).is_ok_and(|meta| meta.ino() == ours);
    Ok(still.then_some(file))
}

/// Gives a directory of ours to whom its tenant's processes run as. What they may have put
/// there themselves isn't followed.
pub(super) fn give(path: &Path, owner: Option<RunAs>) -> io::Result<()> {
    match owner {
        Some(RunAs { uid, gid }) => std::os::unix::fs::lchown(path, Some(uid), Some(gid)),
        None => Ok(()),
    }
}

/// Writes a file that only this user can read, or its owner, all of it or nothing.
pub(super) fn write_private(path: &Path, bytes: &[u8], owner: Option<RunAs>) -> io::Result<()> {
    let new = path.with_extension(format!("new{}", std::process::id()));
    let _ = fs::remove_file(&new);
    let written = write_new(&new, bytes, owner).and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        // A full disk takes no half of a file, either.
        let _ = fs::remove_file(&new);
    }
    written
}

fn write_new(path: &Path, bytes: &[u8], owner: Option<RunAs>) -> io::Result<()> {
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?;
    if let Some(RunAs { uid, gid }) = owner {
        std::os::unix::fs::fchown(&file, Some(uid), Some(gid))?;
    }
    file.write_all(bytes)?;
    file.sync_all()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rclone::remote::{Remote, Said};

    fn state() -> (tempfile::TempDir, State) {
        let directory = tempfile::tempdir().unwrap();
        let state = State::at(directory.path().join("plakbox"), None).unwrap();
        (directory, state)
    }

    fn remote(token: &str) -> Remote {
        let pairs = [("rclone_type", "drive"), ("rclone_token", token), ("location", "rclone://")];
        let config = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        Remote::from_plakar(Said { config, ..Said::default() }).unwrap().0
    }

    fn count(state: &State, name: &str) -> usize {
        fs::read_dir(state.root.join(name)).unwrap().count()
    }

    #[test]
    fn a_person_is_told_once_of_each_remote() {
        let (_directory, state) = state();
        let (one, other) = (remote("t").fingerprint(), remote("u").fingerprint());
        assert!(state.first_time("quality", &one));
        assert!(!state.first_time("quality", &one));
        assert!(state.first_time("quality", &other) && state.first_time("else", &one));
    }

    #[test]
    fn what_a_killed_session_left_is_swept_and_a_living_one_is_not() {
        let (_directory, state) = state();
        let dead = state.root.join("sessions/dead");
        private_directory(&dead).unwrap();
        fs::write(dead.join("batch"), "x").unwrap();
        let living = state.scratch().unwrap();
        let abandoned = state.configure(&mut remote("t")).unwrap();
        let file = abandoned.file();
        std::mem::forget(abandoned);
        let again = State::at(state.root.clone(), None).unwrap();
        assert!(!dead.exists() && living.own().exists() && living.input().exists());
        assert!(file.exists(), "its lock is still held, as by a living session");
        drop(living);
        assert_eq!(count(&again, "sessions"), 0);
    }
}
