//! Tenants of a running service.
//!
//! - [`runtime`]: the directory, user, thread and limits of each tenant
//! - [`worker`]: a tenant's thread
//! - [`memory_watchdog`]: ends sessions when a memory limit is exceeded

pub mod memory_watchdog;
pub mod runtime;
pub mod worker;
