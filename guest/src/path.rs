//! The paths of a session: relative ones for rclone, absolute ones for Plakar.

use std::fmt;

/// A path below the session's root, as rclone takes it: relative, at least one
/// name, names separated by `/`, none of them empty, `.` or `..`, no NUL.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RemotePath(String);

/// A text that is no [`RemotePath`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is no path that a snapshot can hold: rename it at the remote", .0.escape_debug())]
pub struct InvalidPath(pub String);

impl RemotePath {
    /// Takes a relative path as rclone prints it.
    pub fn parse(text: &str) -> Result<Self, InvalidPath> {
        let sound =
            text.split('/').all(|name| !matches!(name, "" | "." | "..") && !name.contains('\0'));
        if sound { Ok(Self(text.to_owned())) } else { Err(InvalidPath(text.to_owned())) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The directory it lies in, relative to the same root; `""` for the root itself.
    pub fn parent(&self) -> &str {
        self.0.rsplit_once('/').map_or("", |(parent, _)| parent)
    }

    /// Its last name.
    pub fn name(&self) -> &str {
        self.0.rsplit_once('/').map_or(&self.0, |(_, name)| name)
    }
}

impl fmt::Display for RemotePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a remote's entries lie in a snapshot: absolute, without a trailing `/`,
/// so empty for `/` itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotRoot(String);

impl SnapshotRoot {
    /// The place of a remote's path. Leading, trailing and doubled slashes are
    /// rclone's business and mean nothing in a snapshot.
    pub fn of(remote_root: &str) -> Self {
        Self(
            remote_root
                .split('/')
                .filter(|name| !matches!(*name, "" | "."))
                .fold(String::new(), |path, name| path + "/" + name),
        )
    }

    /// The root's own absolute path.
    pub fn path(&self) -> &str {
        if self.0.is_empty() { "/" } else { &self.0 }
    }

    /// The absolute path of a path below the root.
    pub fn absolute(&self, path: &str) -> String {
        [&self.0, "/", path].concat()
    }

    /// The path below the root that an absolute path names; `None` for the root itself.
    pub fn relative(&self, absolute: &str) -> Result<Option<RemotePath>, InvalidPath> {
        let below = absolute
            .strip_prefix(&self.0)
            .and_then(|rest| rest.strip_prefix('/').or(rest.is_empty().then_some("")))
            .ok_or_else(|| InvalidPath(absolute.to_owned()))?;
        if below.is_empty() {
            return Ok(None);
        }
        RemotePath::parse(below).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_could_leave_the_root_is_none() {
        for bad in ["", "/a", "a/", "a//b", ".", "..", "a/../b", "./a", "a\0b"] {
            assert_eq!(RemotePath::parse(bad), Err(InvalidPath(bad.into())), "{bad:?}");
        }
        for good in ["a", "a/b", "...", "a\nb", " ", "-x", "ü/{}"] {
            assert!(RemotePath::parse(good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn a_path_knows_its_name_and_where_it_lies() {
        let deep = RemotePath::parse("a/b/c").unwrap();
        assert_eq!((deep.parent(), deep.name()), ("a/b", "c"));
        let flat = RemotePath::parse("c").unwrap();
        assert_eq!((flat.parent(), flat.name()), ("", "c"));
    }

    #[test]
    fn absolute_and_relative_paths_are_each_others_inverse() {
        for (root, path) in [("", "/"), ("/", "/"), ("a/b/", "/a/b"), ("/srv//x", "/srv/x")] {
            let root = SnapshotRoot::of(root);
            assert_eq!(root.path(), path);
            let absolute = root.absolute("x/y");
            let relative = root.relative(&absolute).unwrap().unwrap();
            assert_eq!(relative.as_str(), "x/y");
            assert_eq!(root.relative(root.path()).unwrap(), None);
        }
        assert!(SnapshotRoot::of("a").relative("/ab/c").is_err());
    }
}
