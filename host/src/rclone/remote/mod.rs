//! The remote that a user configured: parsed, checked, and written again for rclone.
//!
//! - [`spec`]: a remote as Plakar passes it
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
mod spec;
pub mod user_config;
pub mod validate;

pub use spec::{OPTION_PREFIX, RemoteSpec};

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::backends::GOOGLE_PHOTOS;
use crate::connector::{Failure, Reason};
use crate::direction::Direction;
use crate::policy::{self, LocalAccess, Pins, Request};
use fingerprint::Fingerprint;
use ini::{Section, Sections};
use validate::{check, stable_options};

/// The name of an imported remote in its private configuration.
const IMPORTED_NAME: &str = "remote";

/// Text that `rclone config show` prints in place of a password.
pub const HIDDEN_PASSWORD: &str = "*** ENCRYPTED ***";

/// A remote, and a path inside it.
#[derive(Debug, Clone)]
pub struct Remote {
    name: String,
    /// The section called `name`, and every section that it wraps.
    sections: Sections,
    path: String,
    /// The user's own rclone.conf, if the remote is in it.
    file: Option<PathBuf>,
    hostname: String,
    /// Options that a policy has set.
    pinned: Pins,
}

impl Remote {
    /// Parses and checks a remote. Returns the remaining options as well, which are the connector's
    /// own.
    ///
    /// # Errors
    ///
    /// The remote is unknown, incomplete or never allowed.
    pub fn from_plakar(spec: RemoteSpec) -> Result<(Self, Vec<(String, String)>), Failure> {
        let (remote, options) = Self::from_plakar_unchecked(spec)?;
        remote.check()?;
        Ok((remote, options))
    }

    /// Parses a remote without checking it; the caller must call [`Self::check`].
    ///
    /// # Errors
    ///
    /// The remote is unknown or incomplete.
    pub fn from_plakar_unchecked(
        mut spec: RemoteSpec,
    ) -> Result<(Self, Vec<(String, String)>), Failure> {
        let protocol = spec.protocol().unwrap_or("rclone").to_owned();
        let location = spec.config.remove("location").unwrap_or_default();
        let address = location.split_once("://").map_or(location.as_str(), |(_, address)| address);
        let (imported, options): (Vec<_>, Vec<_>) =
            spec.config.into_iter().partition(|(key, _)| key.starts_with(OPTION_PREFIX));
        let section: Section = imported
            .into_iter()
            .map(|(key, value)| (key[OPTION_PREFIX.len()..].to_owned(), value))
            .collect();
        let mut remote = if section.is_empty() {
            Self::from_user_file(&protocol, address, &spec.hostname)?
        } else {
            Self::imported(&protocol, section, address, &spec.hostname)?
        };
        remote.resolve(&spec.directory)?;
        Ok((remote, options))
    }

    /// A remote that was imported into Plakar, without its name and other remotes.
    fn imported(
        protocol: &str,
        section: Section,
        path: &str,
        hostname: &str,
    ) -> Result<Self, Failure> {
        if section.get("type").is_none_or(|backend| backend.is_empty()) {
            return Err(Failure::invalid_config("the remote has no `rclone_type`").with_help(
                "run `plakbox renew NAME`, or import it again with `rclone config dump | plakar \
                 source import -rclone -overwrite NAME`",
            ));
        }
        if let Some((key, _)) = section.iter().find(|(_, value)| *value == HIDDEN_PASSWORD) {
            return Err(Failure::invalid_config(format!(
                "the remote's `{key}` was hidden by `rclone config show`"
            ))
            .with_help(
                "run `plakbox renew NAME`, or where rclone.conf is encrypted `rclone config dump \
                 | plakbox renew --stdin NAME`",
            ));
        }
        location::check_path(protocol, path)?;
        Ok(Self {
            name: IMPORTED_NAME.to_owned(),
            sections: BTreeMap::from([(IMPORTED_NAME.to_owned(), section)]),
            path: path.to_owned(),
            file: None,
            hostname: hostname.to_owned(),
            pinned: Pins::default(),
        })
    }

    /// The remote `NAME:path` of the user's own rclone.conf.
    fn from_user_file(protocol: &str, address: &str, hostname: &str) -> Result<Self, Failure> {
        let Some((name, path)) = address.split_once(':') else {
            return Err(location::missing_remote(protocol, address));
        };
        Self::from_file(user_config::find()?, name, path, hostname)
    }

    pub(super) fn from_file(
        file: PathBuf,
        name: &str,
        path: &str,
        hostname: &str,
    ) -> Result<Self, Failure> {
        user_config::check_name(name)?;
        Ok(Self {
            name: name.to_owned(),
            sections: user_config::with_wrapped(&user_config::read(&file, name)?, name)?,
            path: path.to_owned(),
            file: Some(file),
            hostname: hostname.to_owned(),
            pinned: Pins::default(),
        })
    }

    /// Makes a path on this machine absolute, since rclone runs in a directory of its own.
    fn resolve(&mut self, directory: &str) -> Result<(), Failure> {
        if self.backend() != "local" {
            return Ok(());
        }
        if self.path.is_empty() {
            return Err(Failure::invalid_config(
                "a remote of type `local` needs a path: rclone:///path/to/directory",
            ));
        }
        if Path::new(directory).is_absolute() {
            self.path = Path::new(directory).join(&self.path).to_string_lossy().into_owned();
        }
        Ok(())
    }

    /// Canonical names of its backend and of those that it wraps. A wrapped local path has no
    /// section, so `local` is always one of them.
    pub fn backends(&self) -> impl Iterator<Item = &str> {
        let types = self.sections.values().filter_map(|section| section.get("type"));
        types.map(|name| policy::canonical_backend(name)).chain(["local"])
    }

    /// Canonical name of the backend: `s3`, `google photos`.
    pub fn backend(&self) -> &str {
        policy::canonical_backend(self.option("type").unwrap_or_default())
    }

    /// Whether the remote itself is Google Photos.
    pub fn is_google_photos(&self) -> bool {
        self.backend() == GOOGLE_PHOTOS
    }

    /// An option of the remote itself, not of one that it wraps.
    pub fn option(&self, key: &str) -> Option<&str> {
        self.sections.get(&self.name).and_then(|section| section.get(key)).map(String::as_str)
    }

    /// Whether files come from plain web servers, of which many ignore ranges: after a break,
    /// rclone would get the file from its start.
    pub fn lacks_range_support(&self) -> bool {
        self.sections.values().any(|section| section.get("type").is_some_and(|it| it == "http"))
    }

    /// Checks that the backend can be written: rclone would refuse each file.
    ///
    /// # Errors
    ///
    /// The remote is a web server.
    pub fn check_writable(&self) -> Result<(), Failure> {
        if self.backend() != "http" {
            return Ok(());
        }
        Err(Failure::new(Reason::Unsupported, "http remotes are read only")
            .with_help("restore to a remote of another kind, or to a local directory (`fs://`)"))
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

    /// The user's own file and the remote's name, if the remote is in it.
    pub fn user_file(&self) -> Option<(&Path, &str)> {
        self.file.as_deref().map(|file| (file, self.name.as_str()))
    }

    /// Reads the remote from the user's own file again.
    ///
    /// # Errors
    ///
    /// The file can't be read, or the remote isn't the one that the policy has allowed.
    pub fn reload(&mut self) -> Result<(), Failure> {
        let Some(file) = self.file.clone() else { return Ok(()) };
        let sections =
            user_config::with_wrapped(&user_config::read(&file, &self.name)?, &self.name)?;
        check(&sections)?;
        let before = std::mem::replace(&mut self.sections, sections);
        self.pinned.apply(&mut self.sections);
        if stable_options(&before) != stable_options(&self.sections) {
            return Err(Failure::invalid_config(format!(
                "the remote changed in `{}` while it was asked whether it is allowed",
                file.display()
            ))
            .with_help("run it again"));
        }
        Ok(())
    }

    /// The section of the remote, and every section that it wraps.
    pub fn sections(&self) -> &Sections {
        &self.sections
    }

    /// The name of the machine that Plakar runs on.
    pub fn hostname(&self) -> &str {
        &self.hostname
    }

    /// The request for a policy's decision.
    pub fn request(&self, direction: Direction) -> Request<'_> {
        Request { name: &self.name, sections: &self.sections, path: &self.path, direction }
    }

    /// The files and sockets on this machine that its options make rclone use.
    ///
    /// # Errors
    ///
    /// The table of options can't be read.
    pub fn local_files(&self) -> Result<Vec<LocalAccess>, Failure> {
        policy::local_access(self.sections.values())
    }

    /// Checks that the remote has nothing that is never allowed.
    ///
    /// # Errors
    ///
    /// An option or a name is never allowed.
    pub fn check(&self) -> Result<(), Failure> {
        check(&self.sections)
    }

    /// Sets the options that a policy demands.
    ///
    /// # Errors
    ///
    /// The result is never allowed.
    pub fn pin(&mut self, pinned: &Pins) -> Result<(), Failure> {
        self.pinned = pinned.clone();
        self.pinned.apply(&mut self.sections);
        check(&self.sections)
    }

    /// The fingerprint of the remote or account.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::new(self.sections.values(), &self.hostname)
    }

    /// A configuration file with this remote only.
    pub fn to_ini(&self) -> Vec<u8> {
        ini::serialize(&self.sections).into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(config: &[(&str, &str)]) -> RemoteSpec {
        let config = config.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        RemoteSpec { config, hostname: "laptop".into(), directory: "/home/me".into() }
    }

    #[test]
    fn an_imported_remote_has_a_type_a_path_and_the_connectors_options() {
        let spec = spec(&[
            ("location", "rclone://photos/2024"),
            ("rclone_type", "s3"),
            ("rclone_region", "eu"),
            ("read_ahead", "1MiB"),
        ]);
        let (remote, options) = Remote::from_plakar(spec).unwrap();
        assert_eq!((remote.backend(), remote.path()), ("s3", "photos/2024"));
        assert_eq!(remote.target(""), "remote:photos/2024");
        assert_eq!(remote.target("a/b"), "remote:photos/2024/a/b");
        assert_eq!(remote.to_ini(), b"[remote]\nregion = eu\ntype = s3\n");
        assert_eq!(options, [("read_ahead".to_owned(), "1MiB".to_owned())]);
    }

    #[test]
    fn a_remote_without_a_type_is_refused_with_the_remedy() {
        let nothing = Remote::from_plakar(spec(&[("location", "rclone://")])).unwrap_err();
        assert!(nothing.message.contains("neither `rclone_type`"), "{}", nothing.message);
        let half = spec(&[("location", "rclone://"), ("rclone_url", "http://x")]);
        let half = Remote::from_plakar(half).unwrap_err();
        assert!(half.message.contains("has no `rclone_type`"), "{}", half.message);
    }

    #[test]
    fn a_password_that_rclone_hid_is_refused_with_the_remedy() {
        let hidden = spec(&[("rclone_type", "webdav"), ("rclone_pass", "*** ENCRYPTED ***")]);
        let failure = Remote::from_plakar(hidden).unwrap_err();
        assert!(failure.message.contains("`pass` was hidden"), "{}", failure.message);
    }

    #[test]
    fn a_local_path_is_absolute_and_never_empty() {
        let local = |address: &str| spec(&[("location", address), ("rclone_type", "local")]);
        let (remote, _) = Remote::from_plakar(local("rclone://docs")).unwrap();
        assert_eq!(remote.path(), "/home/me/docs");
        let (remote, _) = Remote::from_plakar(local("rclone:///srv")).unwrap();
        assert_eq!(remote.target("a"), "remote:/srv/a");
        assert!(Remote::from_plakar(local("rclone://")).is_err());
    }

    #[test]
    fn whatever_plakar_says_is_refused_or_written_as_just_that() {
        use proptest::prelude::*;
        let keys = "rclone_type rclone_host rclone_remote rclone_upstreams rclone_token rclone_x] location";
        let keys: Vec<_> = keys.split(' ').map(str::to_owned).collect();
        let key = prop_oneof![
            3 => prop::sample::select(keys),
            1 => "rclone_.{0,8}",
            1 => ".{0,8}",
        ];
        let value = prop_oneof![
            3 => prop::sample::select(vec![
                "sftp", "s3", "union", "a:b c:d \"e f:g\"", ":sftp,ssh=x:", "[x]\nssh = y", " # ;",
                "\"", "x=y", "/a"]).prop_map(str::to_owned),
            1 => ".{0,16}",
        ];
        let inputs = prop::collection::btree_map(key, value, 0..6);
        crate::random_inputs::check_property(inputs, |config| {
            let spec = RemoteSpec { config: config.clone(), ..spec(&[]) };
            let Ok((remote, _)) = Remote::from_plakar(spec) else { return };
            // As rclone reads it: the test `rogue_configurations` compares it with rclone itself.
            let written = String::from_utf8(remote.to_ini()).unwrap();
            assert_eq!(ini::parse(&written).as_ref(), Ok(remote.sections()), "{written}");
            let headings = written.lines().filter(|line| line.trim().starts_with('['));
            assert_eq!(headings.count(), 1, "{written}");
            let options = config.iter().filter_map(|(key, value)| {
                Some((key.strip_prefix(OPTION_PREFIX)?.to_owned(), value.clone()))
            });
            assert_eq!(remote.sections()[IMPORTED_NAME], options.collect::<Section>());
        });
    }

    #[test]
    fn a_value_means_to_rclone_what_the_policy_saw() {
        let alias = |more: &[(&str, &str)]| {
            let pairs = [("location", "rclone://"), ("rclone_type", "alias")];
            Remote::from_plakar(spec(&[&pairs, more].concat())).map(|(remote, _)| remote)
        };
        let variable =
            alias(&[("rclone_remote", "%(x)s"), ("rclone_x", ":sftp,ssh=y:")]).unwrap_err();
        assert!(variable.message.contains("`remote` of the remote has `%(...)s`"));
        let quoted = alias(&[("rclone_remote", "`:sftp,ssh=y:`")]).unwrap();
        assert_eq!(quoted.to_ini(), b"[remote]\nremote = ``:sftp,ssh=y:``\ntype = alias\n");
    }
}
