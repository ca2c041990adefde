//! What may be written in a policy file.

use globset::{GlobBuilder, GlobMatcher};
use schemars::JsonSchema;
use semver::Version;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use toml::Spanned;

use crate::policy::limits::Limits;
use crate::policy::request::Use;
use crate::policy::values::{Destination, Digest, Level, Ports};

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

/// The JSON schema of policy files, for editors and checks.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Policy).to_value()
}

#[cfg(test)]
mod tests {
    use super::*;

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
