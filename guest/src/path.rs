//! Paths: relative ones for rclone, absolute ones for Plakar.

use std::fmt;

use crate::bindings::plakar::connector::types::{Failure, Reason};

/// Path below the remote's root, as rclone takes it: relative, at least one name, names
/// separated by `/`, none of them empty, `.` or `..`, no NUL.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RemotePath(String);

/// Error for text that is not a valid [`RemotePath`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a path that a snapshot can contain", .0.escape_debug())]
pub struct InvalidPath(pub String);

impl From<InvalidPath> for Failure {
    fn from(error: InvalidPath) -> Self {
        Self::new(Reason::Unsupported, error.to_string()).with_help("rename it at the remote")
    }
}

impl RemotePath {
    /// Parses a relative path as rclone prints it.
    ///
    /// # Errors
    ///
    /// The text is not a path of this kind.
    pub fn parse(text: &str) -> Result<Self, InvalidPath> {
        let is_valid =
            text.split('/').all(|name| !matches!(name, "" | "." | "..") && !name.contains('\0'));
        if is_valid { Ok(Self(text.to_owned())) } else { Err(InvalidPath(text.to_owned())) }
    }

    /// Returns the path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the path of its directory, relative to the same root; `""` for the root itself.
    pub fn parent(&self) -> &str {
        self.0.rsplit_once('/').map_or("", |(parent, _)| parent)
    }

    /// Returns its last name.
    pub fn name(&self) -> &str {
        self.0.rsplit_once('/').map_or(&self.0, |(_, name)| name)
    }

    /// Returns the path of another name in its directory. Nothing is checked.
    pub fn sibling(&self, name: &str) -> String {
        match self.parent() {
            "" => name.to_owned(),
            parent => format!("{parent}/{name}"),
        }
    }
}

impl fmt::Display for RemotePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Joins two relative paths, each of which may be empty.
pub fn join(parent: &str, path: &str) -> String {
    if parent.is_empty() || path.is_empty() {
        [parent, path].concat()
    } else {
        format!("{parent}/{path}")
    }
}

/// Path of the remote's root in a snapshot: absolute, without a trailing `/`, so empty for `/`
/// itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotRoot(String);

impl SnapshotRoot {
    /// Creates it from the root as rclone takes it. Leading, trailing and doubled slashes have
    /// no meaning in a snapshot.
    pub fn new(remote_root: &str) -> Self {
        Self(
            remote_root
                .split('/')
                .filter(|name| !matches!(*name, "" | "."))
                .fold(String::new(), |path, name| path + "/" + name),
        )
    }

    /// Returns the root's own absolute path.
    pub fn path(&self) -> &str {
        if self.0.is_empty() { "/" } else { &self.0 }
    }

    /// Returns the absolute path of a path below the root.
    pub fn absolute(&self, path: &str) -> String {
        [&self.0, "/", path].concat()
    }

    /// Returns the path below the root of an absolute path; `None` for the root itself.
    ///
    /// # Errors
    ///
    /// The path is not below the root, or not valid.
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
    fn a_path_that_could_leave_the_root_is_invalid() {
        for bad in ["", "/a", "a/", "a//b", ".", "..", "a/../b", "./a", "a\0b"] {
            assert_eq!(RemotePath::parse(bad), Err(InvalidPath(bad.into())), "{bad:?}");
        }
        for good in ["a", "a/b", "...", "a\nb", " ", "-x", "ü/{}"] {
            assert!(RemotePath::parse(good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn a_path_has_a_name_and_a_parent() {
        let deep = RemotePath::parse("a/b/c").unwrap();
        assert_eq!((deep.parent(), deep.name()), ("a/b", "c"));
        assert_eq!(deep.sibling("d"), "a/b/d");
        let flat = RemotePath::parse("c").unwrap();
        assert_eq!((flat.parent(), flat.name()), ("", "c"));
    }

    #[test]
    fn absolute_and_relative_are_inverse() {
        for (root, path) in [("", "/"), ("/", "/"), ("a/b/", "/a/b"), ("/srv//x", "/srv/x")] {
            let root = SnapshotRoot::new(root);
            assert_eq!(root.path(), path);
            let absolute = root.absolute("x/y");
            let relative = root.relative(&absolute).unwrap().unwrap();
            assert_eq!(relative.as_str(), "x/y");
            assert_eq!(root.relative(root.path()).unwrap(), None);
        }
        assert!(SnapshotRoot::new("a").relative("/ab/c").is_err());
    }
}
