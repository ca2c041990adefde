//! Sessions on remotes of the user's rclone.conf, for commands by hand.

use crate::connector::Failure;
use crate::direction::Direction;
use crate::sandbox::Session;
use crate::session::{self, OpenRequest, OpenSession, RemoteSpec, SessionContext};

/// Describes a remote as Plakar would whose only option is this `location`.
pub fn spec(location: String) -> RemoteSpec {
    with_options([("location".to_owned(), location)].into())
}

/// Describes a remote of these options as Plakar would.
pub fn with_options(config: std::collections::BTreeMap<String, String>) -> RemoteSpec {
    let directory = std::env::current_dir().unwrap_or_default().to_string_lossy().into_owned();
    RemoteSpec { config, hostname: String::new(), directory }
}

/// Opens `NAME:path` for reading, and returns the absolute path of its root as well.
///
/// # Errors
///
/// Fails if the remote is not configured, not allowed, or can't be used.
pub async fn open(remote: &str, context: &SessionContext) -> Result<(Session, String), Failure> {
    let request = OpenRequest {
        spec: spec(format!("rclone://{remote}")),
        direction: Direction::Backup,
        quiet: true,
    };
    let OpenSession { session, remote, .. } = session::open(request, context).await?;
    let location = session.open_importer(remote).await?;
    Ok((session, location.root))
}
