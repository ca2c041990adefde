//! The start of a service: what takes the rights that it was started with is done first, then
//! they are given up.
//!
//! With `[users]`, a service of root's becomes root of a user namespace, in which there are its
//! own user and those of its tenants, and no other: it can start and end their processes and
//! give them what is theirs, and has no right over the machine.

use anyhow::Context;
use std::path::Path;

use super::config::Settings;
use super::server::listener::Sockets;
use crate::quota::cgroups::ServiceCgroup;

#[cfg(target_os = "linux")]
mod privileges;

/// What a service was given before it gave up its rights.
pub struct Start {
    pub settings: Settings,
    pub sockets: Sockets,
    pub cgroup: Option<ServiceCgroup>,
}

/// Prepares the service that a file describes, and gives up every right that it doesn't need
/// from then on. Nothing may have started a thread yet: threads have rights of their own.
///
/// # Errors
///
/// The file is wrong, something that it names can't be used, or the kernel refuses.
pub fn prepare(file: &Path) -> anyhow::Result<Start> {
    let settings = Settings::read(file)?;
    // What batches hold is for the tenant's user to read, in a directory for no other user.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let sockets = Sockets::open(&settings)?;
    let cgroup = settings.cgroups.then(ServiceCgroup::take_over).transpose().context(
        "the service's control group can't be divided: let systemd delegate it (`Delegate=yes`), or remove `cgroups`",
    )?;
    #[cfg(target_os = "linux")]
    privileges::give_up(&settings, file, cgroup.as_ref())?;
    Ok(Start { settings, sockets, cgroup })
}
