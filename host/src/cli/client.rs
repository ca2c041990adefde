//! `plakbox importer`, `plakbox exporter`, `plakbox storage` and `plakbox client`: Plakar's
//! plugins, served here
//! or relayed to a service.

use anyhow::bail;
use std::path::PathBuf;
use tokio_util::sync::CancellationToken;

use crate::direction::Direction;
use crate::plugin;
use crate::service::client;
use crate::session::SessionContext;

/// Relays Plakar's plugin protocol to a service, as `importer`, `exporter` and `storage` do by
/// themselves where /etc/plakbox/connect.toml names one
#[derive(clap::Args)]
pub struct Args {
    role: Direction,
    /// The file that names the service
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Args {
    /// Relays Plakar's plugin protocol to the service that was named.
    ///
    /// # Errors
    ///
    /// Fails if no service is named, or the connection to it breaks.
    pub async fn exec(self) -> anyhow::Result<()> {
        let target = match self.config {
            Some(file) => client::ServiceAddress::read(&file),
            None => match client::configured().transpose() {
                Some(target) => target,
                None => bail!("no service is named; help: use --config FILE"),
            },
        };
        client::relay(self.role, target).await
    }
}

/// Serves Plakar as a plugin, or relays it to the service that the operator has named, until
/// Plakar goes away or `stop` is cancelled.
///
/// # Errors
///
/// Fails if stdin and stdout are not pipes, or the connection breaks.
pub async fn plugin(
    role: Direction,
    context: SessionContext,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let Some(target) = client::configured().transpose() else {
        return plugin::serve_stdio(role, context, stop).await;
    };
    tokio::select! {
        relayed = client::relay(role, target) => relayed,
        () = stop.cancelled() => Ok(()),
    }
}
