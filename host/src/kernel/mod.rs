//! What the kernel counts: memory and threads of processes, blocks and files of directories.
//!
//! - [`process`]: of one process
//! - [`disk`]: of directories, and of what processes have open that is in none any more
//! - [`user`]: looking as somebody else

pub mod disk;
pub mod process;
mod user;

pub use user::as_owner;
