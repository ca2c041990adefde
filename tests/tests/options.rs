//! The table of rclone's options knows whatever the installed rclone declares.

use plakbox_tests::{TestEnv, tools};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// Parts of names of options that may concern files, programs or addresses.
const PARTS: [&str; 27] = [
    "address",
    "cache",
    "cert",
    "command",
    "credential",
    "dir",
    "domain",
    "endpoint",
    "env_auth",
    "exec",
    "file",
    "folder",
    "hook",
    "host",
    "path",
    "prefix",
    "proxy",
    "region",
    "remote",
    "script",
    "server",
    "shell",
    "site",
    "socket",
    "ssh",
    "upstream",
    "url",
];

/// The same, of whole words.
const WORDS: [&str; 22] = [
    "agent",
    "az",
    "binary",
    "ca",
    "config",
    "configs",
    "db",
    "disk",
    "env",
    "home",
    "kerberos",
    "keytab",
    "links",
    "local",
    "log",
    "mounts",
    "msi",
    "pem",
    "principal",
    "program",
    "temp",
    "tmp",
];

/// An option of any backend.
const ANY: &str = "*";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    rclone: String,
    elsewhere: Vec<String>,
    undeclared: Vec<String>,
    group: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    does: String,
    backends: Vec<String>,
    options: Vec<String>,
    #[serde(default)]
    files: Vec<String>,
    #[serde(default)]
    hosts: Vec<String>,
    #[serde(default)]
    why: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Backend {
    name: String,
    options: Vec<BackendOption>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BackendOption {
    name: String,
    #[serde(default)]
    help: String,
    #[serde(default)]
    default_str: String,
    #[serde(default)]
    examples: Option<Vec<Example>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Example {
    #[serde(default)]
    value: String,
}

/// Parts of names of options that may name a host.
const HOSTLIKE: [&str; 20] = [
    "account",
    "address",
    "cloud",
    "cname",
    "domain",
    "endpoint",
    "gateway",
    "host",
    "namespace",
    "node",
    "origin",
    "proxy",
    "realm",
    "region",
    "resolver",
    "server",
    "site",
    "tenant",
    "uri",
    "url",
];

/// The same, of whole words.
const HOSTLIKE_WORDS: [&str; 7] = ["base", "dns", "ip", "location", "port", "root", "zone"];

/// Words in the first line of what an option's help says.
const HELP: [&str; 10] = [
    "address",
    "addresses",
    "domain",
    "endpoint",
    "gateway",
    "host",
    "hostname",
    "server",
    "uri",
    "url",
];

impl BackendOption {
    /// Whether it may name a host, by its name, its help, an example or its default.
    fn looks_like_an_address(&self) -> bool {
        let first = self.help.trim_start().lines().next().unwrap_or_default().to_lowercase();
        // What is said of copies on the server.
        let first = first.replace("server-side", "").replace("server side", "");
        let mut words = first.split(|char: char| !char.is_ascii_alphanumeric());
        let examples = self.examples.iter().flatten().map(|example| example.value.as_str());
        HOSTLIKE.iter().any(|part| self.name.contains(part))
            || self.name.split('_').any(|word| HOSTLIKE_WORDS.contains(&word))
            || words.any(|word| HELP.contains(&word))
            || examples.chain([self.default_str.as_str()]).any(is_address)
    }
}

/// Whether a value is a URL or the name of a host.
fn is_address(value: &str) -> bool {
    let plain = |char: char| char.is_ascii_alphanumeric() || "-.:@".contains(char);
    let letters = |end: &str| end.len() > 1 && end.bytes().all(|byte| byte.is_ascii_lowercase());
    let end = value.split(':').next().unwrap_or_default().rsplit_once('.');
    value.contains("://") || value.chars().all(plain) && end.is_some_and(|(_, end)| letters(end))
}

fn table() -> Table {
    let path = tools::repository().join("host/src/policy/rclone_options/table.toml");
    toml::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// rclone's output, which is JSON.
fn rclone<T: DeserializeOwned>(args: &[&str]) -> T {
    let output = TestEnv::bare().command(tools::rclone()).args(args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Every option of every backend, one that depends on the provider once.
fn declared() -> BTreeSet<(String, String)> {
    let backends: Vec<Backend> = rclone(&["config", "providers"]);
    let of = |backend: Backend| {
        backend.options.into_iter().map(move |option| (backend.name.clone(), option.name))
    };
    backends.into_iter().flat_map(of).collect()
}

/// The table's entry of each option.
fn said(table: &Table) -> Vec<((String, String), &Group)> {
    let pairs = |group: &Group| -> Vec<_> {
        let of = |backend: &String| {
            let backend = backend.clone();
            group.options.iter().map(move |option| (backend.clone(), option.clone()))
        };
        group.backends.iter().flat_map(of).collect()
    };
    let of = |group| pairs(group).into_iter().map(move |pair| (pair, group));
    table.group.iter().flat_map(of).collect()
}

fn looks_dangerous(option: &str) -> bool {
    PARTS.iter().any(|part| option.contains(part))
        || option.split('_').any(|word| WORDS.contains(&word))
}

fn lines(options: &[(String, String)]) -> String {
    options.iter().map(|(backend, option)| format!("  {backend}: {option}\n")).collect()
}

#[test]
fn every_option_of_a_dangerous_name_is_in_the_table() {
    let table = table();
    let known: BTreeSet<_> = said(&table).into_iter().map(|(pair, _)| pair).collect();
    let mut unknown: Vec<_> = declared().into_iter().collect();
    unknown.retain(|(backend, option)| {
        let here = |backend: &str| known.contains(&(backend.to_owned(), option.clone()));
        looks_dangerous(option) && !here(backend) && !here(ANY)
    });
    assert!(
        unknown.is_empty(),
        "rclone has options that host/src/policy/rclone_options/table.toml says nothing \
         of; look at what they do, and add them:\n{}",
        lines(&unknown)
    );
}

#[test]
fn every_option_that_may_name_a_host_is_in_the_table() {
    let table = table();
    let known: BTreeSet<_> = said(&table).into_iter().map(|(pair, _)| pair).collect();
    let backends: Vec<Backend> = rclone(&["config", "providers"]);
    let mut unknown = BTreeSet::new();
    for Backend { name, options } in backends {
        for option in options.into_iter().filter(BackendOption::looks_like_an_address) {
            let here = |backend: &str| known.contains(&(backend.to_owned(), option.name.clone()));
            if !here(&name) && !here(ANY) {
                unknown.insert((name.clone(), option.name));
            }
        }
    }
    assert!(
        unknown.is_empty(),
        "rclone has options that may name hosts, of which \
         host/src/policy/rclone_options/table.toml says nothing; look at what they do, \
         and add them:\n{}",
        lines(&Vec::from_iter(unknown))
    );
}

#[test]
fn an_option_that_may_name_a_host_shows_it_in_its_name_its_help_or_its_values() {
    let option = |name: &str, help: &str, default_str: &str, example: &str| BackendOption {
        name: name.to_owned(),
        help: help.to_owned(),
        default_str: default_str.to_owned(),
        examples: Some(vec![Example { value: example.to_owned() }]),
    };
    for suspect in [
        option("api_gateway", "", "", ""),
        option("x", "\nURL of the thing.", "", ""),
        option("x", "", "https://a.example/", ""),
        option("x", "", "", "eu.a.example"),
        option("x", "", "", "a.example:443"),
    ] {
        assert!(suspect.looks_like_an_address());
    }
    assert!(!option("chunk_size", "Size of a chunk.", "5Mi", "1.5").looks_like_an_address());
}

#[test]
fn every_option_of_the_table_is_one_of_rclone() {
    #[derive(Deserialize)]
    struct Version {
        decomposed: Vec<u64>,
    }
    let table = table();
    let version: Version = rclone(&["rc", "--loopback", "core/version"]);
    let installed = format!("{}.{}", version.decomposed[0], version.decomposed[1]);
    if installed != table.rclone {
        eprintln!("the table is of rclone {}, and {installed} is installed", table.rclone);
        return;
    }
    let declared = declared();
    let mut gone: Vec<_> = said(&table).into_iter().map(|(pair, _)| pair).collect();
    gone.retain(|pair| {
        let in_any = || declared.iter().any(|(_, option)| *option == pair.1);
        !(declared.contains(pair)
            || pair.0 == ANY && in_any()
            || table.undeclared.contains(&pair.1))
    });
    assert!(
        gone.is_empty(),
        "host/src/policy/rclone_options/table.toml names options that rclone \
         {installed} doesn't have; correct or remove them:\n{}",
        lines(&gone)
    );
    let declared_now: Vec<_> =
        declared.into_iter().filter(|(_, option)| table.elsewhere.contains(option)).collect();
    assert!(
        declared_now.is_empty(),
        "rclone declares what the table calls `elsewhere`; make it a group:\n{}",
        lines(&declared_now)
    );
}

#[test]
fn the_table_says_one_thing_of_each_option_and_why_it_is_harmless() {
    let table = table();
    let mut counts = BTreeMap::<_, usize>::new();
    for (pair, group) in said(&table) {
        let of_option = counts.entry(pair).or_default();
        *of_option += 1;
        let reasoned = group.does != "harmless" || !group.why.is_empty();
        assert!(reasoned, "there is no reason for {:?}", group.options);
    }
    let twice: Vec<_> = counts.into_iter().filter(|(_, n)| *n > 1).map(|(pair, _)| pair).collect();
    assert!(twice.is_empty(), "the table has these twice:\n{}", lines(&twice));
}

#[test]
fn only_what_makes_use_of_the_user_s_own_names_files_by_their_usual_places() {
    for group in table().group {
        let plain = |file: &String| file.starts_with("~/") || file.starts_with('/');
        assert!(group.files.iter().all(plain), "{:?}", group.files);
        assert!(group.files.is_empty() || group.does == "ambient", "{:?}", group.options);
        let address = group.does == "address" && group.hosts.iter().all(|it| it.contains("{}"));
        assert!(group.hosts.is_empty() || address, "{:?}", group.options);
    }
}
