//! Names in a directory, paths inside a remote, and paths on this machine.

use std::path::{Component, Path, PathBuf};

/// Whether it is a name in a directory, for rclone as well: it writes names that a backend
/// can't have in wide characters, and takes these for what they stand for where a backend,
/// or its option `encoding`, leaves dots and slashes alone (rclone's lib/encoder).
pub fn is_name(name: &str) -> bool {
    let plain: String = name
        .chars()
        .filter(|char| *char != '\u{201b}')
        .map(|char| match char {
            '\u{ff0e}' => '.',
            // What some servers take for a slash.
            '\u{ff0f}' | '\\' | '\u{ff3c}' => '/',
            char => char,
        })
        .collect();
    !name.is_empty() && plain.split('/').all(|part| !matches!(part, "." | ".."))
}

/// A path and all that it lies in, the root included; a leading slash stays.
pub fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    let path = path.trim_end_matches('/');
    let ends = path.char_indices().filter(|(_, char)| *char == '/').map(|(at, _)| at);
    ends.chain([path.len()]).map(|end| &path[..end]).collect::<Vec<_>>().into_iter().rev()
}

/// An absolute path without links, as far as it exists.
pub fn real(path: &Path) -> Result<PathBuf, String> {
    let plain = |part: Component<'_>| matches!(part, Component::RootDir | Component::Normal(_));
    if !path.is_absolute() || !path.components().all(plain) {
        return Err(format!("`{}` is no absolute path", path.display()));
    }
    let mut missing = Vec::new();
    let mut existing = path;
    loop {
        match existing.canonicalize() {
            Ok(found) => return Ok(missing.iter().rev().fold(found, |path, name| path.join(name))),
            Err(error) => {
                // A link to nowhere isn't something that can be made.
                let nothing = existing.symlink_metadata().is_err();
                let (Some(parent), Some(name), true) =
                    (existing.parent(), existing.file_name(), nothing)
                else {
                    return Err(format!("`{}` can't be followed: {error}", path.display()));
                };
                missing.push(name);
                existing = parent;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_dots_and_slashes_lead_nowhere() {
        for bad in [
            "",
            ".",
            "..",
            "．．",
            "．",
            "‛．．",
            "．‛．",
            "／../x",
            "．．／x",
            "..／．．",
            "a／．",
            "x\\..\\..\\y",
            "x＼..",
        ] {
            assert!(!is_name(bad), "{bad:?}");
        }
        for good in ["a", "a／b", "a\\b", "．hidden", "a．．", "．．．", "／", "-a", "..."]
        {
            assert!(is_name(good), "{good:?}");
        }
    }

    #[test]
    fn a_path_lies_in_each_of_its_ancestors() {
        let all = |path| ancestors(path).collect::<Vec<_>>();
        assert_eq!(all("a/b/c"), ["a/b/c", "a/b", "a"]);
        assert_eq!(all("/a/b/"), ["/a/b", "/a", ""]);
        assert_eq!(all(""), [""]);
    }

    #[test]
    fn only_absolute_paths_without_dots_are_followed() {
        assert_eq!(real(Path::new("/")), Ok("/".into()));
        for bad in ["", "a", "/a/../b", "./a"] {
            assert!(real(Path::new(bad)).is_err(), "{bad}");
        }
    }
}
