//! Directories of the user who runs this program.
//!
//! Source: the XDG Base Directory Specification, by which relative paths in the variables are
//! ignored.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

/// Returns the home directory.
pub fn home() -> Option<PathBuf> {
    env::var_os("HOME").map(PathBuf::from)
}

/// Returns the directory of configuration files.
pub fn config() -> Option<PathBuf> {
    base_dir(env::var_os("XDG_CONFIG_HOME"), ".config")
}

/// Returns the directory of data that programs keep between runs.
pub fn state() -> Option<PathBuf> {
    base_dir(env::var_os("XDG_STATE_HOME"), ".local/state")
}

fn base_dir(variable: Option<OsString>, default: &str) -> Option<PathBuf> {
    let named = variable.map(PathBuf::from).filter(|path| path.is_absolute());
    named.or_else(|| home().map(|home| home.join(default)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_path_in_a_variable_is_ignored() {
        assert_eq!(base_dir(Some("/x".into()), ".config"), Some("/x".into()));
        let default = home().map(|home| home.join(".config"));
        for ignored in [Some("x"), Some(""), None] {
            assert_eq!(base_dir(ignored.map(OsString::from), ".config"), default);
        }
    }
}
