//! The names that one restore has used. At a destination that doesn't distinguish upper and
//! lower case, the second of two names that differ only in case would replace the first.

use siphasher::sip128::{Hasher128, SipHasher13};
use std::collections::HashMap;
use std::hash::Hasher;
use std::sync::{Mutex, PoisonError};

use crate::connector::{Failure, Reason};

/// The names that a restore has used, at 32 bytes each.
#[derive(Default)]
pub struct UsedNames {
    /// Digests of paths, by the digests of these in lower case.
    used: Mutex<HashMap<u128, u128>>,
}

impl UsedNames {
    /// Reserves a path for an entry.
    ///
    /// # Errors
    ///
    /// Another entry has a path that differs only in case.
    pub fn claim(&self, path: &str) -> Result<(), Failure> {
        let exact = digest(path);
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let first = *used.entry(digest(&path.to_lowercase())).or_insert(exact);
        if first == exact {
            return Ok(());
        }
        Err(Failure::new(
            Reason::Unsupported,
            format!(
                "`{}` differs only in upper and lower case from another entry of this restore, \
                 and the destination takes both for one",
                path.escape_debug()
            ),
        )
        .with_help("restore it to another place"))
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
        let names = UsedNames::default();
        assert!(names.claim("a/Ü").is_ok());
        assert!(names.claim("a/Ü").is_ok());
        assert_eq!(names.claim("A/ü").unwrap_err().reason, Reason::Unsupported);
        assert!(names.claim("a/u").is_ok());
    }
}
