//! What this program logs on stderr, and how it ends where its output is a pipe that is
//! read no further.

use std::env;
use std::io::{self, IsTerminal};
use tracing_subscriber::EnvFilter;

use crate::terminal::{self, LogLines};

/// What to log.
const VARIABLE: &str = "PLAKBOX_LOG";

/// The levels, as the variable has them.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Starts the log. A service's lines are for programs, unless they come on a terminal.
pub fn start(is_service: bool) {
    let usual = if is_service { "info" } else { "warn" };
    let said = env::var(VARIABLE).unwrap_or_default();
    let filter = filter(&said);
    let wrong = filter.is_none() && !said.is_empty();
    let filter = filter.unwrap_or_else(|| EnvFilter::new(usual));
    let for_programs = is_service && !io::stderr().is_terminal();
    let lines =
        LogLines { plain: if for_programs { terminal::plain_json } else { terminal::plain } };
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(lines);
    match for_programs {
        // What collects it wants to find a tenant's and a session's lines.
        true => log.json().flatten_event(true).init(),
        false => log.with_ansi(false).without_time().init(),
    }
    if wrong {
        tracing::warn!(
            "{VARIABLE} is `{}`, which isn't a level: set it to error, warn, info or debug",
            said.escape_debug()
        );
    }
}

/// The filter that the variable's value stands for: a level, or levels of modules after
/// commas. A single word that isn't one would be taken for a module.
fn filter(said: &str) -> Option<EnvFilter> {
    let is_level = |word: &str| LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word));
    let sound = |part: &str| is_level(part.trim()) || part.contains('=');
    if said.is_empty() || !said.split(',').all(sound) {
        return None;
    }
    EnvFilter::builder().parse(said).ok()
}

/// Whether an error is that our output is read no further.
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
