//! What makes no sense in a policy file though it is well-formed.

use std::ops::Range;
use toml::Spanned;

use super::schema::{Audit, Policy, Rule};
use crate::policy::hosts::{OPEN, is_closed};
use crate::policy::limits::Limits;
use crate::policy::rclone_options;
use crate::policy::request::Use;

/// What makes no sense though it is well-formed, and where.
pub fn find(policy: &Policy) -> Option<(Range<usize>, String)> {
    let Policy { version, rclone, environment, audit, limits, allow, .. } = policy;
    if *version.get_ref() != 1 {
        let what = "this version of the format isn't known: write `version = 1`, or install a newer plakbox";
        return Some((version.span(), what.to_owned()));
    }
    let file = audit.as_ref().and_then(|audit| match audit {
        Audit::File(file) => Some(file),
        Audit::Stderr(_) => None,
    });
    let mut paths = rclone.path.iter().chain(file);
    if let Some(path) = paths.find(|path| !path.get_ref().is_absolute()) {
        let what = format!("`{}` must be an absolute path", path.get_ref().display());
        return Some((path.span(), what));
    }
    if let Some(environment) = environment
        && let Some(name) = environment.get_ref().iter().find(|name| steers(name))
    {
        let what = format!(
            "the variable `{name}` would steer rclone past this policy: remove it from `environment`"
        );
        return Some((environment.span(), what));
    }
    small(limits.as_ref()).or_else(|| allow.iter().find_map(in_rule))
}

/// The same in one rule.
fn in_rule(whole: &Spanned<Rule>) -> Option<(Range<usize>, String)> {
    let rule = whole.get_ref();
    if rule.backends.is_empty() || rule.uses.get_ref().is_empty() {
        let what = "the rule allows nothing: name its `backends` and its `use`";
        return Some((whole.span(), what.to_owned()));
    }
    if rule.read_only && !rule.uses.get_ref().contains(&Use::Importer) {
        let what = "a rule that is `read-only` allows no exporter: remove one of both";
        return Some((rule.uses.span(), what.to_owned()));
    }
    if let Some(directories) = &rule.directories
        && let Some(path) = directories.get_ref().iter().find(|path| !path.is_absolute())
    {
        let what = format!("`{}` must be an absolute path", path.display());
        return Some((directories.span(), what));
    }
    if let Some(pin) = &rule.pin
        && let Some(option) = open(rule)
    {
        return Some((pin.span(), format!("the option `{option}` {OPEN}")));
    }
    small(rule.limits.as_ref())
}

/// An option that is pinned to an address which what comes after it would change.
fn open(rule: &Rule) -> Option<&str> {
    let table = rclone_options::table().ok()?;
    let mut pins = rule.pins().filter(|(_, value)| !value.is_empty() && !is_closed(value));
    let prefix = |option: &str| {
        let of = |backend: &String| table.is_address_prefix(backend, option);
        rule.backends.contains("*") && table.is_address_prefix("s3", option)
            || rule.backends.iter().any(of)
    };
    pins.find(|(option, _)| prefix(option)).map(|(option, _)| option.as_str())
}

/// Whether a variable sets rclone's options, or chooses code that it runs.
fn steers(name: &str) -> bool {
    let starts = ["RCLONE_", "LD_", "DYLD_"].iter().any(|start| name.starts_with(start));
    starts || matches!(name, "PATH" | "TMPDIR" | "GODEBUG") || name.is_empty() || name.contains('=')
}

fn small(limits: Option<&Spanned<Limits>>) -> Option<(Range<usize>, String)> {
    let (name, least) = limits?.get_ref().too_small()?;
    Some((
        limits?.span(),
        format!("nothing works with so little: `{name}` must be at least {least}"),
    ))
}
