//! Entries of one restore that the destination takes for one: where it doesn't tell upper
//! case from lower, the second of two names would replace the first.

use siphasher::sip128::{Hasher128, SipHasher13};
use std::collections::HashMap;
use std::hash::Hasher;
use std::sync::{Mutex, PoisonError};

use crate::connector::{Failure, Reason};
use crate::rclone::remote::Remote;

/// Backends of which rclone never says that they don't tell case apart. For these it isn't
/// asked what the backend can do, which takes a process.
const CASE_SENSITIVE: [&str; 13] = [
    "alias",
    "azureblob",
    "b2",
    "chunker",
    "compress",
    "crypt",
    "drive",
    "ftp",
    "google cloud storage",
    "s3",
    "sftp",
    "swift",
    "webdav",
];

/// The option by which a person says that a remote doesn't tell case apart.
const CASE_INSENSITIVE: &str = "case_insensitive";

/// Whether rclone has to be asked if a remote tells case apart.
pub fn is_to_be_asked(remote: &Remote) -> bool {
    let told = remote.sections().values().any(|section| section.contains_key(CASE_INSENSITIVE));
    let known = |backend: &str| {
        CASE_SENSITIVE.contains(&backend) || backend == "local" && cfg!(target_os = "linux")
    };
    told || !remote.backends().all(known)
}

/// The names that a restore has used: 32 bytes each.
#[derive(Default)]
pub struct Names {
    /// Digests of paths by those of the same in lower case.
    used: Mutex<HashMap<u128, u128>>,
}

impl Names {
    /// Takes a path for an entry.
    ///
    /// # Errors
    ///
    /// Another entry has a path that differs only in case.
    pub fn take(&self, path: &str) -> Result<(), Failure> {
        let exact = digest(path);
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let first = *used.entry(digest(&path.to_lowercase())).or_insert(exact);
        if first == exact {
            return Ok(());
        }
        Err(Failure::new(
            Reason::Unsupported,
            format!(
                "`{}` differs only in upper and lower case from another entry of this restore, and the destination takes both for one: restore it to another place",
                path.escape_debug()
            ),
        ))
    }
}

fn digest(text: &str) -> u128 {
    let mut hasher = SipHasher13::new();
    hasher.write(text.as_bytes());
    hasher.finish128().as_u128()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_of_two_names_that_differ_in_case_is_refused() {
        let names = Names::default();
        assert!(names.take("a/Ü").is_ok());
        assert!(names.take("a/Ü").is_ok());
        assert_eq!(names.take("A/ü").unwrap_err().reason, Reason::Unsupported);
        assert!(names.take("a/u").is_ok());
    }
}
