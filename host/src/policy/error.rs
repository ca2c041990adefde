//! The failure that policies contradict each other.

use crate::connector::Failure;

/// Creates the failure that two policies require different things, so nothing is allowed.
pub fn conflict(what: &str) -> Failure {
    Failure::denied(format!(
        "the policies in force disagree about the {what}, so that nothing is allowed"
    ))
    .with_help("see `plakbox policy explain`")
}
