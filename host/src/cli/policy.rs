//! `plakbox policy`: checks policy files, and explains what they allow.

use anyhow::bail;
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};

use super::{print_lines, remote};
use crate::direction::Direction;
use crate::policy::{Policies, PolicyFile, explain as words, explain_request, schema};
use crate::rclone::remote::Remote;

#[derive(clap::Subcommand)]
pub enum Command {
    /// Checks that a policy file is valid, and names the place that isn't
    Check { file: PathBuf },
    /// Explains what a policy file allows, or what one remote may do under it and by which lines
    Explain {
        file: PathBuf,
        /// NAME:path of your rclone.conf
        remote: Option<String>,
    },
    /// Prints the JSON schema of policy files
    Schema,
}

impl Command {
    /// Runs the subcommand.
    ///
    /// # Errors
    ///
    /// Fails if the policy file is invalid, or doesn't allow the remote.
    pub fn exec(self) -> anyhow::Result<()> {
        match self {
            Self::Check { file } => check(&file),
            Self::Explain { file, remote } => explain(&file, remote.as_deref()),
            Self::Schema => print_schema(),
        }
    }
}

/// Checks a policy file.
fn check(file: &Path) -> anyhow::Result<()> {
    let policy = PolicyFile::read(file)?;
    let rules = policy.policy.allow.len();
    let noun = if rules == 1 { "rule" } else { "rules" };
    print_lines(&[format!("`{}` is sound: {rules} {noun}", file.display())])
}

/// Explains what a policy file allows, or what one remote of the user's rclone.conf may do.
fn explain(file: &Path, remote: Option<&str>) -> anyhow::Result<()> {
    let policy = PolicyFile::read(file)?;
    let Some(named) = remote else {
        return print_lines(&words(&policy));
    };
    let (remote, _) = Remote::from_plakar(remote::spec(format!("rclone://{named}")))?;
    let policies = Policies { files: vec![policy] };
    let (lines, allowed) = explain_request(&policies, remote.request(Direction::Backup));
    print_lines(&lines)?;
    if !allowed {
        bail!("the policy doesn't allow `{named}`");
    }
    Ok(())
}

/// Prints the JSON schema of policy files.
fn print_schema() -> anyhow::Result<()> {
    Ok(writeln!(stdout(), "{}", serde_json::to_string_pretty(&schema())?)?)
}
