//! What a process of root's may do beside what its user may: nothing, but for the files of a
//! local directory that root backs up or restores to, which may be other users'.
//!
//! Source: capabilities(7).

use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};
use std::io;

use super::Granted;

/// To read files of others, and to list their directories.
const READING: CapabilitySet = CapabilitySet::DAC_READ_SEARCH;

/// To write there, and to set the times of what is theirs.
const WRITING: CapabilitySet = CapabilitySet::DAC_OVERRIDE.union(CapabilitySet::FOWNER);

/// More than the kernel has capabilities: their sets have 64 bits.
const MOST: u64 = 64;

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
        let have = rustix::thread::capabilities(None)?;
        for capability in 0..MOST {
            if self.0.bits() & 1 << capability != 0 {
                continue;
            }
            // SAFETY: the kernel takes numbers.
            let done = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
            let error = io::Error::last_os_error();
            match error.raw_os_error() {
                _ if done == 0 => {}
                // The kernel has no more of them, or this process none to give up.
                Some(libc::EINVAL | libc::EPERM) => break,
                _ => return Err(error),
            }
        }
        let permitted = have.permitted & self.0;
        let inheritable = CapabilitySet::empty();
        Ok(set_capabilities(None, CapabilitySets { effective: permitted, permitted, inheritable })?)
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
