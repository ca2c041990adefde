//! What is allowed. Deny is the default for whatever would let rclone run a command, or
//! let a value become more than a value; and, wherever a policy file is in force, for all
//! that it doesn't allow.
//!
//! - [`configuration`]: what no remote's configuration may say, whoever asks
//! - [`options`], [`wraps`]: what rclone's options do here, and the remotes they name
//! - [`names`], [`paths`]: what is a name in a directory, and a path
//! - [`written`], [`mistakes`]: a policy file, parsed, and what makes no sense in it
//! - [`places`]: which files are in force
//! - [`layers`]: what all of them allow
//! - [`request`]: what a session asks for
//! - [`rule`], [`hosts`]: whether a rule of a file allows it, and the hosts that a remote names
//! - [`private`]: which of these are on this machine or in private networks
//! - [`grant`], [`limits`]: what it may have then, joined and narrowed
//! - [`pins`]: options that it gets
//! - [`mod@explain`]: the same in words

mod configuration;
mod explain;
mod grant;
mod hosts;
mod layers;
mod limits;
mod mistakes;
mod names;
mod options;
mod paths;
mod pins;
mod places;
mod private;
mod request;
mod rule;
mod wraps;
mod written;

pub use configuration::{check, is_secret};
pub use explain::{explain, explain_request};
pub use grant::{Destination, Environment, Grant, Level, Ports, Program};
pub use layers::Policies;
pub use limits::Limits;
pub use names::is_name;
pub use options::Read;
pub use pins::Pins;
pub use private::is_private;
pub use request::{Request, Section, Target, Use, backend, files, wrapped};
pub use rule::private_host;
pub use wraps::remotes as upstreams;
pub use written::{Audit, Digest, Written, schema};
