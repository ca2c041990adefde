//! `plakbox compile`: compiles a component ahead of its use.

use anyhow::Context;
use std::path::PathBuf;

use crate::sandbox;

/// Compiles a component ahead, so that it starts at once
#[derive(clap::Args)]
pub struct Args {
    component: PathBuf,
    /// The file that the code is written to
    output: PathBuf,
}

impl Args {
    /// Writes the compiled code.
    ///
    /// # Errors
    ///
    /// Fails if the file isn't a component, or the output can't be written.
    pub fn exec(self) -> anyhow::Result<()> {
        let code = sandbox::compile(&self.component)?;
        std::fs::write(&self.output, code)
            .with_context(|| format!("`{}` can't be written", self.output.display()))
    }
}
