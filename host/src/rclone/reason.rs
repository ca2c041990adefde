//! What rclone's words mean: a reason for a program, and a remedy for a person.

use crate::contract::{Failure, Reason};

/// Words of an error, in lower case; the reason; what to do about it. The first
/// row of which any word occurs wins, so the more telling ones come first.
///
/// Source: rclone's fs/fs.go and fserrors, and the errors of its backends.
const MEANINGS: &[(&[&str], Reason, &str)] = &[
    (
        &["didn't find backend called", "unknown backend"],
        Reason::InvalidConfiguration,
        "check `rclone_type`: `rclone help backends` lists what this rclone knows",
    ),
    (
        &["didn't find section in config file"],
        Reason::InvalidConfiguration,
        "check the remote's name: `rclone listremotes` lists them",
    ),
    (
        &["unable to decrypt configuration", "couldn't decrypt configuration", "config_pass"],
        Reason::InvalidConfiguration,
        "set RCLONE_CONFIG_PASS to the password of your rclone.conf",
    ),
    (
        &[
            "invalid_grant",
            "invalid_client",
            "token expired",
            "couldn't fetch token",
            "empty token",
        ],
        Reason::Unauthenticated,
        "run `rclone config reconnect NAME:` and import the remote into plakar again",
    ),
    (
        &[
            "401",
            "unauthorized",
            "unauthenticated",
            "unable to authenticate",
            "login incorrect",
            "invalidaccesskeyid",
            "signaturedoesnotmatch",
            "bad credentials",
        ],
        Reason::Unauthenticated,
        "check the remote's user, password or keys",
    ),
    (
        &["quota", "429", "too many requests", "rate limit", "ratelimit", "slowdown"],
        Reason::RateLimited,
        "wait for the provider to take calls again",
    ),
    (
        &["permission denied", "403", "forbidden", "access denied", "accessdenied", "read-only"],
        Reason::Denied,
        "check what the remote's account may do there",
    ),
    (
        &[
            "directory not found",
            "object not found",
            "file not found",
            "no such file",
            "nosuchbucket",
            "bucket not found",
            "404",
        ],
        Reason::NotFound,
        "check the path",
    ),
    (
        &[
            "connection refused",
            "no such host",
            "i/o timeout",
            "network is unreachable",
            "no route to host",
            "connection reset",
            "unexpected eof",
            "timeout",
            "temporary failure",
            "broken pipe",
            "502",
            "503",
            "504",
        ],
        Reason::Unavailable,
        "check the network and the server, and run it again",
    ),
    (&["hashes differ", "sizes differ", "corrupted"], Reason::Corrupted, "run it again"),
    (&["no space left", "disk quota"], Reason::Unavailable, "make room and run it again"),
];

/// The failure that an error of rclone's stands for.
pub fn understand(error: &str) -> Failure {
    let lower = error.to_lowercase();
    let meaning =
        MEANINGS.iter().find(|(words, ..)| words.iter().any(|word| mentions(&lower, word)));
    let error = plain(error);
    match meaning {
        Some((_, reason, remedy)) => Failure::new(*reason, format!("{error}: {remedy}")),
        None => Failure::new(Reason::Internal, error),
    }
}

/// Whether the word occurs; a number only where it isn't part of a longer one.
fn mentions(text: &str, word: &str) -> bool {
    if !word.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.contains(word);
    }
    text.split(|char: char| !char.is_ascii_alphanumeric()).any(|token| token == word)
}

/// The error without what rclone wraps around it.
fn plain(error: &str) -> &str {
    const WRAPPINGS: [&str; 5] = [
        "Failed to copy: ",
        "error listing: ",
        "error in ListJSON: ",
        "Post request put error: ",
        "error reading source directory: ",
    ];
    let mut plain = error;
    if plain.starts_with("Attempt ")
        && let Some((_, rest)) = plain.split_once(" errors and: ")
    {
        plain = rest;
    }
    if plain.starts_with("Failed to ")
        && let Some((_, rest)) = plain.split_once("last error was: ")
    {
        plain = rest;
    }
    while let Some(rest) = WRAPPINGS.iter().find_map(|wrapping| plain.strip_prefix(wrapping)) {
        plain = rest;
    }
    plain.trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_rclone_are_understood() {
        for (error, reason, message) in [
            (
                r#"Failed to create file system for "remote:": didn't find backend called "x""#,
                Reason::InvalidConfiguration,
                r#"Failed to create file system for "remote:": didn't find backend called "x": check `rclone_type`: `rclone help backends` lists what this rclone knows"#,
            ),
            (
                "error listing: directory not found",
                Reason::NotFound,
                "directory not found: check the path",
            ),
            (
                "Failed to lsjson with 2 errors: last error was: error in ListJSON: 401 Unauthorized",
                Reason::Unauthenticated,
                "401 Unauthorized: check the remote's user, password or keys",
            ),
            ("wrote 4010/9429 bytes", Reason::Internal, "wrote 4010/9429 bytes"),
        ] {
            assert_eq!(understand(error), Failure { reason, message: message.into() });
        }
    }
}
