//! The lines that `plakbox doctor` prints, without secrets.

use anyhow::bail;
use std::fmt::Display;
use std::io::{Result, Write, stdout};

use crate::connector::{self, Failure};
use crate::invocation;
use crate::rclone::Secrets;
use crate::terminal::escape;

/// The report on a remote, printed line by line.
#[derive(Default)]
pub struct Report {
    /// The remote's name, if it is known.
    pub name: String,
    /// The secrets that are struck out.
    pub secrets: Secrets,
    /// The number of problems that were printed.
    pub problems: usize,
}

impl Report {
    /// Prints that something is in order.
    pub fn ok(&self, text: impl Display) -> Result<()> {
        self.print("ok", &text.to_string())
    }

    /// Prints something to know.
    pub fn warning(&self, text: impl Display) -> Result<()> {
        self.print("warning", &text.to_string())
    }

    /// Prints something to fix.
    pub fn problem(&mut self, text: impl Display) -> Result<()> {
        self.problems += 1;
        self.print("problem", &text.to_string())
    }

    /// Prints a failure, which is something to fix.
    pub fn failure(&mut self, failure: &Failure) -> Result<()> {
        // A secret is known as it is, not as it is displayed.
        self.problem(self.secrets.redact_failure(failure))
    }

    fn print(&self, mark: &str, text: &str) -> Result<()> {
        let mut text = connector::one_line(&self.secrets.redact(text));
        // Remedies contain the placeholder NAME.
        let is_plain = |char: char| char.is_alphanumeric() || "_-.+@".contains(char);
        if !self.name.is_empty() && self.name.chars().all(is_plain) {
            text = text.replace(" NAME", &format!(" {}", self.name));
        }
        writeln!(stdout(), "{mark:<9}{}", escape(&invocation::with_command(&text)))
    }

    /// Ends the report.
    ///
    /// # Errors
    ///
    /// Fails if a problem was printed.
    pub fn finish(self) -> anyhow::Result<()> {
        match self.problems {
            0 => Ok(()),
            1 => bail!("there is a problem; help: fix it and run this again"),
            problems => bail!("there are {problems} problems; help: fix them and run this again"),
        }
    }
}
