//! Property tests of the engine: each policy can only narrow the others.

use super::*;
use crate::direction::Direction;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde::Serialize;
use std::path::PathBuf;

const DIGEST: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A policy file as it is written, of a few words that each matter to some request.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
struct PolicySpec {
    version: u32,
    environment: Vec<&'static str>,
    rclone: BTreeMap<&'static str, &'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limits: Option<BTreeMap<&'static str, u32>>,
    allow: Vec<RuleSpec>,
}

/// A rule as it is written.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
struct RuleSpec {
    backends: Vec<&'static str>,
    r#use: Vec<&'static str>,
    read_only: bool,
    append_only: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    paths: Option<Vec<&'static str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    options: Option<Vec<&'static str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hosts: Option<Vec<&'static str>>,
    ports: Ports,
    directories: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pin: Option<BTreeMap<&'static str, &'static str>>,
}

prop_compose! {
    fn rule()(
        backends in subsequence(vec!["s3", "crypt", "local", "sftp", "*"], 1..=3),
        r#use in subsequence(vec!["importer", "exporter", "store"], 1..=3),
        paths in prop::option::of(
            subsequence(vec!["photos", "docs/*", "**", "/tmp", "enc"], 1..=3)
        ),
        options in prop::option::of(
            subsequence(vec!["region", "*", "env_auth", "endpoint"], 0..=4)
        ),
        hosts in prop::option::of(subsequence(vec!["a.example", "*.b.example"], 0..=2)),
        ports in prop::option::of(subsequence(vec![443, 22], 0..=2)),
        directories in subsequence(vec!["/tmp", "/usr/lib", "/"], 0..=2),
        pin in prop::option::of(select(vec![
            ("region", "eu"),
            ("region", "us"),
            ("acl", "private"),
            ("env_auth", "true"),
            ("endpoint", "a.example"),
            ("endpoint", "evil.example"),
            ("remote", "/usr/lib/x"),
        ])),
        read_only in any::<bool>(),
        append_only in any::<bool>(),
    ) -> RuleSpec {
        let read_only = read_only && r#use != ["exporter"];
        let is_appendable = r#use.contains(&"store") && !r#use.contains(&"exporter");
        let append_only = append_only && is_appendable && !read_only;
        let ports = ports.map_or(Ports::ANY, |ports| Ports::Only(ports.into_iter().collect()));
        let pin = pin.map(|pin| BTreeMap::from([pin]));
        RuleSpec {
            backends, r#use, read_only, append_only, paths, options, hosts, ports, directories, pin,
        }
    }
}

prop_compose! {
    fn policy()(
        allow in prop::collection::vec(rule(), 0..4),
        limits in prop::option::of((8_u32..20, 1_u32..5)),
        environment in subsequence(vec!["HTTPS_PROXY", "TZ", "HOME"], 0..=3),
        rclone in prop::option::weighted(0.8, select(vec![
            ("path", "/usr/bin/rclone"),
            ("path", "/opt/rclone"),
            ("minimum-version", "1.70.0"),
            ("minimum-version", "1.75.0"),
            ("sha256", DIGEST),
        ])),
    ) -> String {
        let limits = limits.map(|(processes, sessions)| {
            BTreeMap::from([("processes", processes), ("sessions", sessions)])
        });
        let rclone = rclone.into_iter().collect();
        toml::to_string(&PolicySpec { version: 1, environment, rclone, limits, allow }).unwrap()
    }
}

/// Sections of a remote and of what it wraps, a path, and a direction.
fn request() -> impl Strategy<Value = (BTreeMap<String, Section>, String, Direction)> {
    let options = subsequence(
        vec![
            ("region", "eu"),
            ("endpoint", "https://x.b.example:9000"),
            ("env_auth", "true"),
            ("acl", "private"),
        ],
        0..=3,
    );
    let base = (select(vec!["s3", "local", "sftp"]), options);
    let path =
        select(vec!["photos", "photos/2024", "docs/a/b", "", "/tmp", "/tmp/../etc", "other"]);
    let direction = select(vec![Direction::Backup, Direction::Restore, Direction::Store]);
    let wrapped = prop::option::of(select(vec!["base:enc", "base:photos", "/tmp/x", "/usr"]));
    (base, path, direction, wrapped).prop_map(|((backend, options), path, direction, wrapped)| {
        let mut section: Section =
            options.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        section.insert("type".into(), backend.into());
        let mut sections = BTreeMap::from([("remote".to_owned(), section)]);
        if let Some(target) = wrapped {
            let base = sections.remove("remote").unwrap_or_default();
            sections.insert("base".into(), base);
            let crypt = [("type".into(), "crypt".into()), ("remote".into(), target.into())];
            sections.insert("remote".into(), crypt.into());
        }
        (sections, path.to_owned(), direction)
    })
}

fn decide(texts: &[&str], request: &Request<'_>) -> Result<Grant, Failure> {
    let parse = |text: &&str| PolicyFile::parse(Path::new("p.toml"), text.to_string()).unwrap();
    Policies { files: texts.iter().map(parse).collect() }.decide(request)
}

/// Whether a grant is part of another one, which is for a remote of these sections.
fn is_within(inner: &Grant, outer: &Grant, sections: &BTreeMap<String, Section>) -> bool {
    let ports = match (&inner.ports, &outer.ports) {
        (_, Ports::Any(_)) => true,
        (Ports::Any(_), Ports::Only(_)) => false,
        (Ports::Only(inner), Ports::Only(outer)) => inner.is_subset(outer),
    };
    let environment = match (&inner.environment, &outer.environment) {
        (_, Environment::BuiltIn) => true,
        (Environment::BuiltIn, Environment::Only(_)) => false,
        (Environment::Only(inner), Environment::Only(outer)) => inner.is_subset(outer),
    };
    let is_granted = |path: &PathBuf| outer.directories.iter().any(|it| path.starts_with(it));
    let (ours, theirs) = (&inner.program, &outer.program);
    let program = (theirs.path.is_none() || ours.path == theirs.path)
        && (theirs.sha256.is_none() || ours.sha256 == theirs.sha256)
        && ours.minimum_version >= theirs.minimum_version;
    ports
        && environment
        && program
        // With its pins the remote may match a different rule, and must have the pins of
        // that rule as well.
        && with_pins(sections, &outer.pins) == *sections
        && inner.directories.iter().all(is_granted)
        && (outer.write || !inner.write)
        && (inner.append_only || !outer.append_only)
        && inner.enforcement >= outer.enforcement
        && inner.limits.clone().narrow(outer.limits.clone()) == inner.limits
}

/// Asserts that two policies allow no more than each of them, in any order, also repeatedly.
fn assert_narrowing(one: &str, other: &str, request: &Request<'_>) {
    let alone = [decide(&[one], request), decide(&[other], request)];
    let both = decide(&[one, other], request);
    if let Ok(both) = &both {
        let sections = with_pins(request.sections, &both.pins);
        let as_pinned = Request { sections: &sections, ..*request };
        for (policy, alone) in [one, other].into_iter().zip(&alone) {
            // A pin allows no more than for a remote that has the option already.
            assert!(is_within(both, &decide(&[policy], &as_pinned).unwrap(), &sections));
            assert!(alone.iter().all(|alone| alone.pins.is_subset(&both.pins)));
        }
    } else if let [Ok(one), Ok(other)] = &alone {
        assert!(one.pins != other.pins || one.program != other.program, "{both:?}");
    }
    assert_eq!(both.clone().ok(), decide(&[other, one], request).ok());
    assert_eq!(both.ok(), decide(&[one, other, one], request).ok());
}

/// Asserts that a policy grants no more than the built-in one.
fn assert_within_built_in(policy: &str, request: &Request<'_>) {
    if let Ok(grant) = decide(&[policy], request) {
        let sections = with_pins(request.sections, &grant.pins);
        let as_pinned = Request { sections: &sections, ..*request };
        assert!(is_within(&grant, &decide(&[], &as_pinned).unwrap(), &sections));
        // A store may also be read alone.
        if request.direction != Direction::Store {
            assert_eq!(grant.write, request.direction.is_writing());
        }
    }
}

#[test]
fn whatever_policies_say_each_can_only_narrow_the_others() {
    let input = (policy(), policy(), request());
    crate::random_inputs::check_property(input, |(one, other, (sections, path, direction))| {
        let request = Request { name: "remote", sections: &sections, path: &path, direction };
        assert_narrowing(&one, &other, &request);
        assert_within_built_in(&one, &request);
    });
}

#[test]
fn a_user_s_pin_is_subject_to_the_operator_s_rules() {
    let rule = |more: &str| {
        format!("version = 1\n[[allow]]\nbackends = [\"*\"]\nuse = [\"importer\"]\n{more}\n")
    };
    let decide_as = |backend: &str, operator: &str, user: &str| {
        let section = Section::from([("type".to_owned(), backend.to_owned())]);
        let sections = BTreeMap::from([("remote".to_owned(), section)]);
        let request =
            Request { name: "remote", sections: &sections, path: "", direction: Direction::Backup };
        let (operator, user) = (rule(operator), rule(user));
        decide(&[&operator, &user], &request).map_err(|failure| failure.message)
    };
    for (backend, operator, user, message) in [
        ("s3", "", "pin = { env_auth = \"true\" }\noptions = [\"env_auth\"]", "`env_auth`"),
        ("sftp", "", "pin = { key_file = \"~/.ssh/id\" }", "`key_file`"),
        ("s3", "options = [\"region\"]", "pin = { endpoint = \"x\" }", "see line 5"),
        ("s3", "hosts = [\"a\"]", "pin = { endpoint = \"b\" }", "the host `b`"),
        ("s3", "pin = { endpoint = \"a\" }", "pin = { endpoint = \"b\" }", "`endpoint`"),
        ("alias", "", "pin = { remote = \"/etc\" }", "the local path `/etc`"),
        ("sftp", "", "pin = { ssh = \"touch x\" }", "would run a command"),
        ("sftp", "pin = { ssh = \"touch x\" }", "", "would run a command"),
    ] {
        let why = decide_as(backend, operator, user).unwrap_err();
        assert!(why.contains(message), "{backend} {operator} {user}: {why}");
    }
    // The options of the rule that pins needn't list the pinned options.
    let own = "pin = { endpoint = \"a\", env_auth = \"true\" }\noptions = [\"region\"]";
    assert!(decide_as("s3", own, "options = [\"endpoint\", \"env_auth\"]").is_ok());
}

#[test]
fn a_policy_without_rules_allows_nothing() {
    let sections =
        BTreeMap::from([("remote".to_owned(), Section::from([("type".into(), "s3".into())]))]);
    let request =
        Request { name: "remote", sections: &sections, path: "", direction: Direction::Backup };
    let refusal = decide(&["version = 1"], &request).unwrap_err();
    assert!(refusal.message.contains("allows nothing at all"), "{}", refusal.message);
    assert!(decide(&[], &request).is_ok());
}

#[test]
fn a_store_needs_a_rule_for_stores_and_the_strictest_rule_decides_what_it_may_do() {
    let sections =
        BTreeMap::from([("remote".to_owned(), Section::from([("type".into(), "s3".into())]))]);
    let request =
        Request { name: "remote", sections: &sections, path: "", direction: Direction::Store };
    let rule = |uses: &str, more: &str| {
        format!("version = 1\n[[allow]]\nbackends = [\"*\"]\nuse = [{uses}]\n{more}\n")
    };
    let rights = |policies: &[&str]| {
        let grant = decide(policies, &request).map_err(|failure| failure.message)?;
        Ok::<_, String>((grant.write, grant.append_only))
    };
    let before = rule("\"importer\", \"exporter\"", "");
    let why = rights(&[&before]).unwrap_err();
    assert!(why.contains("it may not be used as a store, see line 4"), "{why}");
    let all = rule("\"store\"", "");
    let read = rule("\"importer\", \"store\"", "read-only = true");
    let append = rule("\"store\"", "append-only = true");
    assert_eq!(rights(&[]), Ok((true, false)));
    assert_eq!(rights(&[&all]), Ok((true, false)));
    assert_eq!(rights(&[&read]), Ok((false, false)));
    assert_eq!(rights(&[&append, &all]), Ok((true, true)));
    assert_eq!(rights(&[&all, &append]), Ok((true, true)));
    assert_eq!(rights(&[&append, &read]), Ok((false, true)));
}
