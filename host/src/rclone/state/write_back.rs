//! What rclone renews by itself, brought back into the user's own rclone.conf.
//!
//! rclone works on a private copy of what that file says of a remote, and rewrites the
//! copy when it refreshes a token. Where the provider gives another refresh token each
//! time, the user's file would hold a dead one from then on.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use crate::rclone::remote::ini::{self, Sections};
use crate::rclone::remote::user_config;
use crate::rclone::remote::validate;

/// The options that rclone sets while it works. Any other that it changes stays in the
/// private copy, so that no rclone gone wrong can change what the user's remote is.
///
/// Source: calls of `Set` in the backends of rclone 1.75, without those of `rclone config`.
const RENEWED: [&str; 24] = [
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

/// How often the file is read again because somebody else wrote it meanwhile.
const ATTEMPTS: usize = 3;

/// An option that rclone changed or added.
#[derive(Debug, PartialEq, Eq)]
pub struct Change<'a> {
    section: &'a str,
    key: &'a str,
    old: Option<&'a str>,
    new: &'a str,
}

/// What the private copy has that wasn't in the user's file at first.
pub fn changes<'a>(first: &'a Sections, copy: &'a Sections) -> Vec<Change<'a>> {
    let mut changes = Vec::new();
    for (section, options) in first {
        for (key, new) in copy.get(section).into_iter().flatten() {
            let old = options.get(key).map(String::as_str);
            // rclone puts quotes around a value with this one, and doesn't take them away.
            let misread = old.is_some_and(|old| old.contains('`'));
            if old != Some(new) && !misread {
                changes.push(Change { section, key, old, new });
            }
        }
    }
    changes
}

/// An option, of any section, that isn't what it was though rclone doesn't renew it.
pub fn otherwise<'a>(first: &'a Sections, copy: &'a Sections) -> Option<&'a str> {
    let all = |sections: &'a Sections| {
        sections.iter().flat_map(|(name, section)| {
            section.iter().map(move |(key, value)| (name.as_str(), key.as_str(), value.as_str()))
        })
    };
    let differs = |(section, key, value): &(&str, &str, &str), other: &Sections| {
        // rclone puts quotes around a value with this one, and doesn't take them away.
        let theirs = other.get(*section).and_then(|section| section.get(*key));
        !renews(key) && !value.contains('`') && theirs.is_none_or(|theirs| theirs != value)
    };
    let lost = all(first).find(|option| differs(option, copy));
    lost.or_else(|| all(copy).find(|option| differs(option, first))).map(|(_, key, _)| key)
}

/// What became of the changes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The options that the user's file has now, by section, key and value.
    pub there: Vec<(String, String, String)>,
    /// How many only the private copy has.
    pub kept: usize,
}

/// Writes the changes into the user's file where that still holds what was there at
/// first. `soon` is told what the file says before and after that.
pub fn bring_back(
    file: &Path,
    changes: &[Change<'_>],
    soon: impl Fn(&Sections, &Sections) -> io::Result<()>,
) -> io::Result<Outcome> {
    for _ in 0..ATTEMPTS {
        let text = fs::read_to_string(file)?;
        let (new, outcome) = changed(&text, changes)?;
        if new == text {
            return Ok(outcome);
        }
        let [before, after] = [&text, &new].map(|text| ini::parse(text).map_err(unclear));
        soon(&before?, &after?)?;
        if replace(file, &text, &new)? {
            return Ok(outcome);
        }
    }
    Err(io::Error::other("it is written all the time"))
}

fn unclear(line: usize) -> io::Error {
    io::Error::other(format!("line {line} makes no sense"))
}

/// The text with the changes, and what became of them.
fn changed(text: &str, changes: &[Change<'_>]) -> io::Result<(String, Outcome)> {
    if user_config::is_encrypted(text) {
        return Err(io::Error::other("it is encrypted"));
    }
    let mut sections = ini::parse(text).map_err(unclear)?;
    let (mut text, mut outcome) = (text.to_owned(), Outcome::default());
    for Change { section, key, old, new } in changes {
        let Some(options) = sections.get(*section) else { continue };
        let current = options.get(*key).map(String::as_str);
        if current != Some(*new) {
            if current != *old {
                // The user, or the user's own rclone, has changed it: that stays.
                continue;
            }
            let mut wanted = sections.clone();
            let options = wanted.entry((*section).to_owned()).or_default();
            options.insert((*key).to_owned(), (*new).to_owned());
            let alone = Sections::from([((*section).to_owned(), options.clone())]);
            let edited = ini::with(&text, section, key, new).filter(|edited| {
                renews(key)
                    && validate::check(&alone).is_ok()
                    && ini::parse(edited).as_ref() == Ok(&wanted)
            });
            let Some(edited) = edited else {
                outcome.kept += 1;
                continue;
            };
            (text, sections) = (edited, wanted);
        }
        outcome.there.push(((*section).to_owned(), (*key).to_owned(), (*new).to_owned()));
    }
    Ok((text, outcome))
}

/// Whether rclone renews the option by itself. Programs on an SFTP server that give
/// checksums are found by trying.
fn renews(key: &str) -> bool {
    RENEWED.contains(&key) || key.ends_with("sum_command")
}

/// Replaces a file's text at once, and keeps its owner and mode; where it is a link, what
/// it leads to. `false`: it doesn't say `old` any more.
fn replace(file: &Path, old: &str, new: &str) -> io::Result<bool> {
    let file = fs::canonicalize(file)?;
    let meta = fs::metadata(&file)?;
    if meta.mode() & 0o222 == 0 {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is read-only"));
    }
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".plakbox");
    // One that is there is of a session that was killed: who writes is alone.
    let beside = file.with_file_name(name);
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let written = write_like(&beside, &meta, new).and_then(|()| {
        let mut now = String::new();
        File::open(&file)?.read_to_string(&mut now)?;
        if now != old {
            return Ok(false);
        }
        fs::rename(&beside, &file)?;
        Ok(true)
    });
    if !matches!(written, Ok(true)) {
        let _ = fs::remove_file(&beside);
    } else if let Some(directory) = file.parent() {
        // Some file systems can't.
        let _ = File::open(directory).and_then(|directory| directory.sync_all());
    }
    written
}

/// Writes a new file, with the owner and mode of another one.
fn write_like(path: &Path, meta: &fs::Metadata, text: &str) -> io::Result<()> {
    use rustix::fs::{Gid, Uid, fchown};
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?;
    let ours = file.metadata()?;
    if (ours.uid(), ours.gid()) != (meta.uid(), meta.gid()) {
        fchown(&file, Some(Uid::from_raw(meta.uid())), Some(Gid::from_raw(meta.gid())))?;
    }
    file.write_all(text.as_bytes())?;
    file.set_permissions(fs::Permissions::from_mode(meta.mode() & 0o7777))?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: &str = "# mine\n[other]\ntype = s3\n\n[it]\n# of the token\ntype = drive\ntoken = old\nremark = x\n";

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
    fn back(text: &str, pairs: &[(&str, &str)]) -> (io::Result<Outcome>, String) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("rclone.conf");
        fs::write(&file, text).unwrap();
        let (first, copy) = (first(), with(pairs));
        let outcome = bring_back(&file, &changes(&first, &copy), |_, _| Ok(()));
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
        (outcome, fs::read_to_string(&file).unwrap())
    }

    #[test]
    fn what_rclone_renewed_or_added_is_in_the_users_file_and_nothing_else_changed() {
        let (outcome, text) = back(USERS, &[("token", "new"), ("token_expiry", "soon")]);
        assert_eq!(outcome.unwrap().there.len(), 2);
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
            assert_eq!((outcome.unwrap(), text), (Outcome::default(), users));
        }
        // And what else was changed doesn't keep the token back.
        let users = USERS.replace("remark = x", "remark = y") + "[more]\ntype = s3\n";
        let (outcome, text) = back(&users, &[("token", "new")]);
        assert_eq!((outcome.unwrap().kept, text), (0, users.replace("= old", "= new")));
    }

    #[test]
    fn what_is_there_already_is_not_written_again() {
        let (outcome, _) = back(&USERS.replace("= old", "= new"), &[("token", "new")]);
        assert_eq!(outcome.unwrap().there, [("it".into(), "token".into(), "new".into())]);
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
        assert_eq!(changes(&first(), &copy), []);
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
        let told = std::cell::Cell::new(0);
        let soon = |before: &Sections, after: &Sections| {
            told.set(told.get() + 1);
            assert_eq!((&*before["it"]["token"], &*after["it"]["token"]), ("old", "new"));
            Ok(())
        };
        bring_back(&link, &changes(&first, &copy), soon).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink() && told.get() == 1);
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
        bring_back(&file, &changes(&first, &copy), |_, _| fs::write(&file, &edited)).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), edited.replace("= old", "= new"));
        // By somebody who renewed it, too.
        fs::write(&file, USERS).unwrap();
        let own = USERS.replace("= old", "= own");
        let outcome = bring_back(&file, &changes(&first, &copy), |_, _| fs::write(&file, &own));
        assert_eq!(outcome.unwrap(), Outcome::default());
        assert_eq!(fs::read_to_string(&file).unwrap(), own);
    }

    #[test]
    fn a_read_only_or_encrypted_file_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("rclone.conf");
        let (first, copy) = (first(), with(&[("token", "new")]));
        let attempt = || bring_back(&file, &changes(&first, &copy), |_, _| Ok(())).unwrap_err();
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
