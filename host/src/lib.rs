//! The host of a sandboxed connector for Plakar, as a library with a single entry, [`run`].
//!
//! The rooms, each of which imports only from those above it:
//! - `terminal`, `invocation`: text that is safe to show, commands that work where they are read
//! - `user_dirs`: directories of the user
//! - `connector`: the vocabulary that connectors and the host share
//! - `kernel`: what the kernel counts and lets us do
//! - `policy`: what is allowed
//! - `audit`: the log of decisions, processes and sessions
//! - `quota`: limits that sessions share
//! - `confinement`: one process that has only what it was granted
//! - `rclone`: starts rclone, speaks to its pipes, keeps its secrets
//! - `sandbox`: runs the component that decides what is listed, read and written
//! - `session`: from a configuration to a running component
//! - `plugin`: Plakar's plugin protocol
//! - `service`: the sessions of many tenants
//! - `cli`: the command line

mod audit;
mod cli;
mod confinement;
mod connector;
mod direction;
mod invocation;
mod kernel;
mod logging;
mod plugin;
mod policy;
mod quota;
#[cfg(test)]
mod random_inputs;
mod rclone;
mod sandbox;
mod service;
mod session;
mod terminal;
mod user_dirs;

pub use cli::run;
