//! What the tests work with: real programs in a place of their own.
//!
//! - [`tools`]: where plakar, rclone and the package are
//! - [`place`]: a home, a store and remotes that vanish with the test
//! - [`tree`]: directories full of files, made and compared
//! - [`relay`]: a server that looks far away
//! - [`servers`]: WebDAV and S3 by `rclone serve`
//! - [`daemons`]: sshd, vsftpd, proftpd, Samba, Apache, nginx and lighttpd
//! - [`account`]: a place whose Plakar backs up Google Photos
//! - [`certificates`]: TLS on both sides
//! - [`pages`]: the documentation
//! - [`contract`]: docs/contract.md, as `wit/` has it
//! - [`measured`]: the most memory that something took, and medians of times
//! - [`photos`]: Google Photos, strict, counting, and going wrong where it is told to
//! - [`web`]: a plain web server that counts, and breaks where it is told to
//! - [`scripted`]: a web server whose answers a test writes
//! - [`plugin`]: the importer, driven without Plakar
//! - [`raw`]: the same by a client that means no good
//! - [`searched`]: what programs left in memory and in files
//! - [`service`]: the multi-tenant service, and clients of it
//! - [`rounds`]: tests that are made from a number
//! - [`processes`]: what runs, and what it says of itself in /proc

pub mod account;
pub mod certificates;
pub mod contract;
pub mod daemons;
pub mod measured;
pub mod pages;
pub mod photos;
pub mod place;
pub mod plugin;
pub mod processes;
pub mod raw;
pub mod relay;
pub mod rounds;
pub mod scripted;
pub mod searched;
pub mod servers;
pub mod service;
pub mod tools;
pub mod tree;
pub mod web;

pub use place::{Place, Run};
