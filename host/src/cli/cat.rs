//! `plakbox cat`: prints a file of a remote through the connector.

use anyhow::bail;
use std::io::{Write, stdout};

use super::remote;
use crate::connector::Content;
use crate::session::SessionContext;

/// Prints a file of a remote of your rclone.conf through the connector
#[derive(clap::Args)]
pub struct Args {
    /// NAME:path/file
    file: String,
}

impl Args {
    /// Prints the file's bytes.
    ///
    /// # Errors
    ///
    /// Fails if the remote can't be opened, or the file can't be read to its end.
    pub async fn exec(self, context: &SessionContext) -> anyhow::Result<()> {
        let file = &self.file;
        let Some((name, path)) = file.split_once(':') else {
            bail!("`{file}` names no remote; help: use NAME:path/file")
        };
        let (directory, leaf) = path.rsplit_once('/').unwrap_or(("", path));
        // The root of a path that starts with a slash is that slash.
        let directory = if directory.is_empty() && path.starts_with('/') { "/" } else { directory };
        let (session, root) = remote::open(&format!("{name}:{directory}"), context).await?;
        let path = format!("{}/{leaf}", root.trim_end_matches('/'));
        let Content { mut bytes, end } = session.read(path).await?;
        let mut output = stdout().lock();
        while let Some(chunk) = bytes.recv().await {
            output.write_all(&chunk)?;
        }
        match end.await {
            Ok(end) => end?,
            Err(_) => return Err(session.fault().await.into()),
        }
        Ok(output.flush()?)
    }
}
