//! The operators' interface.
//!
//! - [`http`]: requests and answers
//! - [`metrics`]: OpenMetrics text
//! - [`sessions`]: the running sessions
pub mod http;
pub mod metrics;
pub mod sessions;
