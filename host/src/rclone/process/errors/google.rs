//! Errors of Google Photos.

use super::ErrorRule;
use crate::connector::Reason;

/// Rules for the errors of Google Photos.
pub const RULES: &[ErrorRule] = &[
    (
        &["all requests per day"],
        Reason::RateLimited,
        "the day's quota of Google Photos is used up (10,000 calls a day for each client_id): run it again tomorrow, with a client_id of your own (https://rclone.org/googlephotos/#making-your-own-client-id)",
    ),
    (
        &["(429 429 too many requests)"],
        Reason::RateLimited,
        "Google Photos gives no more photos for now, which are 75,000 a day for each client_id: run it again tomorrow; what was backed up isn't downloaded again",
    ),
    (
        &["concurrent write request"],
        Reason::RateLimited,
        "another program writes to the same Google Photos account: run it again when that is done",
    ),
    (
        &["(500 internal)", "(503 unavailable)"],
        Reason::Unavailable,
        "Google Photos doesn't answer as it should: run it again later",
    ),
    (
        &["insufficient authentication scopes. (403"],
        Reason::Denied,
        "the remote was connected by an rclone before 1.70 or without this permission: run `rclone config reconnect NAME:` with rclone 1.70 or later, and `plakbox renew NAME` if it was imported",
    ),
    (
        &["expected oauth 2 access token"],
        Reason::Unauthenticated,
        "run `rclone config reconnect NAME:`, and `plakbox renew NAME` if it was imported",
    ),
    (
        &["trying to create this media item"],
        Reason::Unsupported,
        "Google Photos takes photos and videos only: restore this file to another place",
    ),
    (
        &["remaining storage is not enough"],
        Reason::Unavailable,
        "make room in the Google account and run it again",
    ),
    (
        &[
            "image not found or broken",
            "requested entity was not found. (404",
            "invalid media item id",
        ],
        Reason::NotFound,
        "it is gone from Google Photos: run the backup again to see the library as it is now",
    ),
    (
        &["can't upload files in read only mode"],
        Reason::Denied,
        "run `rclone config update NAME read_only=false` and `rclone config reconnect NAME:`, and `plakbox renew NAME` if it was imported",
    ),
    (
        &["can't upload files here", "can't make directories here"],
        Reason::Unsupported,
        "Google Photos takes uploads in `album/NAME` and `upload` only: restore to one of these",
    ),
    (
        &["only allows uploading to albums rclone created"],
        Reason::Denied,
        "restore to an album of another name",
    ),
];
