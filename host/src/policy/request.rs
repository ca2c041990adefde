//! What a session asks for: a remote, all that it wraps, and what for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

use super::rclone_options::wrapped_remotes;
use super::rclone_options::{self, Read};
use crate::connector::{Failure, Reason};

/// The options of one remote, as in a section of rclone.conf.
pub type Section = BTreeMap<String, String>;

/// What a remote is used for.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Use {
    /// A backup, or a look at it: it is read.
    Importer,
    /// A restore: it is written.
    Exporter,
}

impl Use {
    pub fn name(self) -> &'static str {
        match self {
            Self::Importer => "importer",
            Self::Exporter => "exporter",
        }
    }
}

/// What a session asks for.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The remote's name in `sections`.
    pub name: &'a str,
    /// It, and every remote that it wraps.
    pub sections: &'a BTreeMap<String, Section>,
    /// The path inside it.
    pub path: &'a str,
    pub r#use: Use,
}

/// A remote or a local directory that a session reaches, and the path inside it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// The name of its section; none for a local path that a wrapping remote names.
    pub name: Option<String>,
    pub path: String,
}

impl<'a> Request<'a> {
    /// The remote itself, and then all that it wraps, however deep.
    pub fn targets(&self) -> Result<Vec<Target>, Failure> {
        let own = Target { name: Some(self.name.to_owned()), path: self.path.to_owned() };
        let mut targets = vec![own];
        let mut known = BTreeSet::from([targets[0].clone()]);
        let mut next = 0;
        while let Some(target) = targets.get(next).cloned() {
            next += 1;
            let Some(name) = target.name else { continue };
            for wrapped in wrapped(self.section(&name)?)? {
                if known.insert(wrapped.clone()) {
                    targets.push(wrapped);
                }
            }
        }
        Ok(targets)
    }

    /// The options of a remote of this name.
    pub fn section(&self, name: &str) -> Result<&'a Section, Failure> {
        self.sections.get(name).ok_or_else(|| {
            Failure::new(
                Reason::InvalidConfiguration,
                format!("the remote wraps `{}`, which isn't configured: name a remote of your rclone.conf as rclone://NAME:path, so that what it wraps is found", name.escape_debug()),
            )
        })
    }
}

/// rclone's name of a section's backend, of the several that it takes.
pub fn backend(section: &Section) -> &str {
    match section.get("type").map_or("", String::as_str) {
        "gphotos" | "googlephotos" => "google photos",
        "gcs" | "googlecloudstorage" => "google cloud storage",
        "oos" => "oracleobjectstorage",
        "tardigrade" => "storj",
        backend => backend,
    }
}

/// What the options of remotes make rclone read on this machine, other than the directories
/// of local remotes.
pub fn files<'a>(sections: impl Iterator<Item = &'a Section>) -> Result<Vec<Read>, Failure> {
    let table = rclone_options::table()?;
    let files = |section: &'a Section| {
        section.iter().flat_map(|(option, value)| table.files(backend(section), option, value))
    };
    Ok(sections.flat_map(files).collect())
}

/// The remotes and local paths that the options of a section name.
pub fn wrapped(section: &Section) -> Result<Vec<Target>, Failure> {
    let table = rclone_options::table()?;
    let wrapping = section.iter().filter(|(key, value)| table.wraps(key) && !value.is_empty());
    Ok(wrapping
        .flat_map(|(key, value)| wrapped_remotes::remotes(backend(section), key, value))
        .map(target)
        .collect())
}

/// Takes `name:path` or a local path apart.
fn target(text: String) -> Target {
    match text.split_once(':') {
        Some((name, path)) if !name.contains('/') => {
            Target { name: Some(name.to_owned()), path: path.to_owned() }
        }
        _ => Target { name: None, path: text },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_a_remote_wraps_is_found_with_its_paths() {
        let section = |pairs: &[(&str, &str)]| -> Section {
            pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect()
        };
        let sections = BTreeMap::from([
            (
                "all".to_owned(),
                section(&[
                    ("type", "union"),
                    ("upstreams", "secret:a \"my base:b c\" /srv/x:ro base:"),
                ]),
            ),
            ("secret".to_owned(), section(&[("type", "crypt"), ("remote", "base:enc/")])),
            ("base".to_owned(), section(&[("type", "webdav")])),
            ("my base".to_owned(), section(&[("type", "alias"), ("remote", "all:loop")])),
        ]);
        let request = Request { name: "all", sections: &sections, path: "p", r#use: Use::Importer };
        let targets = request.targets().unwrap();
        let shown: Vec<_> = targets
            .iter()
            .map(|target| format!("{}:{}", target.name.as_deref().unwrap_or("-"), target.path))
            .collect();
        assert_eq!(
            shown,
            ["all:p", "secret:a", "my base:b c", "-:/srv/x", "base:", "base:enc/", "all:loop"]
        );
        let lost = Request { name: "no", ..request }.targets().unwrap_err();
        assert!(lost.message.contains("`no`, which isn't configured"), "{}", lost.message);
    }
}
