//! Facts that are kept from one run to the next: former fingerprints of remotes, notices that
//! were shown, and the version of rclone.

use semver::Version;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::State;
use super::files::{create_private_dir, write_private_file};
use super::layout::{ALIASES_DIR, NOTICES_DIR, VERSION_FILE};
use crate::connector::Failure;
use crate::rclone::remote::fingerprint::Fingerprint;

/// The fingerprint that a remote had before its token was refreshed for the first time.
pub fn canonical_fingerprint(state: &State, fingerprint: &Fingerprint) -> Fingerprint {
    let first = fs::read_to_string(alias_file(state, fingerprint));
    first.ok().and_then(|first| Fingerprint::from_hex(&first)).unwrap_or(fingerprint.clone())
}

/// Records that a remote has another fingerprint since rclone has refreshed its token.
///
/// # Errors
///
/// The record can't be written.
pub fn alias_fingerprint(state: &State, old: &Fingerprint, new: &Fingerprint) -> io::Result<()> {
    if old == new {
        return Ok(());
    }
    create_private_dir(&state.root().join(ALIASES_DIR))?;
    let first = canonical_fingerprint(state, old);
    write_private_file(&alias_file(state, new), first.to_hex().as_bytes(), None)
}

/// Removes the record of a fingerprint that no remote has any more.
pub fn remove_alias(state: &State, fingerprint: &Fingerprint) {
    let _ = fs::remove_file(alias_file(state, fingerprint));
}

fn alias_file(state: &State, fingerprint: &Fingerprint) -> PathBuf {
    state.root().join(ALIASES_DIR).join(fingerprint.to_hex())
}

/// Records that a notice about a remote is shown; returns whether it wasn't before. If it
/// can't be recorded, it is shown again the next time.
pub fn record_notice(state: &State, notice: &str, fingerprint: &Fingerprint) -> bool {
    let directory = state.root().join(NOTICES_DIR);
    let remote = canonical_fingerprint(state, fingerprint).short();
    let path = directory.join(format!("{notice}-{remote}"));
    let mut file = OpenOptions::new();
    file.create_new(true).write(true).mode(0o600);
    create_private_dir(&directory).is_err()
        || !file.open(path).is_err_and(|error| error.kind() == io::ErrorKind::AlreadyExists)
}

/// The version of the rclone at a path: the recorded one if the file is unchanged, else that
/// which `query` returns.
///
/// # Errors
///
/// The version isn't recorded, and `query` fails.
pub async fn cached_version(
    state: &State,
    rclone: &Path,
    query: impl Future<Output = Result<Version, Failure>>,
) -> Result<Version, Failure> {
    let file = state.root().join(VERSION_FILE);
    let key = fs::metadata(rclone).map(|meta| {
        let time = (meta.mtime(), meta.mtime_nsec());
        format!("{}\n{time:?} {} {}", rclone.display(), meta.size(), meta.ino())
    });
    let Ok(key) = key else { return query.await };
    if let Some((known, version)) = fs::read_to_string(&file).unwrap_or_default().rsplit_once('\n')
        && known == key
        && let Ok(version) = Version::parse(version)
    {
        return Ok(version);
    }
    let version = query.await?;
    // Without a record, the next run queries it again.
    let _ = write_private_file(&file, format!("{key}\n{version}").as_bytes(), None);
    Ok(version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rclone::remote::{Remote, RemoteSpec};

    fn fingerprint(token: &str) -> Fingerprint {
        let pairs = [("rclone_type", "drive"), ("rclone_token", token), ("location", "rclone://")];
        let config = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let spec = RemoteSpec { config, ..RemoteSpec::default() };
        Remote::from_plakar(spec).unwrap().0.fingerprint()
    }

    #[test]
    fn a_person_is_told_once_of_each_remote() {
        let directory = tempfile::tempdir().unwrap();
        let state = State::open_at(directory.path().join("plakbox"), None).unwrap();
        let (one, other) = (fingerprint("t"), fingerprint("u"));
        assert!(record_notice(&state, "quality", &one));
        assert!(!record_notice(&state, "quality", &one));
        assert!(record_notice(&state, "quality", &other) && record_notice(&state, "else", &one));
    }
}
