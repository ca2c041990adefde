//! The failure that policies contradict each other.

use crate::connector::{Failure, Reason};

/// Creates the failure that two policies require different things, so nothing is allowed.
pub fn conflict(what: &str) -> Failure {
    let message = format!(
        "the policies in force disagree about the {what}, so that nothing is allowed: see `plakbox policy explain`"
    );
    Failure::new(Reason::Denied, message)
}
