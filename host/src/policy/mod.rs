//! Policies: what a session may do. Options that make rclone run a command, and values that
//! could become more than a value, are always denied. Where a policy file is in force,
//! everything that it doesn't allow is denied as well.
//!
//! - [`rclone_options`]: facts about rclone's options, and values that are never allowed
//! - [`mod@file`]: a policy file, parsed and checked
//! - [`discovery`]: the files that are in force
//! - [`engine`]: the decision of all files together
//! - [`request`]: the remotes and paths that a session asks for
//! - [`rule`], [`hosts`]: the conditions of a rule, and the hosts that a remote names
//! - [`grant`], [`limits`], [`pins`]: the rights that a decision grants
//! - [`values`], [`error`]: types that files and grants share, and their conflicts
//! - [`mod@explain`]: policies and decisions in words

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
pub use file::{Audit, PolicyFile, schema};
pub use grant::{Environment, Grant, Program};
pub use limits::Limits;
pub use pins::Pins;
pub use rclone_options::LocalAccess;
pub use rclone_options::hard_denies::{check_section, is_secret};
pub use rclone_options::paths::is_safe_name;
pub use rclone_options::wrapped_remotes::upstreams;
pub use request::{
    Request, Section, Target, backend, canonical_backend, local_access, wrapped_targets,
};
pub use values::{Destination, Digest, Enforcement, Ports};
