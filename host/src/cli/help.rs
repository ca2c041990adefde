//! `plakbox help`: explains a command, or prints a page that messages refer to.

use anyhow::bail;
use std::io::{Write, stdout};

/// The pages that are built in, by topic.
const PAGES: [(&str, &str); 1] =
    [("google-photos", include_str!("../../../docs/google-photos.md"))];

/// Explains a command, or Google Photos from `rclone config` to a restore (`google-photos`)
#[derive(clap::Args)]
pub struct Args {
    topic: Vec<String>,
}

impl Args {
    /// Prints the help of a command of `program`, or of all of it where none is named.
    ///
    /// # Errors
    ///
    /// Fails if there is no such command or topic.
    pub fn exec(self, mut program: clap::Command) -> anyhow::Result<()> {
        if let [topic] = &self.topic[..]
            && let Some((_, page)) = PAGES.iter().find(|(name, _)| name == topic)
        {
            return Ok(stdout().write_all(page.as_bytes())?);
        }
        // Global options are shown with each command.
        program.build();
        let mut command = &mut program;
        for word in &self.topic {
            let Some(found) = command.find_subcommand_mut(word) else {
                bail!(
                    "there is no command or topic `{}`; help: see `plakbox help`",
                    self.topic.join(" ")
                );
            };
            command = found;
        }
        Ok(write!(stdout(), "{}", command.render_long_help())?)
    }
}
