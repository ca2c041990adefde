//! The user's own rclone.conf: where it is, and its remotes.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use super::ini::{self, Section, Sections};
use crate::connector::{Failure, Reason};
use crate::invocation::quoted;
use crate::policy;
use crate::user_dirs;

fn invalid(message: impl AsRef<str>) -> Failure {
    Failure::new(Reason::InvalidConfiguration, message)
}

/// Finds the user's rclone.conf.
///
/// # Errors
///
/// There is none.
///
/// Source: rclone's documentation of `--config`.
pub fn find() -> Result<PathBuf, Failure> {
    env::var_os("RCLONE_CONFIG")
        .map(PathBuf::from)
        .into_iter()
        .chain(user_dirs::config().map(|configs| configs.join("rclone/rclone.conf")))
        .chain(user_dirs::home().map(|home| home.join(".rclone.conf")))
        .find(|path| path.is_file())
        // It may be written from a different directory.
        .and_then(|path| std::path::absolute(path).ok())
        .ok_or_else(|| {
            invalid("there is no rclone.conf")
                .with_help("run `rclone config`, or set RCLONE_CONFIG to its path")
        })
}

/// Reads all remotes of a user's rclone.conf. `name` is the remote that they are read for.
///
/// # Errors
///
/// The file can't be read or parsed, or is encrypted.
pub fn read(file: &Path, name: &str) -> Result<Sections, Failure> {
    let shown = file.display();
    let text = fs::read_to_string(file)
        .map_err(|error| invalid(format!("`{shown}` can't be read: {error}")))?;
    if is_encrypted(&text) {
        return Err(invalid(format!(
            "`{shown}` is encrypted, and plakbox doesn't know its password"
        ))
        .with_help(format!(
            "import the remote with `rclone config dump | plakar source import -rclone {0}`, and \
             back up @{0}",
            quoted(name)
        )));
    }
    ini::parse(&text).map_err(|line| {
        invalid(format!(
            "`{shown}` is not a valid rclone configuration: line {line} can't be parsed"
        ))
        .with_help("correct it, or run `rclone config`")
    })
}

/// Whether this is an encrypted rclone.conf.
pub fn is_encrypted(text: &str) -> bool {
    text.starts_with("# Encrypted rclone configuration File") || text.contains("RCLONE_ENCRYPT_V0:")
}

/// The help of a failure for an unknown name.
const LIST_REMOTES: &str = "run `rclone listremotes` to list them";

/// Parses the output of `rclone config show NAME`: the name and options of one remote.
///
/// # Errors
///
/// It isn't one remote.
pub fn parse_shown(text: &str) -> Result<(String, Section), Failure> {
    const HOW: &str = "run `rclone config show NAME | plakbox doctor`";
    let no_configuration = || invalid("stdin has no rclone configuration").with_help(HOW);
    let mut remotes = ini::parse(text).map_err(|_| no_configuration())?;
    match (remotes.pop_last(), remotes.len()) {
        (Some((name, section)), 0) if section.is_empty() => {
            let message = format!("rclone has no remote `{}`", name.escape_debug());
            Err(invalid(message).with_help(LIST_REMOTES))
        }
        (Some(remote), 0) => Ok(remote),
        (Some(_), others) => {
            Err(invalid(format!("{} remotes came on stdin, and one is looked at", others + 1))
                .with_help(HOW))
        }
        (None, _) => Err(no_configuration()),
    }
}

/// The section of this name, and every section that it wraps.
///
/// # Errors
///
/// One of them is missing.
pub fn with_wrapped(all: &Sections, name: &str) -> Result<Sections, Failure> {
    let mut sections = Sections::new();
    collect(all, name, &mut sections)?;
    Ok(sections)
}

fn collect(all: &Sections, name: &str, sections: &mut Sections) -> Result<(), Failure> {
    if sections.contains_key(name) {
        return Ok(());
    }
    let section = all.get(name).ok_or_else(|| {
        invalid(format!("your rclone.conf has no remote `{name}`")).with_help(LIST_REMOTES)
    })?;
    sections.insert(name.to_owned(), section.clone());
    let names = policy::wrapped_targets(section)?.into_iter().filter_map(|target| target.name);
    names.filter(|name| check_name(name).is_ok()).try_for_each(|name| collect(all, &name, sections))
}

/// Checks that rclone takes this for the name of a remote only, and not for a backend made up on
/// the spot (`:sftp:`) or for options after a comma (`name,ssh=...:`).
///
/// # Errors
///
/// It has other characters than a name.
pub fn check_name(name: &str) -> Result<(), Failure> {
    let plain = |char: char| char.is_alphanumeric() || "_-. +@".contains(char);
    if !name.is_empty() && name.chars().all(plain) {
        return Ok(());
    }
    let name = name.escape_debug();
    Err(invalid(format!("`{name}` is not the name of a remote: connection strings are refused"))
        .with_help("use a remote of your rclone.conf"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rclone_shows_of_a_remote_is_taken_apart() {
        let (name, section) = parse_shown("[my dav]\ntype = webdav\nurl = http://a/#b\n").unwrap();
        assert_eq!((name.as_str(), &*section["url"]), ("my dav", "http://a/#b"));
        for (text, expected) in [
            ("", "no rclone configuration"),
            ("hello", "no rclone configuration"),
            ("type = webdav\n", "no rclone configuration"),
            ("[a]\ntype = s3\n[b]\ntype = s3\n", "2 remotes came"),
            ("[no]\n# couldn't find type of fs for \"no\"\n", "has no remote `no`"),
        ] {
            let failure = parse_shown(text).unwrap_err();
            assert!(failure.message.contains(expected), "{text:?}: {}", failure.message);
        }
    }

    #[test]
    fn connection_strings_are_no_names() {
        for name in ["", ":sftp", "a,ssh=x", "a:b", "x/y", "a=b", "a\"", "a\n"] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
        for name in ["photos", "My Remote", "a.b-c_d+e@f", "fünf"] {
            assert!(check_name(name).is_ok(), "{name:?}");
        }
    }

    #[test]
    fn a_wrapping_remote_brings_what_it_wraps() {
        let text = r#"
            [secret]
            type = crypt
            remote = base:enc
            [base]
            type = webdav
            [my base]
            type = alias
            remote = base:x
            [other]
            type = s3
            [all]
            type = union
            upstreams = base:a=b "secret:b" /local /a:b
            [spaces]
            type = union
            upstreams = "my base:a b" other:"#;
        let text = format!(
            "{text}\n[dirs]\ntype = combine\nupstreams = dir=other: \"a b=my base:c=other:d\"\n\
             [cached]\ntype = cache\nremote = other:\ntmp_upload_path = secret:tmp\n\
             [round]\ntype = alias\nremote = round:\n[gone]\ntype = alias\nremote = none:\n"
        );
        let all = ini::parse(&text).unwrap();
        let names = |name| with_wrapped(&all, name).unwrap().into_keys().collect::<Vec<_>>();
        assert_eq!(names("secret"), ["base", "secret"]);
        assert_eq!(names("all"), ["all", "base", "secret"]);
        assert_eq!(names("spaces"), ["base", "my base", "other", "spaces"]);
        assert_eq!(names("dirs"), ["base", "dirs", "my base", "other"]);
        assert_eq!(names("cached"), ["base", "cached", "other", "secret"]);
        assert_eq!(names("round"), ["round"]);
        assert!(with_wrapped(&all, "gone").unwrap_err().message.contains("no remote `none`"));
    }
}
