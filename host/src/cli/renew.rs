//! `plakbox renew`: brings a remote that was reconnected in rclone into the source and the
//! destination that were imported from it, whose other options stay.

use anyhow::{anyhow, bail};
use std::io::{Read, stdin};
use std::path::PathBuf;

use super::invocation::{self, quoted};
use super::notices::{Kind, Options, Plakar};
use super::{print_lines, said};
use crate::connector::{Failure, Reason};
use crate::rclone::remote::ini::{self, Section, Sections};
use crate::rclone::remote::user_config;
use crate::rclone::remote::{HIDDEN, PREFIX};
use crate::rclone::state::State;

/// No configuration is longer.
const LONGEST: u64 = 1 << 20;

/// Brings the remote `name` into the source and destination `known_as`, or of the same name.
pub fn renew(
    name: &str,
    known_as: Option<&str>,
    from_stdin: bool,
    config: Option<PathBuf>,
) -> anyhow::Result<()> {
    let name = name.trim_end_matches(':');
    let known_as = known_as.unwrap_or(name).trim_start_matches('@');
    let section = match from_stdin {
        true => from_text(name)?,
        false => from_file(name).map_err(said)?,
    };
    let plakar = Plakar { config };
    // Two of us at the same moment would lose what one of them brought.
    let _alone = State::open().and_then(|state| state.lock()).map_err(said)?;
    let mut found = false;
    for kind in [Kind::Source, Kind::Destination] {
        let what = format!("{} `{known_as}`", kind.name());
        let Some(mut options) = plakar.options(kind, known_as).map_err(said)? else { continue };
        let changed = bring_into(&mut options, &section, &what, name).map_err(said)?;
        if !changed.is_empty() {
            plakar.set(kind, known_as, &options).map_err(said)?;
        }
        found = true;
        print_lines(&[report(&what, &changed)])?;
    }
    if !found {
        let name = quoted(name);
        bail!(
            "plakar has neither a source nor a destination `{known_as}`: import it with `rclone config dump | plakar source import -rclone {name}`, or say what plakar calls it with `--as`"
        );
    }
    Ok(())
}

fn report(what: &str, changed: &[String]) -> String {
    match changed {
        [] => format!("the {what} has all of it already"),
        changed => {
            format!("the {what} has another {} now, and the rest as it was", changed.join(", "))
        }
    }
}

fn wrong(message: impl AsRef<str>) -> Failure {
    Failure::new(Reason::InvalidConfiguration, message)
}

/// The remote as the user's own rclone.conf has it.
fn from_file(name: &str) -> Result<Section, Failure> {
    let file = user_config::file()?;
    let text = ini::read(&file).map_err(|error| {
        wrong(format!("`{}` can't be read: {error}: make it readable", file.display()))
    })?;
    if user_config::is_encrypted(&text) {
        return Err(wrong(format!(
            "`{}` is encrypted: run `rclone config dump | plakbox renew --stdin {}`",
            file.display(),
            quoted(name)
        )));
    }
    let mut sections = user_config::sections(&user_config::read(&file, name)?, name)?;
    sections.remove(name).ok_or_else(|| wrong(format!("your rclone.conf has no remote `{name}`")))
}

/// The remote as rclone prints it, in either form.
fn from_text(name: &str) -> anyhow::Result<Section> {
    let mut text = String::new();
    stdin().take(LONGEST).read_to_string(&mut text)?;
    let sections: Option<Sections> = match text.trim_start().starts_with('{') {
        true => serde_json::from_str(&text).ok(),
        false => ini::parse(&text).ok(),
    };
    let section =
        sections.and_then(|mut all| all.remove(name)).filter(|section| !section.is_empty());
    section.ok_or_else(|| {
        let (command, shown) = (invocation::command(), quoted(name));
        anyhow!(
            "what came on stdin says nothing of a remote `{name}`: run `rclone config dump | {command} renew --stdin {shown}`; `rclone listremotes` lists them"
        )
    })
}

/// Brings a remote's options among those of a source or destination; gives the names of
/// those that changed.
fn bring_into(
    options: &mut Options,
    section: &Section,
    what: &str,
    name: &str,
) -> Result<Vec<String>, Failure> {
    let key = |key: &str| format!("{PREFIX}{key}");
    let (had, has) = (options.get(&key("type")), section.get("type"));
    if !options.keys().any(|key| key.starts_with(PREFIX)) {
        return Err(wrong(format!(
            "the {what} was not imported from rclone: if its location is rclone://{name}:, it needs no renewal"
        )));
    }
    if had.is_some() && had != has {
        let [had, has] = [had, has].map(|it| it.map_or("none", String::as_str));
        return Err(wrong(format!(
            "the {what} is a remote of type `{had}`, and `{name}` is one of type `{has}`: say which one is meant with `--as`"
        )));
    }
    let mut changed = Vec::new();
    for (option, value) in section {
        // `rclone config show` hides passwords, which are as they were.
        if value == HIDDEN || options.get(&key(option)).map_or("", String::as_str) == value {
            continue;
        }
        // Plakar keeps no empty values.
        match value.is_empty() {
            true => options.remove(&key(option)),
            false => options.insert(key(option), value.clone()),
        };
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
    fn what_rclone_says_is_brought_in_and_the_rest_stays() {
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
            ("pass", HIDDEN),
            ("proxy", ""),
            ("read_only", ""),
            ("token", "new"),
            ("type", "google photos"),
        ]);
        let changed = bring_into(&mut options, &section, "source `p`", "p").unwrap();
        assert_eq!(changed, ["`proxy`", "`token`"]);
        let mut expected = map(&before);
        expected.remove("rclone_proxy");
        expected.insert("rclone_token".into(), "new".into());
        assert_eq!(options, expected);
        assert_eq!(bring_into(&mut options, &section, "", "p").unwrap(), [""; 0]);
    }

    #[test]
    fn another_remote_is_refused() {
        let section = map(&[("type", "drive"), ("token", "SECRET")]);
        for (options, said) in [
            (map(&[("location", "rclone://p:")]), "was not imported from rclone"),
            (map(&[("location", "rclone://"), ("rclone_type", "s3")]), "of type `s3`"),
        ] {
            let mut changed = options.clone();
            let failure = bring_into(&mut changed, &section, "source `p`", "p").unwrap_err();
            assert!(failure.message.contains(said), "{}", failure.message);
            assert!(!failure.message.contains("SECRET"));
            assert_eq!(changed, options);
        }
    }
}
