//! The command by which a person runs this program: a package lies where Plakar keeps it,
//! and isn't in `PATH`.

use std::borrow::Cow;
use std::env;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The name of this program, as messages have it.
const NAME: &str = "plakbox";

/// What messages advise a person to run.
const ADVISED: [&str; 4] = ["plakbox doctor", "plakbox help", "plakbox ls", "plakbox renew"];

/// What stands before a command in a message.
const BEFORE: [&str; 2] = ["`", "| "];

static COMMAND: OnceLock<String> = OnceLock::new();

/// Makes messages say the plain name: those of a service are read on other machines.
pub fn is_a_service() {
    let _ = COMMAND.set(NAME.to_owned());
}

/// The command: the plain name where `PATH` leads to this program, or else its path.
pub fn command() -> &'static str {
    COMMAND.get_or_init(|| {
        let own = env::current_exe().ok().filter(|own| own.exists());
        let path = env::var_os("PATH").unwrap_or_default();
        own.map_or_else(|| NAME.to_owned(), |own| command_of(&own, &path))
    })
}

fn command_of(own: &Path, path: &std::ffi::OsStr) -> String {
    let same = |found: &PathBuf| found.canonicalize().ok() == own.canonicalize().ok();
    let found = env::split_paths(path).map(|directory| directory.join(NAME));
    match found.into_iter().find(|found| found.is_file()) {
        Some(found) if same(&found) => NAME.to_owned(),
        _ => quoted(&own.to_string_lossy()),
    }
}

/// A text as a shell takes it for one word.
pub fn quoted(path: &str) -> String {
    let plain = |char: char| char.is_alphanumeric() || "/_-.+@,:".contains(char);
    if path.chars().all(plain) {
        path.to_owned()
    } else {
        format!("'{}'", path.replace('\'', r"'\''"))
    }
}

/// The message with commands that work where it is read.
pub fn with_command(message: &str) -> Cow<'_, str> {
    with(message, command())
}

fn with<'a>(message: &'a str, command: &str) -> Cow<'a, str> {
    if command == NAME || !message.contains(NAME) {
        return Cow::Borrowed(message);
    }
    let mut message = message.to_owned();
    for advised in ADVISED {
        let verb = &advised[NAME.len()..];
        for before in BEFORE {
            message =
                message.replace(&format!("{before}{advised}"), &format!("{before}{command}{verb}"));
        }
    }
    Cow::Owned(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plain_name_is_said_where_it_leads_here_and_the_path_elsewhere() {
        let directory = tempfile::tempdir().unwrap();
        let [here, there] = ["here", "there"].map(|name| {
            std::fs::create_dir(directory.path().join(name)).unwrap();
            directory.path().join(name)
        });
        let own = here.join(NAME);
        for program in [&own, &there.join(NAME)] {
            std::fs::write(program, "").unwrap();
        }
        let path = |first: &Path| env::join_paths([first, &here]).unwrap();
        assert_eq!(command_of(&own, &path(&here)), NAME);
        assert_eq!(command_of(&own, &path(&there)), own.to_str().unwrap());
        assert_eq!(command_of(&own, "".as_ref()), own.to_str().unwrap());
        assert_eq!(quoted("/a b/it's"), r"'/a b/it'\''s'");
    }

    #[test]
    fn commands_are_named_and_nothing_else_is_changed() {
        let said = "run `plakbox renew NAME`, or `rclone config show NAME | plakbox doctor`";
        assert_eq!(
            with(said, "/x/plakbox"),
            "run `/x/plakbox renew NAME`, or `rclone config show NAME | /x/plakbox doctor`"
        );
        for same in ["`/mine/plakbox doctor` is gone", "`plakbox`", "a plakbox renew"] {
            assert_eq!(with(same, "/x/plakbox"), same);
        }
    }
}
