//! Listings of `rclone lsjson`.

pub mod parser;
