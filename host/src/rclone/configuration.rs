//! The private configuration of a session's remote, which rclone rewrites when it
//! refreshes a token.
//!
//! `remotes/DIGEST/` in the private directory holds `rclone.conf`, and is shared by all
//! sessions of the remote. The digest is of the configuration as it was passed, so a
//! changed one starts anew. What rclone has rewritten is kept: for a remote that was
//! imported for good, since nothing else has it; for one of the user's own rclone.conf
//! until it is back in there, which is tried soon after, when the session ends, and when
//! any other one starts. `started.json` says what the user's file said.
//!
//! Whoever makes, matches or removes such a directory, or writes the user's file, holds
//! the lock of the whole state; whoever uses one holds its own, shared.

use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::conf::{self, Sections};
use super::fingerprint::Fingerprint;
use super::remote::{self, Remote};
use super::renewed::{self, Outcome};
use super::state::{At, LOCK, State, hex, private_directory, try_lock, write_private};
use super::users;
use crate::contract::{Failure, Reason};

const CONFIG: &str = "rclone.conf";
/// Where rclone leaves the one that it replaces, followed by digits, as after [`CONFIG`]
/// what it writes.
const OLD: &str = "rclone.conf.old";
/// The digest of an imported configuration as it was written first.
const PRISTINE: &str = "pristine";
const STARTED: &str = "started.json";

/// What a session of a remote of the user's rclone.conf started from.
#[derive(Serialize, Deserialize)]
struct Started {
    file: PathBuf,
    name: String,
    hostname: String,
    /// What the file says, as far as we know: by now with what was brought back.
    sections: Sections,
}

impl Started {
    fn read(directory: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(directory.join(STARTED)).ok()?).ok()
    }

    fn write(&self, directory: &Path) -> io::Result<()> {
        write_private(&directory.join(STARTED), &serde_json::to_vec(self)?)
    }

    fn is_of(&self, remote: &Remote) -> bool {
        remote.of_user() == Some((&self.file, &self.name))
    }
}

/// The configuration file of a session's remote.
pub struct Configuration {
    state: State,
    directory: PathBuf,
    lock: Option<File>,
    fingerprint: Fingerprint,
    /// The file as it was looked at last.
    seen: Mutex<Option<Seen>>,
    warned: AtomicBool,
}

/// What changes when a file is replaced.
type Seen = (u64, i64, i64);

fn seen(directory: &Path) -> Option<Seen> {
    let meta = fs::metadata(directory.join(CONFIG)).ok()?;
    Some((meta.ino(), meta.mtime(), meta.mtime_nsec()))
}

impl State {
    /// The configuration file of a remote for one session. A remote of the user's own
    /// rclone.conf is what that says at this moment.
    pub fn configure(&self, remote: &mut Remote) -> Result<Configuration, Failure> {
        let _alone = self.lock()?;
        self.bring_back_of(remote);
        remote.read_again()?;
        let directory = self.directory_of(remote);
        private_directory(&directory).at(&directory)?;
        let lock = try_lock(&directory, FlockOperation::LockShared)
            .and_then(|lock| lock.ok_or_else(|| io::ErrorKind::NotFound.into()))
            .at(&directory)?;
        let config = directory.join(CONFIG);
        match fs::read_to_string(&config) {
            Ok(kept) => allowed(&kept, remote.sections(), &directory)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                note(remote, &directory).at(&directory)?;
                write_private(&config, &remote.to_ini()).at(&directory)?;
            }
            Err(error) => return Err(error).at(&directory),
        }
        Ok(Configuration {
            fingerprint: self.identity(&remote.fingerprint()),
            state: self.clone(),
            seen: Mutex::new(seen(&directory)),
            directory,
            lock: Some(lock),
            warned: AtomicBool::new(false),
        })
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

    /// The directories of a remote of the user's rclone.conf.
    fn started_of(&self, remote: &Remote) -> impl Iterator<Item = (PathBuf, Started)> {
        let started = |directory: PathBuf| Started::read(&directory).map(|it| (directory, it));
        self.remotes().filter_map(started).filter(|(_, it)| it.is_of(remote))
    }

    fn remotes(&self) -> impl Iterator<Item = PathBuf> + use<> {
        let entries = fs::read_dir(self.root().join("remotes"));
        entries.into_iter().flatten().flatten().map(|entry| entry.path())
    }

    /// Brings back into the user's rclone.conf what rclone has renewed of a remote.
    pub fn bring_back(&self, remote: &Remote) {
        if let Ok(_alone) = self.lock() {
            self.bring_back_of(remote);
        }
    }

    fn bring_back_of(&self, remote: &Remote) {
        for (directory, _) in self.started_of(remote) {
            // The session that uses it has told why it can't be, or will.
            let _ = self.settle(&directory);
        }
    }

    /// Whether rclone has rewritten a remote's configuration, and only the private
    /// directory has it, for the next run.
    pub fn keeps(&self, remote: &Remote) -> bool {
        let Ok(copy) = fs::read_to_string(self.directory_of(remote).join(CONFIG)) else {
            return false;
        };
        match remote.of_user() {
            None => copy.as_bytes() != remote.to_ini(),
            Some(_) => conf::parse(&copy)
                .is_ok_and(|copy| !renewed::changes(remote.sections(), &copy).is_empty()),
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

    /// Removes a remote's directory, if nobody uses it and rclone hasn't rewritten
    /// the configuration; else only what rclone left half written.
    fn tidy(&self, directory: &Path) -> io::Result<()> {
        let Ok(Some(_lock)) = try_lock(directory, FlockOperation::NonBlockingLockExclusive) else {
            return Ok(());
        };
        recover(directory);
        let settled = match directory.join(STARTED).exists() {
            true => self.settle(directory),
            false => Ok(is_pristine(directory)),
        };
        if let Ok(true) = settled {
            return fs::remove_dir_all(directory);
        }
        for entry in fs::read_dir(directory)?.flatten() {
            if ![LOCK, CONFIG, PRISTINE, STARTED].iter().any(|name| entry.file_name() == *name) {
                let _ = fs::remove_file(entry.path());
            }
        }
        settled.map(|_| ())
    }

    /// Brings back what rclone has renewed. Whether nothing is left that only the private
    /// copy has.
    fn settle(&self, directory: &Path) -> io::Result<bool> {
        let Some(mut started) = Started::read(directory) else { return Ok(true) };
        let copy = match fs::read_to_string(directory.join(CONFIG)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
            copy => conf::parse(&copy?).unwrap_or_default(),
        };
        let changes = renewed::changes(&started.sections, &copy);
        if changes.is_empty() {
            return Ok(true);
        }
        let renamed = RefCell::new(Vec::new());
        let soon = |before: &Sections, after: &Sections| {
            // A token that rclone has renewed is one of the same account.
            renamed.replace(renamed_remotes(before, after, &started.hostname));
            renamed.borrow().iter().try_for_each(|(old, new)| self.is_still(old, new))
        };
        let Outcome { there, kept } = renewed::bring_back(&started.file, &changes, soon)?;
        if there.is_empty() {
            return Ok(kept == 0);
        }
        renamed.take().iter().for_each(|(old, _)| self.forget(old));
        for (section, key, value) in there {
            started.sections.entry(section).or_default().insert(key, value);
        }
        started.write(directory)?;
        Ok(kept == 0)
    }
}

/// Writes down what a session starts from.
fn note(remote: &Remote, directory: &Path) -> io::Result<()> {
    let Some((file, name)) = remote.of_user() else {
        return write_private(&directory.join(PRISTINE), hex(&remote.to_ini()).as_bytes());
    };
    let started = Started {
        file: file.to_owned(),
        name: name.to_owned(),
        hostname: remote.hostname().to_owned(),
        sections: remote.sections().clone(),
    };
    started.write(directory)
}

/// Refuses a kept configuration in which rclone wrote what may not be: the policy has
/// allowed `passed`, and of that rclone only renews a part.
fn allowed(kept: &str, passed: &Sections, directory: &Path) -> Result<(), Failure> {
    let checked = match conf::parse(kept) {
        Ok(sections) => {
            remote::check(&sections).map_err(|failure| failure.message).and_then(|()| {
                match renewed::otherwise(passed, &sections) {
                    None => Ok(()),
                    Some(key) => Err(format!("the option `{key}` isn't what it was")),
                }
            })
        }
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

fn is_pristine(directory: &Path) -> bool {
    let pristine = fs::read_to_string(directory.join(PRISTINE)).unwrap_or_default();
    !fs::read(directory.join(CONFIG)).is_ok_and(|config| hex(&config) != pristine)
}

/// Puts the configuration back that rclone, when it was killed, had moved away to put
/// another one in its place, which is complete by then; or else the old one.
fn recover(directory: &Path) {
    if directory.join(CONFIG).exists() {
        return;
    }
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut found: Vec<_> = entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let meta = entry.metadata().ok()?;
            let whole = name.starts_with(CONFIG) && meta.len() > 0;
            whole.then(|| ((!name.starts_with(OLD), meta.modified().ok()), entry.path()))
        })
        .collect();
    found.sort();
    if let Some((_, newest)) = found.pop() {
        let _ = fs::rename(newest, directory.join(CONFIG));
    }
}

/// The fingerprints that remotes had before a change of the user's file, and have after it.
fn renamed_remotes(
    before: &Sections,
    after: &Sections,
    hostname: &str,
) -> Vec<(Fingerprint, Fingerprint)> {
    let fingerprint = |all: &Sections, name: &str| {
        let sections = users::sections(all, name).ok()?;
        Some(Fingerprint::of(sections.values(), hostname))
    };
    let both = |name: &String| Some((fingerprint(before, name)?, fingerprint(after, name)?));
    before.keys().filter_map(both).filter(|(old, new)| old != new).collect()
}

impl Configuration {
    pub fn file(&self) -> PathBuf {
        self.directory.join(CONFIG)
    }

    /// What tells the remote from any other, however often its token was renewed.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
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
mod tests {
    use super::*;
    use crate::rclone::remote::Said;
    use std::os::unix::fs::PermissionsExt;

    const USERS: &str = "# mine\n[it]\ntype = drive\ntoken = OLD\n[secret]\ntype = crypt\nremote = it:x\n[other]\ntype = s3\n";
    const NEW: &str = r#"{"access_token":"2","refresh_token":"R2"}"#;

    /// A private directory, and a user's rclone.conf.
    struct Home {
        directory: tempfile::TempDir,
        state: State,
    }

    impl Home {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let state = State::at(directory.path().join("plakbox")).unwrap();
            let home = Self { directory, state };
            home.write(USERS);
            home
        }

        fn file(&self) -> PathBuf {
            self.directory.path().join("users.conf")
        }

        fn write(&self, text: &str) {
            fs::write(self.file(), text).unwrap();
        }

        fn text(&self) -> String {
            fs::read_to_string(self.file()).unwrap()
        }

        fn remote(&self, name: &str) -> Remote {
            Remote::of_file(self.file(), name, "", "here").unwrap()
        }

        fn configure(&self, name: &str) -> Configuration {
            self.state.configure(&mut self.remote(name)).unwrap()
        }

        fn kept(&self) -> usize {
            self.state.remotes().count()
        }

        /// Another session starts.
        fn sweep(&self) {
            State::at(self.state.root().to_owned()).unwrap();
        }
    }

    /// Writes a token as rclone does.
    fn renew(config: &Path, token: &str) {
        let text = fs::read_to_string(config).unwrap();
        let new = config.with_file_name("rclone.conf123");
        let old = text.lines().find(|line| line.starts_with("token")).unwrap();
        fs::write(&new, text.replace(old, &format!("token = {token}"))).unwrap();
        fs::rename(new, config).unwrap();
    }

    /// What is left of a session that was killed.
    fn killed(configuration: Configuration) -> PathBuf {
        let file = configuration.file();
        let mut configuration = std::mem::ManuallyDrop::new(configuration);
        drop(configuration.lock.take());
        file
    }

    fn imported(token: &str) -> Remote {
        let pairs = [("rclone_type", "drive"), ("rclone_token", token), ("location", "rclone://")];
        let config = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        Remote::from_plakar(Said { config, ..Said::default() }).unwrap().0
    }

    #[test]
    fn a_configuration_that_rclone_left_alone_is_not_kept() {
        let home = Home::new();
        for mut remote in [imported("t"), home.remote("it"), home.remote("secret")] {
            let one = home.state.configure(&mut remote).unwrap();
            let two = home.state.configure(&mut remote).unwrap();
            assert_eq!(one.file(), two.file());
            let mode = fs::metadata(one.file()).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            drop(one);
            assert!(two.file().exists(), "another session uses it");
            drop(two);
            assert_eq!(home.kept(), 0);
        }
        assert_eq!(home.text(), USERS);
    }

    #[test]
    fn an_imported_configuration_that_was_rewritten_is_kept_for_the_same_remote_only() {
        let home = Home::new();
        let state = &home.state;
        let first = state.configure(&mut imported("t")).unwrap();
        assert!(!state.keeps(&imported("t")));
        renew(&first.file(), "refreshed");
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
    fn a_remote_of_the_user_has_what_it_needs_and_no_other() {
        let home = Home::new();
        let text = fs::read_to_string(home.configure("secret").file()).unwrap();
        assert!(text.contains("[it]") && text.contains("[secret]") && !text.contains("[other]"));
    }

    #[test]
    fn a_renewed_token_is_back_soon_and_nothing_is_kept() {
        let home = Home::new();
        let session = home.configure("it");
        session.bring_back();
        assert_eq!(home.text(), USERS);
        renew(&session.file(), NEW);
        session.bring_back();
        assert_eq!(home.text(), USERS.replace("OLD", NEW));
        renew(&session.file(), "third");
        // Whoever starts now shares it, and what was renewed in it.
        let other = home.configure("it");
        assert_eq!(other.file(), session.file());
        assert_eq!(home.text(), USERS.replace("OLD", "third"));
        drop(session);
        renew(&other.file(), "fourth");
        drop(other);
        assert_eq!((home.text(), home.kept()), (USERS.replace("OLD", "fourth"), 0));
    }

    #[test]
    fn what_a_killed_session_renewed_is_brought_back_by_the_next() {
        let home = Home::new();
        let config = killed(home.configure("secret"));
        renew(&config, NEW);
        home.sweep();
        assert_eq!((home.text(), home.kept()), (USERS.replace("OLD", NEW), 0));
        // One that was killed after the user's file was written, before it was noted.
        home.write(USERS);
        let config = killed(home.configure("it"));
        renew(&config, NEW);
        home.write(&USERS.replace("OLD", NEW));
        let next = home.configure("it");
        assert_eq!(next.file(), config);
        drop(next);
        assert_eq!(home.kept(), 0);
    }

    #[test]
    fn rclone_killed_while_it_replaces_its_configuration_loses_nothing() {
        let home = Home::new();
        let config = killed(home.configure("it"));
        renew(&config, NEW);
        fs::copy(&config, config.with_file_name("rclone.conf77")).unwrap();
        renew(&config, "older");
        fs::rename(&config, config.with_file_name("rclone.conf.old88")).unwrap();
        home.sweep();
        assert_eq!((home.text(), home.kept()), (USERS.replace("OLD", NEW), 0));
    }

    #[test]
    fn what_the_user_has_renewed_meanwhile_stays_and_is_used() {
        let home = Home::new();
        let session = home.configure("it");
        renew(&session.file(), NEW);
        let users = USERS.replace("OLD", "OWN");
        home.write(&users);
        session.bring_back();
        let other = home.configure("it");
        assert_ne!(other.file(), session.file());
        assert!(fs::read_to_string(other.file()).unwrap().contains("OWN"));
        drop((session, other));
        assert_eq!((home.text(), home.kept()), (users, 0));
    }

    #[test]
    fn what_can_t_be_brought_back_is_kept_until_it_can() {
        let home = Home::new();
        let mode = |mode| {
            fs::set_permissions(home.file(), fs::Permissions::from_mode(mode)).unwrap();
        };
        mode(0o400);
        let session = home.configure("it");
        renew(&session.file(), NEW);
        session.bring_back();
        assert!(session.warned.load(Ordering::Relaxed) && home.state.keeps(&home.remote("it")));
        drop(session);
        home.sweep();
        assert_eq!((home.text(), home.kept()), (USERS.to_owned(), 1));
        let next = home.configure("it");
        assert!(fs::read_to_string(next.file()).unwrap().contains(NEW));
        mode(0o600);
        drop(next);
        assert_eq!((home.text(), home.kept()), (USERS.replace("OLD", NEW), 0));
    }

    #[test]
    fn a_remote_is_the_same_after_its_token_was_renewed_and_another_one_otherwise() {
        let home = Home::new();
        let fingerprint = |name| home.configure(name).fingerprint().clone();
        let (it, secret) = (fingerprint("it"), fingerprint("secret"));
        for token in [NEW, "third"] {
            let session = home.configure("it");
            renew(&session.file(), token);
            drop(session);
            assert!(home.text().contains(token));
            assert_eq!((fingerprint("it"), fingerprint("secret")), (it.clone(), secret.clone()));
        }
        assert_eq!(fs::read_dir(home.state.root().join("identities")).unwrap().count(), 2);
        let brought_back = home.text();
        home.write(&brought_back.replace("third", "of another account"));
        assert_ne!(fingerprint("it"), it);
        home.write(&brought_back.replace("type = drive", "type = drive\nteam_drive = x"));
        assert_ne!(fingerprint("it"), it);
        assert_ne!(fingerprint("secret"), secret);
        home.write(&brought_back);
        assert_eq!(fingerprint("it"), it);
    }

    #[test]
    fn two_sessions_that_end_at_once_lose_nothing() {
        let home = Home::new();
        for round in 0..20 {
            let sessions = ["it", "it", "other"].map(|name| home.configure(name));
            renew(&sessions[0].file(), &format!("round {round}"));
            let text = fs::read_to_string(sessions[2].file()).unwrap();
            fs::write(sessions[2].file(), format!("{text}session_id = {round}\n")).unwrap();
            std::thread::scope(|scope| {
                for session in sessions {
                    scope.spawn(move || drop(session));
                }
            });
            let (text, kept) = (home.text(), home.kept());
            assert!(text.contains(&format!("token = round {round}\n")), "{text}");
            assert!(
                text.ends_with(&format!("[other]\ntype = s3\nsession_id = {round}\n")),
                "{text}"
            );
            assert_eq!(kept, 0);
        }
    }

    #[test]
    fn a_kept_configuration_with_what_may_not_be_is_refused() {
        let home = Home::new();
        let config = killed(home.state.configure(&mut imported("t")).unwrap());
        let text = fs::read_to_string(&config).unwrap();
        fs::write(&config, text + "ssh = touch x\n").unwrap();
        let failure = home.state.configure(&mut imported("t")).err().unwrap();
        assert_eq!(failure.reason, Reason::Denied);
        assert!(failure.message.contains("the option `ssh`"), "{}", failure.message);
    }
}
