//! The command that runs this program, as messages advise it: a package is where Plakar keeps
//! it, and not in `PATH`.

use std::borrow::Cow;
use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The name of this program in messages.
const NAME: &str = "plakbox";

/// The commands that messages advise.
const COMMANDS: [&str; 4] = ["plakbox doctor", "plakbox help", "plakbox ls", "plakbox renew"];

/// The texts before a command in a message.
const PREFIXES: [&str; 2] = ["`", "| "];

static COMMAND: OnceLock<String> = OnceLock::new();

/// Makes messages contain the plain name: those of a service are read on other machines.
pub fn use_plain_name() {
    let _ = COMMAND.set(NAME.to_owned());
}

/// Returns the command: the plain name if it runs this program by `PATH`, or else the path.
pub fn command() -> &'static str {
    COMMAND.get_or_init(|| {
        let executable = env::current_exe().ok().filter(|executable| executable.exists());
        let path = env::var_os("PATH").unwrap_or_default();
        executable.map_or_else(|| NAME.to_owned(), |executable| command_for(&executable, &path))
    })
}

/// Returns the command for this executable where `PATH` has this value.
fn command_for(executable: &Path, path: &OsStr) -> String {
    let is_same = |found: &PathBuf| found.canonicalize().ok() == executable.canonicalize().ok();
    let mut candidates = env::split_paths(path).map(|directory| directory.join(NAME));
    match candidates.find(|candidate| candidate.is_file()) {
        Some(found) if is_same(&found) => NAME.to_owned(),
        _ => quoted(&executable.to_string_lossy()),
    }
}

/// Quotes a text for a shell, as one word.
pub fn quoted(text: &str) -> String {
    let is_plain = |char: char| char.is_alphanumeric() || "/_-.+@,:".contains(char);
    if text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// Replaces the commands in a message by ones that work where it is read.
pub fn with_command(message: &str) -> Cow<'_, str> {
    replace_commands(message, command())
}

fn replace_commands<'a>(message: &'a str, command: &str) -> Cow<'a, str> {
    if command == NAME || !message.contains(NAME) {
        return Cow::Borrowed(message);
    }
    let mut message = message.to_owned();
    for plain in COMMANDS {
        let subcommand = &plain[NAME.len()..];
        for prefix in PREFIXES {
            let advised = format!("{prefix}{command}{subcommand}");
            message = message.replace(&format!("{prefix}{plain}"), &advised);
        }
    }
    Cow::Owned(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_the_plain_name_or_else_the_path() {
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
        assert_eq!(command_for(&own, &path(&here)), NAME);
        assert_eq!(command_for(&own, &path(&there)), own.to_str().unwrap());
        assert_eq!(command_for(&own, "".as_ref()), own.to_str().unwrap());
        assert_eq!(quoted("/a b/it's"), r"'/a b/it'\''s'");
    }

    #[test]
    fn commands_are_replaced_and_nothing_else_is() {
        let message = "run `plakbox renew NAME`, or `rclone config show NAME | plakbox doctor`";
        assert_eq!(
            replace_commands(message, "/x/plakbox"),
            "run `/x/plakbox renew NAME`, or `rclone config show NAME | /x/plakbox doctor`"
        );
        for same in ["`/mine/plakbox doctor` is gone", "`plakbox`", "a plakbox renew"] {
            assert_eq!(replace_commands(same, "/x/plakbox"), same);
        }
    }
}
