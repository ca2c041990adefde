//! What a policy allows, in words, with the lines that say so.

use toml::Spanned;

use super::engine::Policies;
use super::file::{Pattern, Rule, Written};
use super::grant::Grant;
use super::limits::Limits;
use super::rclone_options::hard_denies::is_secret_value;
use super::request::{Request, Use};
use super::rule;
use super::values::Ports;
use crate::connector::Failure;

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
        let said = policy.limits.as_ref().filter(|_| limits.lines().iter().any(|it| it.0 == name));
        let by = said.map_or("as usual".to_owned(), |part| at(written, part));
        lines.push(format!("    {name} {value} ({by})"));
    }
    lines
}

/// The line on which a part of a policy stands.
fn at<T>(written: &Written, part: &Spanned<T>) -> String {
    format!("line {}", written.line(part))
}

/// What a rule says, a line for each.
fn conditions(written: &Written, rule: &Rule) -> Vec<String> {
    let patterns = |part: &Option<Spanned<Vec<Pattern>>>, what: &str| {
        part.as_ref().map(|part| {
            let patterns: Vec<_> = part.get_ref().iter().map(Pattern::text).collect();
            format!("{what} {} ({})", patterns.join(", "), at(written, part))
        })
    };
    let directories = rule.directories.as_ref().map(|part| {
        let shown: Vec<_> = part.get_ref().iter().map(|path| path.display().to_string()).collect();
        format!("local directories {} ({})", shown.join(", "), at(written, part))
    });
    let ports = match &rule.ports {
        Some(part) => format!("{} ({})", ports(part.get_ref()), at(written, part)),
        None => ports(&Ports::default()),
    };
    let pins = rule.pin.iter().flat_map(|part| {
        let line = move |(option, value): (&String, &String)| {
            format!("option {option} is {} ({})", plain(option, value), at(written, part))
        };
        part.get_ref().iter().map(line)
    });
    let limits = rule.limits.iter().flat_map(|part| {
        let line = move |(name, value): (String, String)| {
            format!("{name} {value} ({})", at(written, part))
        };
        part.get_ref().lines().into_iter().map(line)
    });
    patterns(&rule.paths, "paths")
        .into_iter()
        .chain(patterns(&rule.options, "options"))
        .chain(patterns(&rule.hosts, "hosts"))
        .chain(rule.ports.is_some().then(|| private_hosts(written, rule)))
        .chain(directories)
        .chain(rule.read_only.then(|| "read only".to_owned()))
        .chain([ports])
        .chain(pins)
        .chain(limits)
        .collect()
}

/// Whether private networks may be reached; what isn't said depends on whose policy it is.
fn private_hosts(written: &Written, rule: &Rule) -> String {
    match &rule.private_hosts {
        Some(said) if *said.get_ref() => format!("any private host ({})", at(written, said)),
        Some(said) => format!("private hosts that it names in full ({})", at(written, said)),
        None => "any private host; as a tenant's policy, those that it names in full".to_owned(),
    }
}

/// The value of an option as anybody may see it.
fn plain<'a>(option: &str, value: &'a str) -> &'a str {
    if is_secret_value(option, value) { "a secret" } else { value }
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
                lines.extend(shown(policies, &grant).into_iter().map(|line| format!("  {line}")));
            }
            Err(Failure { message, .. }) => {
                lines.push(format!("as {}: refused", r#use.name()));
                lines.push(format!("  {message}"));
            }
        }
    }
    (lines, allowed)
}

/// What was granted: by which rules, what each of these says, and what that comes to.
fn shown(policies: &Policies, grant: &Grant) -> Vec<String> {
    let mut lines = Vec::new();
    if grant.rules.is_empty() {
        lines.push("by the built-in policy: there is no policy file".to_owned());
    }
    for written in &policies.written {
        for rule in &written.policy.allow {
            let place = rule::place(written, rule);
            if grant.rules.contains(&place) {
                lines.push(format!("by {place}"));
                let said = conditions(written, rule.get_ref());
                lines.extend(said.into_iter().map(|line| format!("  {line}")));
            }
        }
    }
    lines.push("so it may have".to_owned());
    let directories =
        grant.directories.iter().map(|path| format!("local directory {}", path.display()));
    let pins = grant
        .pinned
        .iter()
        .map(|(name, option, value)| format!("{option} of `{name}` is {}", plain(option, value)));
    let limits = grant.limits.lines().into_iter().map(|(name, value)| format!("{name} {value}"));
    let all = directories.chain([ports(&grant.ports)]).chain(pins).chain(limits);
    lines.extend(all.map(|line| format!("  {line}")));
    lines
}
