//! What a process of root's may do beside what its user may: nothing, but for the files of a
//! local directory that root backs up or restores to, which may be other users'.
//!
//! Source: capabilities(7).

use rustix::thread::CapabilitySet;
use std::io;

use super::Granted;
use crate::capabilities;

/// To read files of others, and to list their directories.
const READING: CapabilitySet = CapabilitySet::DAC_READ_SEARCH;

/// To write there, and to set the times of what is theirs.
const WRITING: CapabilitySet = CapabilitySet::DAC_OVERRIDE.union(CapabilitySet::FOWNER);

/// The capabilities that a process keeps, as far as it has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept(CapabilitySet);

impl Kept {
    pub fn of(granted: &Granted) -> Self {
        match granted.directories.is_empty() {
            // A tenant's process runs as a user, with that one's rights alone.
            _ if granted.owner.is_some() => Self(CapabilitySet::empty()),
            true => Self(CapabilitySet::empty()),
            false if granted.write => Self(READING | WRITING),
            false => Self(READING),
        }
    }

    /// Takes all others from the calling process, and from what it will execute. Allocates
    /// nothing.
    pub fn keep_only(self) -> io::Result<()> {
        capabilities::keep_only(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_files_of_a_local_directory_need_capabilities() {
        let granted = |directory: Option<&str>, write| Granted {
            directories: directory.into_iter().map(Into::into).collect(),
            write,
            ..Granted::default()
        };
        assert_eq!(Kept::of(&granted(None, true)), Kept(CapabilitySet::empty()));
        assert_eq!(Kept::of(&granted(Some("/a"), false)), Kept(READING));
        assert_eq!(Kept::of(&granted(Some("/a"), true)), Kept(READING | WRITING));
        let owner = Some(crate::rclone::state::Owner { uid: 1, gid: 1 });
        let tenants = Granted { owner, ..granted(Some("/a"), true) };
        assert_eq!(Kept::of(&tenants), Kept(CapabilitySet::empty()));
    }
}
