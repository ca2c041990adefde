//! The condition of a rule about hosts.

use std::collections::BTreeSet;

use super::conditions::RuleInput;
use crate::connector::Failure;
use crate::policy::file::{PolicyFile, Rule};
use crate::policy::hosts::private::{HostClass, classify, private_host};
use crate::policy::hosts::{RemoteHost, find_hosts};
use crate::policy::rclone_options;
use crate::policy::request::Section;

impl RuleInput<'_> {
    /// Checks the hosts that the remote names. Returns the names that must not resolve to
    /// private networks.
    pub(super) fn check_hosts(
        &self,
        rule: &Rule,
        file: &PolicyFile,
    ) -> Result<BTreeSet<String>, Failure> {
        let private_hosts = rule.private_hosts.as_ref().map(|value| *value.get_ref());
        let is_private_allowed = private_hosts.unwrap_or(!file.is_tenant);
        let pinned = self.pinned_host_option(rule);
        if rule.hosts.is_none() && pinned.is_none() && is_private_allowed {
            return Ok(BTreeSet::new());
        }
        let hosts = find_hosts(self.backend, &self.with_pins(rule)).map_err(|mut why| {
            if !is_private_allowed {
                why.message += ", which a rule without `private-hosts = true` needs to know";
            }
            why
        })?;
        let mut public = BTreeSet::new();
        for host in hosts {
            check_listed(rule, file, &host)?;
            let is_pinned = rule.pins_option(&host.option);
            if let Some(pinned) = pinned
                && rule.hosts.is_none()
                && !is_pinned
                && !host.is_implied
            {
                let option = host.option;
                return Err(Failure::denied(format!(
                    "the option `{option}` names a host in addition to `{pinned}`, which it pins"
                ))
                .with_help(format!(
                    "leave out `{option}`, or let the policy pin it or list its `hosts`"
                )));
            }
            let mut listed = rule.hosts.iter().flat_map(|hosts| hosts.get_ref());
            if is_private_allowed || is_pinned || listed.any(|it| it.text() == host.host) {
                continue;
            }
            match classify(&host.host) {
                HostClass::Public => {}
                HostClass::Name => drop(public.insert(host.host)),
                HostClass::Private if host.is_implied => return Err(implied_host(&host)),
                HostClass::Private => return Err(private_host(&host.host)),
            }
        }
        Ok(public)
    }

    /// Finds a pinned option that determines the host of the remote.
    fn pinned_host_option<'a>(&self, rule: &'a Rule) -> Option<&'a str> {
        let table = rclone_options::table().ok()?;
        let mut pins = rule.pins().map(|(option, _)| option.as_str());
        pins.find(|it| table.is_address(self.backend, it) || table.is_host_part(self.backend, it))
    }

    /// Returns the section with the rule's pins.
    fn with_pins(&self, rule: &Rule) -> Section {
        let pins = rule.pins().map(|(option, value)| (option.clone(), value.clone()));
        self.section.clone().into_iter().chain(pins).collect()
    }
}

/// Checks a host against the `hosts` of a rule, if it has any.
fn check_listed(rule: &Rule, file: &PolicyFile, host: &RemoteHost) -> Result<(), Failure> {
    let Some(patterns) = &rule.hosts else { return Ok(()) };
    if patterns.get_ref().iter().any(|pattern| pattern.matches(&host.host)) {
        return Ok(());
    }
    if host.is_implied {
        return Err(implied_host(host));
    }
    let (name, line) = (&host.host, file.line(patterns));
    Err(Failure::denied(format!("the host `{name}` matches none of its `hosts`, see line {line}")))
}

/// Creates the failure that a backend would use this machine's identity without an option.
fn implied_host(host: &RemoteHost) -> Failure {
    let RemoteHost { option, host, .. } = host;
    Failure::denied(format!(
        "without the option `{option}` rclone asks `{host}` for this machine's identity"
    ))
    .with_help(format!("set `{option}` in the remote"))
}

#[cfg(test)]
mod tests {
    use super::super::decide;
    use super::super::tests::{S3, verdict};
    use crate::direction::Direction;
    use crate::policy::file::PolicyFile;
    use crate::policy::pins::Pins;
    use crate::policy::request::Request;
    use std::collections::BTreeMap;
    use std::path::Path;

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
        assert!(region("evil.com#").unwrap_err().contains("`region` would change the host"));
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
        let pinned =
            Pins::for_remote("remote", &[("endpoint".into(), "s3.example.org".into())].into());
        assert_eq!(grant.pins, pinned);
    }

    #[test]
    fn an_address_beside_a_pinned_one_needs_a_pin_or_hosts_of_its_own() {
        let with = |rule: &str, options: &[(&str, &str)]| {
            verdict(rule, &[("remote", &[&[("type", "s3")], options].concat())], "")
        };
        let pin = "pin = { endpoint = \"https://s3.example.org\" }";
        for option in ["download_url", "sts_endpoint", "ibm_iam_endpoint", "mirror_url"] {
            let why = with(pin, &[(option, "https://a.example/")]).unwrap_err();
            assert!(
                why.contains(&format!("`{option}` names a host in addition to `endpoint`")),
                "{why}"
            );
        }
        for option in [("region", "eu"), ("download_url", ""), ("acl", "private")] {
            assert!(with(pin, &[option]).is_ok(), "{option:?}");
        }
        assert!(with(pin, &[("region", "evil.com#")]).unwrap_err().contains("change the host"));
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
        let with = |rule: &str, is_tenant: bool, endpoint: &str| {
            let text = format!(
                "version = 1\n[[allow]]\nbackends = [\"s3\"]\nuse = [\"importer\"]\n{rule}\n"
            );
            let file = PolicyFile::parse(Path::new("p.toml"), text).unwrap();
            let file = if is_tenant { file.for_tenant() } else { file };
            let pairs = [("type", "s3"), ("endpoint", endpoint)];
            let section = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
            let sections = BTreeMap::from([("remote".to_owned(), section)]);
            let request = Request {
                name: "remote",
                sections: &sections,
                path: "",
                direction: Direction::Backup,
            };
            let granted = decide(&file, &request).map_err(|failure| failure.to_string());
            granted.map(|grant| Vec::from_iter(grant.public_hosts))
        };
        let tenant = |rule: &str, endpoint: &str| with(rule, true, endpoint);
        for host in ["http://127.0.0.1:9000", "http://[::ffff:7f00:1]/", "2130706433", "0x7f.1:80"]
        {
            for rule in ["", "hosts = [\"*\"]", "private-hosts = false"] {
                let why = tenant(rule, host).unwrap_err();
                assert!(why.contains("in a private network"), "{host}: {why}");
                assert!(why.contains("; help: let the rule name it in full"), "{host}: {why}");
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
}
