//! Logging to stderr, and the detection of a closed output pipe.

use std::env;
use std::io::{self, IsTerminal};
use tracing_subscriber::EnvFilter;

use crate::terminal::{self, LogLines};

/// Environment variable with the log filter.
const LOG_ENV: &str = "PLAKBOX_LOG";

/// Names of the levels.
const LOG_LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Starts logging. A service logs JSON, unless stderr is a terminal.
pub fn start(is_service: bool) {
    let default = if is_service { "info" } else { "warn" };
    let value = env::var(LOG_ENV).unwrap_or_default();
    let filter = filter(&value);
    let is_invalid = filter.is_none() && !value.is_empty();
    let filter = filter.unwrap_or_else(|| EnvFilter::new(default));
    let is_json = is_service && !io::stderr().is_terminal();
    let lines = LogLines { escape: if is_json { terminal::escape_json } else { terminal::escape } };
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(lines);
    if is_json {
        // Collectors find the lines of a tenant and of a session by their fields.
        log.json().flatten_event(true).init();
    } else {
        log.with_ansi(false).without_time().init();
    }
    if is_invalid {
        tracing::warn!(
            "{LOG_ENV} is `{}`, which isn't a level; help: set it to error, warn, info or debug",
            value.escape_debug()
        );
    }
}

/// Parses a filter: a level, or a comma-separated list of levels and of modules with levels.
/// A single unknown word is refused, as it would be parsed as a module.
fn filter(value: &str) -> Option<EnvFilter> {
    let is_level = |word: &str| LOG_LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word));
    let is_valid = |part: &str| is_level(part.trim()) || part.contains('=');
    if value.is_empty() || !value.split(',').all(is_valid) {
        return None;
    }
    EnvFilter::builder().parse(value).ok()
}

/// Whether an error means that the reader of the output has closed it.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_levels_are_taken_for_levels() {
        for good in ["error", "WARN", "debug", "plakbox=trace", "warn,plakbox::rclone=debug"] {
            assert!(filter(good).is_some(), "{good}");
        }
        for bad in ["", "verbose", "warning", "plakbox=loud", "warn,x", "="] {
            assert!(filter(bad).is_none(), "{bad}");
        }
    }
}
