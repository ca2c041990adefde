//! What is allowed. Deny is the default for whatever would let rclone run a command, or
//! let a value become more than a value; and, wherever a policy file is in force, for all
//! that it doesn't allow.
//!
//! - [`rclone_options`]: facts about rclone's options, and values that are never allowed
//! - [`mod@file`]: a policy file, parsed and checked
//! - [`values`], [`error`]: what files and grants have in common
//! - [`discovery`]: which files are in force
//! - [`engine`]: what all of them allow
//! - [`request`]: what a session asks for
//! - [`rule`], [`hosts`]: whether a rule of a file allows it, and the hosts that a remote names
//! - [`grant`], [`limits`]: what it may have then, joined and narrowed
//! - [`pins`]: options that it gets
//! - [`mod@explain`]: the same in words

mod discovery;
mod engine;
mod error;
mod explain;
mod file;
mod grant;
pub mod hosts;
mod limits;
mod pins;
mod rclone_options;
mod request;
mod rule;
mod values;

pub use engine::Policies;
pub use explain::{explain, explain_request};
pub use file::{Audit, Written, schema};
pub use grant::{Environment, Grant, Program};
pub use limits::Limits;
pub use pins::Pins;
pub use rclone_options::Read;
pub use rclone_options::hard_denies::{check, is_secret};
pub use rclone_options::paths::is_name;
pub use rclone_options::wrapped_remotes::remotes as upstreams;
pub use request::{Request, Section, Target, Use, backend, files, wrapped};
pub use values::{Destination, Digest, Level, Ports};
