//! `plakbox renew`: brings a remote that was reconnected in rclone into the source and the
//! destination that were imported from it, whose other options stay.

mod plakar;

use anyhow::{anyhow, bail};
use std::io::{Read, stdin};
use std::path::PathBuf;

use super::print_lines;
use crate::connector::Failure;
use crate::invocation::{self, quoted};
use crate::rclone::remote::ini::{self, Section, Sections};
use crate::rclone::remote::user_config;
use crate::rclone::remote::{HIDDEN_PASSWORD, OPTION_PREFIX};
use crate::rclone::state::State;
use plakar::{Kind, Options, Plakar};

/// The largest configuration that is read from stdin, in bytes.
const MAX_STDIN_BYTES: u64 = 1 << 20;

/// Brings a remote that was reconnected in rclone into Plakar's source and destination
///
/// Takes the token, and everything else that your rclone.conf says of the remote, into the
/// source and the destination that were imported from it. Their `location` and all other
/// options stay. No secret is printed.
#[derive(clap::Args)]
pub struct Args {
    /// The remote's name in your rclone.conf
    name: String,
    /// The name of the source and the destination in Plakar, if it is a different one
    #[arg(long = "as", value_name = "NAME")]
    known_as: Option<String>,
    /// Reads what `rclone config dump` or `rclone config show NAME` prints from stdin, in the
    /// place of rclone.conf
    #[arg(long)]
    stdin: bool,
    /// Plakar's configuration directory, if not ~/.config/plakar
    #[arg(long, value_name = "DIRECTORY")]
    config: Option<PathBuf>,
}

impl Args {
    /// Brings the remote into the source and the destination, and prints what changed.
    ///
    /// # Errors
    ///
    /// Fails if rclone or Plakar doesn't have the remote, or it is one of another type.
    pub fn exec(self) -> anyhow::Result<()> {
        let name = self.name.trim_end_matches(':');
        let known_as = self.known_as.as_deref().unwrap_or(name).trim_start_matches('@');
        let section = if self.stdin { read_stdin(name)? } else { read_user_config(name)? };
        let plakar = Plakar { config: self.config };
        // Two renewals at the same time would lose the changes of one of them.
        let _lock = State::open().and_then(|state| state.lock())?;
        let mut found = false;
        for kind in [Kind::Source, Kind::Destination] {
            let what = format!("{} `{known_as}`", kind.name());
            let Some(mut options) = plakar.options(kind, known_as)? else { continue };
            let changed = update(&mut options, &section, &what, name)?;
            if !changed.is_empty() {
                plakar.set(kind, known_as, &options)?;
            }
            found = true;
            print_lines(&[report(&what, &changed)])?;
        }
        if !found {
            let name = quoted(name);
            bail!(
                "plakar has neither a source nor a destination `{known_as}`; help: import it with \
                 `rclone config dump | plakar source import -rclone {name}`, or set \
                 the name that plakar has for it with `--as`"
            );
        }
        Ok(())
    }
}

fn report(what: &str, changed: &[String]) -> String {
    match changed {
        [] => format!("the {what} has all of it already"),
        changed => {
            format!("the {what} has another {} now, and the rest as it was", changed.join(", "))
        }
    }
}

/// Reads the remote from the user's own rclone.conf.
fn read_user_config(name: &str) -> Result<Section, Failure> {
    let file = user_config::find()?;
    let text = ini::read(&file).map_err(|error| {
        Failure::invalid_config(format!("`{}` can't be read: {error}", file.display()))
            .with_help("make it readable")
    })?;
    if user_config::is_encrypted(&text) {
        return Err(Failure::invalid_config(format!("`{}` is encrypted", file.display()))
            .with_help(format!(
                "run `rclone config dump | plakbox renew --stdin {}`",
                quoted(name)
            )));
    }
    let mut sections = user_config::with_wrapped(&user_config::read(&file, name)?, name)?;
    sections
        .remove(name)
        .ok_or_else(|| Failure::invalid_config(format!("your rclone.conf has no remote `{name}`")))
}

/// Reads the remote from stdin, in either of the forms in which rclone prints it.
fn read_stdin(name: &str) -> anyhow::Result<Section> {
    let mut text = String::new();
    stdin().take(MAX_STDIN_BYTES).read_to_string(&mut text)?;
    let sections: Option<Sections> = if text.trim_start().starts_with('{') {
        serde_json::from_str(&text).ok()
    } else {
        ini::parse(&text).ok()
    };
    let section =
        sections.and_then(|mut all| all.remove(name)).filter(|section| !section.is_empty());
    section.ok_or_else(|| {
        let (command, argument) = (invocation::command(), quoted(name));
        anyhow!(
            "what came on stdin says nothing of a remote `{name}`; help: run `rclone config dump | \
             {command} renew --stdin {argument}`; `rclone listremotes` lists them"
        )
    })
}

/// Updates the options of a source or destination from those of a remote, and returns the
/// names of those that changed.
fn update(
    options: &mut Options,
    section: &Section,
    what: &str,
    name: &str,
) -> Result<Vec<String>, Failure> {
    let key = |key: &str| format!("{OPTION_PREFIX}{key}");
    let (had, has) = (options.get(&key("type")), section.get("type"));
    if !options.keys().any(|key| key.starts_with(OPTION_PREFIX)) {
        return Err(Failure::invalid_config(format!(
            "the {what} was not imported from rclone: if its location is rclone://{name}:, it \
             needs no renewal"
        )));
    }
    if had.is_some() && had != has {
        let [had, has] = [had, has].map(|it| it.map_or("none", String::as_str));
        return Err(Failure::invalid_config(format!(
            "the {what} is a remote of type `{had}`, and `{name}` is one of type `{has}`"
        ))
        .with_help("set the name of the one that is meant with `--as`"));
    }
    let mut changed = Vec::new();
    for (option, value) in section {
        // `rclone config show` hides passwords, which are as they were.
        if value == HIDDEN_PASSWORD || options.get(&key(option)).map_or("", String::as_str) == value
        {
            continue;
        }
        // Plakar keeps no empty values.
        if value.is_empty() {
            options.remove(&key(option));
        } else {
            options.insert(key(option), value.clone());
        }
        changed.push(format!("`{option}`"));
    }
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> Options {
        pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
    }

    #[test]
    fn options_of_rclone_are_updated_and_the_rest_stays() {
        let before = [
            ("location", "rclone://album/Summer"),
            ("rclone_pass", "obscured"),
            ("rclone_proxy", "http://x"),
            ("rclone_start_year", "2010"),
            ("rclone_token", "old"),
            ("rclone_type", "google photos"),
            ("streams", "8"),
        ];
        let mut options = map(&before);
        let section = map(&[
            ("pass", HIDDEN_PASSWORD),
            ("proxy", ""),
            ("read_only", ""),
            ("token", "new"),
            ("type", "google photos"),
        ]);
        let changed = update(&mut options, &section, "source `p`", "p").unwrap();
        assert_eq!(changed, ["`proxy`", "`token`"]);
        let mut expected = map(&before);
        expected.remove("rclone_proxy");
        expected.insert("rclone_token".into(), "new".into());
        assert_eq!(options, expected);
        assert_eq!(update(&mut options, &section, "", "p").unwrap(), [""; 0]);
    }

    #[test]
    fn another_remote_is_refused() {
        let section = map(&[("type", "drive"), ("token", "SECRET")]);
        for (options, words) in [
            (map(&[("location", "rclone://p:")]), "was not imported from rclone"),
            (map(&[("location", "rclone://"), ("rclone_type", "s3")]), "of type `s3`"),
        ] {
            let mut changed = options.clone();
            let failure = update(&mut changed, &section, "source `p`", "p").unwrap_err();
            assert!(failure.message.contains(words), "{}", failure.message);
            assert!(!failure.message.contains("SECRET"));
            assert_eq!(changed, options);
        }
    }
}
