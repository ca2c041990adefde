//! The conditions of a rule: uses, paths, options, pins and directories.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::connector::Failure;
use crate::direction::Direction;
use crate::policy::file::{PolicyFile, Rule};
use crate::policy::rclone_options;
use crate::policy::rclone_options::hard_denies::is_secret_value;
use crate::policy::rclone_options::paths::{self, ancestors, is_safe_name};
use crate::policy::request::{LOCAL_BACKEND, Section};

/// Local directory and hosts that a remote reaches under a rule.
pub struct Access {
    pub directory: Option<PathBuf>,
    /// Names of hosts that must not resolve to private networks.
    pub public_hosts: BTreeSet<String>,
}

/// One remote as the input of a rule.
pub struct RuleInput<'a> {
    pub section: &'a Section,
    pub backend: &'a str,
    pub path: &'a str,
    pub direction: Direction,
}

impl RuleInput<'_> {
    /// Evaluates a rule.
    ///
    /// # Errors
    ///
    /// The rule doesn't allow this remote.
    pub fn evaluate(&self, rule: &Rule, file: &PolicyFile) -> Result<Access, Failure> {
        self.check_use(rule, file)?;
        self.check_path(rule, file)?;
        self.check_options(rule, file)?;
        self.check_pins(rule)?;
        let public_hosts = self.check_hosts(rule, file)?;
        let is_local = self.backend == LOCAL_BACKEND;
        let directory = if is_local { Some(self.directory(rule)?) } else { None };
        Ok(Access { directory, public_hosts })
    }

    fn check_use(&self, rule: &Rule, file: &PolicyFile) -> Result<(), Failure> {
        let is_denied_write = self.direction == Direction::Restore && rule.read_only;
        if rule.uses.get_ref().contains(&self.direction) && !is_denied_write {
            return Ok(());
        }
        let line = file.line(&rule.uses);
        let user = match self.direction {
            Direction::Backup => "by an importer",
            Direction::Restore => "by an exporter",
            Direction::Store => "as a store",
        };
        Err(Failure::denied(format!("it may not be used {user}, see line {line}")))
    }

    fn check_path(&self, rule: &Rule, file: &PolicyFile) -> Result<(), Failure> {
        if self.path.split('/').any(|name| !name.is_empty() && !is_safe_name(name)) {
            let path = self.path.escape_debug();
            return Err(Failure::denied(format!("`{path}` has a `..` in it")));
        }
        // After the address of a web server, such a path names a different server.
        if self.backend != LOCAL_BACKEND && self.path.starts_with("//") {
            let path = self.path.escape_debug();
            return Err(Failure::denied(format!("`{path}` begins with two slashes"))
                .with_help("write one slash"));
        }
        let Some(paths) = &rule.paths else { return Ok(()) };
        if ancestors(self.path).any(|path| paths.get_ref().iter().any(|it| it.matches(path))) {
            return Ok(());
        }
        let path = match self.path.trim_matches('/') {
            "" => "the whole remote".to_owned(),
            _ => format!("the path `{}`", self.path.escape_debug()),
        };
        let line = file.line(paths);
        Err(Failure::denied(format!("{path} matches none of its `paths`, see line {line}")))
    }

    fn check_options(&self, rule: &Rule, file: &PolicyFile) -> Result<(), Failure> {
        let Some(option) = self.find_denied_option(rule) else { return Ok(()) };
        Err(Failure::denied(match &rule.options {
            Some(options) => format!(
                "the option `{option}` matches none of its `options`, see line {}",
                file.line(options)
            ),
            None => format!(
                "the option `{option}` reads local files or uses this machine's identity, and its \
                 `options` don't name it"
            ),
        }))
    }

    /// Finds the first option that isn't allowed. Without the table that is `type`.
    fn find_denied_option(&self, rule: &Rule) -> Option<&str> {
        let Ok(table) = rclone_options::table() else { return Some("type") };
        for (option, value) in self.section {
            if option == "type" || table.wraps(option) || rule.pins_option(option) {
                continue;
            }
            let is_private =
                table.is_private(self.backend, option) && !rclone_options::is_off(value);
            let is_allowed = match &rule.options {
                None => !is_private,
                Some(patterns) if is_private => {
                    patterns.get_ref().iter().any(|pattern| pattern.text() == option)
                }
                Some(patterns) => patterns.get_ref().iter().any(|pattern| pattern.matches(option)),
            };
            if !is_allowed {
                return Some(option);
            }
        }
        None
    }

    fn check_pins(&self, rule: &Rule) -> Result<(), Failure> {
        for (option, value) in rule.pins() {
            if self.section.get(option).is_none_or(|own| own == value) {
                continue;
            }
            // The user must not learn a secret from the message.
            if is_secret_value(option, value) {
                return Err(Failure::denied(format!(
                    "the option `{option}` must be the policy's own"
                ))
                .with_help(format!("leave out `{option}`")));
            }
            let value = value.escape_debug();
            return Err(Failure::denied(format!("the option `{option}` must be `{value}`")));
        }
        Ok(())
    }

    /// Returns the resolved path of a local directory, if it lies in one of the rule's
    /// directories.
    fn directory(&self, rule: &Rule) -> Result<PathBuf, Failure> {
        let resolved = paths::resolve(Path::new(self.path)).map_err(Failure::denied)?;
        for granted in rule.directories.iter().flat_map(|directories| directories.get_ref()) {
            if paths::resolve(granted).is_ok_and(|granted| resolved.starts_with(granted)) {
                return Ok(resolved);
            }
        }
        let path = resolved.display();
        Err(Failure::denied(format!("`{path}` lies in none of its `directories`")))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{S3, verdict};

    #[test]
    fn a_path_is_allowed_with_all_below_it_and_nothing_beside_it() {
        let rule = "paths = [\"photos\", \"docs/*/final\"]";
        for path in ["photos", "photos/", "photos/2024/x", "docs/a/final/b"] {
            assert!(verdict(rule, &[S3], path).is_ok(), "{path}");
        }
        for path in [
            "",
            "photos2",
            "/photos",
            "docs",
            "docs/a",
            "docs/a/b/final",
            "photos/../x",
            "photos/．．/x",
        ] {
            let why = verdict(rule, &[S3], path).unwrap_err();
            assert!(why.contains("`paths`, see line 5") || why.contains("`..`"), "{path}: {why}");
        }
        assert!(verdict("paths = [\"**\"]", &[S3], "").is_ok());
        assert!(verdict("", &[S3], "//photos").unwrap_err().contains("begins with two slashes"));
    }

    #[test]
    fn options_that_reach_this_machine_must_be_named_in_full() {
        let with = |rule: &str, option, value| {
            verdict(rule, &[("remote", &[("type", "sftp"), (option, value)])], "")
        };
        assert!(with("", "user", "me").is_ok());
        assert!(with("", "key_file", "~/.ssh/id").unwrap_err().contains("`key_file` reads local"));
        assert!(with("options = [\"*\"]", "key_file", "~/.ssh/id").is_err());
        assert!(with("options = [\"key_file\"]", "key_file", "~/.ssh/id").is_ok());
        assert!(with("options = [\"user\"]", "port", "22").unwrap_err().contains("see line 5"));
        let off = [("type", "s3"), ("env_auth", "false"), ("provider", "AWS")];
        assert!(verdict("", &[("remote", &off)], "").is_ok());
        assert!(verdict("", &[("remote", &[("type", "s3"), ("env_auth", "true")])], "").is_err());
    }

    #[test]
    fn a_local_directory_is_taken_for_where_it_really_lies() {
        let place = tempfile::tempdir().unwrap();
        let place = place.path().canonicalize().unwrap();
        let path = |name: &str| place.join(name).display().to_string();
        std::fs::create_dir_all(path("granted/in")).unwrap();
        std::fs::create_dir(path("secret")).unwrap();
        std::os::unix::fs::symlink(path("secret"), path("granted/out")).unwrap();
        std::os::unix::fs::symlink(path("granted"), path("link")).unwrap();
        std::os::unix::fs::symlink(path("nowhere"), path("granted/broken")).unwrap();
        let rule = format!("directories = [{:?}]", path("granted"));
        let local = |name: &str| verdict(&rule, &[("remote", &[("type", "local")])], &path(name));
        for (name, real) in
            [("granted", "granted"), ("link/in", "granted/in"), ("granted/new/x", "granted/new/x")]
        {
            assert_eq!(local(name).unwrap().directories, [place.join(real)].into(), "{name}");
        }
        for name in ["secret", "granted/out", "granted/../secret", "granted/broken/x", "granted2"] {
            assert!(local(name).is_err(), "{name}");
        }
    }
}
