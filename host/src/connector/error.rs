//! Failures: their constructors, and the one line in which they are displayed.

use std::fmt;

use super::types::{Failure, Reason};
use crate::terminal;

/// The length at which a displayed message is cut, in characters.
const MAX_MESSAGE_CHARS: usize = 2000;

impl Failure {
    /// Makes a failure for this reason.
    pub fn new(reason: Reason, message: impl AsRef<str>) -> Self {
        Self { reason, message: message.as_ref().to_owned(), help: None }
    }

    /// Adds what the user can do about it.
    pub fn with_help(mut self, help: impl AsRef<str>) -> Self {
        self.help = Some(help.as_ref().to_owned());
        self
    }

    /// Puts what failed before the message, which becomes its cause.
    pub fn with_context(mut self, context: impl fmt::Display) -> Self {
        self.message = format!("{context}: {}", self.message);
        self
    }

    /// Makes a failure for a mistake of the host, or a fault of this machine.
    pub fn internal(message: impl AsRef<str>) -> Self {
        Self::new(Reason::Internal, message)
    }

    /// Makes a failure for a configuration that can't work as it stands.
    pub fn invalid_config(message: impl AsRef<str>) -> Self {
        Self::new(Reason::InvalidConfiguration, message)
    }

    /// Makes a failure for something that is refused.
    pub fn denied(message: impl AsRef<str>) -> Self {
        Self::new(Reason::Denied, message)
    }

    /// Makes a failure for something that was stopped on request.
    pub fn cancelled() -> Self {
        Self::new(Reason::Cancelled, "cancelled")
    }
}

/// Displays the message and the help in one line of bounded length, as `MESSAGE; help: HELP`.
/// Line breaks become spaces; other characters that a terminal would obey are escaped, wherever
/// the text comes from.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&displayed(&self.message))?;
        match &self.help {
            Some(help) => write!(f, "; help: {}", displayed(help)),
            None => Ok(()),
        }
    }
}

/// Text as it is displayed.
fn displayed(text: &str) -> String {
    let line: String = one_line(text).chars().take(MAX_MESSAGE_CHARS).collect();
    terminal::escape(&line).into_owned()
}

impl std::error::Error for Failure {}

/// Replaces each run of white space that has a control character in it, such as a line break
/// and its indentation, with a space. Runs of plain spaces stay: they may be part of a path.
pub fn one_line(message: &str) -> String {
    let mut line = String::with_capacity(message.len());
    let mut blank = String::new();
    for char in message.trim().chars() {
        if char.is_whitespace() {
            blank.push(char);
            continue;
        }
        if blank.contains(terminal::is_unsafe) {
            line.push(' ');
        } else {
            line.push_str(&blank);
        }
        blank.clear();
        line.push(char);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_displayed_in_one_line_with_its_spaces() {
        for (message, displayed) in [
            ("`a  b.txt` was not found", "`a  b.txt` was not found"),
            ("no\nsuch\r\n\tfile\n", "no such file"),
            ("a\u{2028}b", "a b"),
            ("\u{1b}[2Ja", r"\u{1b}[2Ja"),
        ] {
            assert_eq!(Failure::internal(message).to_string(), displayed);
        }
        let long = Failure::internal("x".repeat(3 * MAX_MESSAGE_CHARS)).to_string();
        assert_eq!(long.len(), MAX_MESSAGE_CHARS);
        let helped = Failure::internal("`a`\nfailed").with_help("run\nit again");
        assert_eq!(helped.to_string(), "`a` failed; help: run it again");
    }
}
