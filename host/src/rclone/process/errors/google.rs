//! Errors of Google Photos.

use super::ErrorRule;
use crate::connector::Reason;

/// Rules for the errors of Google Photos.
pub const RULES: &[ErrorRule] = &[
    ErrorRule {
        words: &["all requests per day"],
        reason: Reason::RateLimited,
        cause: Some(
            "the day's quota of Google Photos is used up (10,000 calls a day for each client_id)",
        ),
        help: "run it again tomorrow, with a client_id of your own \
               (https://rclone.org/googlephotos/#making-your-own-client-id)",
    },
    ErrorRule {
        words: &["(429 429 too many requests)"],
        reason: Reason::RateLimited,
        cause: Some(
            "Google Photos gives no more photos for now, which are 75,000 a day for each client_id",
        ),
        help: "run it again tomorrow; what was backed up isn't downloaded again",
    },
    ErrorRule {
        words: &["concurrent write request"],
        reason: Reason::RateLimited,
        cause: Some("another program writes to the same Google Photos account"),
        help: "run it again when that is done",
    },
    ErrorRule {
        words: &["(500 internal)", "(503 unavailable)"],
        reason: Reason::Unavailable,
        cause: Some("Google Photos doesn't answer as it should"),
        help: "run it again later",
    },
    ErrorRule {
        words: &["insufficient authentication scopes. (403"],
        reason: Reason::Denied,
        cause: Some("the remote was connected by an rclone before 1.70 or without this permission"),
        help: "run `rclone config reconnect NAME:` with rclone 1.70 or later, and `plakbox renew \
               NAME` if it was imported",
    },
    ErrorRule {
        words: &["expected oauth 2 access token"],
        reason: Reason::Unauthenticated,
        cause: None,
        help: "run `rclone config reconnect NAME:`, and `plakbox renew NAME` if it was imported",
    },
    ErrorRule {
        words: &["trying to create this media item"],
        reason: Reason::Unsupported,
        cause: Some("Google Photos takes photos and videos only"),
        help: "restore this file to another place",
    },
    ErrorRule {
        words: &["remaining storage is not enough"],
        reason: Reason::Unavailable,
        cause: None,
        help: "make room in the Google account and run it again",
    },
    ErrorRule {
        words: &[
            "image not found or broken",
            "requested entity was not found. (404",
            "invalid media item id",
        ],
        reason: Reason::NotFound,
        cause: Some("it is gone from Google Photos"),
        help: "run the backup again to see the library as it is now",
    },
    ErrorRule {
        words: &["can't upload files in read only mode"],
        reason: Reason::Denied,
        cause: None,
        help: "run `rclone config update NAME read_only=false` and `rclone config reconnect \
               NAME:`, and `plakbox renew NAME` if it was imported",
    },
    ErrorRule {
        words: &["can't upload files here", "can't make directories here"],
        reason: Reason::Unsupported,
        cause: Some("Google Photos takes uploads in `album/NAME` and `upload` only"),
        help: "restore to one of these",
    },
    ErrorRule {
        words: &["only allows uploading to albums rclone created"],
        reason: Reason::Denied,
        cause: None,
        help: "restore to an album of another name",
    },
];
