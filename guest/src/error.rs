//! Constructors of the contract's `Failure`.

use crate::bindings::plakar::connector::types::{Failure, Reason};

impl Failure {
    /// Creates a failure.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), help: None }
    }

    /// Adds what the user can do about it.
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Creates a failure that is a bug of this component or of its host.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Reason::Internal, message)
    }
}
