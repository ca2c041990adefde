//! `plakbox serve`: runs the service for many tenants.

use std::path::PathBuf;

use super::runtime;
use crate::service;

/// Runs the sessions of many tenants, for clients that connect to it
#[derive(clap::Args)]
pub struct Args {
    /// The operator's settings
    #[arg(default_value = "/etc/plakbox/service.toml")]
    file: PathBuf,
}

impl Args {
    /// Runs the service, which handles signals itself.
    ///
    /// # Errors
    ///
    /// Fails if the service can't be started.
    pub fn exec(self) -> anyhow::Result<()> {
        // Threads have rights of their own: at this point there is only this one.
        let start = service::prepare(&self.file)?;
        runtime()?.block_on(service::serve(&self.file, start))
    }
}
