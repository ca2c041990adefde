//! What a process of root's may do beside what its user may: nothing, but for files that may
//! be other users': those of a local directory that root backs up or restores to, and those
//! that options name.
//!
//! Source: capabilities(7).

use rustix::thread::CapabilitySet;
use std::io;

use super::Granted;
use crate::kernel::capabilities;

/// To read files of others, and to list their directories.
const READING: CapabilitySet = CapabilitySet::DAC_READ_SEARCH;

/// To write there, and to set the times of what is theirs.
const WRITING: CapabilitySet = CapabilitySet::DAC_OVERRIDE.union(CapabilitySet::FOWNER);

/// The capabilities that a process keeps, as far as it has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept(CapabilitySet);

impl Kept {
    pub fn of(granted: &Granted) -> Self {
        let local = !granted.directories.is_empty();
        match () {
            // A tenant's process runs as a user, with that one's rights alone.
            () if granted.owner.is_some() => Self(CapabilitySet::empty()),
            () if local && granted.write => Self(READING | WRITING),
            // A key that is named may be another user's, too.
            () if local || !granted.named.is_empty() => Self(READING),
            () => Self(CapabilitySet::empty()),
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
    fn only_files_that_may_be_of_others_need_capabilities() {
        let granted = |directory: Option<&str>, write| Granted {
            directories: directory.into_iter().map(Into::into).collect(),
            write,
            ..Granted::default()
        };
        assert_eq!(Kept::of(&granted(None, true)), Kept(CapabilitySet::empty()));
        assert_eq!(Kept::of(&granted(Some("/a"), false)), Kept(READING));
        assert_eq!(Kept::of(&granted(Some("/a"), true)), Kept(READING | WRITING));
        let named = Granted { named: ["/key".into()].into(), ..granted(None, true) };
        assert_eq!(Kept::of(&named), Kept(READING));
        let owner = Some(crate::kernel::RunAs { uid: 1, gid: 1 });
        let tenants = Granted { owner, ..granted(Some("/a"), true) };
        assert_eq!(Kept::of(&tenants), Kept(CapabilitySet::empty()));
    }
}
