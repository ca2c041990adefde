//! The baseline of a private copy: what the user's rclone.conf said when the copy was made. The
//! changes since then are written back to that file.

use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::files::write_private_file;
use super::layout::{BASELINE_FILE, config_file};
use super::write_back::{self, WriteBack};
use super::{State, records};
use crate::rclone::remote::Remote;
use crate::rclone::remote::fingerprint::Fingerprint;
use crate::rclone::remote::ini::{self, Sections};
use crate::rclone::remote::user_config;

/// The baseline of a copy of the user's rclone.conf.
#[derive(Serialize, Deserialize)]
pub struct Baseline {
    pub file: PathBuf,
    pub name: String,
    hostname: String,
    /// The sections of the file, as far as they are known: with what was written back since.
    pub sections: Sections,
}

impl Baseline {
    /// The baseline of a session that starts now. `None` for an imported remote.
    pub fn new(remote: &Remote) -> Option<Self> {
        let (file, name) = remote.user_file()?;
        Some(Self {
            file: file.to_owned(),
            name: name.to_owned(),
            hostname: remote.hostname().to_owned(),
            sections: remote.sections().clone(),
        })
    }

    /// Reads the baseline in the directory of a remote.
    pub fn read(directory: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(directory.join(BASELINE_FILE)).ok()?).ok()
    }

    /// Writes the baseline to the directory of a remote.
    ///
    /// # Errors
    ///
    /// The file can't be written.
    pub fn write(&self, directory: &Path) -> io::Result<()> {
        write_private_file(&directory.join(BASELINE_FILE), &serde_json::to_vec(self)?, None)
    }

    fn belongs_to(&self, remote: &Remote) -> bool {
        remote.user_file() == Some((&self.file, &self.name))
    }
}

/// The directories and baselines of a remote of the user's rclone.conf.
pub fn baselines_of(state: &State, remote: &Remote) -> impl Iterator<Item = (PathBuf, Baseline)> {
    let baseline = |directory: PathBuf| Baseline::read(&directory).map(|it| (directory, it));
    state.remote_dirs().filter_map(baseline).filter(|(_, it)| it.belongs_to(remote))
}

/// Writes back what rclone has refreshed in all copies of a remote. The caller holds the lock
/// of the state.
pub fn write_back_remote(state: &State, remote: &Remote) {
    for (directory, _) in baselines_of(state, remote) {
        // The session that uses the copy reports the error.
        let _ = write_back_copy(state, &directory);
    }
}

/// Writes back what rclone has refreshed in one copy. Returns whether the user's file has all
/// of it now. The caller holds the lock of the state.
///
/// # Errors
///
/// The copy can't be read, or the user's file can't be written.
pub fn write_back_copy(state: &State, directory: &Path) -> io::Result<bool> {
    let Some(mut baseline) = Baseline::read(directory) else { return Ok(true) };
    let copy = match ini::read_untrusted(&config_file(directory)) {
        Err(error) if ini::is_unusable(&error) => return Ok(true),
        copy => ini::parse(&copy?).unwrap_or_default(),
    };
    let changes = write_back::diff(&baseline.sections, &copy);
    if changes.is_empty() {
        return Ok(true);
    }
    let renamed = RefCell::new(Vec::new());
    let before_write = |before: &Sections, after: &Sections| {
        // A token that rclone has refreshed belongs to the same account.
        renamed.replace(renamed_remotes(before, after, &baseline.hostname));
        for (old, new) in renamed.borrow().iter() {
            records::alias_fingerprint(state, old, new)?;
        }
        Ok(())
    };
    let WriteBack { written, kept } = write_back::apply(&baseline.file, &changes, before_write)?;
    if written.is_empty() {
        return Ok(kept == 0);
    }
    for (old, _) in renamed.take() {
        records::remove_alias(state, &old);
    }
    for (section, key, value) in written {
        baseline.sections.entry(section).or_default().insert(key, value);
    }
    baseline.write(directory)?;
    Ok(kept == 0)
}

/// The fingerprints that remotes have before and after a change of the user's file.
fn renamed_remotes(
    before: &Sections,
    after: &Sections,
    hostname: &str,
) -> Vec<(Fingerprint, Fingerprint)> {
    let fingerprint = |all: &Sections, name: &str| {
        let sections = user_config::with_wrapped(all, name).ok()?;
        Some(Fingerprint::new(sections.values(), hostname))
    };
    let both = |name: &String| Some((fingerprint(before, name)?, fingerprint(after, name)?));
    before.keys().filter_map(both).filter(|(old, new)| old != new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rclone::state::config_copy::ConfigCopy;
    use std::os::unix::fs::PermissionsExt;

    const USERS: &str = "# mine\n[it]\ntype = drive\ntoken = OLD\n[secret]\ntype = crypt\n\
                         remote = it:x\n[other]\ntype = s3\n";
    const NEW: &str = r#"{"access_token":"2","refresh_token":"R2"}"#;

    /// A private directory, and a user's rclone.conf.
    struct Home {
        directory: tempfile::TempDir,
        state: State,
    }

    impl Home {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let state = State::open_at(directory.path().join("plakbox"), None).unwrap();
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
            Remote::from_file(self.file(), name, "", "here").unwrap()
        }

        fn configure(&self, name: &str) -> ConfigCopy {
            ConfigCopy::open(&self.state, &mut self.remote(name)).unwrap()
        }

        fn kept(&self) -> usize {
            self.state.remote_dirs().count()
        }

        /// Another session starts.
        fn sweep(&self) {
            State::open_at(self.state.root().to_owned(), None).unwrap();
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

    #[test]
    fn a_configuration_that_rclone_left_alone_is_not_kept() {
        let home = Home::new();
        for mut remote in [home.remote("it"), home.remote("secret")] {
            let one = ConfigCopy::open(&home.state, &mut remote).unwrap();
            let two = ConfigCopy::open(&home.state, &mut remote).unwrap();
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
    fn a_remote_of_the_user_has_what_it_needs_and_no_other() {
        let home = Home::new();
        let text = fs::read_to_string(home.configure("secret").file()).unwrap();
        assert!(text.contains("[it]") && text.contains("[secret]") && !text.contains("[other]"));
    }

    #[test]
    fn a_renewed_token_is_back_soon_and_nothing_is_kept() {
        let home = Home::new();
        let session = home.configure("it");
        session.write_back();
        assert_eq!(home.text(), USERS);
        renew(&session.file(), NEW);
        session.write_back();
        assert_eq!(home.text(), USERS.replace("OLD", NEW));
        renew(&session.file(), "third");
        // A session that starts now shares the copy, and what was refreshed in it.
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
        let config = home.configure("secret").killed();
        renew(&config, NEW);
        home.sweep();
        assert_eq!((home.text(), home.kept()), (USERS.replace("OLD", NEW), 0));
        // One that was killed after the user's file was written, before it was noted.
        home.write(USERS);
        let config = home.configure("it").killed();
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
        let config = home.configure("it").killed();
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
        session.write_back();
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
        session.write_back();
        assert!(session.has_warned() && home.state.has_unsaved_changes(&home.remote("it")));
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
}
