//! `plakbox ls`: lists a remote through the connector.

use anyhow::bail;
use std::io::{Write, stdout};

use super::remote;
use crate::connector::{Entry, Kind};
use crate::invocation;
use crate::sandbox::ScanEvent;
use crate::session::SessionContext;
use crate::terminal::escape;

/// Lists a remote of your rclone.conf through the connector
#[derive(clap::Args)]
pub struct Args {
    /// NAME:path
    remote: String,
}

impl Args {
    /// Prints a line for each entry, and the paths that failed on stderr.
    ///
    /// # Errors
    ///
    /// Fails if the remote can't be opened, or a path can't be listed.
    pub async fn exec(self, context: &SessionContext) -> anyhow::Result<()> {
        let (session, _) = remote::open(&self.remote, context).await?;
        let mut scan = session.scan().await?;
        let mut output = stdout().lock();
        let mut failures = 0;
        while let Some(events) = scan.found.recv().await {
            for event in events {
                match event {
                    ScanEvent::Entry(entry) => {
                        writeln!(output, "{}", line(&entry))?;
                        let _ = scan.acknowledged.send(entry.path).await;
                    }
                    ScanEvent::Error((path, failure)) => {
                        failures += 1;
                        let message = failure.to_string();
                        eprintln!("{}: {}", escape(&path), invocation::with_command(&message));
                    }
                }
            }
        }
        match scan.end.await {
            Ok(end) => end?,
            Err(_) => return Err(session.fault().await.into()),
        }
        if failures > 0 {
            bail!("{failures} paths could not be listed");
        }
        Ok(())
    }
}

fn line(entry: &Entry) -> String {
    let Entry { path, metadata, .. } = entry;
    let time = jiff::Timestamp::from_second(metadata.modified.seconds).unwrap_or_default();
    let size = match (metadata.kind, metadata.size) {
        (Kind::Directory, _) => "-".to_owned(),
        (_, Some(size)) => size.to_string(),
        (_, None) => "?".to_owned(),
    };
    format!("{size:>14}  {}  {}", time.strftime("%Y-%m-%d %H:%M:%S"), escape(path))
}
