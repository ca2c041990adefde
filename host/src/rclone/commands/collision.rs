//! Entries of a restore whose names differ only in case, where the destination doesn't
//! distinguish upper and lower case.

use super::features;
use crate::connector::Failure;
use crate::rclone::backends;
use crate::rclone::remote::Remote;
use crate::rclone::session::RcloneSession;
use crate::rclone::used_names::UsedNames;

/// The option by which a user says that a remote is case-insensitive.
const CASE_INSENSITIVE_OPTION: &str = "case_insensitive";

/// Reserves a path for an entry of a restore.
///
/// # Errors
///
/// The destination takes it for the path of another entry.
pub async fn claim(session: &RcloneSession, path: &str) -> Result<(), Failure> {
    match used_names(session).await? {
        Some(names) => names.claim(path),
        None => Ok(()),
    }
}

/// Whether the destination doesn't distinguish upper and lower case.
///
/// # Errors
///
/// rclone doesn't report the destination's features.
pub async fn folds_case(session: &RcloneSession) -> Result<bool, Failure> {
    Ok(used_names(session).await?.is_some())
}

/// The names that this restore has used, if the destination is case-insensitive.
async fn used_names(session: &RcloneSession) -> Result<Option<&UsedNames>, Failure> {
    let names = session.used_names_cell().get_or_try_init(async || {
        let remote = session.remote();
        if needs_probe(remote)
            && !remote.is_google_photos()
            && features::query(session).await?.is_case_insensitive()
        {
            return Ok(Some(UsedNames::default()));
        }
        Ok(None)
    });
    Ok(names.await?.as_ref())
}

/// Whether only rclone knows if a remote is case-insensitive. Asking it takes a process.
fn needs_probe(remote: &Remote) -> bool {
    let is_set =
        remote.sections().values().any(|section| section.contains_key(CASE_INSENSITIVE_OPTION));
    is_set || !remote.backends().all(|backend| backends::find(backend).is_case_sensitive)
}
