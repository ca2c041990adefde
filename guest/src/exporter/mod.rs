//! The exporter: writes the entries of a snapshot to the remote.
//!
//! - [`batches`]: small files in batches, large ones as they come
//! - [`google_photos`]: what differs with Google Photos

pub mod batches;
pub mod google_photos;
