//! Rules: whether a policy file allows what a session reaches, and the grant for it.
//!
//! - [`conditions`], [`host_check`]: the conditions of a rule

mod conditions;
mod host_check;

use std::collections::BTreeSet;
use toml::Spanned;

use super::file::{PolicyFile, Rule};
use super::grant::{Environment, Grant, Program};
use super::pins::Pins;
use super::request::{LOCAL_BACKEND, Request, Section, Target, backend};
use crate::connector::{Failure, Reason};
use crate::direction::Direction;
use conditions::{Access, RuleInput};

/// Decides what a policy file grants a session.
///
/// # Errors
///
/// No rule allows one of the targets, or rules pin different values.
pub fn decide(file: &PolicyFile, request: &Request<'_>) -> Result<Grant, Failure> {
    let mut joined: Option<Grant> = None;
    for target in request.targets()? {
        let grant = decide_target(file, request, &target)?;
        joined = Some(match joined {
            None => grant,
            Some(earlier) => earlier.join(grant)?,
        });
    }
    joined.ok_or_else(|| Failure::internal("a request without targets can't be decided"))
}

/// Returns the grant of the first rule that allows a target.
fn decide_target(
    file: &PolicyFile,
    request: &Request<'_>,
    target: &Target,
) -> Result<Grant, Failure> {
    let empty = Section::new();
    let (section, backend) = match &target.name {
        Some(name) => request.section(name).map(|section| (section, backend(section)))?,
        None => (&empty, LOCAL_BACKEND),
    };
    let mut refusals = Vec::new();
    let mut helps = Vec::new();
    for rule in &file.policy.allow {
        let backends = &rule.get_ref().backends;
        if !backends.contains("*") && !backends.contains(backend) {
            continue;
        }
        let input =
            RuleInput { section, backend, path: &target.path, direction: request.direction };
        match input.evaluate(rule.get_ref(), file) {
            Ok(access) => return Ok(build_grant(file, rule, request.direction, target, access)),
            Err(Failure { message, help, .. }) => {
                refusals.push(format!("{message} ({})", location(file, rule)));
                helps.extend(help.filter(|help| !helps.contains(help)));
            }
        }
    }
    helps.push("ask the author of the policy".to_owned());
    if refusals.is_empty() {
        refusals.push(allowed_backends(file));
    }
    let what = match &target.name {
        Some(_) => format!("a remote of type `{backend}`"),
        None => format!("the local path `{}`", target.path.escape_debug()),
    };
    Err(Failure::new(
        Reason::Denied,
        format!(
            "the policy `{}` doesn't allow {what} here: {}",
            file.path.display(),
            refusals.join("; ")
        ),
    )
    .with_help(helps.join(", or ")))
}

/// Describes the backends that the rules of a policy file are for.
fn allowed_backends(file: &PolicyFile) -> String {
    let backends = file.policy.allow.iter().flat_map(|rule| &rule.get_ref().backends);
    let backends: BTreeSet<_> = backends.map(String::as_str).collect();
    if backends.is_empty() {
        return "it allows nothing at all".to_owned();
    }
    format!("it allows the backends {}", Vec::from_iter(backends).join(", "))
}

/// Formats the location of a rule: `FILE:LINE`, and its name if it has one.
pub fn location(file: &PolicyFile, rule: &Spanned<Rule>) -> String {
    let name = rule.get_ref().name.as_ref().map(|name| format!(" `{name}`")).unwrap_or_default();
    format!("{}:{}{name}", file.path.display(), file.line(rule))
}

fn build_grant(
    file: &PolicyFile,
    spanned: &Spanned<Rule>,
    direction: Direction,
    target: &Target,
    access: Access,
) -> Grant {
    let (policy, rule) = (&file.policy, spanned.get_ref());
    let environment = policy.environment.as_ref().map(|names| names.get_ref().clone());
    let limits = [&policy.limits, &rule.limits].into_iter().flatten();
    let pins = target.name.as_ref().zip(rule.pin.as_ref());
    let pins = pins.map(|(name, pins)| Pins::for_remote(name, pins.get_ref()));
    Grant {
        write: direction.is_writing() && !rule.read_only,
        append_only: direction == Direction::Store && rule.append_only,
        directories: access.directory.into_iter().collect(),
        public_hosts: access.public_hosts,
        ports: rule.ports.as_ref().map(|ports| ports.get_ref().clone()).unwrap_or_default(),
        environment: Environment::Only(environment.unwrap_or_default()),
        enforcement: policy.confinement,
        limits: limits.fold(Default::default(), |all, limits| all.narrow(limits.get_ref().clone())),
        program: Program {
            path: policy.rclone.path.as_ref().map(|path| path.get_ref().clone()),
            minimum_version: policy.rclone.minimum_version.clone(),
            sha256: policy.rclone.sha256.clone(),
        },
        pins: pins.unwrap_or_default(),
        rules: [location(file, spanned)].into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::path::Path;

    /// Decision of a policy with one rule, for s3, sftp, local and crypt.
    pub fn verdict(
        rule: &str,
        sections: &[(&str, &[(&str, &str)])],
        path: &str,
    ) -> Result<Grant, String> {
        let text = format!(
            "version = 1\n[[allow]]\nbackends = [\"s3\", \"sftp\", \"local\", \"crypt\"]\n\
             use = [\"importer\"]\n{rule}\n"
        );
        let file = PolicyFile::parse(Path::new("p.toml"), text).unwrap();
        let section = |pairs: &[(&str, &str)]| -> Section {
            pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
        };
        let sections: BTreeMap<_, _> =
            sections.iter().map(|(name, pairs)| (name.to_string(), section(pairs))).collect();
        let request =
            Request { name: "remote", sections: &sections, path, direction: Direction::Backup };
        decide(&file, &request).map_err(|failure| failure.message)
    }

    pub const S3: (&str, &[(&str, &str)]) = ("remote", &[("type", "s3")]);

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
        assert!(why.contains("the path `else` matches none of its `paths`"), "{why}");
        let why = wrapped("base:enc", &[("type", "drive")]).unwrap_err();
        assert!(
            why.contains("a remote of type `drive`")
                && why.contains("it allows the backends crypt"),
            "{why}"
        );
        let why = verdict("", &[("remote", &crypt("/etc"))], "x").unwrap_err();
        assert!(why.contains("the local path `/etc`"), "{why}");
    }

    #[test]
    fn a_remote_that_is_reached_under_two_rules_has_the_pins_of_both() {
        let text = "version = 1\n[[allow]]\nbackends = [\"union\"]\nuse = [\"importer\"]\n";
        let rule = |path, option| {
            format!(
                "[[allow]]\nbackends = [\"s3\"]\nuse = [\"importer\"]\npaths = [\"{path}\"]\n\
                 pin = {{ {option} }}\n"
            )
        };
        let decide = |one, other| {
            let text = format!("{text}{}{}", rule("a", one), rule("b", other));
            let file = PolicyFile::parse(Path::new("p.toml"), text).unwrap();
            let section = |pairs: [(&str, &str); 2]| -> Section {
                pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
            };
            let sections = BTreeMap::from([
                ("all".into(), section([("type", "union"), ("upstreams", "base:a base:b")])),
                ("base".into(), section([("type", "s3"), ("provider", "Minio")])),
            ]);
            let request = Request {
                name: "all",
                sections: &sections,
                path: "",
                direction: Direction::Backup,
            };
            super::decide(&file, &request)
        };
        let pins = decide("region = \"eu\"", "acl = \"private\"").unwrap().pins;
        let both = [("region".into(), "eu".into()), ("acl".into(), "private".into())].into();
        assert_eq!(pins, Pins::for_remote("base", &both));
        let refusal = decide("region = \"eu\"", "region = \"us\"").unwrap_err();
        assert!(refusal.message.contains("value of the option `region`"), "{}", refusal.message);
    }
}
