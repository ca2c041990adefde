//! The failure that policies contradict each other.

use crate::connector::{Failure, Reason};

/// That nothing is left of what several want.
pub fn disagree(what: &str) -> Failure {
    Failure::new(
        Reason::Denied,
        format!(
            "what the policies in force say is another {what} each, so that nothing is left: see `plakbox policy explain`"
        ),
    )
}
