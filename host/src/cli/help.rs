//! `plakbox help`: explains a command, or one of the pages that messages send a person to.

use anyhow::bail;
use std::io::{Write, stdout};

/// The pages that this program brings along, by their topics.
const PAGES: [(&str, &str); 1] =
    [("google-photos", include_str!("../../../docs/google-photos.md"))];

/// Explains this command, or the program where none is named.
pub fn explain(topic: &[String], mut program: clap::Command) -> anyhow::Result<()> {
    if let [topic] = topic
        && let Some((_, page)) = PAGES.iter().find(|(name, _)| name == topic)
    {
        return Ok(stdout().write_all(page.as_bytes())?);
    }
    // Options that hold for each command are shown with it.
    program.build();
    let mut command = &mut program;
    for word in topic {
        let Some(found) = command.find_subcommand_mut(word) else {
            bail!("there is no command or topic `{}`: see `plakbox help`", topic.join(" "));
        };
        command = found;
    }
    Ok(write!(stdout(), "{}", command.render_long_help())?)
}
