//! The importer: a scan of the remote, and reads of the files that it found.
//!
//! - [`scan`], [`listing`], [`link_cycles`], [`dedup`], [`mod_times`]: from a listing to entries
//! - [`prefetch`], [`reader_pool`]: reads of files
//! - [`google_photos`]: what differs with Google Photos

pub mod dedup;
pub mod google_photos;
mod link_cycles;
mod listing;
pub mod mod_times;
pub mod prefetch;
pub mod reader_pool;
pub mod scan;
