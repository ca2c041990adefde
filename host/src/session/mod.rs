//! From a configuration to a running component.
//!
//! - [`mod@open`]: the steps
//! - [`tenant`]: the tenant of a service that a session is of
pub mod open;
pub mod tenant;
