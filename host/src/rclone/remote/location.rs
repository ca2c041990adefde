//! Mistakes in a location that names no remote.

use super::user_config;
use crate::connector::{Failure, Reason};

fn invalid(message: impl AsRef<str>) -> Failure {
    Failure::new(Reason::InvalidConfiguration, message)
}

/// The failure for a location without a remote: an empty import, or a name without its colon.
pub fn missing_remote(protocol: &str, place: &str) -> Failure {
    let what = format!("`{protocol}://{place}` has neither `rclone_type` nor the name of a remote");
    if place.is_empty() {
        return invalid(format!(
            "{what}, as when `rclone config show NAME` is given a name that rclone doesn't have \
             (`rclone listremotes` lists them)"
        ))
        .with_help(
            "remove it with `plakar source rm NAME`, and import the remote with `rclone config \
             dump | plakar source import -rclone NAME`",
        );
    }
    let (name, path) = place.split_once('/').unwrap_or((place, ""));
    let known = user_config::find().and_then(|file| user_config::read(&file, name));
    if known.is_ok_and(|known| known.contains_key(name)) {
        return invalid(format!("{what}: a colon follows the name of a remote"))
            .with_help(format!("write `{protocol}://{name}:{path}`"));
    }
    invalid(what).with_help(format!(
        "import one with `rclone config dump | plakar source import -rclone NAME`, or name one of \
         your rclone.conf as {protocol}://NAME:path"
    ))
}

/// Checks that the location of an imported remote is a path.
///
/// # Errors
///
/// It has the name of a remote.
pub fn check_path(protocol: &str, path: &str) -> Result<(), Failure> {
    let first = path.split('/').next().unwrap_or_default();
    match first.split_once(':') {
        Some((name, below)) if user_config::check_name(name).is_ok() => {
            let rest = [below, &path[first.len()..]].concat();
            Err(invalid(format!(
                "`{protocol}://{path}` names a remote, and an imported one is one already"
            ))
            .with_help(format!(
                "set the location to `{protocol}://{rest}`, or to `{protocol}:///{path}` if a \
                 directory is called so"
            )))
        }
        _ => Ok(()),
    }
}
