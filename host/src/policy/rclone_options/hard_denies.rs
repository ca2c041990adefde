//! Options and values that are never allowed in the configuration of a remote.

use std::collections::BTreeMap;

use super::wrapped_remotes;
use crate::connector::{Failure, Reason};
use crate::policy::rclone_options;

/// Words in the name of an option whose value is a secret.
const SECRET_OPTION_WORDS: [&str; 18] = [
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
    "connection_string",
    "grant",
    "mnemonic",
    "session",
    "headers",
];

/// Checks a section of a configuration.
///
/// # Errors
///
/// The section has an option or a value that is never allowed.
pub fn check_section(name: &str, section: &BTreeMap<String, String>) -> Result<(), Failure> {
    let table = rclone_options::table()?;
    for (key, value) in section {
        if let Some(global) = key.strip_prefix("override.").or(key.strip_prefix("global.")) {
            return Err(denied(format!(
                "the option `{key}` of the remote would change rclone's own setting `{global}`, \
                 which plakbox refuses"
            ))
            .with_help("remove it from the remote"));
        }
        let is_plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if !table.is_undeclared(key) && (key.is_empty() || !key.bytes().all(is_plain)) {
            return Err(denied(format!(
                "`{}` isn't a valid option of an rclone remote",
                key.escape_debug()
            ))
            .with_help("remove it with `plakar source unset`, or import the remote again"));
        }
        if value.chars().any(char::is_control) {
            return Err(denied(format!(
                "the option `{key}` of the remote has a line break or control character in its \
                 value"
            ))
            .with_help("run `plakbox renew NAME`, or import the remote again"));
        }
        if table.runs_command(key) && !value.is_empty() {
            return Err(denied(format!(
                "the option `{key}` of the remote would run a command, which plakbox refuses"
            ))
            .with_help("remove it from the remote"));
        }
        if table.wraps(key) && wrapped_remotes::contains_connection_string(key, value) {
            return Err(denied(format!(
                "the remote `{name}` wraps a connection string, which plakbox refuses"
            ))
            .with_help("define it as a remote of its own in rclone.conf"));
        }
    }
    Ok(())
}

/// Whether an option of this name holds a secret.
pub fn is_secret(key: &str) -> bool {
    SECRET_OPTION_WORDS.iter().any(|part| key.contains(part))
}

/// Whether an option's value must not be shown: a secret by the option's name, or an address
/// with a user in it.
pub fn is_secret_value(key: &str, value: &str) -> bool {
    let authority = value.split_once("://").and_then(|(_, rest)| rest.split('/').next());
    is_secret(key) || authority.is_some_and(|authority| authority.contains('@'))
}

fn denied(message: impl AsRef<str>) -> Failure {
    Failure::new(Reason::Denied, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(pairs: &[(&str, &str)]) -> Result<(), Failure> {
        let section = pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        check_section("remote", &section)
    }

    #[test]
    fn options_that_run_commands_are_refused_by_name() {
        for option in ["ssh", "bearer_token_command", "password_command", "next_command"] {
            let failure = verdict(&[("type", "sftp"), (option, "touch /tmp/x")]).unwrap_err();
            assert_eq!(failure.reason, Reason::Denied);
            assert!(failure.message.contains(&format!("`{option}`")), "{}", failure.message);
        }
        for option in ["ssh", "md5sum_command", "server_command", "key_file"] {
            let value = if option == "ssh" { "" } else { "md5sum" };
            assert!(verdict(&[("type", "sftp"), (option, value)]).is_ok(), "{option}");
        }
        for key in ["override.metadata_mapper", "global.rc"] {
            assert!(verdict(&[("type", "sftp"), (key, "x")]).is_err());
        }
    }

    #[test]
    fn what_jottacloud_writes_beside_its_options_is_let_through() {
        let section = [("type", "jottacloud"), ("configVersion", "1"), ("tokenURL", "https://x")];
        assert!(verdict(&section).is_ok());
        assert!(verdict(&[("type", "jottacloud"), ("clientVersion", "1")]).is_err());
    }

    #[test]
    fn secrets_are_recognized_by_their_names() {
        for key in ["pass", "access_grant", "connection_string", "mnemonic", "headers"] {
            assert!(is_secret(key), "{key}");
        }
        for key in ["region", "endpoint", "user", "host"] {
            assert!(!is_secret(key), "{key}");
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
        for (backend, option) in
            [("union", "upstreams"), ("alias", "remote"), ("cache", "tmp_upload_path")]
        {
            let section = |value| [("type", backend), (option, value)];
            let failure = verdict(&section("base,ssh=/bin/sh:dir")).unwrap_err();
            assert_eq!(failure.reason, Reason::Denied);
            assert!(failure.message.contains("connection string"), "{}", failure.message);
            assert!(verdict(&section("base:dir")).is_ok());
        }
    }
}
