//! `plakbox inspect`: lists what a component imports and exports.

use std::io::{Write, stdout};
use std::path::PathBuf;

use super::print_lines;
use crate::sandbox;

/// Lists what a component imports and exports, and whether it would be run
#[derive(clap::Args)]
pub struct Args {
    component: PathBuf,
}

impl Args {
    /// Prints the component's interface and whether it would be run.
    ///
    /// # Errors
    ///
    /// Fails if the file isn't a component, or it would not be run.
    pub fn exec(self) -> anyhow::Result<()> {
        let interface = sandbox::inspect(&self.component)?;
        print_lines(&interface.to_string().lines().map(str::to_owned).collect::<Vec<_>>())?;
        match interface.check() {
            Ok(()) => Ok(writeln!(stdout(), "it would be run")?),
            Err(error) => Err(error.into_failure().with_context("it would not be run").into()),
        }
    }
}
