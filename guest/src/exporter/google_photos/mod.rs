//! The restore to Google Photos.
//!
//! - [`layout`]: where each file goes
//! - [`albums`]: the albums of the destination
//! - [`writer`]: uploads of photos

pub mod albums;
pub mod layout;
pub mod writer;
