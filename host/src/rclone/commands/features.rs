//! The features of a remote: `rclone backend features`, once for each session.

use tokio::io::AsyncReadExt;

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
    let command = session.command("backend").arg("features").arg(session.target(""));
    let mut process = command.spawn().await?;
    let mut text = Vec::new();
    if let Some(mut stdout) = process.stdout.take() {
        let read = (&mut stdout).take(MAX_FEATURES_BYTES).read_to_end(&mut text).await;
        read.map_err(|error| Failure::internal(format!("rclone's output can't be read: {error}")))?;
    }
    process.wait().await?;
    serde_json::from_slice(&text)
        .map_err(|error| Failure::internal(format!("rclone's features can't be parsed: {error}")))
}
