//! Checks of a policy file that its format can't express.

use std::ops::Range;
use std::path::Path;
use toml::Spanned;

use super::schema::{Audit, Policy, Rule};
use crate::connector::Failure;
use crate::direction::Direction;
use crate::policy::hosts::{UNTERMINATED_ADDRESS, is_terminated};
use crate::policy::limits::Limits;
use crate::policy::rclone_options;

/// Finds an error. Returns its position, and the failure without it.
pub fn find_error(policy: &Policy) -> Option<(Range<usize>, Failure)> {
    let Policy { version, rclone, environment, audit, limits, allow, .. } = policy;
    if *version.get_ref() != 1 {
        let what = Failure::invalid_config("unknown version of the format")
            .with_help("write `version = 1`, or install a newer plakbox");
        return Some((version.span(), what));
    }
    let file = audit.as_ref().and_then(|audit| match audit {
        Audit::File(file) => Some(file),
        Audit::Stderr(_) => None,
    });
    let mut paths = rclone.path.iter().chain(file);
    if let Some(path) = paths.find(|path| !path.get_ref().is_absolute()) {
        return Some((path.span(), relative_path(path.get_ref())));
    }
    if let Some(environment) = environment
        && let Some(name) = environment.get_ref().iter().find(|name| is_dangerous_env(name))
    {
        let what = Failure::invalid_config(format!(
            "the variable `{name}` would let rclone bypass this policy"
        ))
        .with_help("remove it from `environment`");
        return Some((environment.span(), what));
    }
    find_limit_error(limits.as_ref()).or_else(|| allow.iter().find_map(find_rule_error))
}

/// Finds an error in one rule.
fn find_rule_error(spanned: &Spanned<Rule>) -> Option<(Range<usize>, Failure)> {
    let rule = spanned.get_ref();
    if rule.backends.is_empty() || rule.uses.get_ref().is_empty() {
        let what = Failure::invalid_config("the rule allows nothing")
            .with_help("name its `backends` and its `use`");
        return Some((spanned.span(), what));
    }
    if let Some(what) = find_mode_error(rule) {
        return Some((rule.uses.span(), what));
    }
    if let Some(directories) = &rule.directories
        && let Some(path) = directories.get_ref().iter().find(|path| !path.is_absolute())
    {
        return Some((directories.span(), relative_path(path)));
    }
    if let Some(pin) = &rule.pin
        && let Some(option) = unterminated_pin(rule)
    {
        let what = format!("the option `{option}` {UNTERMINATED_ADDRESS}");
        return Some((pin.span(), Failure::invalid_config(what)));
    }
    find_limit_error(rule.limits.as_ref())
}

/// Finds a contradiction between the uses of a rule and what they may do.
fn find_mode_error(rule: &Rule) -> Option<Failure> {
    let uses = rule.uses.get_ref();
    let error = |message: &str, help: &str| Some(Failure::invalid_config(message).with_help(help));
    if rule.read_only && uses.iter().all(|direction| *direction == Direction::Restore) {
        return error(
            "a rule that is `read-only` can't be for `exporter` alone",
            "remove one of them",
        );
    }
    if !rule.append_only {
        return None;
    }
    if rule.read_only {
        return error("a rule can't be `read-only` and `append-only`", "remove one of them");
    }
    if !uses.contains(&Direction::Store) {
        return error("a rule that is `append-only` must be for `store`", "add it to `use`");
    }
    // An exporter replaces files, which may be those of the store.
    if uses.contains(&Direction::Restore) {
        return error(
            "a rule that is `append-only` can't be for `exporter`",
            "write a rule of its own for that",
        );
    }
    None
}

/// Finds an option that is pinned to an address whose host an appended name could change.
fn unterminated_pin(rule: &Rule) -> Option<&str> {
    let table = rclone_options::table().ok()?;
    let mut pins = rule.pins().filter(|(_, value)| !value.is_empty() && !is_terminated(value));
    let prefix = |option: &str| {
        let is_prefix = |backend: &String| table.is_address_prefix(backend, option);
        rule.backends.contains("*") && table.is_address_prefix("s3", option)
            || rule.backends.iter().any(is_prefix)
    };
    pins.find(|(option, _)| prefix(option)).map(|(option, _)| option.as_str())
}

/// Whether an environment variable sets rclone's options, or chooses code that it runs.
fn is_dangerous_env(name: &str) -> bool {
    let starts = ["RCLONE_", "LD_", "DYLD_"].iter().any(|start| name.starts_with(start));
    starts || matches!(name, "PATH" | "TMPDIR" | "GODEBUG") || name.is_empty() || name.contains('=')
}

/// Finds a limit that is too small.
fn find_limit_error(limits: Option<&Spanned<Limits>>) -> Option<(Range<usize>, Failure)> {
    let (name, minimum) = limits?.get_ref().below_minimum()?;
    let what = format!("the limit `{name}` must be at least {minimum}");
    Some((limits?.span(), Failure::invalid_config(what)))
}

fn relative_path(path: &Path) -> Failure {
    Failure::invalid_config(format!("`{}` must be an absolute path", path.display()))
}
