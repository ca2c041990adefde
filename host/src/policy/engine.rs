//! What a session may have: the built-in policy allows it, and each file in force narrows
//! what is left.

use std::collections::BTreeSet;
use std::path::Path;

use super::discovery;
use super::file::{Audit, Written};
use super::grant::{Environment, Grant, Program};
use super::limits::Limits;
use super::pins::Pins;
use super::rclone_options::hard_denies;
use super::rclone_options::paths;
use super::request::{Request, Use, backend};
use super::rule;
use super::values::{Destination, Level, Ports};
use crate::connector::{Failure, Reason};

/// The policies in force, the system's first.
#[derive(Debug, Default)]
pub struct Policies {
    pub written: Vec<Written>,
}

impl Policies {
    /// The system's policy, one that this program was started with, and the user's own.
    pub fn in_force(argument: Option<&Path>) -> Result<Self, Failure> {
        Ok(Self { written: discovery::in_force(argument)? })
    }

    /// The system's policy and this one, of a tenant.
    pub fn of_tenant(policy: &Path) -> Result<Self, Failure> {
        Ok(Self { written: discovery::of_tenant(policy)? })
    }

    /// Where the audit log goes: wherever one of them wants it.
    pub fn audit(&self) -> BTreeSet<Destination> {
        let wanted = self.written.iter().filter_map(|written| written.policy.audit.as_ref());
        wanted.filter_map(Audit::destination).collect()
    }

    /// Whether rclone is run at all where it can't be confined, whatever it is wanted for.
    pub fn level(&self) -> Level {
        let levels = self.written.iter().map(|written| written.policy.confinement);
        levels.max().unwrap_or(Level::Preferred)
    }

    /// Whether these are the same files with the same text.
    pub fn is_same(&self, others: &Self) -> bool {
        self.written.len() == others.written.len()
            && self.written.iter().zip(&others.written).all(|(one, other)| one.is_same(other))
    }

    /// What a session may have under all of them. Options that one of them sets are then
    /// subject to all of them, as if the remote's configuration had them.
    pub fn decide(&self, request: &Request<'_>) -> Result<Grant, Failure> {
        let pinned = self.allowed(request)?.pinned;
        let mut sections = request.sections.clone();
        pinned.apply(&mut sections);
        sections.iter().try_for_each(|(name, section)| hard_denies::check(name, section))?;
        let mut grant = self.allowed(&Request { sections: &sections, ..*request })?;
        let mut again = sections.clone();
        grant.pinned.apply(&mut again);
        if again != sections {
            return Err(Failure::new(
                Reason::Denied,
                "options that the policies in force pin lead to rules that pin others: pin all of them in each of these rules",
            ));
        }
        grant.pinned = pinned;
        grant.limits = grant.limits.or(Limits::usual());
        Ok(grant)
    }

    /// What each of them allows.
    fn allowed(&self, request: &Request<'_>) -> Result<Grant, Failure> {
        self.written.iter().try_fold(single_user(request)?, |grant, written| {
            grant.narrow(rule::decide(written, request)?)
        })
    }
}

/// The built-in policy, for a single user: every backend, and local ones in the directory
/// that they name.
fn single_user(request: &Request<'_>) -> Result<Grant, Failure> {
    let mut directories = BTreeSet::new();
    for target in request.targets()? {
        let local = match &target.name {
            Some(name) => backend(request.section(name)?) == "local",
            None => true,
        };
        if local {
            let directory = paths::real(Path::new(&target.path)).map_err(|what| {
                let message =
                    format!("{what}: name a directory by its whole path, without links to nowhere");
                Failure::new(Reason::InvalidConfiguration, message)
            })?;
            directories.insert(directory);
        }
    }
    Ok(Grant {
        write: request.r#use == Use::Exporter,
        directories,
        ports: Ports::ANY,
        public: BTreeSet::new(),
        environment: Environment::Usual,
        level: Level::Preferred,
        limits: Limits::default(),
        program: Program::default(),
        pinned: Pins::default(),
        rules: BTreeSet::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::request::Section;
    use proptest::prelude::*;
    use proptest::sample::{select, subsequence};
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    const DIGEST: &str =
        "sha256 = \"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"";

    /// A policy of a few words, each of which matters to some request below.
    fn policy() -> impl Strategy<Value = String> {
        let rule = (
            subsequence(vec!["s3", "crypt", "local", "sftp", "*"], 1..=3),
            subsequence(vec!["importer", "exporter"], 1..=2),
            prop::option::of(subsequence(vec!["photos", "docs/*", "**", "/tmp", "enc"], 1..=3)),
            prop::option::of(subsequence(vec!["region", "*", "env_auth", "endpoint"], 0..=4)),
            prop::option::of(subsequence(vec!["a.example", "*.b.example"], 0..=2)),
            select(vec!["\"any\"", "[443]", "[443, 22]", "[]"]),
            subsequence(vec!["/tmp", "/usr/lib", "/"], 0..=2),
            prop::option::of(select(vec![
                ("region", "eu"),
                ("region", "us"),
                ("acl", "private"),
                ("env_auth", "true"),
                ("endpoint", "a.example"),
                ("endpoint", "evil.example"),
                ("remote", "/usr/lib/x"),
            ])),
            any::<bool>(),
        );
        let limits = prop::option::of((8_u32..20, 1_u32..5));
        let environment = subsequence(vec!["HTTPS_PROXY", "TZ", "HOME"], 0..=3);
        let program = select(vec![
            "path = \"/usr/bin/rclone\"",
            "path = \"/opt/rclone\"",
            "minimum-version = \"1.70.0\"",
            "minimum-version = \"1.75.0\"",
            DIGEST,
            "",
        ]);
        let whole = (limits, environment, program);
        (prop::collection::vec(rule, 0..4), whole).prop_map(|(rules, (limits, names, program))| {
            let mut text = format!("version = 1\nenvironment = {names:?}\n[rclone]\n{program}\n");
            if let Some((processes, sessions)) = limits {
                text += &format!("[limits]\nprocesses = {processes}\nsessions = {sessions}\n");
            }
            for (backends, uses, paths, options, hosts, ports, directories, pin, read_only) in rules {
                let read_only = read_only && uses.contains(&"importer");
                text += &format!("[[allow]]\nbackends = {backends:?}\nuse = {uses:?}\nports = {ports}\ndirectories = {directories:?}\nread-only = {read_only}\n");
                for (key, list) in [("paths", paths), ("options", options), ("hosts", hosts)] {
                    text += &list.map(|list| format!("{key} = {list:?}\n")).unwrap_or_default();
                }
                text += &pin.map(|(key, value)| format!("pin = {{ {key} = \"{value}\" }}\n")).unwrap_or_default();
            }
            text
        })
    }

    /// A remote with what it wraps, a path, and what for.
    fn asked() -> impl Strategy<Value = (BTreeMap<String, Section>, String, Use)> {
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
        let uses = select(vec![Use::Importer, Use::Exporter]);
        let wrapped = prop::option::of(select(vec!["base:enc", "base:photos", "/tmp/x", "/usr"]));
        (base, path, uses, wrapped).prop_map(|((backend, options), path, uses, wrapped)| {
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
            (sections, path.to_owned(), uses)
        })
    }

    fn written(text: &str) -> Written {
        Written::parse(Path::new("p.toml"), text.to_owned()).unwrap()
    }

    fn under(texts: &[&str], request: &Request<'_>) -> Result<Grant, Failure> {
        Policies { written: texts.iter().map(|text| written(text)).collect() }.decide(request)
    }

    /// Whether all of one grant is in the other, which is for a remote of these sections.
    fn within(inner: &Grant, outer: &Grant, sections: &BTreeMap<String, Section>) -> bool {
        let ports = match (&inner.ports, &outer.ports) {
            (_, Ports::Any(_)) => true,
            (Ports::Any(_), Ports::Only(_)) => false,
            (Ports::Only(inner), Ports::Only(outer)) => inner.is_subset(outer),
        };
        let environment = match (&inner.environment, &outer.environment) {
            (_, Environment::Usual) => true,
            (Environment::Usual, Environment::Only(_)) => false,
            (Environment::Only(inner), Environment::Only(outer)) => inner.is_subset(outer),
        };
        let lies = |path: &PathBuf| outer.directories.iter().any(|it| path.starts_with(it));
        let (ours, theirs) = (&inner.program, &outer.program);
        let program = (theirs.path.is_none() || ours.path == theirs.path)
            && (theirs.sha256.is_none() || ours.sha256 == theirs.sha256)
            && ours.minimum_version >= theirs.minimum_version;
        ports
            && environment
            && program
            // Another rule may be the one that the remote with its pins comes under: it
            // must have what that one pins.
            && pinned(sections, outer) == *sections
            && inner.directories.iter().all(lies)
            && (outer.write || !inner.write)
            && inner.level >= outer.level
            && inner.limits.clone().narrow(outer.limits.clone()) == inner.limits
    }

    /// The request for the same remote with what was pinned.
    fn pinned(sections: &BTreeMap<String, Section>, grant: &Grant) -> BTreeMap<String, Section> {
        let mut sections = sections.clone();
        grant.pinned.apply(&mut sections);
        sections
    }

    /// Two policies allow no more than each of them, in whatever order, and as often as one
    /// likes.
    fn only_narrow(one: &str, other: &str, request: &Request<'_>) {
        let alone = [under(&[one], request), under(&[other], request)];
        let both = under(&[one, other], request);
        if let Ok(both) = &both {
            let sections = pinned(request.sections, both);
            let as_pinned = Request { sections: &sections, ..*request };
            for (policy, alone) in [one, other].into_iter().zip(&alone) {
                // Whoever pins allows no more than for a remote that has it already.
                assert!(within(both, &under(&[policy], &as_pinned).unwrap(), &sections));
                assert!(alone.iter().all(|alone| alone.pinned.are_among(&both.pinned)));
            }
        } else if let [Ok(one), Ok(other)] = &alone {
            assert!(one.pinned != other.pinned || one.program != other.program, "{both:?}");
        }
        assert_eq!(both.clone().ok(), under(&[other, one], request).ok());
        assert_eq!(both.ok(), under(&[one, other, one], request).ok());
    }

    /// A policy gives no more than the built-in one.
    fn is_within_the_usual(policy: &str, request: &Request<'_>) {
        if let Ok(grant) = under(&[policy], request) {
            let sections = pinned(request.sections, &grant);
            let as_pinned = Request { sections: &sections, ..*request };
            assert!(within(&grant, &under(&[], &as_pinned).unwrap(), &sections));
            assert_eq!(grant.write, request.r#use == Use::Exporter);
        }
    }

    #[test]
    fn whatever_policies_say_each_can_only_narrow_the_others() {
        let input = (policy(), policy(), asked());
        crate::fuzzing::for_a_while(input, |(one, other, (sections, path, uses))| {
            let request = Request { name: "remote", sections: &sections, path: &path, r#use: uses };
            only_narrow(&one, &other, &request);
            is_within_the_usual(&one, &request);
        });
    }

    #[test]
    fn a_user_s_pin_is_subject_to_the_operator_s_rules() {
        let rule = |more: &str| {
            format!("version = 1\n[[allow]]\nbackends = [\"*\"]\nuse = [\"importer\"]\n{more}\n")
        };
        let decide = |backend: &str, operator: &str, user: &str| {
            let section = Section::from([("type".to_owned(), backend.to_owned())]);
            let sections = BTreeMap::from([("remote".to_owned(), section)]);
            let request =
                Request { name: "remote", sections: &sections, path: "", r#use: Use::Importer };
            let (operator, user) = (rule(operator), rule(user));
            under(&[&operator, &user], &request).map_err(|failure| failure.message)
        };
        for (backend, operator, user, said) in [
            ("s3", "", "pin = { env_auth = \"true\" }\noptions = [\"env_auth\"]", "`env_auth`"),
            ("sftp", "", "pin = { key_file = \"~/.ssh/id\" }", "`key_file`"),
            ("s3", "options = [\"region\"]", "pin = { endpoint = \"x\" }", "see line 5"),
            ("s3", "hosts = [\"a\"]", "pin = { endpoint = \"b\" }", "the host `b`"),
            ("s3", "pin = { endpoint = \"a\" }", "pin = { endpoint = \"b\" }", "`endpoint`"),
            ("alias", "", "pin = { remote = \"/etc\" }", "the local path `/etc`"),
            ("sftp", "", "pin = { ssh = \"touch x\" }", "would run a command"),
            ("sftp", "pin = { ssh = \"touch x\" }", "", "would run a command"),
        ] {
            let why = decide(backend, operator, user).unwrap_err();
            assert!(why.contains(said), "{backend} {operator} {user}: {why}");
        }
        // What whoever pins an option doesn't list is theirs all the same.
        let own = "pin = { endpoint = \"a\", env_auth = \"true\" }\noptions = [\"region\"]";
        assert!(decide("s3", own, "options = [\"endpoint\", \"env_auth\"]").is_ok());
    }

    #[test]
    fn a_policy_without_rules_allows_nothing() {
        let sections =
            BTreeMap::from([("remote".to_owned(), Section::from([("type".into(), "s3".into())]))]);
        let request =
            Request { name: "remote", sections: &sections, path: "", r#use: Use::Importer };
        let refusal = under(&["version = 1"], &request).unwrap_err();
        assert!(refusal.message.contains("allows nothing at all"), "{}", refusal.message);
        assert!(under(&[], &request).is_ok());
    }
}
