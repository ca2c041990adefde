//! Errors of single paths that a process logged, and whether they explain its unsuccessful end.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::super::stderr_log::SUMMARY_PREFIX;
use super::wording::strip_noise;

/// Errors of single paths, each of which is reported on its own.
#[derive(Debug, Default)]
pub struct ReportedErrors {
    count: u64,
    /// Digests of their messages.
    errors: HashSet<u64>,
}

impl ReportedErrors {
    /// Records the error of one path as the process logged it.
    pub fn record(&mut self, message: &str) {
        self.count += 1;
        self.errors.insert(digest(strip_noise(message)));
    }

    /// Whether a process ended unsuccessfully for these errors only: its summary counts no more of
    /// them, and the last error is one of them. rclone counts the last error of a listing twice, as
    /// it returns it as its own.
    ///
    /// Source: `Run` in rclone's cmd/cmd.go, `listRwalk` in fs/walk/walk.go.
    pub fn explain(&self, summary: Option<&str>) -> bool {
        let Some((head, error)) = summary
            .and_then(|it| it.strip_prefix(SUMMARY_PREFIX))
            .and_then(|it| it.split_once(": "))
        else {
            return false;
        };
        let counted = match head.split_once(" with ") {
            Some((_, rest)) => rest.split(' ').next().and_then(|number| number.parse().ok()),
            None => Some(1),
        };
        let error = error.strip_prefix("last error was: ").unwrap_or(error);
        counted.is_some_and(|counted: u64| counted <= self.count + 1)
            && self.errors.contains(&digest(strip_noise(error)))
    }
}

fn digest(text: String) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reported(messages: &[&str]) -> ReportedErrors {
        let mut reported = ReportedErrors::default();
        for message in messages {
            reported.record(message);
        }
        reported
    }

    #[test]
    fn an_end_is_excused_by_the_errors_that_it_counts() {
        let one = reported(&["error listing: directory not found"]);
        assert!(one.explain(Some(
            "Failed to lsjson with 2 errors: last error was: error in ListJSON: directory not found"
        )));
        let local = reported(&[r#"failed to open directory "x": open /x: permission denied"#]);
        assert!(local.explain(Some(
            r#"Failed to lsjson: failed to open directory "x": open /x: permission denied"#
        )));
    }

    #[test]
    fn an_end_that_counts_more_or_names_another_error_is_not_excused() {
        let one = reported(&["error listing: directory not found"]);
        for summary in [
            None,
            Some("killed"),
            Some("Failed to lsjson: error in ListJSON: connection reset"),
            Some("Failed to lsjson with 2 errors: last error was: error in ListJSON: reset"),
            Some("Failed to lsjson with 3 errors: last error was: directory not found"),
            Some("Failed to lsjson with many errors: last error was: directory not found"),
        ] {
            assert!(!one.explain(summary), "{summary:?}");
        }
        assert!(!ReportedErrors::default().explain(Some("Failed to lsjson: x")));
    }
}
