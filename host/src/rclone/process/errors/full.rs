//! Errors of a remote whose storage is full. No retry makes room there.

use crate::connector::{Failure, Reason};

/// Words by which providers report that a remote is full, in lower case. Those that limit calls
/// speak of quotas as well.
///
/// Sources: rclone's backends and the providers' documentation: Drive, OneDrive, Dropbox, Box, B2,
/// pCloud and Mega, HTTP status 507 (RFC 4918), and the errors of Unix.
const WORDS: [&str; 15] = [
    "storage quota",
    "storagequotaexceeded",
    "quotalimitreached",
    "insufficient_space",
    "storage_limit_exceeded",
    "storage_cap_exceeded",
    "storage cap exceeded",
    "over quota",
    "overquota",
    "insufficient storage",
    "insufficientstorage",
    "507 insufficient",
    "no space left",
    "not enough space",
    "disk quota",
];

/// Classifies an error of an upload that nothing but the user can repeat with success if the
/// remote is full.
pub fn classify_upload(error: &str) -> Failure {
    let lower = error.to_lowercase();
    let failure = super::classify(error);
    if !WORDS.iter().any(|word| lower.contains(word)) {
        return failure;
    }
    Failure::new(Reason::Denied, failure.message)
        .with_help("make room at the remote, and run it again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_remote_is_told_from_one_that_limits_calls() {
        for full in [
            "googleapi: Error 403: The user's Drive storage quota has been exceeded., \
             storageQuotaExceeded",
            "path/insufficient_space/..",
            "quotaLimitReached: Insufficient Space Available",
            "Insufficient Storage: 507 Insufficient Storage",
            "write /mnt/store/tmp/x: no space left on device",
            "User is over quota. (2008)",
        ] {
            let failure = classify_upload(full);
            assert_eq!(failure.reason, Reason::Denied, "{failure}");
            assert!(failure.help.unwrap().contains("make room"));
        }
        for busy in [
            "Quota exceeded for quota metric 'All requests' (429 RESOURCE_EXHAUSTED)",
            "object not found",
        ] {
            assert_ne!(classify_upload(busy).reason, Reason::Denied, "{busy}");
        }
    }
}
