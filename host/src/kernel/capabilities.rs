//! Linux capabilities of a process that runs as root: it gives up those that it doesn't need.
//!
//! Source: capabilities(7).

use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};
use std::io;

/// Upper bound of the kernel's capability numbers: a set of capabilities has 64 bits.
const MAX_CAPABILITIES: u64 = 64;

/// Capabilities of a service that runs tenants' processes as users of their own: it starts
/// them as these users, gives them their files, reads and removes what they left, and kills
/// them. In a user namespace, they hold for the users in it alone.
pub const SERVICE_WITH_USERS: CapabilitySet = CapabilitySet::DAC_OVERRIDE
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::CHOWN)
    .union(CapabilitySet::KILL);

/// Capabilities of a service whose processes all run as the service itself: root's access to
/// the files of all users.
pub const SERVICE_WITHOUT_USERS: CapabilitySet =
    CapabilitySet::DAC_OVERRIDE.union(CapabilitySet::DAC_READ_SEARCH).union(CapabilitySet::FOWNER);

/// Drops all other capabilities of the calling thread, and of what it starts or executes from
/// now on. Allocates nothing.
///
/// # Errors
///
/// The kernel refuses to change the sets.
pub fn keep_only(kept: CapabilitySet) -> io::Result<()> {
    let have = capabilities(None)?;
    for capability in 0..MAX_CAPABILITIES {
        if kept.bits() & 1 << capability != 0 {
            continue;
        }
        // SAFETY: the kernel takes numbers.
        let done = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            _ if done == 0 => {}
            // The kernel has no further capabilities, or this process may not drop them. What
            // it executes gets no more than it has, as it can't gain privileges.
            Some(libc::EINVAL | libc::EPERM) => break,
            _ => return Err(error),
        }
    }
    let permitted = have.permitted & kept;
    let inheritable = CapabilitySet::empty();
    Ok(set_capabilities(None, CapabilitySets { effective: permitted, permitted, inheritable })?)
}
