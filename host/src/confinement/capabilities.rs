//! Capabilities that rclone keeps if it runs as root: none, except where files may belong to other
//! users. These are the files of a local directory that root backs up or restores to, and those
//! that options name.
//!
//! Source: capabilities(7).

use rustix::thread::CapabilitySet;
use std::io;

use super::Profile;
use crate::kernel::capabilities;

/// Reading files of other users, and listing their directories.
const READ_CAPABILITIES: CapabilitySet = CapabilitySet::DAC_READ_SEARCH;

/// Writing to directories of other users, and setting the times of their files.
const WRITE_CAPABILITIES: CapabilitySet = CapabilitySet::DAC_OVERRIDE.union(CapabilitySet::FOWNER);

/// The capabilities that a process keeps, as far as it has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptCapabilities(CapabilitySet);

impl KeptCapabilities {
    /// The capabilities that a profile needs.
    pub fn new(profile: &Profile) -> Self {
        let local = !profile.directories.is_empty();
        if profile.owner.is_some() {
            // A tenant's process runs as a user, with that user's rights only.
            Self(CapabilitySet::empty())
        } else if local && profile.write {
            Self(READ_CAPABILITIES | WRITE_CAPABILITIES)
        } else if local || !profile.named.is_empty() {
            // A key that an option names may belong to another user, too.
            Self(READ_CAPABILITIES)
        } else {
            Self(CapabilitySet::empty())
        }
    }

    /// Drops all other capabilities of the calling process, and of what it executes. Allocates
    /// nothing.
    ///
    /// # Errors
    ///
    /// The kernel refuses it.
    pub fn keep_only(self) -> io::Result<()> {
        capabilities::keep_only(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_that_may_be_of_others_need_capabilities() {
        let profile = |directory: Option<&str>, write| Profile {
            directories: directory.into_iter().map(Into::into).collect(),
            write,
            ..Profile::default()
        };
        assert_eq!(
            KeptCapabilities::new(&profile(None, true)),
            KeptCapabilities(CapabilitySet::empty())
        );
        assert_eq!(
            KeptCapabilities::new(&profile(Some("/a"), false)),
            KeptCapabilities(READ_CAPABILITIES)
        );
        assert_eq!(
            KeptCapabilities::new(&profile(Some("/a"), true)),
            KeptCapabilities(READ_CAPABILITIES | WRITE_CAPABILITIES)
        );
        let named = Profile { named: ["/key".into()].into(), ..profile(None, true) };
        assert_eq!(KeptCapabilities::new(&named), KeptCapabilities(READ_CAPABILITIES));
        let owner = Some(crate::kernel::UserIds { uid: 1, gid: 1 });
        let tenants = Profile { owner, ..profile(Some("/a"), true) };
        assert_eq!(KeptCapabilities::new(&tenants), KeptCapabilities(CapabilitySet::empty()));
    }
}
