//! The conditions of a rule: its uses, paths, options, pins and directories.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::LOCAL;
use crate::policy::file::{Rule, Written};
use crate::policy::rclone_options;
use crate::policy::rclone_options::hard_denies::is_secret_value;
use crate::policy::rclone_options::paths::{self, ancestors, is_name};
use crate::policy::request::{Section, Use};

/// What a remote leads to under a rule.
pub struct Reached {
    /// The local directory.
    pub directory: Option<PathBuf>,
    /// Names of hosts that may not lead to private networks.
    pub public: BTreeSet<String>,
}

/// One remote as a rule looks at it.
pub struct Asked<'a> {
    pub section: &'a Section,
    pub backend: &'a str,
    pub path: &'a str,
    pub r#use: Use,
}

impl Asked<'_> {
    /// What keeps a rule from allowing it; else what is reached.
    pub fn of(&self, rule: &Rule, written: &Written) -> Result<Reached, String> {
        let on = |line: usize| format!("see line {line}");
        let uses = rule.uses.get_ref();
        if !uses.contains(&self.r#use) || self.r#use == Use::Exporter && rule.read_only {
            let name = self.r#use.name();
            return Err(format!(
                "it may not be used by an {name}, {}",
                on(written.line(&rule.uses))
            ));
        }
        if self.path.split('/').any(|name| !name.is_empty() && !is_name(name)) {
            return Err(format!("`{}` has a `..` in it", self.path.escape_debug()));
        }
        // After the address of a web server, that is another one.
        if self.backend != LOCAL && self.path.starts_with("//") {
            let path = self.path.escape_debug();
            return Err(format!("`{path}` begins with two slashes: write one"));
        }
        if let Some(paths) = &rule.paths
            && !ancestors(self.path).any(|path| paths.get_ref().iter().any(|it| it.matches(path)))
        {
            let path = match self.path.trim_matches('/') {
                "" => "the whole remote".to_owned(),
                _ => format!("the path `{}`", self.path.escape_debug()),
            };
            return Err(format!("{path} is none of its `paths`, {}", on(written.line(paths))));
        }
        self.options(rule).map_err(|option| match &rule.options {
            Some(options) => format!(
                "the option `{option}` is none of its `options`, {}", on(written.line(options))
            ),
            None => format!("the option `{option}` reads local files or uses this machine's identity, and its `options` don't name it"),
        })?;
        self.pins(rule)?;
        let public = self.hosts(rule, written)?;
        let directory = match self.backend == LOCAL {
            true => Some(self.directory(rule)?),
            false => None,
        };
        Ok(Reached { directory, public })
    }

    /// The first option that isn't allowed.
    fn options<'a>(&'a self, rule: &Rule) -> Result<(), &'a str> {
        let Ok(table) = rclone_options::table() else { return Err("type") };
        for (option, value) in self.section {
            if option == "type" || table.wraps(option) || rule.has_pinned(option) {
                continue;
            }
            let private = table.is_private(self.backend, option) && !rclone_options::is_off(value);
            let allowed = match &rule.options {
                None => !private,
                Some(patterns) => patterns.get_ref().iter().any(|pattern| match private {
                    true => pattern.text() == option,
                    false => pattern.matches(option),
                }),
            };
            if !allowed {
                return Err(option);
            }
        }
        Ok(())
    }

    fn pins(&self, rule: &Rule) -> Result<(), String> {
        let other = |(option, value): &(&String, &String)| {
            self.section.get(*option).is_some_and(|have| have != *value)
        };
        match rule.pins().find(other) {
            None => Ok(()),
            // Whoever reads this needn't know it.
            Some((option, value)) if is_secret_value(option, value) => {
                Err(format!("the option `{option}` must be the policy's own: leave it out"))
            }
            Some((option, value)) => {
                Err(format!("the option `{option}` must be `{}`", value.escape_debug()))
            }
        }
    }

    /// The real path of a local directory, if the rule's directories hold it.
    fn directory(&self, rule: &Rule) -> Result<PathBuf, String> {
        let real = paths::real(Path::new(self.path))?;
        let granted = rule.directories.iter().flat_map(|directories| directories.get_ref());
        if granted
            .filter_map(|path| paths::real(path).ok())
            .any(|granted| real.starts_with(granted))
        {
            return Ok(real);
        }
        Err(format!("`{}` lies in none of its `directories`", real.display()))
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
