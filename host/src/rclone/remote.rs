//! What a user says of a remote: parsed, checked, and written again in our words.

use ini::{Ini, ParseOption};
use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::path::{Path, PathBuf};

use super::fingerprint::Fingerprint;
use super::photos;
use crate::contract::{Failure, Reason};
use crate::policy::{self, Request, Use};

/// What Plakar puts before each key of an imported rclone configuration.
const PREFIX: &str = "rclone_";

/// The name of an imported remote in its private configuration.
const IMPORTED: &str = "remote";

/// What `rclone config show` prints instead of a password.
const HIDDEN: &str = "*** ENCRYPTED ***";

pub use crate::policy::Section;

/// A remote, and a path inside it.
#[derive(Debug, Clone)]
pub struct Remote {
    name: String,
    /// The section called `name`, and every one that it builds upon.
    sections: BTreeMap<String, Section>,
    path: String,
    /// The user's own rclone.conf, where the remote is one of it.
    file: Option<PathBuf>,
    hostname: String,
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
}

fn invalid(message: impl AsRef<str>) -> Failure {
    Failure::new(Reason::InvalidConfiguration, message)
}

impl Remote {
    /// Takes the remote out of what Plakar says; gives the options that are left,
    /// which are the connector's own.
    pub fn from_plakar(mut said: Said) -> Result<(Self, Vec<(String, String)>), Failure> {
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
            Self::imported(section, place, &said.hostname)?
        };
        remote.resolve(&said.directory)?;
        for (name, section) in &remote.sections {
            policy::check(name, section)?;
        }
        Ok((remote, options))
    }

    /// A remote that was imported into Plakar: it has no name, and nothing beside it.
    fn imported(section: Section, path: &str, hostname: &str) -> Result<Self, Failure> {
        if section.get("type").is_none_or(|backend| backend.is_empty()) {
            return Err(invalid(
                "the remote has no `rclone_type`: import it again with `rclone config show NAME | plakar source import -rclone`",
            ));
        }
        if let Some((key, _)) = section.iter().find(|(_, value)| *value == HIDDEN) {
            return Err(invalid(format!(
                "the remote's `{key}` was hidden by `rclone config show`: import it with `plakar source import -rclone -overwrite -config ~/.config/rclone/rclone.conf NAME`, or back up rclone://NAME:path"
            )));
        }
        Ok(Self {
            name: IMPORTED.to_owned(),
            sections: BTreeMap::from([(IMPORTED.to_owned(), section)]),
            path: path.to_owned(),
            file: None,
            hostname: hostname.to_owned(),
        })
    }

    /// `NAME:path` of the user's own rclone.conf.
    fn from_user_file(protocol: &str, place: &str, hostname: &str) -> Result<Self, Failure> {
        let Some((name, path)) = place.split_once(':') else {
            return Err(invalid(format!(
                "`{protocol}://{place}` has neither `rclone_type` nor the name of a remote: import one with `rclone config show NAME | plakar source import -rclone`, or name one of your rclone.conf as {protocol}://NAME:path"
            )));
        };
        check_name(name)?;
        let file = user_file()?;
        let all = read(&file)?;
        let mut sections = BTreeMap::new();
        collect(&all, name, &mut sections)?;
        Ok(Self {
            name: name.to_owned(),
            sections,
            path: path.to_owned(),
            file: Some(file),
            hostname: hostname.to_owned(),
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

    /// rclone's name of the backend: `s3`, `google photos`.
    pub fn backend(&self) -> &str {
        match self.option("type").unwrap_or_default() {
            // rclone takes these for the same.
            "gphotos" | "googlephotos" => photos::BACKEND,
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

    /// The user's own file, where the remote is one of it.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// What a policy is asked.
    pub fn request(&self, r#use: Use) -> Request<'_> {
        Request { name: &self.name, sections: &self.sections, path: &self.path, r#use }
    }

    /// The files of this machine that its options name.
    pub fn files(&self) -> Result<Vec<String>, Failure> {
        policy::files(self.sections.values())
    }

    /// Sets the options that a policy wants.
    pub fn pin(&mut self, pinned: &BTreeMap<String, BTreeMap<String, String>>) {
        for (name, options) in pinned {
            if let Some(section) = self.sections.get_mut(name) {
                section.extend(options.clone());
            }
        }
    }

    /// What tells this remote or account from any other.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(self.sections.values(), &self.hostname)
    }

    /// The values that nobody else may see.
    pub fn secrets(&self) -> Vec<String> {
        let values = self.sections.values().flatten();
        values
            .filter(|(key, _)| policy::is_secret(key))
            .flat_map(|(_, value)| {
                // A token is JSON with secrets inside.
                let inner = serde_json::from_str::<BTreeMap<String, serde_json::Value>>(value)
                    .unwrap_or_default();
                let inner = inner.into_iter().filter(|(key, _)| policy::is_secret(key));
                let inner = inner.filter_map(|(_, value)| value.as_str().map(str::to_owned));
                inner.chain([value.clone()]).collect::<Vec<_>>()
            })
            .filter(|secret| secret.len() >= 4)
            .collect()
    }

    /// A configuration file that holds this remote alone.
    pub fn to_ini(&self) -> Vec<u8> {
        let mut text = String::new();
        for (name, section) in &self.sections {
            text += &format!("[{name}]\n");
            for (key, value) in section {
                text += &format!("{key} = {value}\n");
            }
        }
        text.into_bytes()
    }
}

/// Refuses what rclone would take for more than a name: a backend made up on the
/// spot (`:sftp:`) or options after a comma (`name,ssh=...:`).
fn check_name(name: &str) -> Result<(), Failure> {
    let plain = |char: char| char.is_alphanumeric() || "_-. +@".contains(char);
    if !name.is_empty() && name.chars().all(plain) {
        return Ok(());
    }
    Err(invalid(format!(
        "`{}` is not the name of a remote: connection strings are refused, use a remote of your rclone.conf",
        name.escape_debug()
    )))
}

/// The user's rclone.conf.
///
/// Source: rclone's documentation of `--config`.
fn user_file() -> Result<PathBuf, Failure> {
    let home = env::var_os("HOME").map(PathBuf::from);
    let in_home = |path: &str| home.as_ref().map(|home| home.join(path));
    let configs = env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).or_else(|| in_home(".config"));
    env::var_os("RCLONE_CONFIG")
        .map(PathBuf::from)
        .into_iter()
        .chain(configs.map(|configs| configs.join("rclone/rclone.conf")))
        .chain(in_home(".rclone.conf"))
        .find(|path| path.is_file())
        .ok_or_else(|| {
            invalid(
                "there is no rclone.conf: run `rclone config`, or set RCLONE_CONFIG to its path",
            )
        })
}

fn read(file: &Path) -> Result<Ini, Failure> {
    let shown = file.display();
    let text = std::fs::read_to_string(file)
        .map_err(|error| invalid(format!("`{shown}` can't be read: {error}")))?;
    if text.starts_with("# Encrypted rclone configuration File")
        || text.contains("RCLONE_ENCRYPT_V0:")
    {
        return Err(invalid(format!(
            "`{shown}` is encrypted: import the remote with `rclone config show NAME | plakar source import -rclone` instead"
        )));
    }
    parse(&text).map_err(|line| {
        invalid(format!(
            "`{shown}` is no rclone configuration: line {line} makes no sense: correct it, or run `rclone config`"
        ))
    })
}

/// Takes a configuration apart, or gives the line that can't be: it may hold a secret.
fn parse(text: &str) -> Result<Ini, usize> {
    let options =
        ParseOption { enabled_quote: false, enabled_escape: false, ..ParseOption::default() };
    Ini::load_from_str_opt(text, options).map_err(|error| error.line)
}

/// The remote that `rclone config show NAME` prints, and its name.
pub fn shown(text: &str) -> Result<(String, Section), Failure> {
    const HOW: &str = "run `rclone config show NAME | plakbox doctor`";
    let no_configuration =
        || invalid(format!("what came on stdin is no rclone configuration: {HOW}"));
    let all = parse(text).map_err(|_| no_configuration())?;
    let named = |(name, section): (Option<&str>, &ini::Properties)| {
        let options = section.iter().map(|(key, value)| (key.to_owned(), value.to_owned()));
        Some((name?.to_owned(), options.collect::<Section>()))
    };
    let mut remotes: Vec<_> = all.iter().filter_map(named).collect();
    match (remotes.pop(), remotes.len()) {
        (Some((name, section)), 0) if section.is_empty() => Err(invalid(format!(
            "rclone has no remote `{}`: `rclone listremotes` lists them",
            name.escape_debug()
        ))),
        (Some(remote), 0) => Ok(remote),
        (Some(_), others) => Err(invalid(format!(
            "{} remotes came on stdin, and one is looked at: {HOW}",
            others + 1
        ))),
        (None, _) => Err(no_configuration()),
    }
}

/// Collects a section and all that it builds upon.
fn collect(all: &Ini, name: &str, sections: &mut BTreeMap<String, Section>) -> Result<(), Failure> {
    if sections.contains_key(name) {
        return Ok(());
    }
    let section = all.section(Some(name)).ok_or_else(|| {
        invalid(format!("your rclone.conf has no remote `{name}`: `rclone listremotes` lists them"))
    })?;
    let section: Section = section.iter().map(|(key, value)| (key.into(), value.into())).collect();
    let wrapped = wrapped(&section);
    sections.insert(name.to_owned(), section);
    wrapped.iter().try_for_each(|name| collect(all, name, sections))
}

/// The names of the remotes that a section builds upon.
///
/// Source: the options `remote` (alias, crypt, chunker, compress, hasher, cache,
/// archive) and `upstreams` (union, combine) of rclone's backends.
fn wrapped(section: &Section) -> BTreeSet<String> {
    let remote = section.get("remote").into_iter().map(String::as_str);
    let upstreams = section.get("upstreams").into_iter().flat_map(|list| list.split_whitespace());
    let upstreams = upstreams.map(|one| one.split_once('=').map_or(one, |(_, remote)| remote));
    remote
        .chain(upstreams)
        .filter_map(|target| target.trim_matches('"').split_once(':'))
        .map(|(name, _)| name.to_owned())
        .filter(|name| check_name(name).is_ok() && !name.contains('/'))
        .collect()
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
    fn what_rclone_shows_of_a_remote_is_taken_apart() {
        let (name, section) = shown("[my dav]\ntype = webdav\nurl = http://a/#b\n").unwrap();
        assert_eq!((name.as_str(), &*section["url"]), ("my dav", "http://a/#b"));
        for (text, said) in [
            ("", "no rclone configuration"),
            ("hello", "no rclone configuration"),
            ("type = webdav\n", "no rclone configuration"),
            ("[a]\ntype = s3\n[b]\ntype = s3\n", "2 remotes came"),
            ("[no]\n# couldn't find type of fs for \"no\"\n", "has no remote `no`"),
        ] {
            let failure = shown(text).unwrap_err();
            assert!(failure.message.contains(said), "{text:?}: {}", failure.message);
        }
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
        crate::fuzzing::for_a_while(prop::collection::btree_map(key, value, 0..6), |config| {
            let said = Said { config: config.clone(), hostname: "h".into(), directory: "/".into() };
            let Ok((remote, _)) = Remote::from_plakar(said) else { return };
            // As rclone reads it: the test `rogue_configurations` asks rclone itself.
            let written = String::from_utf8(remote.to_ini()).unwrap();
            let mut lines = written.lines();
            assert_eq!(lines.next(), Some("[remote]"));
            let read: BTreeMap<_, _> = lines.map(|line| line.split_once(" = ").unwrap()).collect();
            let options = config
                .iter()
                .filter_map(|(key, value)| Some((key.strip_prefix(PREFIX)?, value.as_str())));
            assert_eq!(read, options.collect(), "{written}");
        });
    }

    #[test]
    fn connection_strings_are_no_names() {
        for name in ["", ":sftp", "a,ssh=x", "a:b", "x/y", "a=b", "a\"", "a\n"] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
        for name in ["photos", "My Remote", "a.b-c_d+e@f", "fünf"] {
            assert!(check_name(name).is_ok(), "{name:?}");
        }
    }

    #[test]
    fn a_wrapping_remote_brings_what_it_wraps() {
        let text = "[secret]\ntype = crypt\nremote = base:enc\n[base]\ntype = webdav\n[other]\ntype = s3\n\
                    [all]\ntype = union\nupstreams = base:a \"secret:b\" /local\n";
        let ini = Ini::load_from_str(text).unwrap();
        let names = |name| {
            let mut sections = BTreeMap::new();
            collect(&ini, name, &mut sections).unwrap();
            sections.into_keys().collect::<Vec<_>>()
        };
        assert_eq!(names("secret"), ["base", "secret"]);
        assert_eq!(names("all"), ["all", "base", "secret"]);
    }

    #[test]
    fn secrets_are_found_inside_tokens_too() {
        let said = said(&[
            ("rclone_type", "drive"),
            ("rclone_client_secret", "s3cr3t"),
            ("rclone_token", r#"{"access_token":"AAAA1","refresh_token":"BBBB2","expiry":"x"}"#),
        ]);
        let (remote, _) = Remote::from_plakar(said).unwrap();
        let secrets = remote.secrets();
        for secret in ["s3cr3t", "AAAA1", "BBBB2"] {
            assert!(secrets.iter().any(|known| known == secret), "{secret}");
        }
    }
}
