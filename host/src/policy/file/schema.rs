//! The format of policy files, as serde types.

use globset::{GlobBuilder, GlobMatcher};
use schemars::JsonSchema;
use semver::Version;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use toml::Spanned;

use crate::direction::Direction;
use crate::policy::limits::Limits;
use crate::policy::values::{Destination, Digest, Enforcement, Ports};

/// A policy file of plakbox. Everything that no rule allows is denied.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Policy {
    /// Version of this format, which is 1.
    #[schemars(with = "u32", range(min = 1, max = 1))]
    pub version: Spanned<u32>,
    /// Requirements on the rclone that is run.
    #[serde(default)]
    pub rclone: RcloneProgram,
    /// Environment variables that rclone gets. It gets no others.
    #[serde(default)]
    #[schemars(with = "BTreeSet<String>")]
    pub environment: Option<Spanned<BTreeSet<String>>>,
    /// Whether rclone may run where the kernel can't confine it.
    #[serde(default)]
    pub confinement: Enforcement,
    /// Destination of the audit log, which records each decision and each process.
    #[serde(default)]
    pub audit: Option<Audit>,
    /// Limits of every session.
    #[serde(default)]
    #[schemars(with = "Limits")]
    pub limits: Option<Spanned<Limits>>,
    /// Rules. A remote, and every remote that it wraps, needs a rule that allows it.
    #[serde(default)]
    #[schemars(with = "Vec<Rule>")]
    pub allow: Vec<Spanned<Rule>>,
}

/// Requirements on the rclone that is run.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct RcloneProgram {
    /// Absolute path of rclone. Default: the rclone in PATH.
    #[schemars(with = "Option<PathBuf>")]
    pub path: Option<Spanned<PathBuf>>,
    /// Oldest version that may be run: `"1.75.0"`.
    #[schemars(with = "Option<String>")]
    pub minimum_version: Option<Version>,
    /// SHA-256 of the file, in lower-case hexadecimal.
    #[schemars(regex(pattern = "^[0-9a-f]{64}$"))]
    pub sha256: Option<Digest>,
}

/// Destination of the audit log: a file or the standard error.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Audit {
    /// Absolute path of a file to append to.
    File(#[schemars(with = "PathBuf")] Spanned<PathBuf>),
    /// Whether to write to the standard error, which journald collects from a service.
    Stderr(bool),
}

impl Audit {
    /// Returns the destination, if there is one.
    pub fn destination(&self) -> Option<Destination> {
        match self {
            Self::File(path) => Some(Destination::File(path.get_ref().clone())),
            Self::Stderr(wanted) => wanted.then_some(Destination::Stderr),
        }
    }
}

/// A rule, which allows some uses of some remotes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Rule {
    /// Name of the rule in explanations and in the audit log.
    pub name: Option<String>,
    /// Names of rclone's backends (`"s3"`, `"google photos"`); `"*"` stands for every backend.
    pub backends: BTreeSet<String>,
    /// Allowed uses: backups (`"importer"`), restores (`"exporter"`) and Kloset stores
    /// (`"store"`).
    #[serde(rename = "use")]
    #[schemars(with = "BTreeSet<Direction>")]
    pub uses: Spanned<BTreeSet<Direction>>,
    /// Whether writing is denied in any case.
    #[serde(default)]
    pub read_only: bool,
    /// Whether the objects of a store may neither be replaced nor deleted. Locks may.
    #[serde(default)]
    pub append_only: bool,
    /// Patterns of paths inside the remote (`*`, `**`, `?`, `[ab]`, `{a,b}`). A pattern
    /// matches a path and everything below it. Default: every path.
    #[schemars(with = "Option<Vec<String>>")]
    pub paths: Option<Spanned<Vec<Pattern>>>,
    /// Patterns of options that the remote's configuration may have. Options that read local
    /// files or use this machine's identity must be named in full; `*` doesn't match them.
    /// Default: `["*"]`.
    #[schemars(with = "Option<Vec<String>>")]
    pub options: Option<Spanned<Vec<Pattern>>>,
    /// Options with required values. An option is set if the configuration doesn't have it,
    /// and a configuration with a different value is denied.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub pin: Option<Spanned<BTreeMap<String, String>>>,
    /// Patterns of hosts that the remote's configuration may name. This is a check of the
    /// configuration only: rclone may connect to other hosts, for tokens or after a
    /// redirection.
    #[schemars(with = "Option<Vec<String>>")]
    pub hosts: Option<Spanned<Vec<Pattern>>>,
    /// Whether the configuration may name hosts of this machine and of private networks that
    /// neither `hosts` nor `pin` names in full. Default: `true`, and `false` in the policy of
    /// a tenant.
    #[schemars(with = "Option<bool>")]
    pub private_hosts: Option<Spanned<bool>>,
    /// TCP ports that rclone may connect to, or `"any"`. Default: none.
    #[serde(default)]
    #[schemars(with = "Ports")]
    pub ports: Option<Spanned<Ports>>,
    /// Absolute paths of directories on this machine that a local remote may lie in.
    #[serde(default)]
    #[schemars(with = "Vec<PathBuf>")]
    pub directories: Option<Spanned<Vec<PathBuf>>>,
    /// Limits of sessions with these remotes, in addition to those of every session.
    #[serde(default)]
    #[schemars(with = "Limits")]
    pub limits: Option<Spanned<Limits>>,
}

/// A pattern in which `*` doesn't match a slash.
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
    /// Whether the pattern matches the whole text.
    pub fn matches(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    /// Returns the pattern as it was written.
    pub fn text(&self) -> &str {
        self.0.glob().glob()
    }
}

impl Rule {
    /// Iterates over the options that it pins.
    pub fn pins(&self) -> impl Iterator<Item = (&String, &String)> {
        self.pin.iter().flat_map(|pin| pin.get_ref())
    }

    /// Whether it pins this option.
    pub fn pins_option(&self, option: &str) -> bool {
        self.pin.as_ref().is_some_and(|pin| pin.get_ref().contains_key(option))
    }
}

/// Creates the JSON schema of policy files, for editors and validators.
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
        for key in [
            "minimum-version",
            "read-only",
            "append-only",
            "wall-time",
            "\"use\"",
            "additionalProperties",
        ] {
            assert!(schema.contains(key), "{key}: {schema}");
        }
    }
}
