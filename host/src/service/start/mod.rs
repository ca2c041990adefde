//! The start of a service: the steps that need the rights that it was started with, after which
//! it gives them up.
//!
//! With `[users]`, a service that root starts becomes root of a user namespace that maps only
//! its own user and those of its tenants. It can start and end their processes and give them
//! files, and has no rights over the rest of the machine.

use std::path::Path;

use super::config::Settings;
use super::server::listener::Sockets;
use crate::connector::{Failure, Reason};
use crate::quota::cgroups::ServiceCgroup;

#[cfg(target_os = "linux")]
mod privileges;

/// Resources that a service opened before it gave up its rights.
pub struct Start {
    pub settings: Settings,
    pub sockets: Sockets,
    pub cgroup: Option<ServiceCgroup>,
}

/// Prepares the service that `file` configures, and gives up every right that it doesn't need
/// from then on. Must be called before the first thread is started, as each thread has rights of
/// its own.
///
/// # Errors
///
/// The file is invalid, a path or address in it can't be used, or the kernel refuses.
pub fn prepare(file: &Path) -> anyhow::Result<Start> {
    let settings = Settings::read(file)?;
    // The tenant's user reads the files of batches; their directory is closed to other users.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let sockets = Sockets::open(&settings)?;
    let cgroup = settings.cgroups.then(ServiceCgroup::take_over).transpose().map_err(|error| {
        Failure::new(
            Reason::Unavailable,
            format!("the service's control group can't be divided: {error}"),
        )
        .with_help("let systemd delegate it (`Delegate=yes`), or remove `cgroups`")
    })?;
    #[cfg(not(target_os = "linux"))]
    if settings.users.is_some() {
        let failure = super::config::wrong("[users] needs Linux");
        return Err(failure.with_help("remove it, or run the service there").into());
    }
    #[cfg(target_os = "linux")]
    privileges::give_up(&settings, file, cgroup.as_ref())?;
    Ok(Start { settings, sockets, cgroup })
}
