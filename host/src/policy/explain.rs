//! Explanations of policies and decisions, with the lines that they come from.

use toml::Spanned;

use super::engine::Policies;
use super::file::{Pattern, PolicyFile, Rule};
use super::grant::Grant;
use super::limits::Limits;
use super::rclone_options::hard_denies::is_secret_value;
use super::request::Request;
use super::rule;
use super::values::Ports;
use crate::connector::Failure;
use crate::direction::Direction;

/// Explains everything that a policy file allows.
pub fn explain(file: &PolicyFile) -> Vec<String> {
    let mut lines = vec![format!("the policy `{}`", file.path.display())];
    let policy = &file.policy;
    if policy.allow.is_empty() {
        lines.push("  allows nothing: it has no rule".to_owned());
    }
    for spanned in &policy.allow {
        let rule = spanned.get_ref();
        let uses: Vec<_> = rule.uses.get_ref().iter().map(|it| it.name()).collect();
        let backends = Vec::from_iter(rule.backends.iter().map(String::as_str)).join(", ");
        lines.push(format!("  {}", rule::location(file, spanned)));
        lines.push(format!("    allows {backends} for {}", uses.join(" and ")));
        lines.extend(rule_lines(file, rule).into_iter().map(|line| format!("    {line}")));
    }
    lines.push("  limits of every session".to_owned());
    lines.extend(limit_lines(file).into_iter().map(|line| format!("    {line}")));
    lines
}

/// Lists the limits of every session, with the line that sets each one.
fn limit_lines(file: &PolicyFile) -> Vec<String> {
    let part = file.policy.limits.as_ref();
    let limits = part.map(|limits| limits.get_ref().clone()).unwrap_or_default();
    let own = limits.entries();
    let mut lines = Vec::new();
    for (name, value) in limits.with_defaults(Limits::built_in()).entries() {
        let is_own = own.iter().any(|entry| entry.0 == name);
        let origin = match part.filter(|_| is_own) {
            Some(part) => line_of(file, part),
            None => "default".to_owned(),
        };
        lines.push(format!("{name} {value} ({origin})"));
    }
    lines
}

/// Formats the line on which a part of a policy file stands.
fn line_of<T>(file: &PolicyFile, part: &Spanned<T>) -> String {
    format!("line {}", file.line(part))
}

/// Lists the conditions of a rule and what it grants.
fn rule_lines(file: &PolicyFile, rule: &Rule) -> Vec<String> {
    let patterns = |part: &Option<Spanned<Vec<Pattern>>>, what: &str| {
        part.as_ref().map(|part| {
            let patterns: Vec<_> = part.get_ref().iter().map(Pattern::text).collect();
            format!("{what} {} ({})", patterns.join(", "), line_of(file, part))
        })
    };
    let mut lines = Vec::new();
    lines.extend(patterns(&rule.paths, "paths"));
    lines.extend(patterns(&rule.options, "options"));
    lines.extend(patterns(&rule.hosts, "hosts"));
    if rule.ports.is_some() {
        lines.push(private_hosts_line(file, rule));
    }
    if let Some(part) = &rule.directories {
        let all: Vec<_> = part.get_ref().iter().map(|path| path.display().to_string()).collect();
        lines.push(format!("local directories {} ({})", all.join(", "), line_of(file, part)));
    }
    if rule.read_only {
        lines.push("read only".to_owned());
    }
    if rule.append_only {
        lines.push("append only: objects are never replaced or deleted, except locks".to_owned());
    }
    lines.push(match &rule.ports {
        Some(part) => format!("{} ({})", ports_text(part.get_ref()), line_of(file, part)),
        None => ports_text(&Ports::default()),
    });
    if let Some(part) = &rule.pin {
        for (option, value) in part.get_ref() {
            let value = redact(option, value);
            lines.push(format!("option {option} is {value} ({})", line_of(file, part)));
        }
    }
    if let Some(part) = &rule.limits {
        for (name, value) in part.get_ref().entries() {
            lines.push(format!("{name} {value} ({})", line_of(file, part)));
        }
    }
    lines
}

/// Describes whether private hosts are allowed. The default depends on whose policy it is.
fn private_hosts_line(file: &PolicyFile, rule: &Rule) -> String {
    match &rule.private_hosts {
        Some(part) if *part.get_ref() => format!("any private host ({})", line_of(file, part)),
        Some(part) => format!("private hosts that it names in full ({})", line_of(file, part)),
        None => "any private host; as a tenant's policy, those that it names in full".to_owned(),
    }
}

/// Returns the value of an option, or a placeholder for a secret.
fn redact<'a>(option: &str, value: &'a str) -> &'a str {
    if is_secret_value(option, value) { "a secret" } else { value }
}

fn ports_text(ports: &Ports) -> String {
    match ports {
        Ports::Any(_) => "any TCP port".to_owned(),
        Ports::Only(ports) if ports.is_empty() => "no TCP port".to_owned(),
        Ports::Only(ports) => {
            let all: Vec<_> = ports.iter().map(u16::to_string).collect();
            format!("TCP ports {}", all.join(", "))
        }
    }
}

/// Explains what a remote may do under the policies in force, for each use, or why it may not.
/// Returns the lines, and whether any use is allowed.
pub fn explain_request(policies: &Policies, request: Request<'_>) -> (Vec<String>, bool) {
    let mut lines = Vec::new();
    let mut is_allowed = false;
    for direction in [Direction::Backup, Direction::Restore, Direction::Store] {
        match policies.decide(&Request { direction, ..request }) {
            Ok(grant) => {
                is_allowed = true;
                lines.push(format!("as {}: allowed", direction.name()));
                let all = grant_lines(policies, &grant);
                lines.extend(all.into_iter().map(|line| format!("  {line}")));
            }
            Err(Failure { message, help, .. }) => {
                lines.push(format!("as {}: refused", direction.name()));
                lines.push(format!("  {message}"));
                lines.extend(help.map(|help| format!("  help: {help}")));
            }
        }
    }
    (lines, is_allowed)
}

/// Lists the rules that allowed a session, with their conditions, and the resulting grant.
fn grant_lines(policies: &Policies, grant: &Grant) -> Vec<String> {
    let mut lines = Vec::new();
    if grant.rules.is_empty() {
        lines.push("by the built-in policy: there is no policy file".to_owned());
    }
    for file in &policies.files {
        for rule in &file.policy.allow {
            let location = rule::location(file, rule);
            if grant.rules.contains(&location) {
                lines.push(format!("by {location}"));
                let conditions = rule_lines(file, rule.get_ref());
                lines.extend(conditions.into_iter().map(|line| format!("  {line}")));
            }
        }
    }
    lines.push("resulting rights".to_owned());
    for path in &grant.directories {
        lines.push(format!("  local directory {}", path.display()));
    }
    if grant.append_only {
        lines.push("  append only".to_owned());
    }
    lines.push(format!("  {}", ports_text(&grant.ports)));
    for (name, option, value) in grant.pins.iter() {
        lines.push(format!("  {option} of `{name}` is {}", redact(option, value)));
    }
    for (name, value) in grant.limits.entries() {
        lines.push(format!("  {name} {value}"));
    }
    lines
}
