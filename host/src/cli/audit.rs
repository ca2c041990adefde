//! `plakbox audit`: shows what was decided, and what came of it.

use anyhow::Context;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use super::print_lines;
use crate::audit::report;

#[derive(clap::Subcommand)]
pub enum Command {
    /// A line for each decision in an audit log, and what came of it
    Show { file: PathBuf },
}

impl Command {
    /// Runs the subcommand.
    ///
    /// # Errors
    ///
    /// Fails if the log can't be read.
    pub fn exec(self) -> anyhow::Result<()> {
        match self {
            Self::Show { file } => show(&file),
        }
    }
}

/// Prints a line for each decision in an audit log.
fn show(file: &Path) -> anyhow::Result<()> {
    let unreadable = || format!("the audit log `{}` can't be read", file.display());
    let log = File::open(file).with_context(unreadable)?;
    let (lines, invalid) = report::table(BufReader::new(log)).with_context(unreadable)?;
    print_lines(&lines)?;
    if invalid > 0 {
        eprintln!("plakbox: {invalid} lines are not of an audit log");
    }
    Ok(())
}
