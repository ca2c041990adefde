//! What is particular about Google Photos: what a remote's configuration tells before
//! it is used, and what Google's errors mean.
//!
//! Sources: rclone's backend/googlephotos and documentation, and Google's announcement
//! of what the Photos Library API shows since 2025-03-31.

use serde_json::Value;

use super::process::errors::Meaning;
use super::remote::Remote;
use super::state::State;
use crate::connector::{Failure, Reason};

/// rclone's name of the backend.
pub const BACKEND: &str = "google photos";

/// What of Google Photos is listed to ask whether it answers: its root is rclone's own.
pub const ASKED: &str = "album";

/// How a person gets a client of their own.
const OWN_CLIENT: &str = "https://rclone.org/googlephotos/#making-your-own-client-id";

/// What is done with a remote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aim {
    /// A person looks at it.
    Look,
    BackUp,
    Restore,
}

/// Something to know before the remote is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// It will be used, but a person should know this.
    Notice(String),
    /// It can't be used as it stands.
    Problem(String),
}

/// What Google's errors mean, as rows of [`errors`](super::process::errors). Words are in lower
/// case.
pub const MEANINGS: &[Meaning] = &[
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

/// Whether the remote is Google Photos.
pub fn is(remote: &Remote) -> bool {
    remote.backend() == BACKEND
}

/// How much rclone is to say. Only in the language of debugging does its server tell
/// why Google doesn't give a photo, and that a call will be tried again.
pub fn verbosity(remote: &Remote) -> &'static str {
    if is(remote) { "-vv" } else { "-v" }
}

/// The directory and the name of a photo, where its name holds the ID by which rclone
/// asks for it alone.
///
/// Source: `findID` in rclone's backend/googlephotos.
pub fn by_id<'a>(remote: &Remote, path: &'a str) -> Option<(&'a str, &'a str)> {
    const SHORTEST: usize = 55;
    let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
    let (_, rest) = name.rsplit_once('{')?;
    let (id, _) = rest.split_once('}')?;
    let of_ids = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (is(remote) && id.len() >= SHORTEST && id.bytes().all(of_ids)).then_some((parent, name))
}

/// Refuses what can't go well, and tells a person what to know of it: some of it at
/// each time, the rest once for a remote.
pub fn heed(remote: &Remote, state: &State, aim: Aim) -> Result<(), Failure> {
    if !is(remote) || aim == Aim::Look {
        return Ok(());
    }
    if aim == Aim::Restore
        && let Some(why) = read_only(remote)
    {
        return Err(Failure::new(
            Reason::Denied,
            format!("{why}, so nothing can be restored to it: {WRITABLE}"),
        ));
    }
    if let Some(notice) = client(remote) {
        match notice {
            Finding::Notice(text) => tracing::warn!("{text}"),
            Finding::Problem(text) => {
                return Err(Failure::new(Reason::InvalidConfiguration, text));
            }
        }
    }
    if aim == Aim::BackUp
        && let Some(text) = quality(remote)
        && state.first_time("quality", &remote.fingerprint())
    {
        tracing::warn!("{text} (said once for each remote)");
    }
    Ok(())
}

/// How a remote becomes one that can be written.
const WRITABLE: &str = "run `rclone config update NAME read_only=false` and `rclone config reconnect NAME:`, and `plakbox renew NAME` if it was imported";

/// All that is to know of the remote, for whoever asks.
pub fn findings(remote: &Remote) -> Vec<Finding> {
    if !is(remote) {
        return Vec::new();
    }
    let read_only = read_only(remote).map(|why| {
        Finding::Notice(format!("{why}: backups work, restores to it don't; for these {WRITABLE}"))
    });
    let quality = quality(remote).map(Finding::Notice);
    [token(remote), client(remote), read_only, quality].into_iter().flatten().collect()
}

/// Whose client the remote uses.
fn client(remote: &Remote) -> Option<Finding> {
    let has = |key| remote.option(key).is_some_and(|value| !value.is_empty());
    match (has("client_id"), has("client_secret")) {
        (true, true) => None,
        (true, false) => Some(Finding::Problem(
            "the remote has a `client_id` without its `client_secret`: run `rclone config update NAME client_secret=...` and `rclone config reconnect NAME:`, and `plakbox renew NAME` if it was imported".to_owned(),
        )),
        (false, _) => Some(Finding::Notice(format!(
            "the remote has no `client_id` and uses rclone's shared one, which stops working in 2026 and whose quota all share: make your own ({OWN_CLIENT})"
        ))),
    }
}

/// Whether the remote was connected for reading alone, and which option says so.
fn read_only(remote: &Remote) -> Option<&'static str> {
    // As rclone, that is Go, takes a boolean.
    let yes = ["1", "t", "T", "true", "True", "TRUE"];
    let set = remote.option("read_only").is_some_and(|value| yes.contains(&value));
    set.then_some("the remote is connected with `read_only`")
}

/// What gets lost on the way through Google's API.
fn quality(remote: &Remote) -> Option<String> {
    let proxy = remote.option("proxy").is_some_and(|value| !value.is_empty());
    (!proxy).then(|| {
        "through its API Google gives photos without their location and not in full quality, and videos encoded anew: set the remote's `proxy` option for originals (https://rclone.org/googlephotos/#limitations)".to_owned()
    })
}

/// Whether there is a token that lasts.
fn token(remote: &Remote) -> Option<Finding> {
    let problem = |what: &str| {
        Some(Finding::Problem(format!(
            "{what}: run `rclone config reconnect NAME:`, and `plakbox renew NAME` if it was imported"
        )))
    };
    let Some(token) = remote.option("token").filter(|token| !token.is_empty()) else {
        return problem("the remote has no `token`: it was never connected");
    };
    let Ok(token) = serde_json::from_str::<Value>(token) else {
        return problem("the remote's `token` is broken");
    };
    let refresh = token.get("refresh_token").and_then(Value::as_str);
    match refresh.is_some_and(|refresh| !refresh.is_empty()) {
        true => None,
        false => problem("the remote's `token` has no refresh token, so it ends within the hour"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rclone::remote::Said;

    const TOKEN: &str = r#"{"access_token":"a","refresh_token":"r"}"#;

    fn remote(options: &[(&str, &str)]) -> Remote {
        let options = options.iter().map(|(key, value)| (format!("rclone_{key}"), *value));
        let config = options
            .chain([("rclone_type".to_owned(), BACKEND), ("location".to_owned(), "rclone://")])
            .map(|(key, value)| (key, value.to_owned()))
            .collect();
        Remote::from_plakar(Said { config, ..Said::default() }).unwrap().0
    }

    fn own<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let own = [("client_id", "i"), ("client_secret", "s"), ("token", TOKEN)];
        [&own[..], more].concat()
    }

    #[test]
    fn a_remote_with_nothing_to_say_of_it_is_silent() {
        assert_eq!(findings(&remote(&own(&[("proxy", "http://localhost:8282")]))), []);
    }

    #[test]
    fn what_is_missing_is_found() {
        for (options, found, problem) in [
            (vec![], "no `token`", true),
            (vec![("token", "{")], "is broken", true),
            (vec![("token", r#"{"access_token":"a"}"#)], "no refresh token", true),
            (vec![("client_id", "i")], "without its `client_secret`", true),
            (vec![("token", TOKEN)], "no `client_id`", false),
            (own(&[("read_only", "true")]), "`read_only`", false),
            (own(&[]), "without their location", false),
        ] {
            let findings = findings(&remote(&options));
            let found = findings.iter().any(|finding| match finding {
                Finding::Notice(text) => !problem && text.contains(found),
                Finding::Problem(text) => problem && text.contains(found),
            });
            assert!(found, "{options:?}: {findings:?}");
        }
    }

    #[test]
    fn a_photo_is_asked_for_by_its_id_where_its_name_holds_it() {
        let remote = remote(&own(&[]));
        let name = format!("a {{{}}}.jpg", "A-_9".repeat(20));
        let path = format!("media/all/{name}");
        assert_eq!(by_id(&remote, &path), Some(("media/all", name.as_str())));
        assert_eq!(by_id(&remote, &name), Some(("", name.as_str())));
        for other in ["media/all/a.jpg", "a {b}.jpg", "a {b.jpg"] {
            assert_eq!(by_id(&remote, other), None, "{other}");
        }
    }

    #[test]
    fn a_read_only_remote_is_no_destination() {
        let directory = tempfile::tempdir().unwrap();
        let state = State::at(directory.path().join("plakbox"), None).unwrap();
        let remote = remote(&own(&[("read_only", "true")]));
        assert_eq!(heed(&remote, &state, Aim::BackUp), Ok(()));
        let refused = heed(&remote, &state, Aim::Restore).unwrap_err();
        assert_eq!(refused.reason, Reason::Denied);
        assert!(refused.message.contains("read_only=false"), "{}", refused.message);
    }
}
