//! Constructors of the contract's `Failure`.

use crate::bindings::plakar::connector::types::{Failure, Reason};

impl Failure {
    /// Creates a failure.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }

    /// Creates a failure that is a bug of this component or of its host.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Reason::Internal, message)
    }
}
