//! The rights of a store's session by its policy, whatever the component asks for.

use super::temporary;
use crate::connector::{Failure, Reason};
use crate::policy::Grant;
use crate::rclone::remote_path::RemotePath;

/// Largest size of a lock: Plakar's have some 200 bytes.
pub const MAX_LOCK_BYTES: u64 = 64 << 10;

/// Number of digits of an object's name.
const NAME_DIGITS: usize = 64;

/// The rights of a session.
#[derive(Debug, Clone, Copy)]
pub struct Guard {
    write: bool,
    append_only: bool,
}

impl Guard {
    /// The rights that a policy grants.
    pub fn new(grant: &Grant) -> Self {
        Self { write: grant.write, append_only: grant.append_only }
    }

    /// Checks that the store may be written at all.
    ///
    /// # Errors
    ///
    /// The policy grants reading only.
    pub fn check_write(self) -> Result<(), Failure> {
        if self.write {
            return Ok(());
        }
        Err(denied("the policy lets this store only be read")
            .with_help("use it with a policy that doesn't say `read-only`"))
    }

    /// Checks that an object may be removed.
    ///
    /// # Errors
    ///
    /// The store is append-only, and this isn't a lock.
    pub fn check_delete(self, path: &RemotePath) -> Result<(), Failure> {
        self.check_write()?;
        if !self.append_only || is_lock(path) {
            return Ok(());
        }
        Err(denied(format!("`{path}` can't be removed: the policy makes this store append-only"))
            .with_help("run `plakar maintenance` with a policy that doesn't say `append-only`"))
    }

    /// Checks that an object of this size may be put at a path where there may be none.
    ///
    /// # Errors
    ///
    /// The store may only be read, the path is one of the host's own uploads, or a lock is too
    /// large for one.
    pub fn check_put(self, path: &RemotePath, size: u64) -> Result<(), Failure> {
        self.check_write()?;
        if temporary::is_reserved(path) {
            return Err(denied(format!("`{path}` is reserved for uploads that aren't complete")));
        }
        if self.append_only && is_lock(path) && size > MAX_LOCK_BYTES {
            return Err(denied(format!("`{path}` is too large for a lock: {size} bytes")));
        }
        Ok(())
    }

    /// Whether an object at this path may be replaced.
    pub fn may_replace(self, path: &RemotePath) -> bool {
        !self.append_only || is_lock(path)
    }
}

/// Whether a path is that of a lock: `locks/` and 64 lower-case hexadecimal digits.
pub fn is_lock(path: &RemotePath) -> bool {
    path.strip_prefix("locks/").is_some_and(is_object_name)
}

/// Whether another client may replace what is at a path. A packfile or a state never changes.
pub fn may_change(path: &RemotePath) -> bool {
    is_lock(path) || !path.rsplit('/').next().is_some_and(is_object_name)
}

fn is_object_name(name: &str) -> bool {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    name.len() == NAME_DIGITS && name.bytes().all(is_digit)
}

fn denied(message: impl AsRef<str>) -> Failure {
    Failure::new(Reason::Denied, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RemotePath {
        RemotePath::parse(text).unwrap()
    }

    #[test]
    fn an_append_only_store_loses_nothing_but_locks() {
        let guard = Guard { write: true, append_only: true };
        let lock = path(&format!("locks/{}", "0a".repeat(32)));
        assert!(guard.check_delete(&lock).is_ok() && guard.may_replace(&lock));
        assert!(guard.check_put(&lock, MAX_LOCK_BYTES).is_ok());
        assert!(guard.check_put(&lock, MAX_LOCK_BYTES + 1).is_err());
        let name = "ab".repeat(32);
        for other in [
            "CONFIG".to_owned(),
            "locks".to_owned(),
            format!("packfiles/{name}"),
            format!("states/ab/{name}"),
            format!("locks/ab/{name}"),
            format!("locks/{}", name.to_uppercase()),
            format!("locks/{}", &name[1..]),
            format!("locks/{name}0"),
            format!("x/locks/{name}"),
            format!("Locks/{name}"),
            format!("locks/{}٠", &name[2..]),
        ] {
            let other = path(&other);
            assert!(guard.check_delete(&other).is_err(), "{other}");
            assert!(!guard.may_replace(&other), "{other}");
            assert!(guard.check_put(&other, 1 << 30).is_ok(), "{other}");
        }
        for outside in ["locks/../packfiles/x", "/locks/x", "locks//x", "locks/．．/packfiles/x"]
        {
            assert!(RemotePath::parse(outside).is_err(), "{outside}");
        }
    }

    #[test]
    fn nothing_is_put_among_uploads_that_are_not_complete() {
        let guard = Guard { write: true, append_only: false };
        for reserved in ["tmp", "tmp/0123456789abcdef", "tmp/a/b", "TMP/x"] {
            let refused = guard.check_put(&path(reserved), 1).unwrap_err();
            assert_eq!(refused.reason, Reason::Denied, "{reserved}");
        }
        for other in ["tmp0/x", "states/tmp", "CONFIG"] {
            assert!(guard.check_put(&path(other), 1).is_ok(), "{other}");
        }
    }

    #[test]
    fn only_packfiles_and_states_never_change() {
        let name = "0a".repeat(32);
        for (text, changes) in [
            (format!("packfiles/{name}"), false),
            (format!("states/0a/{name}"), false),
            (format!("locks/{name}"), true),
            ("CONFIG".to_owned(), true),
            (format!("packfiles/{name}0"), true),
        ] {
            assert_eq!(may_change(&path(&text)), changes, "{text}");
        }
    }

    #[test]
    fn a_store_that_is_only_read_takes_nothing() {
        let guard = Guard { write: false, append_only: false };
        let lock = path(&format!("locks/{}", "0a".repeat(32)));
        assert!(guard.check_write().is_err());
        assert!(guard.check_put(&lock, 1).is_err() && guard.check_delete(&lock).is_err());
    }
}
