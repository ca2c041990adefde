//! What a policy allows, in words, with the lines that say so.

use super::grant::{Grant, Ports};
use super::layers::Policies;
use super::limits::Limits;
use super::request::{Request, Use};
use super::rule;
use super::written::{Rule, Written};
use crate::contract::Failure;

/// What a policy allows whom.
pub fn explain(written: &Written) -> Vec<String> {
    let mut lines = vec![format!("the policy `{}`", written.file.display())];
    let policy = &written.policy;
    if policy.allow.is_empty() {
        lines.push("  allows nothing: it has no rule".to_owned());
    }
    for spanned in &policy.allow {
        let rule = spanned.get_ref();
        let uses: Vec<_> = rule.uses.get_ref().iter().map(|it| it.name()).collect();
        let backends = Vec::from_iter(rule.backends.iter().map(String::as_str)).join(", ");
        lines.push(format!("  {}", rule::place(written, spanned)));
        lines.push(format!("    allows {backends} for {}", uses.join(" and ")));
        lines.extend(conditions(written, rule).into_iter().map(|line| format!("    {line}")));
    }
    let limits = policy.limits.as_ref().map(|limits| limits.get_ref().clone()).unwrap_or_default();
    lines.push("  limits of every session".to_owned());
    for (name, value) in limits.clone().or(Limits::usual()).lines() {
        let usual = if limits.lines().contains(&(name.clone(), value.clone())) {
            ""
        } else {
            " (as usual)"
        };
        lines.push(format!("    {name} {value}{usual}"));
    }
    lines
}

fn conditions(written: &Written, rule: &Rule) -> Vec<String> {
    let texts = |part: &Option<toml::Spanned<Vec<super::written::Pattern>>>, what: &str| {
        part.as_ref().map(|part| {
            let patterns: Vec<_> = part.get_ref().iter().map(|it| it.text()).collect();
            format!("{what} {} (line {})", patterns.join(", "), written.line(part))
        })
    };
    let directories = rule.directories.as_ref().map(|directories| {
        let shown: Vec<_> =
            directories.get_ref().iter().map(|path| path.display().to_string()).collect();
        format!("local directories {} (line {})", shown.join(", "), written.line(directories))
    });
    let pins = rule.pin.iter().map(|(option, value)| format!("option {option} is {value}"));
    let limits = rule.limits.as_ref().map(|limits| limits.get_ref().lines()).unwrap_or_default();
    texts(&rule.paths, "paths")
        .into_iter()
        .chain(texts(&rule.options, "options"))
        .chain(texts(&rule.hosts, "hosts"))
        .chain(directories)
        .chain(rule.read_only.then(|| "read only".to_owned()))
        .chain([ports(&rule.ports)])
        .chain(pins)
        .chain(limits.into_iter().map(|(name, value)| format!("{name} {value}")))
        .collect()
}

fn ports(ports: &Ports) -> String {
    match ports {
        Ports::Any(_) => "any TCP port".to_owned(),
        Ports::Only(ports) if ports.is_empty() => "no TCP port".to_owned(),
        Ports::Only(ports) => {
            let shown: Vec<_> = ports.iter().map(u16::to_string).collect();
            format!("TCP ports {}", shown.join(", "))
        }
    }
}

/// What one remote may do under the policies in force, for each use; or why it may not.
pub fn explain_request(policies: &Policies, request: Request<'_>) -> (Vec<String>, bool) {
    let mut lines = Vec::new();
    let mut allowed = false;
    for r#use in [Use::Importer, Use::Exporter] {
        match policies.decide(&Request { r#use, ..request }) {
            Ok(grant) => {
                allowed = true;
                lines.push(format!("as {}: allowed", r#use.name()));
                lines.extend(shown(&grant).into_iter().map(|line| format!("  {line}")));
            }
            Err(Failure { message, .. }) => {
                lines.push(format!("as {}: refused", r#use.name()));
                lines.push(format!("  {message}"));
            }
        }
    }
    (lines, allowed)
}

fn shown(grant: &Grant) -> Vec<String> {
    let by = Vec::from_iter(grant.rules.iter().map(String::as_str)).join(", ");
    let mut lines = vec![match by.is_empty() {
        true => "by the built-in policy: there is no policy file".to_owned(),
        false => format!("by {by}"),
    }];
    lines
        .extend(grant.directories.iter().map(|path| format!("local directory {}", path.display())));
    lines.push(ports(&grant.ports));
    lines.extend(grant.limits.lines().into_iter().map(|(name, value)| format!("{name} {value}")));
    lines
}
