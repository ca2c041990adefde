//! Resource usage as the kernel reports it, and the rights of this process.
//!
//! - [`process`]: memory and threads of one process
//! - [`disk`]: blocks and files of directories, and of removed files that are still open
//! - [`user`]: file access with the rights of a different user, and the users of sockets and files
//! - `user_namespace`: rights over a range of users alone
//! - [`ids`]: a user and a group
//! - `capabilities`: rights of root that are given up
//! - [`pipe`]: capacity of pipes

#[cfg(target_os = "linux")]
pub mod capabilities;
pub mod disk;
mod ids;
pub mod pipe;
pub mod process;
mod user;
#[cfg(target_os = "linux")]
pub mod user_namespace;

pub use ids::UserIds;
pub use user::{check_users, owner, peer, run_as};
