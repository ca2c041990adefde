//! A user and a group of this machine, by their numbers.

/// A user and a group: those that a process runs as, that a client has, or that own a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserIds {
    pub uid: u32,
    pub gid: u32,
}
