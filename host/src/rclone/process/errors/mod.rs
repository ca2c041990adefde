//! Classification of rclone's errors: a reason for the program, and help for the user.
//!
//! - [`google`], [`overload`]: errors of Google Photos, and of overloaded servers
//! - [`full`]: errors of uploads to remotes that are full
//! - [`wording`]: removes noise from errors
//! - [`reported`]: errors of single paths that were reported

pub mod full;
mod google;
pub mod overload;
pub mod reported;
pub mod wording;

use crate::connector::{Failure, Reason};
use crate::rclone::remote::proxy;
use wording::{contains_word, strip_noise};

/// The meaning of some errors.
pub struct ErrorRule {
    /// Words of the errors, in lower case.
    words: &'static [&'static str],
    reason: Reason,
    /// The cause, if the errors themselves don't say it.
    cause: Option<&'static str>,
    help: &'static str,
}

/// The help for errors of the network.
const NETWORK_HELP: &str = "check the network and the server, and run it again";

/// The error of an rclone that logs more than can be processed.
pub const LOG_OVERFLOW: &str = "rclone logs more than can be processed";

/// The rules for errors of all backends. The first rule of which any word occurs applies, so
/// specific ones come first.
///
/// Source: rclone's fs/fs.go and fserrors, and the errors of its backends.
const RULES: &[ErrorRule] = &[
    ErrorRule {
        words: &["didn't find backend called", "unknown backend"],
        reason: Reason::InvalidConfiguration,
        cause: None,
        help: "check `rclone_type`: `rclone help backends` lists what this rclone knows",
    },
    ErrorRule {
        words: &["didn't find section in config file"],
        reason: Reason::InvalidConfiguration,
        cause: None,
        help: "check the remote's name: `rclone listremotes` lists them",
    },
    ErrorRule {
        words: &[
            "unable to decrypt configuration",
            "couldn't decrypt configuration",
            "config_pass",
        ],
        reason: Reason::InvalidConfiguration,
        cause: None,
        help: "set RCLONE_CONFIG_PASS to the password of your rclone.conf",
    },
    ErrorRule {
        // A token that can't be fetched for one of these reasons is still valid.
        words: &[
            "dial tcp",
            "dial udp",
            "no such host",
            "connection refused",
            "i/o timeout",
            "handshake timeout",
            "network is unreachable",
            "no route to host",
        ],
        reason: Reason::Unavailable,
        cause: None,
        help: NETWORK_HELP,
    },
    ErrorRule {
        words: &["ssh_auth_sock", "ssh-agent", "ssh agent"],
        reason: Reason::InvalidConfiguration,
        cause: Some("plakbox gives rclone no ssh-agent"),
        help: "set the remote's `key_file` in rclone.conf",
    },
    ErrorRule {
        words: &["no ec2 imds role found"],
        reason: Reason::Unauthenticated,
        cause: Some("plakbox gives rclone none of the AWS variables"),
        help: "set the remote's `access_key_id` and `secret_access_key` in rclone.conf, or keep \
               them in ~/.aws/credentials",
    },
    ErrorRule {
        words: &["invalid_client", "unauthorized_client"],
        reason: Reason::Unauthenticated,
        cause: Some("the remote's client_id doesn't work (any more)"),
        help: "make a client_id of your own \
               (https://rclone.org/googlephotos/#making-your-own-client-id; other providers \
               alike), run `rclone config update NAME client_id=... client_secret=...` and \
               `rclone config reconnect NAME:`, and `plakbox renew NAME` if it was imported",
    },
    ErrorRule {
        words: &["invalid_grant", "token expired", "couldn't fetch token", "empty token"],
        reason: Reason::Unauthenticated,
        cause: None,
        help: "run `rclone config reconnect NAME:`, and `plakbox renew NAME` if it was imported",
    },
    ErrorRule {
        words: &[
            "401",
            "unauthorized",
            "unauthenticated",
            "unable to authenticate",
            "login incorrect",
            "invalidaccesskeyid",
            "signaturedoesnotmatch",
            "bad credentials",
            "unexpected message type 51",
            "no supported methods remain",
            "attempted logon is invalid",
        ],
        reason: Reason::Unauthenticated,
        cause: None,
        help: "check the remote's user, password or keys",
    },
    ErrorRule {
        words: &["quota", "429", "too many requests", "rate limit", "ratelimit", "slowdown"],
        reason: Reason::RateLimited,
        cause: None,
        help: "wait for the provider to take calls again",
    },
    ErrorRule {
        words: &["remotes are read only"],
        reason: Reason::Unsupported,
        cause: None,
        help: "restore to a remote of another kind, or to a local directory (`fs://`)",
    },
    ErrorRule {
        words: &[
            "permission denied",
            "403",
            "forbidden",
            "access denied",
            "accessdenied",
            "read-only",
        ],
        reason: Reason::Denied,
        cause: None,
        help: "check what the remote's account may do there",
    },
    ErrorRule {
        words: &[
            "directory not found",
            "object not found",
            "file not found",
            "no such file",
            "nosuchbucket",
            "bucket not found",
            "404",
        ],
        reason: Reason::NotFound,
        cause: None,
        help: "check the path",
    },
    ErrorRule {
        words: &[
            "connection reset",
            ": eof",
            "unexpected eof",
            "connection lost",
            "connection closed",
            "timeout",
            "temporary failure",
            "broken pipe",
            "502",
            "503",
            "504",
        ],
        reason: Reason::Unavailable,
        cause: None,
        help: NETWORK_HELP,
    },
    ErrorRule {
        words: &["hashes differ", "sizes differ", "corrupted"],
        reason: Reason::Corrupted,
        cause: None,
        help: "run it again",
    },
    ErrorRule {
        words: &[LOG_OVERFLOW],
        reason: Reason::Internal,
        cause: None,
        help: "reinstall rclone",
    },
    ErrorRule {
        words: &["no space left", "disk quota"],
        reason: Reason::Unavailable,
        cause: None,
        help: "make room and run it again",
    },
];

/// Classifies an error of rclone's.
pub fn classify(error: &str) -> Failure {
    let lower = error.to_lowercase();
    let too_much = overload::RULES.iter().filter(|_| !overload::is_timeout(&lower));
    let meaning = google::RULES
        .iter()
        .chain(too_much)
        .chain(RULES)
        .find(|rule| rule.words.iter().any(|word| contains_word(&lower, word)));
    let error = strip_noise(error);
    if let Some(help) = proxy::remedy(&lower) {
        return Failure::new(Reason::Unavailable, error).with_help(help);
    }
    match meaning {
        Some(ErrorRule { reason, cause, help, .. }) => {
            let failure = match cause {
                Some(cause) => Failure::new(*reason, cause).with_context(error),
                None => Failure::new(*reason, error),
            };
            failure.with_help(help)
        }
        None => Failure::new(Reason::Internal, error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_rclone_are_understood() {
        for (error, reason, displayed) in [
            (
                r#"Failed to create file system for "remote:": didn't find backend called "x""#,
                Reason::InvalidConfiguration,
                concat!(
                    r#"Failed to create file system for "remote:": didn't find backend called "#,
                    r#""x"; help: check `rclone_type`: `rclone help backends` lists what this "#,
                    r#"rclone knows"#,
                ),
            ),
            (
                "error listing: directory not found",
                Reason::NotFound,
                "directory not found; help: check the path",
            ),
            (
                "Failed to lsjson with 2 errors: last error was: error in ListJSON: 401 \
                 Unauthorized",
                Reason::Unauthenticated,
                "401 Unauthorized; help: check the remote's user, password or keys",
            ),
            ("wrote 4010/9429 bytes", Reason::Internal, "wrote 4010/9429 bytes"),
            (
                "ssh: handshake failed: read tcp 127.0.0.1:2->127.0.0.1:1: i/o timeout",
                Reason::Unavailable,
                "ssh: handshake failed: read tcp 127.0.0.1:2->127.0.0.1:1: i/o timeout; help: \
                 check the network and the server, and run it again",
            ),
            (
                concat!(
                    r#"couldn't list files: Post "https://x.googleapis.com/v1": couldn't fetch "#,
                    r#"token: Post "https://oauth2.googleapis.com/token": dial tcp: lookup "#,
                    r#"oauth2.googleapis.com: no such host"#,
                ),
                Reason::Unavailable,
                "dial tcp: lookup oauth2.googleapis.com: no such host; help: check the network \
                 and the server, and run it again",
            ),
            (
                "Image not found or broken (404 404 Not Found)",
                Reason::NotFound,
                "Image not found or broken (404 Not Found): it is gone from Google Photos; help: \
                 run the backup again to see the library as it is now",
            ),
        ] {
            let failure = classify(error);
            assert_eq!((failure.reason, failure.to_string()), (reason, displayed.to_owned()));
        }
    }

    #[test]
    fn of_a_page_its_title_is_left() {
        let page = "<!DOCTYPE HTML PUBLIC \"x\">\n<html><head>\n\
                    <title>405 Method Not Allowed</title>\n</head><body>\n<h1>no</h1>\n\
                    </body></html>\n";
        for (error, shown) in [
            (
                format!("update failed: {page}: 405 Method Not Allowed"),
                "update failed: 405 Method Not Allowed : 405 Method Not Allowed",
            ),
            (format!("HTTP error: {page}"), "HTTP error: 405 Method Not Allowed"),
            ("odd: <html>é without end".to_owned(), "odd"),
            ("</html> <html>".to_owned(), "</html>"),
        ] {
            assert_eq!(strip_noise(&error), shown);
        }
    }

    #[test]
    fn errors_of_google_are_understood() {
        let day = "couldn't list files: Quota exceeded for quota metric 'All requests' and limit \
                   'All requests per day' of service 'photoslibrary.googleapis.com' for consumer \
                   'project_number:1'. (429 RESOURCE_EXHAUSTED)";
        let write = "Failed to copy: failed to commit batch: batch upload failed: failed to \
                     create media item: Quota exceeded for quota 'concurrent write request' of \
                     service 'photoslibrary.googleapis.com' for consumer 'project_number:1'. (429 \
                     RESOURCE_EXHAUSTED)";
        for (error, reason, remedy) in [
            (day, Reason::RateLimited, "run it again tomorrow"),
            (write, Reason::RateLimited, "another program writes to the same"),
            (
                "Request had insufficient authentication scopes. (403 PERMISSION_DENIED)",
                Reason::Denied,
                "by an rclone before 1.70",
            ),
            ("Image not found or broken (404 404 Not Found)", Reason::NotFound, "it is gone"),
            (
                "couldn't get media item: Requested entity was not found. (404 NOT_FOUND)",
                Reason::NotFound,
                "it is gone",
            ),
            (
                "low level retry 8/10 (error The service is currently unavailable. (503 \
                 UNAVAILABLE))",
                Reason::Unavailable,
                "run it again later",
            ),
            (
                "upload failed: The remaining storage is not enough. (8)",
                Reason::Unavailable,
                "make room in the Google account",
            ),
        ] {
            let failure = classify(error);
            assert_eq!(failure.reason, reason, "{failure}");
            assert!(failure.to_string().contains(remedy), "{failure}");
        }
        assert_eq!(
            strip_noise(day),
            "couldn't list files: Quota exceeded for quota metric 'All requests' and limit 'All \
             requests per day' (429 RESOURCE_EXHAUSTED)"
        );
    }
}
