//! A user and a group of this machine, by their numbers.

/// A user and a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ids {
    pub uid: u32,
    pub gid: u32,
}
