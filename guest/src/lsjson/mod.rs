//! Listings of `rclone lsjson`: a `[`, one JSON object a line, a `]`.
//!
//! - [`item`]: objects of a listing, and what a snapshot keeps of them
//! - [`parser`]: bytes of a listing into items
//! - [`run`]: listings that are short enough to collect

pub mod item;
pub mod parser;
pub mod run;

pub use item::{Item, identity_from_id};
