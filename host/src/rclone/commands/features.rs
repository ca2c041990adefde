//! The features of a remote: `rclone backend features`, once for each session.

use crate::connector::Failure;
use crate::rclone::backends::BackendFeatures;
use crate::rclone::session::RcloneSession;

/// The largest output that is read.
const MAX_FEATURES_BYTES: u64 = 1 << 20;

/// The features of the session's remote.
///
/// # Errors
///
/// rclone can't reach the remote, or prints something else.
pub async fn query(session: &RcloneSession) -> Result<&BackendFeatures, Failure> {
    session.features_cell().get_or_try_init(|| run(session)).await
}

async fn run(session: &RcloneSession) -> Result<BackendFeatures, Failure> {
    let command = session.command("backend").arg("features").arg(session.directory_target(""));
    command.spawn().await?.json_output(MAX_FEATURES_BYTES, "features").await
}
