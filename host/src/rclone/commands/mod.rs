//! The rclone commands that a session runs.
//!
//! - [`lsjson`]: lists a remote; [`upstreams`] checks the parts of a union, [`growth`] limits
//!   files that grow meanwhile
//! - [`cat`], [`serve_restic`]: read one large file, and many small ones
//! - [`copy`], [`rcat`]: upload a batch of small files, and one large one
//! - [`destination`], [`obstacles`], [`collision`]: what a restore meets at its destination
//! - [`concurrency`]: the number of files in flight
pub mod cat;
pub mod collision;
pub mod concurrency;
pub mod copy;
pub mod destination;
pub mod growth;
pub mod lsjson;
pub mod obstacles;
pub mod rcat;
pub mod serve_restic;
pub mod upstreams;
