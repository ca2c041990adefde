//! Why something failed, made from this crate's own errors.

use crate::bindings::plakar::connector::types::{Failure, Reason};
use crate::lsjson::parser::Malformed;
use crate::path::InvalidPath;

impl Failure {
    /// A failure for this reason.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }

    /// A mistake of this component or of its host.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Reason::Internal, message)
    }
}

impl From<InvalidPath> for Failure {
    fn from(error: InvalidPath) -> Self {
        Self::new(Reason::Unsupported, error.to_string())
    }
}

impl From<Malformed> for Failure {
    fn from(error: Malformed) -> Self {
        Self::new(Reason::Corrupted, error.to_string())
    }
}
