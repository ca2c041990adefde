//! `plakbox policy`: whether a policy file is sound, and what it allows.

use anyhow::bail;
use std::io::{Write, stdout};
use std::path::Path;

use super::{print_lines, said};
use crate::direction::Direction;
use crate::policy::{Policies, PolicyFile, explain as words, explain_request, schema};
use crate::rclone::remote::{Remote, Said};

/// Says whether a policy file is sound.
pub fn check(file: &Path) -> anyhow::Result<()> {
    let policy = PolicyFile::read(file).map_err(said)?;
    let rules = policy.policy.allow.len();
    let noun = if rules == 1 { "rule" } else { "rules" };
    print_lines(&[format!("`{}` is sound: {rules} {noun}", file.display())])
}

/// Says what a policy file allows, or what one remote of the user's rclone.conf may do.
pub fn explain(file: &Path, remote: Option<&str>) -> anyhow::Result<()> {
    let policy = PolicyFile::read(file).map_err(said)?;
    let Some(named) = remote else {
        return print_lines(&words(&policy));
    };
    let config = [("location".to_owned(), format!("rclone://{named}"))].into();
    let directory = std::env::current_dir().unwrap_or_default().to_string_lossy().into_owned();
    let (remote, _) =
        Remote::from_plakar(Said { config, hostname: String::new(), directory }).map_err(said)?;
    let policies = Policies { files: vec![policy] };
    let (lines, allowed) = explain_request(&policies, remote.request(Direction::Backup));
    print_lines(&lines)?;
    if !allowed {
        bail!("the policy doesn't allow `{named}`");
    }
    Ok(())
}

/// Prints the JSON schema of policy files.
pub fn print_schema() -> anyhow::Result<()> {
    Ok(writeln!(stdout(), "{}", serde_json::to_string_pretty(&schema())?)?)
}
