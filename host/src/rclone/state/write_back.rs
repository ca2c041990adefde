//! Writes the options that rclone has refreshed back to the user's own rclone.conf.
//!
//! rclone uses a private copy of a remote's configuration, and rewrites the copy when it refreshes
//! a token. Where the provider issues a new refresh token each time, the token in the user's file
//! would be invalid from then on.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::files::{FileAttributes, atomic_write};
use crate::kernel::UserIds;
use crate::rclone::remote::ini::{self, Sections};
use crate::rclone::remote::user_config;
use crate::rclone::remote::validate;

/// The options that rclone sets while it runs. Other changes stay in the private copy, so that a
/// compromised rclone can't change what the user's remote is.
///
/// Source: calls of `Set` in the backends of rclone 1.75, without those of `rclone config`.
const REFRESHED_OPTIONS: [&str; 24] = [
    "account_id",
    "auth_session",
    "authorization",
    "authorization_expiry",
    "bucket",
    "captcha_token",
    "client_access_token",
    "client_refresh_token",
    "client_salted_key_pass",
    "client_uid",
    "cookies",
    "deleted_id",
    "device_id",
    "host_keys",
    "master_key",
    "plex_token",
    "root_folder_id",
    "root_id",
    "session_id",
    "shell_type",
    "token",
    "token_expiry",
    "trust_token",
    "web_token",
];

/// Number of attempts if the file is changed in between.
const MAX_ATTEMPTS: usize = 3;

/// An option that rclone changed or added.
#[derive(Debug, PartialEq, Eq)]
pub struct Change<'a> {
    section: &'a str,
    key: &'a str,
    old: Option<&'a str>,
    new: &'a str,
}

/// The changes of a private copy.
pub fn diff<'a>(first: &'a Sections, copy: &'a Sections) -> Vec<Change<'a>> {
    let mut changes = Vec::new();
    for (section, options) in first {
        for (key, new) in copy.get(section).into_iter().flatten() {
            let old = options.get(key).map(String::as_str);
            // rclone quotes a value that has a backquote, and doesn't remove the quotes.
            let misread = old.is_some_and(|old| old.contains('`'));
            if old != Some(new) && !misread {
                changes.push(Change { section, key, old, new });
            }
        }
    }
    changes
}

/// The first option, of any section, that was changed though rclone doesn't refresh it.
pub fn forbidden_change<'a>(first: &'a Sections, copy: &'a Sections) -> Option<&'a str> {
    let all = |sections: &'a Sections| {
        sections.iter().flat_map(|(name, section)| {
            section.iter().map(move |(key, value)| (name.as_str(), key.as_str(), value.as_str()))
        })
    };
    let differs = |(section, key, value): &(&str, &str, &str), other: &Sections| {
        // rclone quotes a value that has a backquote, and doesn't remove the quotes.
        let theirs = other.get(*section).and_then(|section| section.get(*key));
        !is_refreshed_option(key)
            && !value.contains('`')
            && theirs.is_none_or(|theirs| theirs != value)
    };
    let lost = all(first).find(|option| differs(option, copy));
    lost.or_else(|| all(copy).find(|option| differs(option, first))).map(|(_, key, _)| key)
}

/// The result of a write-back.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct WriteBack {
    /// The options that the user's file has now: section, key and value.
    pub written: Vec<(String, String, String)>,
    /// Number of changes that only the private copy has.
    pub kept: usize,
}

/// Writes changes to the user's file where that still has the old values. `before_write` receives
/// the sections before and after the change.
///
/// # Errors
///
/// The file can't be read or written, or is encrypted, or `before_write` fails.
pub fn apply(
    file: &Path,
    changes: &[Change<'_>],
    before_write: impl Fn(&Sections, &Sections) -> io::Result<()>,
) -> io::Result<WriteBack> {
    for _ in 0..MAX_ATTEMPTS {
        let text = fs::read_to_string(file)?;
        let (new, outcome) = apply_to_text(&text, changes)?;
        if new == text {
            return Ok(outcome);
        }
        let [before, after] = [&text, &new].map(|text| ini::parse(text).map_err(invalid_line));
        before_write(&before?, &after?)?;
        if replace_file(file, &text, &new)? {
            return Ok(outcome);
        }
    }
    Err(io::Error::other("it is changed all the time"))
}

fn invalid_line(line: usize) -> io::Error {
    io::Error::other(format!("line {line} can't be parsed"))
}

/// Applies changes to the text of the user's file.
fn apply_to_text(text: &str, changes: &[Change<'_>]) -> io::Result<(String, WriteBack)> {
    if user_config::is_encrypted(text) {
        return Err(io::Error::other("it is encrypted"));
    }
    let mut sections = ini::parse(text).map_err(invalid_line)?;
    let (mut text, mut outcome) = (text.to_owned(), WriteBack::default());
    for Change { section, key, old, new } in changes {
        let Some(options) = sections.get(*section) else { continue };
        let current = options.get(*key).map(String::as_str);
        if current != Some(*new) {
            if current != *old {
                // The user, or the user's own rclone, has changed it. That stays.
                continue;
            }
            let mut wanted = sections.clone();
            let options = wanted.entry((*section).to_owned()).or_default();
            options.insert((*key).to_owned(), (*new).to_owned());
            let alone = Sections::from([((*section).to_owned(), options.clone())]);
            let edited = ini::set_option(&text, section, key, new).filter(|edited| {
                is_refreshed_option(key)
                    && validate::check(&alone).is_ok()
                    && ini::parse(edited).as_ref() == Ok(&wanted)
            });
            let Some(edited) = edited else {
                outcome.kept += 1;
                continue;
            };
            (text, sections) = (edited, wanted);
        }
        outcome.written.push(((*section).to_owned(), (*key).to_owned(), (*new).to_owned()));
    }
    Ok((text, outcome))
}

/// Whether rclone refreshes the option by itself. It finds the checksum programs of an SFTP server
/// by trying.
fn is_refreshed_option(key: &str) -> bool {
    REFRESHED_OPTIONS.contains(&key) || key.ends_with("sum_command")
}

/// Replaces the text of a file atomically, and keeps its owner and mode. A link is followed.
/// Returns `false` if the file isn't `old` any more.
fn replace_file(file: &Path, old: &str, new: &str) -> io::Result<bool> {
    let file = fs::canonicalize(file)?;
    let meta = fs::metadata(&file)?;
    if meta.mode() & 0o222 == 0 {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is read-only"));
    }
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".plakbox");
    let owner = Some(UserIds { uid: meta.uid(), gid: meta.gid() });
    let attributes = FileAttributes { owner, mode: meta.mode() & 0o7777 };
    let is_unchanged = || Ok(fs::read_to_string(&file)? == old);
    // A file of this name was left by a killed session: the lock of the state is held.
    let temporary = file.with_file_name(name);
    let written = atomic_write(&file, &temporary, new.as_bytes(), attributes, is_unchanged)?;
    if written && let Some(directory) = file.parent() {
        // Some file systems can't do this.
        let _ = File::open(directory).and_then(|directory| directory.sync_all());
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const USERS: &str = "# mine\n[other]\ntype = s3\n\n[it]\n# of the token\ntype = drive\n\
                         token = old\nremark = x\n";

    fn sections(text: &str) -> Sections {
        ini::parse(text).unwrap()
    }

    fn first() -> Sections {
        let mut all = sections(USERS);
        all.remove("other");
        all
    }

    fn with(pairs: &[(&str, &str)]) -> Sections {
        let mut copy = first();
        let options = copy.get_mut("it").unwrap();
        options.extend(pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())));
        copy
    }

    /// A file with this text, the outcome of these changes, and the text afterwards.
    fn back(text: &str, pairs: &[(&str, &str)]) -> (io::Result<WriteBack>, String) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("rclone.conf");
        fs::write(&file, text).unwrap();
        let (first, copy) = (first(), with(pairs));
        let outcome = apply(&file, &diff(&first, &copy), |_, _| Ok(()));
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
        (outcome, fs::read_to_string(&file).unwrap())
    }

    #[test]
    fn what_rclone_renewed_or_added_is_in_the_users_file_and_nothing_else_changed() {
        let (outcome, text) = back(USERS, &[("token", "new"), ("token_expiry", "soon")]);
        assert_eq!(outcome.unwrap().written.len(), 2);
        let expected = USERS.replace("token = old", "token = new") + "token_expiry = soon\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn what_the_user_changed_meanwhile_stays() {
        for users in [
            USERS.replace("token = old", "token = own"),
            USERS.replace("token = old\n", ""),
            "[other]\ntype = s3\n".to_owned(),
            String::new(),
        ] {
            let (outcome, text) = back(&users, &[("token", "new")]);
            assert_eq!((outcome.unwrap(), text), (WriteBack::default(), users));
        }
        // And what else was changed doesn't keep the token back.
        let users = USERS.replace("remark = x", "remark = y") + "[more]\ntype = s3\n";
        let (outcome, text) = back(&users, &[("token", "new")]);
        assert_eq!((outcome.unwrap().kept, text), (0, users.replace("= old", "= new")));
    }

    #[test]
    fn what_is_there_already_is_not_written_again() {
        let (outcome, _) = back(&USERS.replace("= old", "= new"), &[("token", "new")]);
        assert_eq!(outcome.unwrap().written, [("it".into(), "token".into(), "new".into())]);
    }

    #[test]
    fn no_rclone_gone_wrong_changes_what_the_remote_is() {
        for pair in [
            ("type", "sftp"),
            ("ssh", "touch x"),
            ("remote", "/etc"),
            ("url", "http://x"),
            ("token", "x\u{1}y"),
            ("token", "%(x)s"),
            ("token_command", "x"),
        ] {
            let (outcome, text) = back(USERS, &[pair]);
            assert_eq!((outcome.unwrap().kept, text), (1, USERS.to_owned()), "{pair:?}");
        }
        let mut copy = with(&[]);
        copy.insert("new".to_owned(), [("type".to_owned(), "local".to_owned())].into());
        assert_eq!(diff(&first(), &copy), []);
    }

    #[test]
    fn owner_mode_and_link_stay() {
        let directory = tempfile::tempdir().unwrap();
        let (link, file) = (directory.path().join("link"), directory.path().join("file"));
        fs::write(&file, USERS).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink("file", &link).unwrap();
        fs::write(directory.path().join("file.plakbox"), "of a killed session").unwrap();
        let (first, copy) = (first(), with(&[("token", "new")]));
        let calls = std::cell::Cell::new(0);
        let soon = |before: &Sections, after: &Sections| {
            calls.set(calls.get() + 1);
            assert_eq!((&*before["it"]["token"], &*after["it"]["token"]), ("old", "new"));
            Ok(())
        };
        apply(&link, &diff(&first, &copy), soon).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink() && calls.get() == 1);
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o640);
        assert_eq!(fs::read_to_string(&file).unwrap(), USERS.replace("= old", "= new"));
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 2);
    }

    #[test]
    fn a_file_that_is_written_meanwhile_is_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("rclone.conf");
        fs::write(&file, USERS).unwrap();
        let (first, copy) = (first(), with(&[("token", "new")]));
        let edited = USERS.replace("remark = x", "remark = edited");
        apply(&file, &diff(&first, &copy), |_, _| fs::write(&file, &edited)).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), edited.replace("= old", "= new"));
        // Also if the other program refreshed the token.
        fs::write(&file, USERS).unwrap();
        let own = USERS.replace("= old", "= own");
        let outcome = apply(&file, &diff(&first, &copy), |_, _| fs::write(&file, &own));
        assert_eq!(outcome.unwrap(), WriteBack::default());
        assert_eq!(fs::read_to_string(&file).unwrap(), own);
    }

    #[test]
    fn a_read_only_or_encrypted_file_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("rclone.conf");
        let (first, copy) = (first(), with(&[("token", "new")]));
        let attempt = || apply(&file, &diff(&first, &copy), |_, _| Ok(())).unwrap_err();
        assert_eq!(attempt().kind(), io::ErrorKind::NotFound);
        fs::write(&file, USERS).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o400)).unwrap();
        assert_eq!(attempt().to_string(), "it is read-only");
        assert_eq!(fs::read_to_string(&file).unwrap(), USERS);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&file, "# Encrypted rclone configuration File\n\nRCLONE_ENCRYPT_V0:\nAAAA")
            .unwrap();
        assert_eq!(attempt().to_string(), "it is encrypted");
    }
}
