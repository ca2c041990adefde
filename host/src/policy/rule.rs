//! Whether a rule allows a session to reach one remote, and what it grants for that.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use toml::Spanned;

use super::configuration::is_secret;
use super::grant::{Environment, Grant, Program};
use super::hosts;
use super::names::is_name;
use super::options;
use super::paths::{self, ancestors};
use super::pins::Pins;
use super::request::{Request, Section, Target, Use, backend};
use super::written::{Rule, Written};
use crate::contract::{Failure, Reason};

/// rclone's name of the backend of local paths.
const LOCAL: &str = "local";

/// What a policy grants a session, or why it refuses it.
pub fn decide(written: &Written, request: &Request<'_>) -> Result<Grant, Failure> {
    let mut granted: Option<Grant> = None;
    for target in request.targets()? {
        let grant = allowing(written, request, &target)?;
        granted = Some(match granted {
            None => grant,
            Some(earlier) => earlier.join(grant)?,
        });
    }
    granted.ok_or_else(|| Failure::internal("a session that reaches nothing was decided on"))
}

/// What the first rule that allows a target grants.
fn allowing(written: &Written, request: &Request<'_>, target: &Target) -> Result<Grant, Failure> {
    let empty = Section::new();
    let (section, backend) = match &target.name {
        Some(name) => request.section(name).map(|section| (section, backend(section)))?,
        None => (&empty, LOCAL),
    };
    let mut refusals = Vec::new();
    for rule in &written.policy.allow {
        let named = |name: &str| rule.get_ref().backends.contains(name);
        if !named("*") && !named(backend) {
            continue;
        }
        let asked = Asked { section, backend, path: &target.path, r#use: request.r#use };
        match asked.of(rule.get_ref(), written) {
            Ok(directory) => return Ok(grant(written, rule, request.r#use, target, directory)),
            Err(refusal) => refusals.push(format!("{refusal} ({})", place(written, rule))),
        }
    }
    if refusals.is_empty() {
        let allowed = written.policy.allow.iter().flat_map(|rule| &rule.get_ref().backends);
        let allowed: BTreeSet<_> = allowed.map(String::as_str).collect();
        refusals.push(match allowed.is_empty() {
            true => "it allows nothing at all".to_owned(),
            false => format!("of backends, it allows {}", Vec::from_iter(allowed).join(", ")),
        });
    }
    let what = match &target.name {
        Some(_) => format!("a remote of type `{backend}`"),
        None => format!("the local path `{}`", target.path.escape_debug()),
    };
    Err(Failure::new(
        Reason::Denied,
        format!(
            "the policy `{}` doesn't allow {what} here: {}: ask whoever wrote the policy",
            written.file.display(),
            refusals.join("; ")
        ),
    ))
}

/// `FILE:LINE`, and the rule's name if it has one.
pub fn place(written: &Written, rule: &Spanned<Rule>) -> String {
    let name = rule.get_ref().name.as_ref().map(|name| format!(" `{name}`")).unwrap_or_default();
    format!("{}:{}{name}", written.file.display(), written.line(rule))
}

fn grant(
    written: &Written,
    rule: &Spanned<Rule>,
    r#use: Use,
    target: &Target,
    directory: Option<PathBuf>,
) -> Grant {
    let (policy, place) = (&written.policy, place(written, rule));
    let rule = rule.get_ref();
    let environment = policy.environment.as_ref().map(|names| names.get_ref().clone());
    let limits = [&policy.limits, &rule.limits].into_iter().flatten();
    let pins = rule.pin.as_ref().map(Spanned::get_ref);
    let pinned = target.name.as_ref().zip(pins).map(|(name, pins)| Pins::of(name, pins));
    Grant {
        write: r#use == Use::Exporter && !rule.read_only,
        directories: directory.into_iter().collect(),
        ports: rule.ports.as_ref().map(|ports| ports.get_ref().clone()).unwrap_or_default(),
        environment: Environment::Only(environment.unwrap_or_default()),
        level: policy.confinement,
        limits: limits.fold(Default::default(), |all, limits| all.narrow(limits.get_ref().clone())),
        program: Program {
            path: policy.rclone.path.as_ref().map(|path| path.get_ref().clone()),
            minimum_version: policy.rclone.minimum_version.clone(),
            sha256: policy.rclone.sha256.clone(),
        },
        pinned: pinned.unwrap_or_default(),
        rules: [place].into(),
    }
}

/// One remote as a rule looks at it.
struct Asked<'a> {
    section: &'a Section,
    backend: &'a str,
    path: &'a str,
    r#use: Use,
}

impl Asked<'_> {
    /// What keeps a rule from allowing it; else the local directory that is reached, if any.
    fn of(&self, rule: &Rule, written: &Written) -> Result<Option<PathBuf>, String> {
        let on = |line: usize| format!("see line {line}");
        let uses = rule.uses.get_ref();
        if !uses.contains(&self.r#use) || self.r#use == Use::Exporter && rule.read_only {
            let name = self.r#use.name();
            return Err(format!(
                "it may not be used by an {name}, {}",
                on(written.line(&rule.uses))
            ));
        }
        if self.path.split('/').any(|name| !name.is_empty() && !is_name(name)) {
            return Err(format!("`{}` has a `..` in it", self.path.escape_debug()));
        }
        // After the address of a web server, that is another one.
        if self.backend != LOCAL && self.path.starts_with("//") {
            let path = self.path.escape_debug();
            return Err(format!("`{path}` begins with two slashes: write one"));
        }
        if let Some(paths) = &rule.paths
            && !ancestors(self.path).any(|path| paths.get_ref().iter().any(|it| it.matches(path)))
        {
            let path = match self.path.trim_matches('/') {
                "" => "the whole remote".to_owned(),
                _ => format!("the path `{}`", self.path.escape_debug()),
            };
            return Err(format!("{path} is none of its `paths`, {}", on(written.line(paths))));
        }
        self.options(rule).map_err(|option| match &rule.options {
            Some(options) => format!(
                "the option `{option}` is none of its `options`, {}", on(written.line(options))
            ),
            None => format!("the option `{option}` reads local files or uses this machine's identity, and its `options` don't name it"),
        })?;
        self.pins(rule)?;
        if let Some(allowed) = &rule.hosts
            && let Some(host) = hosts::named(self.backend, self.section)?
                .iter()
                .find(|host| !allowed.get_ref().iter().any(|pattern| pattern.matches(host)))
        {
            return Err(format!(
                "the host `{host}` is none of its `hosts`, {}",
                on(written.line(allowed))
            ));
        }
        if self.backend != LOCAL {
            return Ok(None);
        }
        self.directory(rule).map(Some)
    }

    /// The first option that isn't allowed.
    fn options<'a>(&'a self, rule: &Rule) -> Result<(), &'a str> {
        let Ok(table) = options::table() else { return Err("type") };
        for (option, value) in self.section {
            if option == "type" || table.wraps(option) || rule.has_pinned(option) {
                continue;
            }
            let private = table.is_private(self.backend, option) && !options::is_off(value);
            let allowed = match &rule.options {
                None => !private,
                Some(patterns) => patterns.get_ref().iter().any(|pattern| match private {
                    true => pattern.text() == option,
                    false => pattern.matches(option),
                }),
            };
            if !allowed {
                return Err(option);
            }
        }
        Ok(())
    }

    fn pins(&self, rule: &Rule) -> Result<(), String> {
        let other = |(option, value): &(&String, &String)| {
            self.section.get(*option).is_some_and(|have| have != *value)
        };
        match rule.pins().find(other) {
            None => Ok(()),
            // Whoever reads this needn't know it.
            Some((option, _)) if is_secret(option) => {
                Err(format!("the option `{option}` must be the policy's own: leave it out"))
            }
            Some((option, value)) => {
                Err(format!("the option `{option}` must be `{}`", value.escape_debug()))
            }
        }
    }

    /// The real path of a local directory, if the rule's directories hold it.
    fn directory(&self, rule: &Rule) -> Result<PathBuf, String> {
        let real = paths::real(Path::new(self.path))?;
        let granted = rule.directories.iter().flat_map(|directories| directories.get_ref());
        if granted
            .filter_map(|path| paths::real(path).ok())
            .any(|granted| real.starts_with(granted))
        {
            return Ok(real);
        }
        Err(format!("`{}` lies in none of its `directories`", real.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// What a policy of one rule, for s3, sftp, local and crypt, says.
    fn verdict(
        rule: &str,
        sections: &[(&str, &[(&str, &str)])],
        path: &str,
    ) -> Result<Grant, String> {
        let text = format!(
            "version = 1\n[[allow]]\nbackends = [\"s3\", \"sftp\", \"local\", \"crypt\"]\nuse = [\"importer\"]\n{rule}\n"
        );
        let written = Written::parse(Path::new("p.toml"), text).unwrap();
        let section = |pairs: &[(&str, &str)]| -> Section {
            pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
        };
        let sections: BTreeMap<_, _> =
            sections.iter().map(|(name, pairs)| (name.to_string(), section(pairs))).collect();
        let request = Request { name: "remote", sections: &sections, path, r#use: Use::Importer };
        decide(&written, &request).map_err(|failure| failure.message)
    }

    const S3: (&str, &[(&str, &str)]) = ("remote", &[("type", "s3")]);

    #[test]
    fn a_path_is_allowed_with_all_below_it_and_nothing_beside_it() {
        let rule = "paths = [\"photos\", \"docs/*/final\"]";
        for path in ["photos", "photos/", "photos/2024/x", "docs/a/final/b"] {
            assert!(verdict(rule, &[S3], path).is_ok(), "{path}");
        }
        for path in [
            "",
            "photos2",
            "/photos",
            "docs",
            "docs/a",
            "docs/a/b/final",
            "photos/../x",
            "photos/．．/x",
        ] {
            let why = verdict(rule, &[S3], path).unwrap_err();
            assert!(why.contains("`paths`, see line 5") || why.contains("`..`"), "{path}: {why}");
        }
        assert!(verdict("paths = [\"**\"]", &[S3], "").is_ok());
        assert!(verdict("", &[S3], "//photos").unwrap_err().contains("begins with two slashes"));
    }

    #[test]
    fn what_a_remote_wraps_needs_a_rule_too() {
        let crypt = |target: &'static str| -> Vec<(&'static str, &'static str)> {
            vec![("type", "crypt"), ("remote", target)]
        };
        let wrapped = |target, base: &[(&str, &str)]| {
            verdict("paths = [\"enc\", \"x\"]", &[("remote", &crypt(target)), ("base", base)], "x")
        };
        assert!(wrapped("base:enc/a", &[("type", "s3")]).is_ok());
        let why = wrapped("base:else", &[("type", "s3")]).unwrap_err();
        assert!(why.contains("the path `else` is none of its `paths`"), "{why}");
        let why = wrapped("base:enc", &[("type", "drive")]).unwrap_err();
        assert!(
            why.contains("a remote of type `drive`") && why.contains("it allows crypt"),
            "{why}"
        );
        let why = verdict("", &[("remote", &crypt("/etc"))], "x").unwrap_err();
        assert!(why.contains("the local path `/etc`"), "{why}");
    }

    #[test]
    fn options_that_reach_this_machine_must_be_named_in_full() {
        let with = |rule: &str, option, value| {
            verdict(rule, &[("remote", &[("type", "sftp"), (option, value)])], "")
        };
        assert!(with("", "user", "me").is_ok());
        assert!(with("", "key_file", "~/.ssh/id").unwrap_err().contains("`key_file` reads local"));
        assert!(with("options = [\"*\"]", "key_file", "~/.ssh/id").is_err());
        assert!(with("options = [\"key_file\"]", "key_file", "~/.ssh/id").is_ok());
        assert!(with("options = [\"user\"]", "port", "22").unwrap_err().contains("see line 5"));
        let off = [("type", "s3"), ("env_auth", "false"), ("provider", "AWS")];
        assert!(verdict("", &[("remote", &off)], "").is_ok());
        assert!(verdict("", &[("remote", &[("type", "s3"), ("env_auth", "true")])], "").is_err());
    }

    #[test]
    fn hosts_and_pinned_options_are_compared() {
        let with = |rule: &str, value| {
            verdict(rule, &[("remote", &[("type", "s3"), ("endpoint", value)])], "")
        };
        let rule = "hosts = [\"*.example.org\"]";
        for host in ["https://s3.example.org", "s3.example.org:9000", "http://u@S3.example.org/x"] {
            assert!(with(rule, host).is_ok(), "{host}");
        }
        for host in
            ["https://example.com", "https://s3.example.org@evil.com", "https://[::1]:1", "http://"]
                .into_iter()
                // rclone puts `https://` before these.
                .chain(["evil.com://s3.example.org", "HTTP://s3.example.org"])
        {
            assert!(with(rule, host).is_err(), "{host}");
        }
        let region = |value| verdict(rule, &[("remote", &[("type", "s3"), ("region", value)])], "");
        assert!(region("eu-central-1").is_ok());
        assert!(region("evil.com#").unwrap_err().contains("`region` makes another host"));
        let pin = "pin = { endpoint = \"s3.example.org\" }";
        assert!(with(pin, "evil.com").unwrap_err().contains("`endpoint` must be `s3.example.org`"));
        let secret = "pin = { secret_access_key = \"the policy's\" }";
        let other = [("type", "s3"), ("secret_access_key", "x")];
        let why = verdict(secret, &[("remote", &other)], "").unwrap_err();
        assert!(
            why.contains("`secret_access_key` must be") && !why.contains("the policy's\""),
            "{why}"
        );
        let grant = verdict(pin, &[S3], "").unwrap();
        let pinned = Pins::of("remote", &[("endpoint".into(), "s3.example.org".into())].into());
        assert_eq!(grant.pinned, pinned);
    }

    #[test]
    fn a_remote_that_is_reached_under_two_rules_has_the_pins_of_both() {
        let text = "version = 1\n[[allow]]\nbackends = [\"union\"]\nuse = [\"importer\"]\n";
        let rule = |path, option| {
            format!(
                "[[allow]]\nbackends = [\"s3\"]\nuse = [\"importer\"]\npaths = [\"{path}\"]\npin = {{ {option} }}\n"
            )
        };
        let decide = |one, other| {
            let text = format!("{text}{}{}", rule("a", one), rule("b", other));
            let written = Written::parse(Path::new("p.toml"), text).unwrap();
            let section = |pairs: [(&str, &str); 2]| -> Section {
                pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
            };
            let sections = BTreeMap::from([
                ("all".into(), section([("type", "union"), ("upstreams", "base:a base:b")])),
                ("base".into(), section([("type", "s3"), ("provider", "Minio")])),
            ]);
            let request =
                Request { name: "all", sections: &sections, path: "", r#use: Use::Importer };
            super::decide(&written, &request)
        };
        let pinned = decide("region = \"eu\"", "acl = \"private\"").unwrap().pinned;
        let both = [("region".into(), "eu".into()), ("acl".into(), "private".into())].into();
        assert_eq!(pinned, Pins::of("base", &both));
        let refusal = decide("region = \"eu\"", "region = \"us\"").unwrap_err();
        assert!(refusal.message.contains("value of the option `region`"), "{}", refusal.message);
    }

    #[test]
    fn a_local_directory_is_taken_for_where_it_really_lies() {
        let place = tempfile::tempdir().unwrap();
        let place = place.path().canonicalize().unwrap();
        let path = |name: &str| place.join(name).display().to_string();
        std::fs::create_dir_all(path("granted/in")).unwrap();
        std::fs::create_dir(path("secret")).unwrap();
        std::os::unix::fs::symlink(path("secret"), path("granted/out")).unwrap();
        std::os::unix::fs::symlink(path("granted"), path("link")).unwrap();
        std::os::unix::fs::symlink(path("nowhere"), path("granted/broken")).unwrap();
        let rule = format!("directories = [{:?}]", path("granted"));
        let local = |name: &str| verdict(&rule, &[("remote", &[("type", "local")])], &path(name));
        for (name, real) in
            [("granted", "granted"), ("link/in", "granted/in"), ("granted/new/x", "granted/new/x")]
        {
            assert_eq!(local(name).unwrap().directories, [place.join(real)].into(), "{name}");
        }
        for name in ["secret", "granted/out", "granted/../secret", "granted/broken/x", "granted2"] {
            assert!(local(name).is_err(), "{name}");
        }
    }
}
