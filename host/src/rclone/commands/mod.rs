//! The rclone commands that a session runs.
//!
//! - [`lsjson`]: lists a remote; [`upstreams`] checks the parts of a union, [`growth`] truncates
//!   files that grow meanwhile
//! - [`cat`], [`serve_restic`]: read one large file, and many small ones
//! - [`copy`], [`rcat`]: upload a batch of small files, and one large one
//! - [`obstacles`], [`collision`], [`features`]: what a restore meets at its destination
//! - [`transfer`]: how bytes are buffered, sent and checked
//! - [`concurrency`]: the number of files in flight

pub mod cat;
pub mod collision;
pub mod concurrency;
pub mod copy;
pub mod features;
pub mod growth;
pub mod lsjson;
pub mod obstacles;
pub mod rcat;
pub mod serve_restic;
pub mod transfer;
pub mod upstreams;
