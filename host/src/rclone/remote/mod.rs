//! The remote that a user configured: parsed, checked, and written again for rclone.
//!
//! - [`user_config`]: the user's own rclone.conf
//! - [`ini`], [`validate`]: the format of that file, and what may be in it
//! - [`location`]: mistakes in a location that names no remote
//! - [`fingerprint`]: identifies a remote across token refreshes
//! - [`secrets`], [`obscured`]: values that no message may show, and their plain form
//! - [`proxy`]: proxies of the environment, as they may be shown

pub mod fingerprint;
pub mod ini;
pub mod location;
pub mod obscured;
pub mod proxy;
pub mod secrets;
pub mod user_config;
pub mod validate;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::google_photos;
use super::process::errors;
use crate::connector::{Failure, Reason};
use crate::direction::Direction;
use crate::policy::{self, LocalAccess, Pins, Request};
use fingerprint::Fingerprint;
use ini::{Section, Sections};
use validate::{check, lasting};

/// What Plakar puts before each key of an imported rclone configuration.
pub const PREFIX: &str = "rclone_";

/// The name of an imported remote in its private configuration.
const IMPORTED: &str = "remote";

/// What `rclone config show` prints instead of a password.
pub const HIDDEN: &str = "*** ENCRYPTED ***";

/// A remote, and a path inside it.
#[derive(Debug, Clone)]
pub struct Remote {
    name: String,
    /// The section called `name`, and every one that it builds upon.
    sections: Sections,
    path: String,
    /// The user's own rclone.conf, where the remote is one of it.
    file: Option<PathBuf>,
    hostname: String,
    /// Options that a policy has set.
    pinned: Pins,
}

/// What Plakar says of a remote.
#[derive(Debug, Default)]
pub struct Said {
    /// Every key of the source or destination.
    pub config: BTreeMap<String, String>,
    /// The name of the machine that Plakar runs on.
    pub hostname: String,
    /// The directory that Plakar was started in.
    pub directory: String,
}

impl Said {
    /// The protocol of the location, by which Plakar knows a connector: `rclone`.
    pub fn protocol(&self) -> Option<&str> {
        let (protocol, _) = self.config.get("location")?.split_once("://")?;
        Some(protocol)
    }

    /// Whether it means a remote of the user's own rclone.conf: none was imported.
    pub fn names_users_remote(&self) -> bool {
        !self.config.keys().any(|key| key.starts_with(PREFIX))
    }
}

fn invalid(message: impl AsRef<str>) -> Failure {
    Failure::new(Reason::InvalidConfiguration, message)
}

impl Remote {
    /// Takes the remote out of what Plakar says, if it may be; gives the options that are
    /// left, which are the connector's own.
    pub fn from_plakar(said: Said) -> Result<(Self, Vec<(String, String)>), Failure> {
        let (remote, options) = Self::unchecked(said)?;
        remote.check()?;
        Ok((remote, options))
    }

    /// The same of a remote that may not be, perhaps: whoever goes on with it checks it.
    pub fn unchecked(mut said: Said) -> Result<(Self, Vec<(String, String)>), Failure> {
        let protocol = said.protocol().unwrap_or("rclone").to_owned();
        let location = said.config.remove("location").unwrap_or_default();
        let place = location.split_once("://").map_or(location.as_str(), |(_, place)| place);
        let (imported, options): (Vec<_>, Vec<_>) =
            said.config.into_iter().partition(|(key, _)| key.starts_with(PREFIX));
        let section: Section = imported
            .into_iter()
            .map(|(key, value)| (key[PREFIX.len()..].to_owned(), value))
            .collect();
        let mut remote = if section.is_empty() {
            Self::from_user_file(&protocol, place, &said.hostname)?
        } else {
            Self::imported(&protocol, section, place, &said.hostname)?
        };
        remote.resolve(&said.directory)?;
        Ok((remote, options))
    }

    /// A remote that was imported into Plakar: it has no name, and nothing beside it.
    fn imported(
        protocol: &str,
        section: Section,
        path: &str,
        hostname: &str,
    ) -> Result<Self, Failure> {
        if section.get("type").is_none_or(|backend| backend.is_empty()) {
            return Err(invalid(
                "the remote has no `rclone_type`: run `plakbox renew NAME`, or import it again with `rclone config dump | plakar source import -rclone -overwrite NAME`",
            ));
        }
        if let Some((key, _)) = section.iter().find(|(_, value)| *value == HIDDEN) {
            return Err(invalid(format!(
                "the remote's `{key}` was hidden by `rclone config show`: run `plakbox renew NAME`, or where rclone.conf is encrypted `rclone config dump | plakbox renew --stdin NAME`"
            )));
        }
        location::check_path(protocol, path)?;
        Ok(Self {
            name: IMPORTED.to_owned(),
            sections: BTreeMap::from([(IMPORTED.to_owned(), section)]),
            path: path.to_owned(),
            file: None,
            hostname: hostname.to_owned(),
            pinned: Pins::default(),
        })
    }

    /// `NAME:path` of the user's own rclone.conf.
    fn from_user_file(protocol: &str, place: &str, hostname: &str) -> Result<Self, Failure> {
        let Some((name, path)) = place.split_once(':') else {
            return Err(location::unnamed(protocol, place));
        };
        Self::of_file(user_config::file()?, name, path, hostname)
    }

    pub(super) fn of_file(
        file: PathBuf,
        name: &str,
        path: &str,
        hostname: &str,
    ) -> Result<Self, Failure> {
        user_config::check_name(name)?;
        Ok(Self {
            name: name.to_owned(),
            sections: user_config::sections(&user_config::read(&file, name)?, name)?,
            path: path.to_owned(),
            file: Some(file),
            hostname: hostname.to_owned(),
            pinned: Pins::default(),
        })
    }

    /// Makes a path on this machine absolute: rclone runs in a directory of its own.
    fn resolve(&mut self, directory: &str) -> Result<(), Failure> {
        if self.backend() != "local" {
            return Ok(());
        }
        if self.path.is_empty() {
            return Err(invalid(
                "a remote of type `local` needs a path: rclone:///path/to/directory",
            ));
        }
        if Path::new(directory).is_absolute() {
            self.path = Path::new(directory).join(&self.path).to_string_lossy().into_owned();
        }
        Ok(())
    }

    /// rclone's names of its backend and of those that it wraps. A wrapped local path has
    /// no section.
    pub fn backends(&self) -> impl Iterator<Item = &str> {
        let sections = self.sections.values().filter_map(|section| section.get("type"));
        sections.map(String::as_str).chain(["local"])
    }

    /// rclone's name of the backend: `s3`, `google photos`.
    pub fn backend(&self) -> &str {
        match self.option("type").unwrap_or_default() {
            // rclone takes these for the same.
            "gphotos" | "googlephotos" => google_photos::BACKEND,
            backend => backend,
        }
    }

    /// An option of the remote itself, not of one that it builds upon.
    pub fn option(&self, key: &str) -> Option<&str> {
        self.sections.get(&self.name).and_then(|section| section.get(key)).map(String::as_str)
    }

    /// Whether files come from plain web servers, of which many know no ranges: there
    /// rclone, which goes on after a break where it was, gets the file from its start.
    pub fn forgets_ranges(&self) -> bool {
        self.sections.values().any(|section| section.get("type").is_some_and(|it| it == "http"))
    }

    /// Refuses a restore to a web server: rclone would refuse each of its files.
    pub fn can_be_written(&self) -> Result<(), Failure> {
        match self.backend() {
            "http" => Err(errors::understand("http remotes are read only")),
            _ => Ok(()),
        }
    }

    /// The path inside the remote.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The remote's root, or a path below it, as rclone's commands take it.
    pub fn target(&self, below: &str) -> String {
        let (name, path) = (&self.name, &self.path);
        if below.is_empty() || path.is_empty() || path.ends_with('/') {
            format!("{name}:{path}{below}")
        } else {
            format!("{name}:{path}/{below}")
        }
    }

    /// The user's own file and the remote's name, where the remote is one of it.
    pub fn of_user(&self) -> Option<(&Path, &str)> {
        self.file.as_deref().map(|file| (file, self.name.as_str()))
    }

    /// Takes what the user's own file says by now.
    pub fn read_again(&mut self) -> Result<(), Failure> {
        let Some(file) = self.file.clone() else { return Ok(()) };
        let sections = user_config::sections(&user_config::read(&file, &self.name)?, &self.name)?;
        check(&sections)?;
        let before = std::mem::replace(&mut self.sections, sections);
        self.pinned.apply(&mut self.sections);
        if lasting(&before) != lasting(&self.sections) {
            return Err(invalid(format!(
                "the remote changed in `{}` while it was asked whether it is allowed: run it again",
                file.display()
            )));
        }
        Ok(())
    }

    pub fn sections(&self) -> &Sections {
        &self.sections
    }

    /// The name of the machine that Plakar runs on.
    pub fn hostname(&self) -> &str {
        &self.hostname
    }

    /// What a policy is asked.
    pub fn request(&self, direction: Direction) -> Request<'_> {
        Request { name: &self.name, sections: &self.sections, path: &self.path, direction }
    }

    /// What its options make rclone read on this machine.
    pub fn files(&self) -> Result<Vec<LocalAccess>, Failure> {
        policy::local_access(self.sections.values())
    }

    /// Refuses what no remote may be.
    pub fn check(&self) -> Result<(), Failure> {
        check(&self.sections)
    }

    /// Sets the options that a policy wants, if they may be.
    pub fn pin(&mut self, pinned: &Pins) -> Result<(), Failure> {
        self.pinned = pinned.clone();
        self.pinned.apply(&mut self.sections);
        check(&self.sections)
    }

    /// What tells this remote or account from any other.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(self.sections.values(), &self.hostname)
    }

    /// A configuration file that holds this remote alone.
    pub fn to_ini(&self) -> Vec<u8> {
        ini::written(&self.sections).into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(config: &[(&str, &str)]) -> Said {
        let config = config.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        Said { config, hostname: "laptop".into(), directory: "/home/me".into() }
    }

    #[test]
    fn an_imported_remote_has_a_type_a_path_and_the_connectors_options() {
        let said = said(&[
            ("location", "rclone://photos/2024"),
            ("rclone_type", "s3"),
            ("rclone_region", "eu"),
            ("read_ahead", "1MiB"),
        ]);
        let (remote, options) = Remote::from_plakar(said).unwrap();
        assert_eq!((remote.backend(), remote.path()), ("s3", "photos/2024"));
        assert_eq!(remote.target(""), "remote:photos/2024");
        assert_eq!(remote.target("a/b"), "remote:photos/2024/a/b");
        assert_eq!(remote.to_ini(), b"[remote]\nregion = eu\ntype = s3\n");
        assert_eq!(options, [("read_ahead".to_owned(), "1MiB".to_owned())]);
    }

    #[test]
    fn a_remote_without_a_type_is_refused_with_the_remedy() {
        let nothing = Remote::from_plakar(said(&[("location", "rclone://")])).unwrap_err();
        assert!(nothing.message.contains("neither `rclone_type`"), "{}", nothing.message);
        let half = said(&[("location", "rclone://"), ("rclone_url", "http://x")]);
        let half = Remote::from_plakar(half).unwrap_err();
        assert!(half.message.contains("has no `rclone_type`"), "{}", half.message);
    }

    #[test]
    fn a_password_that_rclone_hid_is_refused_with_the_remedy() {
        let hidden = said(&[("rclone_type", "webdav"), ("rclone_pass", "*** ENCRYPTED ***")]);
        let failure = Remote::from_plakar(hidden).unwrap_err();
        assert!(failure.message.contains("`pass` was hidden"), "{}", failure.message);
    }

    #[test]
    fn a_local_path_is_absolute_and_never_empty() {
        let local = |place: &str| said(&[("location", place), ("rclone_type", "local")]);
        let (remote, _) = Remote::from_plakar(local("rclone://docs")).unwrap();
        assert_eq!(remote.path(), "/home/me/docs");
        let (remote, _) = Remote::from_plakar(local("rclone:///srv")).unwrap();
        assert_eq!(remote.target("a"), "remote:/srv/a");
        assert!(Remote::from_plakar(local("rclone://")).is_err());
    }

    #[test]
    fn whatever_plakar_says_is_refused_or_written_as_just_that() {
        use proptest::prelude::*;
        let key = prop_oneof![
            3 => prop::sample::select(vec!["rclone_type", "rclone_host", "rclone_remote", "rclone_upstreams", "rclone_token", "rclone_x]", "location"]).prop_map(str::to_owned),
            1 => "rclone_.{0,8}",
            1 => ".{0,8}",
        ];
        let value = prop_oneof![
            3 => prop::sample::select(vec!["sftp", "s3", "union", "a:b c:d \"e f:g\"", ":sftp,ssh=x:", "[x]\nssh = y", " # ;", "\"", "x=y", "/a"]).prop_map(str::to_owned),
            1 => ".{0,16}",
        ];
        crate::fuzzing::check_property(prop::collection::btree_map(key, value, 0..6), |config| {
            let said = Said { config: config.clone(), hostname: "h".into(), directory: "/".into() };
            let Ok((remote, _)) = Remote::from_plakar(said) else { return };
            // As rclone reads it: the test `rogue_configurations` asks rclone itself.
            let written = String::from_utf8(remote.to_ini()).unwrap();
            assert_eq!(ini::parse(&written).as_ref(), Ok(remote.sections()), "{written}");
            let headings = written.lines().filter(|line| line.trim().starts_with('['));
            assert_eq!(headings.count(), 1, "{written}");
            let options = config.iter().filter_map(|(key, value)| {
                Some((key.strip_prefix(PREFIX)?.to_owned(), value.clone()))
            });
            assert_eq!(remote.sections()[IMPORTED], options.collect::<Section>());
        });
    }

    #[test]
    fn a_value_means_to_rclone_what_the_policy_saw() {
        let alias = |more: &[(&str, &str)]| {
            let pairs = [("location", "rclone://"), ("rclone_type", "alias")];
            Remote::from_plakar(said(&[&pairs, more].concat())).map(|(remote, _)| remote)
        };
        let variable =
            alias(&[("rclone_remote", "%(x)s"), ("rclone_x", ":sftp,ssh=y:")]).unwrap_err();
        assert!(variable.message.contains("`remote` of the remote has `%(...)s`"));
        let quoted = alias(&[("rclone_remote", "`:sftp,ssh=y:`")]).unwrap();
        assert_eq!(quoted.to_ini(), b"[remote]\nremote = ``:sftp,ssh=y:``\ntype = alias\n");
    }
}
