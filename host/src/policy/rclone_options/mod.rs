//! The table of what rclone's options do on this machine.
//!
//! - [`hard_denies`]: options that no policy can allow
//! - [`wrapped_remotes`]: remotes that the values of options name
//! - [`paths`]: names in a directory, and paths

pub mod hard_denies;
pub mod paths;
pub mod wrapped_remotes;

use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use crate::connector::{Failure, Reason};

static TABLE: LazyLock<Result<Table, toml::de::Error>> =
    LazyLock::new(|| parse(include_str!("table.toml")));

/// Names of options, by what they do.
pub struct Table {
    commands: BTreeSet<String>,
    wraps: BTreeSet<String>,
    /// Backends and options that read local files, or make use of what this user may do.
    private: BTreeSet<(String, String)>,
    /// Of these, those whose value is a file; and the files of the others.
    named: BTreeSet<(String, String)>,
    usual: BTreeMap<(String, String), Vec<String>>,
    /// Those that connect to a socket that is a file.
    sockets: BTreeSet<(String, String)>,
    /// Backends and options that name a host.
    addresses: BTreeSet<(String, String)>,
    /// Of these, those after which rclone puts names as they are.
    prefixes: BTreeSet<(String, String)>,
    /// Of these, those whose value is a part of several hosts: `{}` in them.
    hosts: BTreeMap<(String, String), Vec<String>>,
    /// Those that name a part of one.
    host_parts: BTreeSet<(String, String)>,
    /// What backends write into their sections beside options.
    undeclared: BTreeSet<String>,
    /// All that someone has looked at.
    known: BTreeSet<String>,
}

/// What an option makes rclone read on this machine, as it names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read {
    /// A file that the option's value names.
    Named(String),
    /// A file or directory at its usual place.
    Usual(String),
    /// What answers on a socket that is a file.
    Socket,
}

#[derive(Deserialize)]
struct File {
    elsewhere: Vec<String>,
    undeclared: BTreeSet<String>,
    group: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    does: Does,
    backends: Vec<String>,
    options: Vec<String>,
    /// Where what is made use of lies.
    #[serde(default)]
    files: Vec<String>,
    /// The hosts that a value is a part of.
    #[serde(default)]
    hosts: Vec<String>,
}

/// What is in the name of an option that names a host.
const HOSTLIKE: [&str; 11] = [
    "address", "domain", "endpoint", "gateway", "host", "origin", "proxy", "resolver", "server",
    "uri", "url",
];

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Does {
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

impl Table {
    /// Whether an option of this name makes rclone run a program of the value's choice,
    /// in whatever backend. One that nobody has looked at does so if it is called a command.
    pub fn runs_command(&self, option: &str) -> bool {
        self.commands.contains(option)
            || option.ends_with("command") && !self.known.contains(option)
    }

    /// Whether a backend writes it into its section, though it is none of its options.
    pub fn is_undeclared(&self, key: &str) -> bool {
        self.undeclared.contains(key)
    }

    /// Whether the value of an option of this name is another remote.
    pub fn wraps(&self, option: &str) -> bool {
        self.wraps.contains(option)
    }

    /// Whether it reads or writes local files, or makes use of what this user may do.
    pub fn is_private(&self, backend: &str, option: &str) -> bool {
        has(&self.private, backend, option)
    }

    /// What an option makes rclone read.
    pub fn files(&self, backend: &str, option: &str, value: &str) -> Vec<Read> {
        if is_off(value) {
            return Vec::new();
        }
        if has(&self.sockets, backend, option) {
            return vec![Read::Socket];
        }
        if has(&self.named, backend, option) {
            // A Kerberos cache has its kind before it; a key may have its public half beside it.
            let path = ["FILE:", "DIR:"].iter().find_map(|kind| value.strip_prefix(kind));
            let path = path.unwrap_or(value);
            return vec![Read::Named(path.to_owned()), Read::Named(format!("{path}.pub"))];
        }
        let usual = self.usual.get(&(backend.to_owned(), option.to_owned()));
        usual.into_iter().flatten().cloned().map(Read::Usual).collect()
    }

    /// Whether it names a host to connect to. One that none has looked at does so if it is
    /// called like one.
    pub fn is_address(&self, backend: &str, option: &str) -> bool {
        let is_called = || HOSTLIKE.iter().any(|part| option.contains(part));
        has(&self.addresses, backend, option) || !self.known.contains(option) && is_called()
    }

    /// Whether rclone puts names right after its value, which would go on with the host.
    pub fn is_address_prefix(&self, backend: &str, option: &str) -> bool {
        has(&self.prefixes, backend, option)
    }

    /// The hosts that its value is a part of, with `{}` in its place; none where it is one.
    pub fn hosts_of(&self, backend: &str, option: &str) -> &[String] {
        let pair = (backend.to_owned(), option.to_owned());
        self.hosts.get(&pair).map_or(&[], Vec::as_slice)
    }

    /// Whether it names a part of a host to connect to.
    pub fn is_host_part(&self, backend: &str, option: &str) -> bool {
        has(&self.host_parts, backend, option)
    }
}

/// Whether a value turns an option off.
pub fn is_off(value: &str) -> bool {
    matches!(value, "" | "false" | "0")
}

fn has(pairs: &BTreeSet<(String, String)>, backend: &str, option: &str) -> bool {
    ["*", backend].iter().any(|backend| pairs.contains(&((*backend).to_owned(), option.to_owned())))
}

/// The table. Nothing is allowed without one.
pub fn table() -> Result<&'static Table, Failure> {
    TABLE.as_ref().map_err(|_| {
        Failure::new(
            Reason::Denied,
            "the table of rclone's options in plakbox is broken: install another version of plakbox",
        )
    })
}

fn parse(text: &str) -> Result<Table, toml::de::Error> {
    let file: File = toml::from_str(text)?;
    let named = |does: Does| {
        let groups = file.group.iter().filter(move |group| group.does == does);
        groups.flat_map(|group| group.options.iter().cloned())
    };
    let pairs = |kinds: &[Does]| {
        let groups = file.group.iter().filter(|group| kinds.contains(&group.does));
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
    let lists = |of: fn(&Group) -> &Vec<String>| {
        let groups = file.group.iter().filter(move |group| !of(group).is_empty());
        groups.flat_map(move |group| {
            let pairs = |backend: &String| {
                let options = group.options.iter();
                options
                    .map(|option| ((backend.clone(), option.clone()), of(group).clone()))
                    .collect::<Vec<_>>()
            };
            group.backends.iter().flat_map(pairs).collect::<Vec<_>>()
        })
    };
    Ok(Table {
        undeclared: file.undeclared.clone(),
        private: pairs(&[Does::LocalFile, Does::LocalSocket, Does::Ambient]),
        sockets: pairs(&[Does::LocalSocket]),
        named: pairs(&[Does::LocalFile]),
        usual: lists(|group| &group.files).collect(),
        hosts: lists(|group| &group.hosts).collect(),
        addresses: pairs(&[Does::Address, Does::AddressPrefix]),
        prefixes: pairs(&[Does::AddressPrefix]),
        host_parts: pairs(&[Does::HostPart]),
        commands: named(Does::RunsCommand).chain(file.elsewhere.iter().cloned()).collect(),
        wraps: named(Does::Wraps).collect(),
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
    fn a_command_that_nobody_has_looked_at_is_one() {
        let table = table().unwrap();
        assert!(table.runs_command("token_command"));
        assert!(!table.runs_command("md5sum_command"));
        assert!(!table.runs_command("commands_per_second"));
    }

    #[test]
    fn a_table_with_an_unknown_word_is_none() {
        let group = |does| {
            format!(
                "elsewhere = []\nundeclared = []\n[[group]]\ndoes = \"{does}\"\nbackends = []\noptions = []\n"
            )
        };
        assert!(parse(&group("harmless")).is_ok());
        assert!(parse(&group("harmles")).is_err());
    }
}
