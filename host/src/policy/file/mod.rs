//! A policy file: reads and parses it, and locates its parts.
//!
//! - [`mod@schema`]: the format
//! - [`validate`]: checks beyond the format

mod schema;
mod validate;

use std::path::{Path, PathBuf};
use toml::Spanned;

use crate::connector::{Failure, Reason};
pub use schema::{Audit, Pattern, Policy, Rule, schema};

/// A policy with the file that contains it.
#[derive(Debug)]
pub struct PolicyFile {
    pub path: PathBuf,
    pub policy: Policy,
    /// Whether it is the policy of a service's tenant, which has stricter defaults.
    pub is_tenant: bool,
    text: String,
}

impl PolicyFile {
    /// Reads a policy file.
    ///
    /// # Errors
    ///
    /// The file can't be read, or isn't valid.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            invalid(format!(
                "the policy `{}` can't be read, and nothing is allowed without it: {error}",
                path.display()
            ))
        })?;
        Self::parse(path, text)
    }

    /// Parses and checks the text of a policy file.
    ///
    /// # Errors
    ///
    /// The text isn't valid; the message has its line and column.
    pub fn parse(path: &Path, text: String) -> Result<Self, Failure> {
        let policy: Policy = toml::from_str(&text).map_err(|error| {
            let at = line_and_column(&text, error.span().map_or(0, |span| span.start));
            invalid(format!("`{}`:{at}: {}", path.display(), error.message()))
                .with_help("correct it and run `plakbox policy check` on it")
        })?;
        let file = Self { path: path.to_owned(), policy, is_tenant: false, text };
        match validate::find_error(&file.policy) {
            None => Ok(file),
            Some((span, what)) => {
                let at = line_and_column(&file.text, span.start);
                Err(what.with_context(format_args!("`{}`:{at}", path.display())))
            }
        }
    }

    /// Marks this as the policy of a service's tenant.
    pub fn for_tenant(self) -> Self {
        Self { is_tenant: true, ..self }
    }

    /// Whether this is the same file with the same text.
    pub fn is_same(&self, other: &Self) -> bool {
        (&self.path, &self.text) == (&other.path, &other.text)
    }

    /// Line on which a part of the file begins, from 1.
    pub fn line<T>(&self, part: &Spanned<T>) -> usize {
        line_number(&self.text, part.span().start)
    }
}

fn line_number(text: &str, offset: usize) -> usize {
    text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count() + 1
}

/// Formats the line and the column of an offset, from 1.
fn line_and_column(text: &str, offset: usize) -> String {
    let before = text.get(..offset).unwrap_or_default();
    let column = before.chars().rev().take_while(|char| *char != '\n').count() + 1;
    format!("{}:{column}", line_number(text, offset))
}

fn invalid(message: impl AsRef<str>) -> Failure {
    Failure::new(Reason::InvalidConfiguration, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<PolicyFile, Failure> {
        PolicyFile::parse(Path::new("p.toml"), text.to_owned())
    }

    #[test]
    fn errors_are_reported_with_line_and_column() {
        let rule = "version = 1\n[[allow]]\nbackends = [\"s3\"]\nuse = [\"importer\"]\n";
        for (text, message) in [
            ("", "`p.toml`:1:1: missing field `version`"),
            ("version = 2\n", "`p.toml`:1:11: unknown version of the format"),
            ("version = 1\nalow = 3\n", "`p.toml`:2:1: unknown field `alow`"),
            ("version = 1\n[limits]\nram = 3\n", "`p.toml`:3:1: unknown field `ram`"),
            ("version = 1\n[limits]\nprocesses = 1\n", "`processes` must be at least 8"),
            ("version = 1\n[[allow]]\nbackends = []\nuse = []", "the rule allows nothing"),
            ("version = 1\n[rclone]\nsha256 = \"ab\"", "`p.toml`:3:10: a SHA-256 has 64"),
            (
                "version = 1\n[rclone]\npath = \"rclone\"",
                "`p.toml`:3:8: `rclone` must be an absolute",
            ),
            ("version = 1\n[audit]\nfile = \"log\"", "`p.toml`:3:8: `log` must be an absolute"),
            (
                "version = 1\nenvironment = [\"RCLONE_SFTP_SSH\"]",
                "`p.toml`:2:15: the variable `RCLONE_SFTP_SSH` would let rclone bypass",
            ),
            (&format!("{rule}use-it = 1\n"), "`p.toml`:5:1: unknown field `use-it`"),
            (&format!("{rule}paths = [\"a[\"]\n"), "`p.toml`:5:9: unclosed character class"),
            (&format!("{rule}ports = \"all\"\n"), "`p.toml`:5:9:"),
            (
                &format!("{rule}pin = {{ download_url = \"https://a.example\" }}\n"),
                "`p.toml`:5:7: the option `download_url` needs a `/` after its host",
            ),
            (&format!("{rule}append-only = true\n"), "must be for `store`"),
            (
                &format!("{}append-only = true\n", rule.replace("importer", "store\", \"exporter")),
                "`p.toml`:4:7: a rule that is `append-only` can't be for `exporter`",
            ),
            (
                &format!(
                    "{}append-only = true\nread-only = true\n",
                    rule.replace("importer", "store")
                ),
                "a rule can't be `read-only` and `append-only`",
            ),
            (&format!("{rule}directories = [\"x\"]\n"), "`p.toml`:5:15: `x` must be an absolute"),
        ] {
            let failure = parse(text).unwrap_err();
            assert!(failure.message.contains(message), "{text:?}: {}", failure.message);
        }
    }

    #[test]
    fn whatever_is_written_is_a_policy_or_a_mistake_with_its_place() {
        use proptest::prelude::*;
        let words = [
            "version = 1\n",
            "[[allow]]\n",
            "backends = [\"s3\"]\n",
            "use = [\"importer\"]\n",
            "[limits]\n",
            "paths = [\"a/**\", \"{\"]\n",
            "ports = [1, 65536]\n",
            "ports = \"any\"\n",
            "wall-time = \"1h\"\n",
            "bandwidth = \"1EiB\"\n",
            "pin = { a = \"b\" }\n",
            "[audit]\n",
            "file = \"/x\"\n",
            "[rclone]\n",
            "sha256 = \"é\"\n",
            "minimum-version = \"1\"\n",
            "directories = [\"/\"]\n",
            "environment = [\"LD_X\"]\n",
            "é",
            "\"\"\"",
            "[",
            "=",
            "\0",
        ];
        let word = prop_oneof![
            5 => prop::sample::select(words.to_vec()).prop_map(str::to_owned),
            1 => ".{0,12}",
        ];
        crate::random_inputs::check_property(prop::collection::vec(word, 0..14), |words| {
            if let Err(failure) = parse(&words.concat()) {
                assert!(failure.message.starts_with("`p.toml`:"), "{}", failure.message);
            }
        });
    }

    #[test]
    fn a_rule_knows_its_line() {
        let text = "version = 1\n\n[[allow]]\nbackends = [\"s3\"]\nuse = [\"importer\"]\n\
                    paths = [\"a\"]\n";
        let file = parse(text).unwrap();
        let rule = &file.policy.allow[0];
        assert_eq!(file.line(rule), 3);
        assert_eq!(file.line(rule.get_ref().paths.as_ref().unwrap()), 6);
    }
}
