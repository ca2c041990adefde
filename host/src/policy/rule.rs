//! Whether a rule allows a session to reach one remote, and what it grants for that.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use toml::Spanned;

use super::file::{Rule, Written};
use super::grant::{Environment, Grant, Program};
use super::hosts::private::{self, Place};
use super::hosts::{self, Named};
use super::pins::Pins;
use super::rclone_options;
use super::rclone_options::hard_denies::is_secret_value;
use super::rclone_options::names::is_name;
use super::rclone_options::paths::{self, ancestors};
use super::request::{Request, Section, Target, Use, backend};
use crate::connector::{Failure, Reason};

/// rclone's name of the backend of local paths.
const LOCAL: &str = "local";

/// What a policy grants a session, or why it refuses it.
pub fn decide(written: &Written, request: &Request<'_>) -> Result<Grant, Failure> {
    let mut granted: Option<Grant> = None;
    for target in request.targets()? {
        let grant = allowing(written, request, &target)?;
        granted = Some(match granted {
            None => grant,
            Some(earlier) => earlier.join(grant)?,
        });
    }
    granted.ok_or_else(|| Failure::internal("a session that reaches nothing was decided on"))
}

/// What the first rule that allows a target grants.
fn allowing(written: &Written, request: &Request<'_>, target: &Target) -> Result<Grant, Failure> {
    let empty = Section::new();
    let (section, backend) = match &target.name {
        Some(name) => request.section(name).map(|section| (section, backend(section)))?,
        None => (&empty, LOCAL),
    };
    let mut refusals = Vec::new();
    for rule in &written.policy.allow {
        let named = |name: &str| rule.get_ref().backends.contains(name);
        if !named("*") && !named(backend) {
            continue;
        }
        let asked = Asked { section, backend, path: &target.path, r#use: request.r#use };
        match asked.of(rule.get_ref(), written) {
            Ok(reached) => return Ok(grant(written, rule, request.r#use, target, reached)),
            Err(refusal) => refusals.push(format!("{refusal} ({})", place(written, rule))),
        }
    }
    if refusals.is_empty() {
        let allowed = written.policy.allow.iter().flat_map(|rule| &rule.get_ref().backends);
        let allowed: BTreeSet<_> = allowed.map(String::as_str).collect();
        refusals.push(match allowed.is_empty() {
            true => "it allows nothing at all".to_owned(),
            false => format!("of backends, it allows {}", Vec::from_iter(allowed).join(", ")),
        });
    }
    let what = match &target.name {
        Some(_) => format!("a remote of type `{backend}`"),
        None => format!("the local path `{}`", target.path.escape_debug()),
    };
    Err(Failure::new(
        Reason::Denied,
        format!(
            "the policy `{}` doesn't allow {what} here: {}: ask whoever wrote the policy",
            written.file.display(),
            refusals.join("; ")
        ),
    ))
}

/// `FILE:LINE`, and the rule's name if it has one.
pub fn place(written: &Written, rule: &Spanned<Rule>) -> String {
    let name = rule.get_ref().name.as_ref().map(|name| format!(" `{name}`")).unwrap_or_default();
    format!("{}:{}{name}", written.file.display(), written.line(rule))
}

fn grant(
    written: &Written,
    rule: &Spanned<Rule>,
    r#use: Use,
    target: &Target,
    reached: Reached,
) -> Grant {
    let (policy, place) = (&written.policy, place(written, rule));
    let rule = rule.get_ref();
    let environment = policy.environment.as_ref().map(|names| names.get_ref().clone());
    let limits = [&policy.limits, &rule.limits].into_iter().flatten();
    let pins = rule.pin.as_ref().map(Spanned::get_ref);
    let pinned = target.name.as_ref().zip(pins).map(|(name, pins)| Pins::of(name, pins));
    Grant {
        write: r#use == Use::Exporter && !rule.read_only,
        directories: reached.directory.into_iter().collect(),
        public: reached.public,
        ports: rule.ports.as_ref().map(|ports| ports.get_ref().clone()).unwrap_or_default(),
        environment: Environment::Only(environment.unwrap_or_default()),
        level: policy.confinement,
        limits: limits.fold(Default::default(), |all, limits| all.narrow(limits.get_ref().clone())),
        program: Program {
            path: policy.rclone.path.as_ref().map(|path| path.get_ref().clone()),
            minimum_version: policy.rclone.minimum_version.clone(),
            sha256: policy.rclone.sha256.clone(),
        },
        pinned: pinned.unwrap_or_default(),
        rules: [place].into(),
    }
}

/// That a host is one that a tenant's remote may not have.
pub fn private_host(host: &str) -> String {
    format!(
        "the host `{host}` is this machine or in a private network: a rule that means it names it in full in `hosts` or `pin`, or says `private-hosts = true`"
    )
}

/// That a backend would go by this machine's identity for want of an option.
fn own_identity(option: &str, host: &str) -> String {
    format!(
        "without the option `{option}` rclone asks `{host}` for this machine's identity: set it in the remote"
    )
}

/// What a remote leads to under a rule.
struct Reached {
    /// The local directory.
    directory: Option<PathBuf>,
    /// Names of hosts that may not lead to private networks.
    public: BTreeSet<String>,
}

/// One remote as a rule looks at it.
struct Asked<'a> {
    section: &'a Section,
    backend: &'a str,
    path: &'a str,
    r#use: Use,
}

impl Asked<'_> {
    /// What keeps a rule from allowing it; else what is reached.
    fn of(&self, rule: &Rule, written: &Written) -> Result<Reached, String> {
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

    /// Refuses a host that isn't allowed; gives the names that may not lead to private
    /// networks.
    fn hosts(&self, rule: &Rule, written: &Written) -> Result<BTreeSet<String>, String> {
        let private = rule.private_hosts.as_ref().map(|said| *said.get_ref());
        let private = private.unwrap_or(!written.is_of_tenant);
        let pinned = self.pinned_host(rule);
        if rule.hosts.is_none() && pinned.is_none() && private {
            return Ok(BTreeSet::new());
        }
        let named =
            hosts::named(self.backend, &self.with_pins(rule)).map_err(|why| match private {
                true => why,
                false => format!("{why}, and a rule without `private-hosts = true` has to be told"),
            })?;
        let mut public = BTreeSet::new();
        for Named { option, host, is_implied } in named {
            let is_pinned = rule.has_pinned(&option);
            match &rule.hosts {
                Some(allowed) if allowed.get_ref().iter().any(|it| it.matches(&host)) => {}
                Some(_) if is_implied => return Err(own_identity(&option, &host)),
                Some(allowed) => {
                    return Err(format!(
                        "the host `{host}` is none of its `hosts`, see line {}",
                        written.line(allowed)
                    ));
                }
                None => {}
            }
            if rule.hosts.is_none()
                && !is_pinned
                && !is_implied
                && let Some(pinned) = pinned
            {
                return Err(format!(
                    "the option `{option}` names a host beside `{pinned}`, which it pins: leave it out, or let the policy pin it or say its `hosts`"
                ));
            }
            let allowed = rule.hosts.iter().flat_map(|allowed| allowed.get_ref());
            if private || is_pinned || allowed.into_iter().any(|it| it.text() == host) {
                continue;
            }
            match private::place(&host) {
                Place::Public => {}
                Place::Named => drop(public.insert(host)),
                Place::Private if is_implied => return Err(own_identity(&option, &host)),
                Place::Private => return Err(private_host(&host)),
            }
        }
        Ok(public)
    }

    /// An option that says where the remote is, if the rule pins one.
    fn pinned_host<'a>(&self, rule: &'a Rule) -> Option<&'a str> {
        let table = rclone_options::table().ok()?;
        let mut pins = rule.pins().map(|(option, _)| option.as_str());
        pins.find(|it| table.is_address(self.backend, it) || table.is_host_part(self.backend, it))
    }

    /// The section with what the rule sets in it.
    fn with_pins(&self, rule: &Rule) -> Section {
        let pins = rule.pins().map(|(option, value)| (option.clone(), value.clone()));
        self.section.clone().into_iter().chain(pins).collect()
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
    use super::*;
    use std::collections::BTreeMap;

    /// What a policy of one rule, for s3, sftp, local and crypt, says.
    fn verdict(
        rule: &str,
        sections: &[(&str, &[(&str, &str)])],
        path: &str,
    ) -> Result<Grant, String> {
        let text = format!(
            "version = 1\n[[allow]]\nbackends = [\"s3\", \"sftp\", \"local\", \"crypt\"]\nuse = [\"importer\"]\n{rule}\n"
        );
        let written = Written::parse(Path::new("p.toml"), text).unwrap();
        let section = |pairs: &[(&str, &str)]| -> Section {
            pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
        };
        let sections: BTreeMap<_, _> =
            sections.iter().map(|(name, pairs)| (name.to_string(), section(pairs))).collect();
        let request = Request { name: "remote", sections: &sections, path, r#use: Use::Importer };
        decide(&written, &request).map_err(|failure| failure.message)
    }

    const S3: (&str, &[(&str, &str)]) = ("remote", &[("type", "s3")]);

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
    fn what_a_remote_wraps_needs_a_rule_too() {
        let crypt = |target: &'static str| -> Vec<(&'static str, &'static str)> {
            vec![("type", "crypt"), ("remote", target)]
        };
        let wrapped = |target, base: &[(&str, &str)]| {
            verdict("paths = [\"enc\", \"x\"]", &[("remote", &crypt(target)), ("base", base)], "x")
        };
        assert!(wrapped("base:enc/a", &[("type", "s3")]).is_ok());
        let why = wrapped("base:else", &[("type", "s3")]).unwrap_err();
        assert!(why.contains("the path `else` is none of its `paths`"), "{why}");
        let why = wrapped("base:enc", &[("type", "drive")]).unwrap_err();
        assert!(
            why.contains("a remote of type `drive`") && why.contains("it allows crypt"),
            "{why}"
        );
        let why = verdict("", &[("remote", &crypt("/etc"))], "x").unwrap_err();
        assert!(why.contains("the local path `/etc`"), "{why}");
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
    fn hosts_and_pinned_options_are_compared() {
        let with = |rule: &str, value| {
            verdict(rule, &[("remote", &[("type", "s3"), ("endpoint", value)])], "")
        };
        let rule = "hosts = [\"*.example.org\"]";
        for host in ["https://s3.example.org", "s3.example.org:9000", "http://u@S3.example.org/x"] {
            assert!(with(rule, host).is_ok(), "{host}");
        }
        for host in
            ["https://example.com", "https://s3.example.org@evil.com", "https://[::1]:1", "http://"]
                .into_iter()
                // rclone puts `https://` before these.
                .chain(["evil.com://s3.example.org", "HTTP://s3.example.org"])
        {
            assert!(with(rule, host).is_err(), "{host}");
        }
        let region = |value| verdict(rule, &[("remote", &[("type", "s3"), ("region", value)])], "");
        assert!(region("eu-central-1").is_ok());
        assert!(region("evil.com#").unwrap_err().contains("`region` makes another host"));
        let pin = "pin = { endpoint = \"s3.example.org\" }";
        assert!(with(pin, "evil.com").unwrap_err().contains("`endpoint` must be `s3.example.org`"));
        let secret = "pin = { secret_access_key = \"the policy's\" }";
        let other = [("type", "s3"), ("secret_access_key", "x")];
        let why = verdict(secret, &[("remote", &other)], "").unwrap_err();
        assert!(
            why.contains("`secret_access_key` must be") && !why.contains("the policy's\""),
            "{why}"
        );
        let grant = verdict(pin, &[S3], "").unwrap();
        let pinned = Pins::of("remote", &[("endpoint".into(), "s3.example.org".into())].into());
        assert_eq!(grant.pinned, pinned);
    }

    #[test]
    fn an_address_beside_a_pinned_one_needs_a_pin_or_hosts_of_its_own() {
        let with = |rule: &str, options: &[(&str, &str)]| {
            verdict(rule, &[("remote", &[&[("type", "s3")], options].concat())], "")
        };
        let pin = "pin = { endpoint = \"https://s3.example.org\" }";
        for option in ["download_url", "sts_endpoint", "ibm_iam_endpoint", "mirror_url"] {
            let why = with(pin, &[(option, "https://a.example/")]).unwrap_err();
            assert!(why.contains(&format!("`{option}` names a host beside `endpoint`")), "{why}");
        }
        for option in [("region", "eu"), ("download_url", ""), ("acl", "private")] {
            assert!(with(pin, &[option]).is_ok(), "{option:?}");
        }
        assert!(with(pin, &[("region", "evil.com#")]).unwrap_err().contains("another host"));
        let download = [("download_url", "https://a.example/")];
        let both =
            "pin = { endpoint = \"https://b.example\", download_url = \"https://a.example/\" }";
        assert!(with(both, &download).is_ok());
        assert!(
            with(&format!("{pin}\nhosts = [\"*.example.org\", \"a.example\"]"), &download).is_ok()
        );
        assert!(with(&format!("{pin}\nhosts = [\"*.example.org\"]"), &download).is_err());
        assert!(with("", &download).is_ok());
    }

    #[test]
    fn a_tenant_reaches_private_hosts_only_where_its_policy_names_them() {
        let with = |rule: &str, is_of_tenant: bool, endpoint: &str| {
            let text = format!(
                "version = 1\n[[allow]]\nbackends = [\"s3\"]\nuse = [\"importer\"]\n{rule}\n"
            );
            let written = Written::parse(Path::new("p.toml"), text).unwrap();
            let written = if is_of_tenant { written.of_tenant() } else { written };
            let pairs = [("type", "s3"), ("endpoint", endpoint)];
            let section = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
            let sections = BTreeMap::from([("remote".to_owned(), section)]);
            let request =
                Request { name: "remote", sections: &sections, path: "", r#use: Use::Importer };
            let granted = decide(&written, &request).map_err(|failure| failure.message);
            granted.map(|grant| Vec::from_iter(grant.public))
        };
        let tenant = |rule: &str, endpoint: &str| with(rule, true, endpoint);
        for host in ["http://127.0.0.1:9000", "http://[::ffff:7f00:1]/", "2130706433", "0x7f.1:80"]
        {
            for rule in ["", "hosts = [\"*\"]", "private-hosts = false"] {
                let why = tenant(rule, host).unwrap_err();
                assert!(
                    why.contains("in a private network: a rule that means it"),
                    "{host}: {why}"
                );
            }
            assert!(with("", false, host).is_ok() && tenant("private-hosts = true", host).is_ok());
            assert!(with("private-hosts = false", false, host).is_err());
        }
        let named = "hosts = [\"127.0.0.1\", \"minio.example\"]";
        assert_eq!(tenant(named, "http://127.0.0.1:9000").unwrap(), [""; 0]);
        assert_eq!(tenant(named, "http://minio.example").unwrap(), [""; 0]);
        assert!(tenant(named, "http://127.1").is_err());
        let pin = "pin = { endpoint = \"http://10.0.0.1\" }";
        assert_eq!(tenant(pin, "http://10.0.0.1").unwrap(), [""; 0]);
        for rule in ["", "hosts = [\"*.example\"]"] {
            assert_eq!(tenant(rule, "https://minio.example").unwrap(), ["minio.example"]);
        }
        assert_eq!(tenant("", "http://8.8.8.8").unwrap(), [""; 0]);
    }

    #[test]
    fn a_remote_that_is_reached_under_two_rules_has_the_pins_of_both() {
        let text = "version = 1\n[[allow]]\nbackends = [\"union\"]\nuse = [\"importer\"]\n";
        let rule = |path, option| {
            format!(
                "[[allow]]\nbackends = [\"s3\"]\nuse = [\"importer\"]\npaths = [\"{path}\"]\npin = {{ {option} }}\n"
            )
        };
        let decide = |one, other| {
            let text = format!("{text}{}{}", rule("a", one), rule("b", other));
            let written = Written::parse(Path::new("p.toml"), text).unwrap();
            let section = |pairs: [(&str, &str); 2]| -> Section {
                pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
            };
            let sections = BTreeMap::from([
                ("all".into(), section([("type", "union"), ("upstreams", "base:a base:b")])),
                ("base".into(), section([("type", "s3"), ("provider", "Minio")])),
            ]);
            let request =
                Request { name: "all", sections: &sections, path: "", r#use: Use::Importer };
            super::decide(&written, &request)
        };
        let pinned = decide("region = \"eu\"", "acl = \"private\"").unwrap().pinned;
        let both = [("region".into(), "eu".into()), ("acl".into(), "private".into())].into();
        assert_eq!(pinned, Pins::of("base", &both));
        let refusal = decide("region = \"eu\"", "region = \"us\"").unwrap_err();
        assert!(refusal.message.contains("value of the option `region`"), "{}", refusal.message);
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
