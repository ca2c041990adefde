//! Names of uploads on backends that show incomplete files, and what interrupted ones left.

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use std::hash::{BuildHasher, Hasher, RandomState};

use crate::connector::Failure;
use crate::rclone::remote_path::RemotePath;
use crate::rclone::session::RcloneSession;

/// The directory of uploads that aren't complete, below the store's root.
const DIRECTORY: &str = "tmp";

/// Age at which such a file belongs to no upload that is still running.
const MAX_AGE: SignedDuration = SignedDuration::from_hours(24);

/// Largest listing of the directory that is read.
const MAX_LISTING_BYTES: u64 = 16 << 20;

/// A file of the directory, as rclone prints it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    path: String,
    mod_time: Timestamp,
    is_dir: bool,
}

/// A name that no other upload has.
///
/// # Errors
///
/// Never; the name is a valid path.
pub fn new_path() -> Result<RemotePath, Failure> {
    // Each `RandomState` has different random bits.
    let random = RandomState::new().build_hasher().finish();
    RemotePath::parse(&format!("{DIRECTORY}/{random:016x}"))
}

/// Whether a path is the directory or in it, for a backend that ignores case as well.
pub fn is_reserved(path: &RemotePath) -> bool {
    path.split('/').next().is_some_and(|name| name.eq_ignore_ascii_case(DIRECTORY))
}

/// Whether a name is one that an upload may have had.
fn is_temporary(name: &str) -> bool {
    name.len() == 16 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Removes what interrupted uploads have left, in the background. Failures are only logged.
pub fn sweep(session: &RcloneSession) {
    let session = session.clone();
    tokio::spawn(async move {
        if let Err(failure) = remove_old(&session).await {
            tracing::debug!("files of interrupted uploads can't be removed: {failure}");
        }
    });
}

async fn remove_old(session: &RcloneSession) -> Result<(), Failure> {
    let now = Timestamp::now();
    for Item { path, mod_time, is_dir } in list(session).await? {
        if !is_dir && is_temporary(&path) && now.duration_since(mod_time) > MAX_AGE {
            let path = RemotePath::parse(&format!("{DIRECTORY}/{path}"))?;
            session.run("deletefile", &[&session.target(&path)]).await?;
        }
    }
    Ok(())
}

async fn list(session: &RcloneSession) -> Result<Vec<Item>, Failure> {
    let command = session.command("lsjson").args(["--no-mimetype", "--use-server-modtime"]);
    let process = command.arg(session.directory_target(DIRECTORY)).spawn().await?;
    process.json_output(MAX_LISTING_BYTES, "listing").await
}
