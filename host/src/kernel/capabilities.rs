//! Root's rights, taken apart: a process of root's gives up those that it has no use for.
//!
//! Source: capabilities(7).

use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};
use std::io;

/// More than the kernel has capabilities: their sets have 64 bits.
const MOST: u64 = 64;

/// What a service needs that lets tenants' processes run as users of their own: to start
/// them so, to give them what is theirs, to read and remove what they left, and to end them.
/// The last one is for ports below 1024.
pub const OF_SERVICE: CapabilitySet = CapabilitySet::DAC_OVERRIDE
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::CHOWN)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::NET_BIND_SERVICE);

/// What it needs where all processes run as the service itself does: what root's access to
/// the files of all users is made of, and ports below 1024.
pub const ALONE: CapabilitySet = CapabilitySet::DAC_OVERRIDE
    .union(CapabilitySet::DAC_READ_SEARCH)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::NET_BIND_SERVICE);

/// Takes all others from the calling thread, and from what it starts or executes from now
/// on. Allocates nothing.
pub fn keep_only(kept: CapabilitySet) -> io::Result<()> {
    let have = capabilities(None)?;
    for capability in 0..MOST {
        if kept.bits() & 1 << capability != 0 {
            continue;
        }
        // SAFETY: the kernel takes numbers.
        let done = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            _ if done == 0 => {}
            // The kernel has no more of them, or this process no right to give them up: what
            // it executes has no more than it has, as it can't gain privileges.
            Some(libc::EINVAL | libc::EPERM) => break,
            _ => return Err(error),
        }
    }
    let permitted = have.permitted & kept;
    let inheritable = CapabilitySet::empty();
    Ok(set_capabilities(None, CapabilitySets { effective: permitted, permitted, inheritable })?)
}
