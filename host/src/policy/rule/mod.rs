//! Whether a rule allows a session to reach one remote, and what it grants for that.
//!
//! - [`conditions`], [`host_check`]: what a rule wants of a remote

mod conditions;
mod host_check;

use std::collections::BTreeSet;
use toml::Spanned;

use super::file::{Rule, Written};
use super::grant::{Environment, Grant, Program};
use super::pins::Pins;
use super::request::{Request, Section, Target, Use, backend};
use crate::connector::{Failure, Reason};
use conditions::{Asked, Reached};

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
            Ok(reached) => return Ok(grant(written, rule, request.r#use, target, reached)),
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
    reached: Reached,
) -> Grant {
    let (policy, place) = (&written.policy, place(written, rule));
    let rule = rule.get_ref();
    let environment = policy.environment.as_ref().map(|names| names.get_ref().clone());
    let limits = [&policy.limits, &rule.limits].into_iter().flatten();
    let pins = rule.pin.as_ref().map(Spanned::get_ref);
    let pinned = target.name.as_ref().zip(pins).map(|(name, pins)| Pins::of(name, pins));
    Grant {
        write: r#use == Use::Exporter && !rule.read_only,
        directories: reached.directory.into_iter().collect(),
        public: reached.public,
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::path::Path;

    /// What a policy of one rule, for s3, sftp, local and crypt, says.
    pub fn verdict(
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
}
