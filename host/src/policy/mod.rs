//! What a configuration may say. Deny is the default for whatever would let
//! rclone run a command, or let a value become more than a value.

use std::collections::BTreeMap;

use crate::contract::{Failure, Reason};

/// Options that make rclone run a program of the configuration's choice, by name
/// in whatever backend.
///
/// Source: `rclone config providers`, looked through for options that are given to
/// exec on this machine. The `_command` options of sftp name what runs on the
/// server, so they are no matter of ours.
const COMMANDS: [&str; 5] =
    ["ssh", "bearer_token_command", "password_command", "auth_command", "metadata_mapper"];

/// Parts of an option's name that mark its value as a secret.
const SECRETS: [&str; 13] = [
    "pass",
    "secret",
    "token",
    "key",
    "auth",
    "credential",
    "cookie",
    "sas_url",
    "bearer",
    "jwt",
    "pin",
    "code",
    "assertion",
];

/// Refuses a section of a configuration that may not be.
pub fn check(name: &str, section: &BTreeMap<String, String>) -> Result<(), Failure> {
    for (key, value) in section {
        if let Some(global) = key.strip_prefix("override.").or(key.strip_prefix("global.")) {
            return Err(denied(format!(
                "the option `{key}` of the remote would change rclone's own setting `{global}`, which plakbox refuses: remove it from the remote"
            )));
        }
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if key.is_empty() || !key.bytes().all(plain) {
            return Err(denied(format!(
                "`{}` is no option of an rclone remote: import the remote again",
                key.escape_debug()
            )));
        }
        if value.chars().any(char::is_control) {
            return Err(denied(format!(
                "the option `{key}` of the remote has a line break or control character in its value: import the remote again"
            )));
        }
        if COMMANDS.contains(&key.as_str()) && !value.is_empty() {
            return Err(denied(format!(
                "the option `{key}` of the remote would run a command, which plakbox refuses: remove it from the remote"
            )));
        }
    }
    for target in ["remote", "upstreams"].iter().filter_map(|key| section.get(*key)) {
        if names_connection_string(target) {
            return Err(denied(format!(
                "the remote `{name}` wraps a connection string, which plakbox refuses: make a remote of its own for it in rclone.conf"
            )));
        }
    }
    Ok(())
}

/// Whether a wrapped remote is made up on the spot: `:sftp,ssh=...:` or `name,opt=...:`.
fn names_connection_string(targets: &str) -> bool {
    targets.split_whitespace().any(|target| {
        let target = target.trim_matches('"');
        let target = target.split_once('=').map_or(target, |(name, rest)| {
            // A combine's upstream has its directory's name before it.
            if name.contains([':', ',']) { target } else { rest }
        });
        let target = target.trim_matches('"');
        target.starts_with(':')
            || target.split(':').next().is_some_and(|name| {
                target.contains(':') && name.contains(',') && !name.contains('/')
            })
    })
}

/// Whether an option of this name holds a secret.
pub fn is_secret(key: &str) -> bool {
    SECRETS.iter().any(|part| key.contains(part))
}

fn denied(message: String) -> Failure {
    Failure::new(Reason::Denied, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(pairs: &[(&str, &str)]) -> Result<(), Failure> {
        let section = pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        check("remote", &section)
    }

    #[test]
    fn options_that_run_commands_are_refused_by_name() {
        for option in COMMANDS {
            let failure = verdict(&[("type", "sftp"), (option, "touch /tmp/x")]).unwrap_err();
            assert_eq!(failure.reason, Reason::Denied);
            assert!(failure.message.contains(&format!("`{option}`")), "{}", failure.message);
        }
        for key in ["override.metadata_mapper", "global.rc"] {
            assert!(verdict(&[("type", "sftp"), (key, "x")]).is_err());
        }
    }

    #[test]
    fn a_value_can_t_become_another_option_or_section() {
        for value in ["x\nssh = touch", "x\r[other]", "a\0b"] {
            assert!(verdict(&[("type", "sftp"), ("host", value)]).is_err(), "{value:?}");
        }
        assert!(verdict(&[("type = sftp\nssh", "x")]).is_err());
        assert!(verdict(&[("type", "webdav"), ("url", "http://x/[a]#;\"")]).is_ok());
    }

    #[test]
    fn wrapped_connection_strings_are_refused() {
        for target in
            [":sftp,ssh=x:", ":local:/etc", "base,ssh=x:dir", "base:a :sftp:", "d=:local:/"]
        {
            assert!(verdict(&[("type", "union"), ("upstreams", target)]).is_err(), "{target}");
        }
        for target in ["base:dir", "/srv/a,b", "d=base:x", "base:a,b", "/a:b,c"] {
            assert!(verdict(&[("type", "alias"), ("remote", target)]).is_ok(), "{target}");
        }
    }
}
