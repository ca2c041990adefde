//! `plakbox audit`: what was decided, and what came of it.

use anyhow::Context;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use super::print_lines;
use crate::audit::report;

/// Prints a line for each decision in an audit log.
pub fn show(file: &Path) -> anyhow::Result<()> {
    let unreadable = || format!("the audit log `{}` can't be read", file.display());
    let log = File::open(file).with_context(unreadable)?;
    let (lines, senseless) = report::table(BufReader::new(log)).with_context(unreadable)?;
    print_lines(&lines)?;
    if senseless > 0 {
        eprintln!("plakbox: {senseless} lines are not of an audit log");
    }
    Ok(())
}
