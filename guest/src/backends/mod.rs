//! What is particular to one of rclone's backends.
//!
//! - [`google_photos_names`]: the IDs that rclone puts into names of Google Photos

pub mod google_photos_names;
