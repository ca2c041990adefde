//! Names in a directory, paths inside a remote, and paths on this machine.

use std::path::{Component, Path, PathBuf};

/// Whether a name stays in its directory, for rclone as well. rclone encodes characters that a
/// backend can't store as wide ones, and decodes wide dots and slashes where the backend, or
/// its option `encoding`, doesn't encode these (rclone's lib/encoder).
pub fn is_safe_name(name: &str) -> bool {
    let decoded: String = name
        .chars()
        .filter(|char| *char != '\u{201b}')
        .map(|char| match char {
            '\u{ff0e}' => '.',
            // Some servers treat these as slashes.
            '\u{ff0f}' | '\\' | '\u{ff3c}' => '/',
            char => char,
        })
        .collect();
    !name.is_empty() && decoded.split('/').all(|part| !matches!(part, "." | ".."))
}

/// Returns a path and all its ancestors, including the root. A leading slash is kept.
pub fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    let path = path.trim_end_matches('/');
    let ends = path.char_indices().filter(|(_, char)| *char == '/').map(|(at, _)| at);
    ends.chain([path.len()]).map(|end| &path[..end]).collect::<Vec<_>>().into_iter().rev()
}

/// Resolves the links in an absolute path, as far as the path exists.
///
/// # Errors
///
/// The path isn't absolute, has `..` in it, or has a broken link. The error is a message.
pub fn resolve(path: &Path) -> Result<PathBuf, String> {
    let is_plain = |part: Component<'_>| matches!(part, Component::RootDir | Component::Normal(_));
    if !path.is_absolute() || !path.components().all(is_plain) {
        return Err(format!("`{}` isn't a valid absolute path", path.display()));
    }
    let mut missing = Vec::new();
    let mut existing = path;
    loop {
        match existing.canonicalize() {
            Ok(found) => return Ok(missing.iter().rev().fold(found, |path, name| path.join(name))),
            Err(error) => {
                // A broken link exists, but it can't be created as a directory.
                let is_missing = existing.symlink_metadata().is_err();
                let (Some(parent), Some(name), true) =
                    (existing.parent(), existing.file_name(), is_missing)
                else {
                    return Err(format!("`{}` can't be resolved: {error}", path.display()));
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
            assert!(!is_safe_name(bad), "{bad:?}");
        }
        for good in ["a", "a／b", "a\\b", "．hidden", "a．．", "．．．", "／", "-a", "..."]
        {
            assert!(is_safe_name(good), "{good:?}");
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
        assert_eq!(resolve(Path::new("/")), Ok("/".into()));
        for bad in ["", "a", "/a/../b", "./a"] {
            assert!(resolve(Path::new(bad)).is_err(), "{bad}");
        }
    }
}
