//! The request of a session: a remote, the remotes that it wraps, a path and a direction.

use std::collections::{BTreeMap, BTreeSet};

use super::rclone_options::wrapped_remotes;
use super::rclone_options::{self, LocalAccess};
use crate::connector::{Failure, Reason};
use crate::direction::Direction;

/// rclone's name of the backend for local paths.
pub const LOCAL_BACKEND: &str = "local";

/// Options of one remote, as in a section of rclone.conf.
pub type Section = BTreeMap<String, String>;

/// The request of a session.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Name of the remote in `sections`.
    pub name: &'a str,
    /// Sections of the remote and of every remote that it wraps.
    pub sections: &'a BTreeMap<String, Section>,
    /// Path inside the remote.
    pub path: &'a str,
    pub direction: Direction,
}

/// A remote or a local directory that a session reaches, with the path inside it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// Name of its section; `None` for a local path that a wrapping remote names.
    pub name: Option<String>,
    pub path: String,
}

impl<'a> Request<'a> {
    /// Lists the remote itself, and then everything that it wraps directly or indirectly.
    ///
    /// # Errors
    ///
    /// A wrapped remote has no section.
    pub fn targets(&self) -> Result<Vec<Target>, Failure> {
        let root = Target { name: Some(self.name.to_owned()), path: self.path.to_owned() };
        let mut targets = vec![root];
        let mut known = BTreeSet::from([targets[0].clone()]);
        let mut next = 0;
        while let Some(target) = targets.get(next).cloned() {
            next += 1;
            let Some(name) = target.name else { continue };
            for target in wrapped_targets(self.section(&name)?)? {
                if known.insert(target.clone()) {
                    targets.push(target);
                }
            }
        }
        Ok(targets)
    }

    /// Returns the options of a remote.
    ///
    /// # Errors
    ///
    /// There is no such remote.
    pub fn section(&self, name: &str) -> Result<&'a Section, Failure> {
        self.sections.get(name).ok_or_else(|| {
            Failure::new(
                Reason::InvalidConfiguration,
                format!("the remote wraps `{}`, which isn't configured", name.escape_debug()),
            )
            .with_help(
                "use a remote of your rclone.conf as rclone://NAME:path, so that the remotes it \
                 wraps are found",
            )
        })
    }
}

/// Returns the canonical name of a section's backend.
pub fn backend(section: &Section) -> &str {
    canonical_backend(section.get("type").map_or("", String::as_str))
}

/// Returns the canonical name of a backend; rclone accepts aliases of some.
pub fn canonical_backend(name: &str) -> &str {
    match name {
        "gphotos" | "googlephotos" => "google photos",
        "gcs" | "googlecloudstorage" => "google cloud storage",
        "oos" => "oracleobjectstorage",
        "tardigrade" => "storj",
        backend => backend,
    }
}

/// Lists the local files and sockets that options make rclone access, in addition to the
/// directories of local remotes.
///
/// # Errors
///
/// The table of options is broken.
pub fn local_access<'a>(
    sections: impl Iterator<Item = &'a Section>,
) -> Result<Vec<LocalAccess>, Failure> {
    let table = rclone_options::table()?;
    let of_section = |section: &'a Section| {
        let backend = backend(section);
        section.iter().flat_map(|(option, value)| table.local_access(backend, option, value))
    };
    Ok(sections.flat_map(of_section).collect())
}

/// Lists the remotes and local paths that the options of a section name.
///
/// # Errors
///
/// The table of options is broken.
pub fn wrapped_targets(section: &Section) -> Result<Vec<Target>, Failure> {
    let table = rclone_options::table()?;
    let wrapping = section.iter().filter(|(key, value)| table.wraps(key) && !value.is_empty());
    Ok(wrapping
        .flat_map(|(key, value)| wrapped_remotes::upstreams(backend(section), key, value))
        .map(parse_target)
        .collect())
}

/// Parses `name:path` or a local path.
fn parse_target(text: String) -> Target {
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
    fn a_backend_has_one_name_whichever_of_its_names_a_remote_has() {
        for (name, canonical) in [
            ("gphotos", "google photos"),
            ("gcs", "google cloud storage"),
            ("oos", "oracleobjectstorage"),
            ("tardigrade", "storj"),
            ("s3", "s3"),
        ] {
            assert_eq!(canonical_backend(name), canonical);
            assert_eq!(backend(&Section::from([("type".to_owned(), name.to_owned())])), canonical);
        }
        assert_eq!(backend(&Section::new()), "");
    }

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
        let request =
            Request { name: "all", sections: &sections, path: "p", direction: Direction::Backup };
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
