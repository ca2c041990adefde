//! Kloset stores: which remotes can hold one, and where one was looked for.

use crate::connector::{Failure, Reason};
use crate::rclone::remote::Remote;

/// Backends that don't keep objects as they were uploaded, or under the name that they were
/// uploaded with, or that can't be written.
///
/// The component has the same list. The host knows the wrapped backends as well, and refuses the
/// session before it starts.
const UNSUITABLE_BACKENDS: [&str; 5] =
    ["archive", "google photos", "http", "iclouddrive", "imagekit"];

/// Backends on which a path with a slash before it is a different place.
const WITH_LOGIN_DIRECTORY: [&str; 2] = ["sftp", "ftp"];

/// Checks that the remote, and those that it wraps, can hold a store.
///
/// # Errors
///
/// One of them can't.
pub fn check_backends(remote: &Remote) -> Result<(), Failure> {
    let Some(backend) = remote.backends().find(|backend| UNSUITABLE_BACKENDS.contains(backend))
    else {
        return Ok(());
    };
    let message = format!("a remote of type `{backend}` can't hold a store");
    Err(Failure::new(Reason::Unsupported, message).with_help("use a remote of a different type"))
}

/// The place of a store, as messages describe it.
pub struct StorePlace {
    /// The location as Plakar passes it: `rclone://`.
    pub location: String,
    /// rclone's name of the backend.
    pub backend: String,
    /// The path inside the remote.
    pub path: String,
}

impl StorePlace {
    /// Makes the failure for a place without a store.
    pub fn not_found(&self) -> Failure {
        let Self { location, backend, path } = self;
        let is_relative = WITH_LOGIN_DIRECTORY.contains(&&**backend) && !path.starts_with('/');
        let place = match (path.trim_matches('/'), is_relative) {
            ("", false) => "at its root".to_owned(),
            ("", true) => "in the directory after login".to_owned(),
            (_, false) => format!("in `{path}`"),
            (_, true) => format!("in `{path}`, relative to the directory after login"),
        };
        let message = format!(
            "there isn't a store at `{location}`: the remote of type `{backend}` has no file `CONFIG` {place}"
        );
        let elsewhere = match location.split_once("://").filter(|_| is_relative) {
            Some((protocol, address)) => {
                let start = address.rfind(':').map_or(0, |colon| colon + 1);
                let (name, path) = address.split_at(start);
                format!(": from the server's root on it is `{protocol}://{name}/{path}`")
            }
            None => String::new(),
        };
        Failure::new(Reason::NotFound, message).with_help(format!(
            "create it with `plakar at STORE create`, or correct its location{elsewhere}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_store_is_reported_with_the_place_where_it_was_looked_for() {
        for (location, backend, path, place, help) in [
            ("rclone://", "s3", "", "at its root", None),
            ("rclone://b/kloset", "s3", "b/kloset", "in `b/kloset`", None),
            ("rclone://", "sftp", "", "in the directory after login", Some("rclone:///`")),
            ("rclone://x", "sftp", "x", "in `x`, relative to", Some("`rclone:///x`")),
            ("rclone://nas:x", "ftp", "x", "in `x`, relative to", Some("`rclone://nas:/x`")),
            ("rclone:///x", "sftp", "/x", "in `/x`", None),
        ] {
            let place_of = StorePlace {
                location: location.to_owned(),
                backend: backend.to_owned(),
                path: path.to_owned(),
            };
            let text = place_of.not_found().to_string();
            assert!(text.contains(&format!("no file `CONFIG` {place}")), "{text}");
            assert_eq!(text.contains("server's root"), help.is_some(), "{text}");
            assert!(help.is_none_or(|help| text.contains(help)), "{text}");
        }
    }
}
