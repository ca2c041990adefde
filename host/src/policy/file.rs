//! A policy file: what may be written in it, and where in it something stands.

use globset::{GlobBuilder, GlobMatcher};
use schemars::JsonSchema;
use semver::Version;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use toml::Spanned;

use super::grant::{Destination, Level, Ports};
use super::limits::Limits;
use super::request::Use;
use super::validate;
use crate::connector::{Failure, Reason};

/// A policy file of plakbox. What no rule allows is refused.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Policy {
    /// The version of this format, which is 1.
    #[schemars(with = "u32", range(min = 1, max = 1))]
    pub version: Spanned<u32>,
    /// Which rclone is run.
    #[serde(default)]
    pub rclone: Program,
    /// Variables of the environment that rclone gets; of the others it sees none.
    #[serde(default)]
    #[schemars(with = "BTreeSet<String>")]
    pub environment: Option<Spanned<BTreeSet<String>>>,
    /// Whether a session goes on where the kernel can't confine rclone.
    #[serde(default)]
    pub confinement: Level,
    /// Where each decision and each process is noted.
    #[serde(default)]
    pub audit: Option<Audit>,
    /// Limits of every session.
    #[serde(default)]
    #[schemars(with = "Limits")]
    pub limits: Option<Spanned<Limits>>,
    /// What is allowed: a remote, and every remote that it wraps, needs a rule.
    #[serde(default)]
    #[schemars(with = "Vec<Rule>")]
    pub allow: Vec<Spanned<Rule>>,
}

/// Which rclone is run.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Program {
    /// Its absolute path; the one in PATH, if this isn't said.
    #[schemars(with = "Option<PathBuf>")]
    pub path: Option<Spanned<PathBuf>>,
    /// The oldest that is run: `"1.75.0"`.
    #[schemars(with = "Option<String>")]
    pub minimum_version: Option<Version>,
    /// The SHA-256 of the file, in hexadecimal.
    #[schemars(regex(pattern = "^[0-9a-f]{64}$"))]
    pub sha256: Option<Digest>,
}

/// The SHA-256 of a file, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
pub struct Digest(pub String);

impl TryFrom<String> for Digest {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let hexadecimal = |byte: u8| {
            byte.is_ascii_digit() || byte.is_ascii_hexdigit() && byte.is_ascii_lowercase()
        };
        if text.len() == 64 && text.bytes().all(hexadecimal) {
            return Ok(Self(text));
        }
        Err("a SHA-256 has 64 hexadecimal digits in lower case: see `sha256sum rclone`")
    }
}

/// Where the audit log goes: one of both.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Audit {
    /// To this file, by its absolute path, at its end.
    File(#[schemars(with = "PathBuf")] Spanned<PathBuf>),
    /// To the standard error, which journald takes from a service.
    Stderr(bool),
}

impl Audit {
    /// Where it goes, if anywhere.
    pub fn destination(&self) -> Option<Destination> {
        match self {
            Self::File(path) => Some(Destination::File(path.get_ref().clone())),
            Self::Stderr(wanted) => wanted.then_some(Destination::Stderr),
        }
    }
}

/// Allows some remotes something.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Rule {
    /// What it is called in explanations and in the audit log.
    pub name: Option<String>,
    /// rclone's names of backends (`"s3"`, `"google photos"`); `"*"` is each of them.
    pub backends: BTreeSet<String>,
    /// For backups (`"importer"`), restores (`"exporter"`), or both.
    #[serde(rename = "use")]
    #[schemars(with = "BTreeSet<Use>")]
    pub uses: Spanned<BTreeSet<Use>>,
    /// Whether nothing may be written, whatever else is said.
    #[serde(default)]
    pub read_only: bool,
    /// Patterns of paths inside the remote (`*`, `**`, `?`, `[ab]`, `{a,b}`): what one
    /// names, and all below it. Every path, if this isn't said.
    #[schemars(with = "Option<Vec<String>>")]
    pub paths: Option<Spanned<Vec<Pattern>>>,
    /// Patterns of options that the remote's configuration may have. `*` stands for none
    /// that reads local files or uses this machine's identity: these are named in full.
    /// `["*"]`, if this isn't said.
    #[schemars(with = "Option<Vec<String>>")]
    pub options: Option<Spanned<Vec<Pattern>>>,
    /// Options that have this value: set where the configuration has none, refused where
    /// it has another.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub pin: Option<Spanned<BTreeMap<String, String>>>,
    /// Patterns of hosts that the remote's configuration may name. rclone may reach
    /// others by itself, as for tokens or after a redirection: this is a check of the
    /// configuration.
    #[schemars(with = "Option<Vec<String>>")]
    pub hosts: Option<Spanned<Vec<Pattern>>>,
    /// Whether the configuration may name hosts of this machine and of private networks that
    /// neither `hosts` nor `pin` names in full. If this isn't said, it may, except in a
    /// tenant's policy.
    #[schemars(with = "Option<bool>")]
    pub private_hosts: Option<Spanned<bool>>,
    /// TCP ports that rclone may connect to, or `"any"`; none, if this isn't said.
    #[serde(default)]
    #[schemars(with = "Ports")]
    pub ports: Option<Spanned<Ports>>,
    /// Directories on this machine, by absolute paths, that a local remote may lie in.
    #[serde(default)]
    #[schemars(with = "Vec<PathBuf>")]
    pub directories: Option<Spanned<Vec<PathBuf>>>,
    /// Limits of the sessions of these remotes, beside those of every session.
    #[serde(default)]
    #[schemars(with = "Limits")]
    pub limits: Option<Spanned<Limits>>,
}

/// A pattern in which `*` doesn't go beyond a slash.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct Pattern(GlobMatcher);

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let glob = GlobBuilder::new(&text).literal_separator(true).build();
        glob.map(|glob| Self(glob.compile_matcher())).map_err(|error| error.kind().to_string())
    }
}

impl Pattern {
    pub fn matches(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    pub fn text(&self) -> &str {
        self.0.glob().glob()
    }
}

/// A policy, and the file that it stands in.
#[derive(Debug)]
pub struct Written {
    pub file: PathBuf,
    pub policy: Policy,
    /// Whether it is a tenant's of a service, which may less where it says nothing.
    pub is_of_tenant: bool,
    text: String,
}

impl Written {
    /// Reads a policy file.
    pub fn read(file: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(file).map_err(|error| {
            wrong(format!(
                "the policy `{}` can't be read: {error}: nothing is allowed without it",
                file.display()
            ))
        })?;
        Self::parse(file, text)
    }

    /// Takes the text of a policy file apart.
    pub fn parse(file: &Path, text: String) -> Result<Self, Failure> {
        let policy: Policy = toml::from_str(&text).map_err(|error| {
            let at = place(&text, error.span().map_or(0, |span| span.start));
            wrong(format!(
                "`{}`:{at}: {}: correct it and run `plakbox policy check` on it",
                file.display(),
                error.message()
            ))
        })?;
        let written = Self { file: file.to_owned(), policy, is_of_tenant: false, text };
        match validate::find(&written.policy) {
            None => Ok(written),
            Some((span, what)) => {
                let at = place(&written.text, span.start);
                Err(wrong(format!("`{}`:{at}: {what}", file.display())))
            }
        }
    }

    /// The same as what one tenant of a service may.
    pub fn of_tenant(self) -> Self {
        Self { is_of_tenant: true, ..self }
    }

    /// Whether this is the same file with the same text.
    pub fn is_same(&self, other: &Self) -> bool {
        (&self.file, &self.text) == (&other.file, &other.text)
    }

    /// The line on which a part of the file begins, from 1.
    pub fn line<T>(&self, part: &Spanned<T>) -> usize {
        line(&self.text, part.span().start)
    }
}

impl Rule {
    /// Options that it pins.
    pub fn pins(&self) -> impl Iterator<Item = (&String, &String)> {
        self.pin.iter().flat_map(|pin| pin.get_ref())
    }

    /// Whether it pins this option.
    pub fn has_pinned(&self, option: &str) -> bool {
        self.pin.as_ref().is_some_and(|pin| pin.get_ref().contains_key(option))
    }
}

fn line(text: &str, offset: usize) -> usize {
    text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count() + 1
}

/// The line and column of an offset, from 1.
fn place(text: &str, offset: usize) -> String {
    let before = text.get(..offset).unwrap_or_default();
    let column = before.chars().rev().take_while(|char| *char != '\n').count() + 1;
    format!("{}:{column}", line(text, offset))
}

fn wrong(message: String) -> Failure {
    Failure::new(Reason::InvalidConfiguration, message)
}

/// The JSON schema of policy files, for editors and checks.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Policy).to_value()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Written, Failure> {
        Written::parse(Path::new("p.toml"), text.to_owned())
    }

    #[test]
    fn mistakes_are_told_with_line_and_column() {
        let rule = "version = 1\n[[allow]]\nbackends = [\"s3\"]\nuse = [\"importer\"]\n";
        for (text, said) in [
            ("", "`p.toml`:1:1: missing field `version`"),
            ("version = 2\n", "`p.toml`:1:11: this version of the format isn't known"),
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
                "`p.toml`:2:15: the variable `RCLONE_SFTP_SSH` would steer",
            ),
            (&format!("{rule}use-it = 1\n"), "`p.toml`:5:1: unknown field `use-it`"),
            (&format!("{rule}paths = [\"a[\"]\n"), "`p.toml`:5:9: unclosed character class"),
            (&format!("{rule}ports = \"all\"\n"), "`p.toml`:5:9:"),
            (
                &format!("{rule}pin = {{ download_url = \"https://a.example\" }}\n"),
                "`p.toml`:5:7: the option `download_url` needs a `/` after its host",
            ),
            (&format!("{rule}directories = [\"x\"]\n"), "`p.toml`:5:15: `x` must be an absolute"),
        ] {
            let failure = parse(text).unwrap_err();
            assert!(failure.message.contains(said), "{text:?}: {}", failure.message);
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
        crate::fuzzing::for_a_while(prop::collection::vec(word, 0..14), |words| {
            if let Err(failure) = parse(&words.concat()) {
                assert!(failure.message.starts_with("`p.toml`:"), "{}", failure.message);
            }
        });
    }

    #[test]
    fn a_rule_knows_its_line() {
        let text = "version = 1\n\n[[allow]]\nbackends = [\"s3\"]\nuse = [\"importer\"]\npaths = [\"a\"]\n";
        let written = parse(text).unwrap();
        let rule = &written.policy.allow[0];
        assert_eq!(written.line(rule), 3);
        assert_eq!(written.line(rule.get_ref().paths.as_ref().unwrap()), 6);
    }

    #[test]
    fn a_pattern_s_star_stays_between_slashes() {
        let matches =
            |pattern: &str, path| Pattern::try_from(pattern.to_owned()).unwrap().matches(path);
        assert!(matches("a/*", "a/b") && !matches("a/*", "a/b/c") && matches("a/**", "a/b/c"));
        assert!(matches("**", "") && !matches("*", "a/b") && !matches("photos", "photos2"));
    }

    #[test]
    fn the_schema_knows_every_key_and_no_other() {
        let schema = schema().to_string();
        for key in ["minimum-version", "read-only", "wall-time", "\"use\"", "additionalProperties"]
        {
            assert!(schema.contains(key), "{key}: {schema}");
        }
    }
}
