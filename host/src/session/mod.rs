//! Sessions: from a configuration to a running component.
//!
//! - [`context`]: what a session needs to know of its process and its client
//! - [`mod@authorize`]: asks the policies about a remote
//! - [`start_audit`]: notes sessions that fail to start
//! - [`mod@open`]: the steps from a remote's options to a running component
//! - [`store`]: which remotes can hold a store, and where one was looked for
//! - [`album`]: where albums of Google Photos are in a remote
//! - [`tenant`]: the tenant of a service, and its client

pub mod album;
mod authorize;
mod context;
mod open;
mod start_audit;
pub mod store;
pub mod tenant;

pub use crate::rclone::remote::RemoteSpec;
pub use authorize::{AuthorizedRemote, authorize};
pub use context::SessionContext;
pub use open::{OpenRequest, OpenSession, Prepared, open, start};
