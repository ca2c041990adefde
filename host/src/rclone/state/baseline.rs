//! What a session of a remote of the user's own rclone.conf started from, and what has to
//! come back into that file.

use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::config_copy;
use super::write_back::{self, Outcome};
use super::{State, write_private};
use crate::rclone::remote::Remote;
use crate::rclone::remote::fingerprint::Fingerprint;
use crate::rclone::remote::ini::{self, Sections};
use crate::rclone::remote::user_config;

pub const STARTED: &str = "started.json";

/// What a session of a remote of the user's rclone.conf started from.
#[derive(Serialize, Deserialize)]
pub struct Started {
    pub file: PathBuf,
    pub name: String,
    hostname: String,
    /// What the file says, as far as we know: by now with what was brought back.
    pub sections: Sections,
}

impl Started {
    /// A session that starts now. `None`: the remote was imported.
    pub fn now(remote: &Remote) -> Option<Self> {
        let (file, name) = remote.of_user()?;
        Some(Self {
            file: file.to_owned(),
            name: name.to_owned(),
            hostname: remote.hostname().to_owned(),
            sections: remote.sections().clone(),
        })
    }

    pub fn read(directory: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(directory.join(STARTED)).ok()?).ok()
    }

    pub fn write(&self, directory: &Path) -> io::Result<()> {
        write_private(&directory.join(STARTED), &serde_json::to_vec(self)?, None)
    }

    fn is_of(&self, remote: &Remote) -> bool {
        remote.of_user() == Some((&self.file, &self.name))
    }
}

impl State {
    /// The directories of a remote of the user's rclone.conf.
    pub(super) fn started_of(&self, remote: &Remote) -> impl Iterator<Item = (PathBuf, Started)> {
        let started = |directory: PathBuf| Started::read(&directory).map(|it| (directory, it));
        self.remotes().filter_map(started).filter(|(_, it)| it.is_of(remote))
    }

    /// Brings back into the user's rclone.conf what rclone has renewed of a remote.
    pub fn bring_back(&self, remote: &Remote) {
        if let Ok(_alone) = self.lock() {
            self.bring_back_of(remote);
        }
    }

    pub(super) fn bring_back_of(&self, remote: &Remote) {
        for (directory, _) in self.started_of(remote) {
            // The session that uses it has told why it can't be, or will.
            let _ = self.settle(&directory);
        }
    }

    /// Brings back what rclone has renewed. Whether nothing is left that only the private
    /// copy has.
    pub(super) fn settle(&self, directory: &Path) -> io::Result<bool> {
        let Some(mut started) = Started::read(directory) else { return Ok(true) };
        let copy = match ini::read_of_rclone(&config_copy::file_in(directory)) {
            Err(error) if ini::is_none(&error) => return Ok(true),
            copy => ini::parse(&copy?).unwrap_or_default(),
        };
        let changes = write_back::changes(&started.sections, &copy);
        if changes.is_empty() {
            return Ok(true);
        }
        let renamed = RefCell::new(Vec::new());
        let soon = |before: &Sections, after: &Sections| {
            // A token that rclone has renewed is one of the same account.
            renamed.replace(renamed_remotes(before, after, &started.hostname));
            renamed.borrow().iter().try_for_each(|(old, new)| self.is_still(old, new))
        };
        let Outcome { there, kept } = write_back::bring_back(&started.file, &changes, soon)?;
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

/// The fingerprints that remotes had before a change of the user's file, and have after it.
fn renamed_remotes(
    before: &Sections,
    after: &Sections,
    hostname: &str,
) -> Vec<(Fingerprint, Fingerprint)> {
    let fingerprint = |all: &Sections, name: &str| {
        let sections = user_config::sections(all, name).ok()?;
        Some(Fingerprint::of(sections.values(), hostname))
    };
    let both = |name: &String| Some((fingerprint(before, name)?, fingerprint(after, name)?));
    before.keys().filter_map(both).filter(|(old, new)| old != new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rclone::state::config_copy::Configuration;
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
            let state = State::at(directory.path().join("plakbox"), None).unwrap();
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
            State::at(self.state.root().to_owned(), None).unwrap();
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
        assert!(session.has_warned() && home.state.keeps(&home.remote("it")));
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
