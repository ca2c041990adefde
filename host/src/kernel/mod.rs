//! What the kernel counts: memory and threads of processes, blocks and files of directories.
//!
//! - [`process`]: of one process
//! - [`disk`]: of directories, and of what processes have open that is in none any more
//! - [`user`]: looking as somebody else

#[cfg(target_os = "linux")]
pub mod capabilities;
pub mod disk;
pub mod pipe;
pub mod process;
mod user;

pub use user::{Owner, as_owner};
