//! The operators' interface.
//!
//! - [`http`]: requests and responses
//! - [`metrics`]: OpenMetrics text
//! - [`sessions`]: registry of the running sessions

pub mod http;
pub mod metrics;
pub mod sessions;
