//! The contract's types, generated from `wit/types.wit`: the components of the scenarios share them.

mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        inline: "
            package plakar:scenarios;

            world vocabulary {
                import plakar:connector/types@0.2.0;
            }
        ",
        additional_derives: [PartialEq, Eq],
        generate_all,
        generate_unused_types: true,
    });
}

pub use bindings::plakar::connector::types::*;

impl Reason {
    /// All reasons.
    pub const ALL: [Self; 10] = [
        Self::InvalidConfiguration,
        Self::Unauthenticated,
        Self::Denied,
        Self::NotFound,
        Self::Unsupported,
        Self::RateLimited,
        Self::Unavailable,
        Self::Corrupted,
        Self::Cancelled,
        Self::Internal,
    ];
}

impl Failure {
    /// Creates a failure without a help.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), help: None }
    }

    /// Adds a help.
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Reports whether it is displayed as one line of text.
    pub fn has_valid_message(&self) -> bool {
        !self.message.trim().is_empty() && !self.text().contains(['\n', '\r'])
    }

    /// Returns the message and the help, as the host displays them.
    pub fn text(&self) -> String {
        match &self.help {
            Some(help) => format!("{}; help: {help}", self.message),
            None => self.message.clone(),
        }
    }
}
