//! The table of rclone's options and their effects on this machine.
//!
//! - [`hard_denies`]: options that no policy can allow
//! - [`wrapped_remotes`]: remotes that values of options name
//! - [`paths`]: names in a directory, and paths

pub mod hard_denies;
pub mod paths;
pub mod wrapped_remotes;

use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use crate::connector::{Failure, Reason};

static TABLE: LazyLock<Result<OptionTable, toml::de::Error>> =
    LazyLock::new(|| parse(include_str!("table.toml")));

/// Options by their effects.
pub struct OptionTable {
    /// Options that run a command.
    commands: BTreeSet<String>,
    /// Options that name remotes.
    wraps: BTreeSet<String>,
    /// Backends and options that read local files, or use this machine's identity.
    private: BTreeSet<(String, String)>,
    /// Those of [`private`](Self::private) whose value is a path.
    path_options: BTreeSet<(String, String)>,
    /// Default paths of the others.
    default_paths: BTreeMap<(String, String), Vec<String>>,
    /// Backends and options that connect to a Unix socket.
    sockets: BTreeSet<(String, String)>,
    /// Backends and options that name a host.
    addresses: BTreeSet<(String, String)>,
    /// Those of [`addresses`](Self::addresses) to which rclone appends names.
    prefixes: BTreeSet<(String, String)>,
    /// Templates of hosts that contain an option's value in place of `{}`.
    host_templates: BTreeMap<(String, String), Vec<String>>,
    /// Backends and options that name a part of a host.
    host_parts: BTreeSet<(String, String)>,
    /// Keys that backends write into their sections although they aren't options.
    undeclared: BTreeSet<String>,
    /// All options in the table.
    known: BTreeSet<String>,
}

/// A local file or socket that an option makes rclone access.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocalAccess {
    /// A file that the option's value names.
    Path(String),
    /// A file or directory at its default path.
    DefaultPath(String),
    /// A Unix socket.
    Socket,
}

/// The file of the table.
#[derive(Deserialize)]
struct TableFile {
    elsewhere: Vec<String>,
    undeclared: BTreeSet<String>,
    group: Vec<OptionGroup>,
}

/// Options with the same effect.
#[derive(Deserialize)]
struct OptionGroup {
    does: OptionEffect,
    backends: Vec<String>,
    options: Vec<String>,
    /// Default paths of the files that are used.
    #[serde(default)]
    files: Vec<String>,
    /// Templates of the hosts that contain the value.
    #[serde(default)]
    hosts: Vec<String>,
}

/// Words in the names of options that name a host.
const HOST_OPTION_WORDS: [&str; 11] = [
    "address", "domain", "endpoint", "gateway", "host", "origin", "proxy", "resolver", "server",
    "uri", "url",
];

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum OptionEffect {
    RunsCommand,
    Wraps,
    LocalFile,
    LocalSocket,
    Ambient,
    Address,
    AddressPrefix,
    HostPart,
    Harmless,
}

impl OptionTable {
    /// Whether an option of this name makes rclone run a program that its value names, in any
    /// backend. An option that isn't in the table does so if its name ends in `command`.
    pub fn runs_command(&self, option: &str) -> bool {
        self.commands.contains(option)
            || option.ends_with("command") && !self.known.contains(option)
    }

    /// Whether a backend writes this key into its section although it isn't an option.
    pub fn is_undeclared(&self, key: &str) -> bool {
        self.undeclared.contains(key)
    }

    /// Whether the value of an option of this name is a remote.
    pub fn wraps(&self, option: &str) -> bool {
        self.wraps.contains(option)
    }

    /// Whether an option accesses local files, or uses this machine's identity.
    pub fn is_private(&self, backend: &str, option: &str) -> bool {
        contains(&self.private, backend, option)
    }

    /// Lists the local files and sockets that an option makes rclone access.
    pub fn local_access(&self, backend: &str, option: &str, value: &str) -> Vec<LocalAccess> {
        if is_off(value) {
            return Vec::new();
        }
        if contains(&self.sockets, backend, option) {
            return vec![LocalAccess::Socket];
        }
        if contains(&self.path_options, backend, option) {
            // A Kerberos cache has a prefix, and a key's public half may be next to it.
            let path = ["FILE:", "DIR:"].iter().find_map(|kind| value.strip_prefix(kind));
            let path = path.unwrap_or(value);
            let public_key = LocalAccess::Path(format!("{path}.pub"));
            return vec![LocalAccess::Path(path.to_owned()), public_key];
        }
        let defaults = self.default_paths.get(&(backend.to_owned(), option.to_owned()));
        defaults.into_iter().flatten().cloned().map(LocalAccess::DefaultPath).collect()
    }

    /// Whether an option names a host to connect to. An option that isn't in the table does so
    /// if its name has one of [`HOST_OPTION_WORDS`].
    pub fn is_address(&self, backend: &str, option: &str) -> bool {
        let has_host_word = || HOST_OPTION_WORDS.iter().any(|part| option.contains(part));
        contains(&self.addresses, backend, option)
            || !self.known.contains(option) && has_host_word()
    }

    /// Whether rclone appends names to the value, which could change the host.
    pub fn is_address_prefix(&self, backend: &str, option: &str) -> bool {
        contains(&self.prefixes, backend, option)
    }

    /// Templates of the hosts that contain the value in place of `{}`; empty if the value is
    /// the host itself.
    pub fn host_templates(&self, backend: &str, option: &str) -> &[String] {
        let pair = (backend.to_owned(), option.to_owned());
        self.host_templates.get(&pair).map_or(&[], Vec::as_slice)
    }

    /// Whether an option names a part of a host to connect to.
    pub fn is_host_part(&self, backend: &str, option: &str) -> bool {
        contains(&self.host_parts, backend, option)
    }
}

/// Whether a value turns an option off.
pub fn is_off(value: &str) -> bool {
    matches!(value, "" | "false" | "0")
}

fn contains(pairs: &BTreeSet<(String, String)>, backend: &str, option: &str) -> bool {
    ["*", backend].iter().any(|backend| pairs.contains(&((*backend).to_owned(), option.to_owned())))
}

/// Returns the table.
///
/// # Errors
///
/// The table can't be parsed. Everything is denied then.
pub fn table() -> Result<&'static OptionTable, Failure> {
    TABLE.as_ref().map_err(|_| {
        Failure::new(Reason::Denied, "the table of rclone's options in plakbox is broken")
            .with_help("install a different version of plakbox")
    })
}

fn parse(text: &str) -> Result<OptionTable, toml::de::Error> {
    let file: TableFile = toml::from_str(text)?;
    let names = |effect: OptionEffect| {
        let groups = file.group.iter().filter(move |group| group.does == effect);
        groups.flat_map(|group| group.options.iter().cloned())
    };
    let pairs = |effects: &[OptionEffect]| {
        let groups = file.group.iter().filter(|group| effects.contains(&group.does));
        let pairs = groups.flat_map(|group| {
            let options = |backend: &String| {
                group
                    .options
                    .iter()
                    .map(|option| (backend.clone(), option.clone()))
                    .collect::<Vec<_>>()
            };
            group.backends.iter().flat_map(options).collect::<Vec<_>>()
        });
        pairs.collect()
    };
    let lists = |field: fn(&OptionGroup) -> &Vec<String>| {
        let groups = file.group.iter().filter(move |group| !field(group).is_empty());
        groups.flat_map(move |group| {
            let pairs = |backend: &String| {
                let options = group.options.iter();
                options
                    .map(|option| ((backend.clone(), option.clone()), field(group).clone()))
                    .collect::<Vec<_>>()
            };
            group.backends.iter().flat_map(pairs).collect::<Vec<_>>()
        })
    };
    Ok(OptionTable {
        undeclared: file.undeclared.clone(),
        private: pairs(&[
            OptionEffect::LocalFile,
            OptionEffect::LocalSocket,
            OptionEffect::Ambient,
        ]),
        sockets: pairs(&[OptionEffect::LocalSocket]),
        path_options: pairs(&[OptionEffect::LocalFile]),
        default_paths: lists(|group| &group.files).collect(),
        host_templates: lists(|group| &group.hosts).collect(),
        addresses: pairs(&[OptionEffect::Address, OptionEffect::AddressPrefix]),
        prefixes: pairs(&[OptionEffect::AddressPrefix]),
        host_parts: pairs(&[OptionEffect::HostPart]),
        commands: names(OptionEffect::RunsCommand).chain(file.elsewhere.iter().cloned()).collect(),
        wraps: names(OptionEffect::Wraps).collect(),
        known: file.group.iter().flat_map(|group| group.options.iter().cloned()).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order() {
        let table = parse(include_str!("table.toml")).unwrap();
        let names = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(" ");
        assert_eq!(
            names(&table.commands),
            "auth_command bearer_token_command metadata_mapper password_command ssh"
        );
        assert_eq!(names(&table.wraps), "remote tmp_upload_path upstreams");
    }

    #[test]
    fn an_unlisted_option_that_is_called_a_command_is_one() {
        let table = table().unwrap();
        assert!(table.runs_command("token_command"));
        assert!(!table.runs_command("md5sum_command"));
        assert!(!table.runs_command("commands_per_second"));
    }

    #[test]
    fn a_table_with_an_unknown_word_is_none() {
        let group = |does| {
            format!(
                "elsewhere = []\nundeclared = []\n[[group]]\ndoes = \"{does}\"\nbackends = []\n\
                 options = []\n"
            )
        };
        assert!(parse(&group("harmless")).is_ok());
        assert!(parse(&group("harmles")).is_err());
    }
}
