//! The errors of single paths that a process told, and whether they are all that its
//! unsuccessful end is about.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::errors::wording::plain;
use super::stderr_log::SUMMARY;

/// The errors of single paths, of which each is reported on its own.
#[derive(Debug, Default)]
pub struct Told {
    count: u64,
    /// Digests of what they say.
    errors: HashSet<u64>,
}

impl Told {
    /// Notes the error of one path, as the process logged it.
    pub fn note(&mut self, message: &str) {
        self.count += 1;
        self.errors.insert(digest(plain(message)));
    }

    /// Whether the process ended unsuccessfully for these errors and for no other: its
    /// summary counts no more of them, and the last one is among them. rclone counts the
    /// last error of a listing twice, as it returns it as its own.
    ///
    /// Source: `Run` in rclone's cmd/cmd.go, `listRwalk` in fs/walk/walk.go.
    pub fn excuses(&self, summary: Option<&str>) -> bool {
        let Some((head, error)) =
            summary.and_then(|it| it.strip_prefix(SUMMARY)).and_then(|it| it.split_once(": "))
        else {
            return false;
        };
        let counted = match head.split_once(" with ") {
            Some((_, rest)) => rest.split(' ').next().and_then(|number| number.parse().ok()),
            None => Some(1),
        };
        let error = error.strip_prefix("last error was: ").unwrap_or(error);
        counted.is_some_and(|counted: u64| counted <= self.count + 1)
            && self.errors.contains(&digest(plain(error)))
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

    fn told(messages: &[&str]) -> Told {
        let mut told = Told::default();
        messages.iter().for_each(|message| told.note(message));
        told
    }

    #[test]
    fn an_end_is_excused_by_the_errors_that_it_counts() {
        let one = told(&["error listing: directory not found"]);
        assert!(one.excuses(Some(
            "Failed to lsjson with 2 errors: last error was: error in ListJSON: directory not found"
        )));
        let local = told(&[r#"failed to open directory "x": open /x: permission denied"#]);
        assert!(local.excuses(Some(
            r#"Failed to lsjson: failed to open directory "x": open /x: permission denied"#
        )));
    }

    #[test]
    fn an_end_that_counts_more_or_names_another_error_is_not_excused() {
        let one = told(&["error listing: directory not found"]);
        for summary in [
            None,
            Some("killed"),
            Some("Failed to lsjson: error in ListJSON: connection reset"),
            Some("Failed to lsjson with 2 errors: last error was: error in ListJSON: reset"),
            Some("Failed to lsjson with 3 errors: last error was: directory not found"),
            Some("Failed to lsjson with many errors: last error was: directory not found"),
        ] {
            assert!(!one.excuses(summary), "{summary:?}");
        }
        assert!(!Told::default().excuses(Some("Failed to lsjson: x")));
    }
}
