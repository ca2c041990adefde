//! Google Photos: checks of a remote's configuration, and how its photos are named.
//!
//! Sources: rclone's backend/googlephotos and documentation, and Google's announcement
//! of what the Photos Library API shows since 2025-03-31.

use serde_json::Value;

use super::remote::Remote;
use super::state::{State, records};
use crate::connector::{Failure, Reason};
use crate::direction::Direction;

/// Documentation of how to get a client of one's own.
const OWN_CLIENT_URL: &str = "https://rclone.org/googlephotos/#making-your-own-client-id";

/// A finding about the configuration of a remote.
#[derive(Debug, Clone, PartialEq)]
pub enum Finding {
    /// The remote works, with a limitation.
    Notice(String),
    /// The remote can't be used.
    Problem(Failure),
}

/// The flag for the verbosity of rclone's log. Only with debug messages does its server log why
/// Google doesn't return a photo, and that a call will be retried.
pub fn verbosity(remote: &Remote) -> &'static str {
    if remote.is_google_photos() { "-vv" } else { "-v" }
}

/// Splits the path of a photo into its directory and name, if the name has the ID by which rclone
/// fetches the photo alone.
///
/// Source: `findID` in rclone's backend/googlephotos.
pub fn split_photo_path<'a>(remote: &Remote, path: &'a str) -> Option<(&'a str, &'a str)> {
    const MIN_ID_BYTES: usize = 55;
    let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
    let (_, rest) = name.rsplit_once('{')?;
    let (id, _) = rest.split_once('}')?;
    let of_ids = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (remote.is_google_photos() && id.len() >= MIN_ID_BYTES && id.bytes().all(of_ids))
        .then_some((parent, name))
}

/// Checks a remote before a session: refuses what would fail, and warns about limitations, of which
/// some are shown once for a remote.
///
/// # Errors
///
/// A restore can't be written, or the client is incomplete. Never for a store, which Google
/// Photos can't hold.
pub fn preflight(remote: &Remote, state: &State, direction: Direction) -> Result<(), Failure> {
    if !remote.is_google_photos() || direction == Direction::Store {
        return Ok(());
    }
    if direction == Direction::Restore
        && let Some(why) = read_only_option(remote)
    {
        return Err(Failure::new(
            Reason::Denied,
            format!("{why}, so nothing can be restored to it"),
        )
        .with_help(MAKE_WRITABLE));
    }
    if let Some(notice) = check_client(remote) {
        match notice {
            Finding::Notice(text) => tracing::warn!("{text}"),
            Finding::Problem(failure) => return Err(failure),
        }
    }
    if direction == Direction::Backup
        && let Some(text) = quality_notice(remote)
        && records::record_notice(state, "quality", &remote.fingerprint())
    {
        tracing::warn!("{text} (said once for each remote)");
    }
    Ok(())
}

/// The commands that make a remote writable.
const MAKE_WRITABLE: &str = "run `rclone config update NAME read_only=false` and `rclone config \
     reconnect NAME:`, and `plakbox renew NAME` if it was imported";

/// All findings about a remote.
pub fn findings(remote: &Remote) -> Vec<Finding> {
    if !remote.is_google_photos() {
        return Vec::new();
    }
    let read_only = read_only_option(remote).map(|why| {
        Finding::Notice(format!("{why}: backups work, restores to it don't; help: {MAKE_WRITABLE}"))
    });
    let quality = quality_notice(remote).map(Finding::Notice);
    [check_token(remote), check_client(remote), read_only, quality].into_iter().flatten().collect()
}

/// Checks which client the remote uses.
fn check_client(remote: &Remote) -> Option<Finding> {
    let has = |key| remote.option(key).is_some_and(|value| !value.is_empty());
    match (has("client_id"), has("client_secret")) {
        (true, true) => None,
        (true, false) => Some(Finding::Problem(
            Failure::invalid_config("the remote has a `client_id` without its `client_secret`")
                .with_help(
                    "run `rclone config update NAME client_secret=...` and `rclone config \
                     reconnect NAME:`, and `plakbox renew NAME` if it was imported",
                ),
        )),
        (false, _) => Some(Finding::Notice(format!(
            "the remote has no `client_id` and uses rclone's shared one, which stops working in \
             2026 and whose quota all share; help: make your own ({OWN_CLIENT_URL})"
        ))),
    }
}

/// The option by which the remote was connected for reading only.
fn read_only_option(remote: &Remote) -> Option<&'static str> {
    // The values that Go parses as true.
    let yes = ["1", "t", "T", "true", "True", "TRUE"];
    let set = remote.option("read_only").is_some_and(|value| yes.contains(&value));
    set.then_some("the remote is connected with `read_only`")
}

/// A notice about what is lost through Google's API.
fn quality_notice(remote: &Remote) -> Option<String> {
    let proxy = remote.option("proxy").is_some_and(|value| !value.is_empty());
    (!proxy).then(|| {
        "through its API Google gives photos without their location and not in full quality, and \
         re-encodes videos; help: set the remote's `proxy` option for originals \
         (https://rclone.org/googlephotos/#limitations)"
            .to_owned()
    })
}

/// Checks that there is a refresh token.
fn check_token(remote: &Remote) -> Option<Finding> {
    let problem = |what: &str| {
        Some(Finding::Problem(Failure::invalid_config(what).with_help(
            "run `rclone config reconnect NAME:`, and `plakbox renew NAME` if it was imported",
        )))
    };
    let Some(token) = remote.option("token").filter(|token| !token.is_empty()) else {
        return problem("the remote has no `token`: it was never connected");
    };
    let Ok(token) = serde_json::from_str::<Value>(token) else {
        return problem("the remote's `token` is broken");
    };
    let refresh = token.get("refresh_token").and_then(Value::as_str);
    if refresh.is_some_and(|refresh| !refresh.is_empty()) {
        return None;
    }
    problem("the remote's `token` has no refresh token, so it ends within the hour")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rclone::backends::GOOGLE_PHOTOS;
    use crate::rclone::remote::RemoteSpec;

    const TOKEN: &str = r#"{"access_token":"a","refresh_token":"r"}"#;

    fn remote(options: &[(&str, &str)]) -> Remote {
        let options = options.iter().map(|(key, value)| (format!("rclone_{key}"), *value));
        let config = options
            .chain([
                ("rclone_type".to_owned(), GOOGLE_PHOTOS),
                ("location".to_owned(), "rclone://"),
            ])
            .map(|(key, value)| (key, value.to_owned()))
            .collect();
        Remote::from_plakar(RemoteSpec { config, ..RemoteSpec::default() }).unwrap().0
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
                Finding::Problem(failure) => problem && failure.message.contains(found),
            });
            assert!(found, "{options:?}: {findings:?}");
        }
    }

    #[test]
    fn a_photo_is_asked_for_by_its_id_where_its_name_holds_it() {
        let remote = remote(&own(&[]));
        let name = format!("a {{{}}}.jpg", "A-_9".repeat(20));
        let path = format!("media/all/{name}");
        assert_eq!(split_photo_path(&remote, &path), Some(("media/all", name.as_str())));
        assert_eq!(split_photo_path(&remote, &name), Some(("", name.as_str())));
        for other in ["media/all/a.jpg", "a {b}.jpg", "a {b.jpg"] {
            assert_eq!(split_photo_path(&remote, other), None, "{other}");
        }
    }

    #[test]
    fn a_read_only_remote_is_no_destination() {
        let directory = tempfile::tempdir().unwrap();
        let state = State::open_at(directory.path().join("plakbox"), None).unwrap();
        let remote = remote(&own(&[("read_only", "true")]));
        assert_eq!(preflight(&remote, &state, Direction::Backup), Ok(()));
        let refused = preflight(&remote, &state, Direction::Restore).unwrap_err();
        assert_eq!(refused.reason, Reason::Denied);
        let help = refused.help.unwrap();
        assert!(help.contains("read_only=false"), "{help}");
    }
}
