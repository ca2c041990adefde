//! Errors of servers that received too many requests or connections at the same time.

use super::ErrorRule;
use super::wording::contains_word;
use crate::connector::{Failure, Reason};

/// Rules for the errors of such servers.
///
/// Sources: RFC 959 (421), vsftpd's and proftpd's messages, and OpenSSH's (RFC 4254, 5.1).
pub const RULES: &[ErrorRule] = &[ErrorRule {
    words: &[
        "421",
        "too many connections",
        "too many users",
        "too many clients",
        "too many sessions",
        "maximum number of",
        "connection limit",
        "max sessions",
        "no more sessions",
        "administratively prohibited",
        "priv_sock",
        "child died",
        "does not look like a tls handshake",
        "ssh: handshake failed: eof",
        "ssh: handshake failed: read",
        "insufficient server resources",
    ],
    reason: Reason::RateLimited,
    cause: Some("the server takes fewer files at the same time"),
    help: "set `streams` lower, and run it again",
}];

/// Errors of servers that are busy with the requests of any client.
const BUSY_MESSAGES: &[&str] =
    &["429", "too many requests", "503", "slowdown", "slow down", "request rate", "serverbusy"];

/// Whether an error, in lower case, means that a server didn't answer at all. That isn't a sign of
/// an overload.
pub fn is_timeout(error: &str) -> bool {
    error.contains("i/o timeout")
}

/// Whether a failure is an overload.
pub fn is_overload(failure: &Failure) -> bool {
    let message = failure.message.to_lowercase();
    if is_timeout(&message) {
        return false;
    }
    let words = RULES.iter().flat_map(|rule| rule.words).chain(BUSY_MESSAGES);
    words.into_iter().any(|word| contains_word(&message, word))
}

#[cfg(test)]
mod tests {
    use super::super::classify;
    use super::*;

    #[test]
    fn what_servers_say_of_too_much_is_known() {
        for error in [
            "421 There are too many connections from your internet address.",
            "failed to make FTP connection to \"h:21\": 500 OOPS: priv_sock_get_int",
            "530 Sorry, the maximum number of clients (2) for this user are already connected.",
            "tls: first record does not look like a TLS handshake",
            "ssh: rejected: administratively prohibited (open failed)",
            "HTTP error 429 (429 Too Many Requests)",
            "SlowDown: Please reduce your request rate. status code: 503",
        ] {
            assert!(is_overload(&classify(error)), "{error}");
        }
        for error in ["directory not found", "530 Login incorrect.", "wrote 421000 bytes"] {
            assert!(!is_overload(&classify(error)), "{error}");
        }
    }
}
