//! Paths below a remote's root.

use std::fmt;
use std::ops::Deref;

use crate::connector::{Failure, Reason};
use crate::policy;

/// A path below a remote's root: relative, without empty names, `.`, `..` and NUL. A component
/// can't name anything else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemotePath(String);

impl RemotePath {
    /// Checks a path that a component passes.
    ///
    /// # Errors
    ///
    /// It doesn't lead below the root.
    pub fn parse(path: &str) -> Result<Self, Failure> {
        if !path.contains('\0') && path.split('/').all(policy::is_safe_name) {
            return Ok(Self(path.to_owned()));
        }
        Err(Failure::new(
            Reason::Denied,
            format!("`{}` is not a path below the remote's root", path.escape_debug()),
        ))
    }

    /// Checks a path that may be empty, for the root itself.
    ///
    /// # Errors
    ///
    /// It is neither empty nor a path below the root.
    pub fn parse_or_root(path: &str) -> Result<Self, Failure> {
        if path.is_empty() { Ok(Self(String::new())) } else { Self::parse(path) }
    }

    /// The path as a string.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl Deref for RemotePath {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RemotePath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_below_the_root_are_sound() {
        for bad in ["", "/etc/passwd", "../x", "a/../../x", "a//b", "./a", "a/", "a\0", "．．/x"]
        {
            assert_eq!(RemotePath::parse(bad).unwrap_err().reason, Reason::Denied, "{bad:?}");
        }
        for good in ["a", "-a", "a/b c", "a\nb", "remote:x", "{}"] {
            assert_eq!(&*RemotePath::parse(good).unwrap(), good);
        }
    }
}
