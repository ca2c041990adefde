//! The vocabulary that connectors and the rooms of the host share: entries, failures, contents.
//!
//! - [`types`]: plain types, generated from the WIT interface `types`
//! - [`error`]: constructors of failures, and how they are displayed
//! - [`content`]: bytes on their way through the host, and how they ended

mod content;
mod error;
pub mod types;

pub use content::{Chunks, Content, wait_end};
pub use error::one_line;
pub use types::{
    Entry, Failure, Kind, ListError, ListOptions, Location, Metadata, Outcome, Reason, Remote,
    Timestamp,
};
