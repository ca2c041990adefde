//! What one rclone process may do to this machine: what its session was granted, what every
//! rclone needs, and nothing else. rclone is a large program that is fed with other
//! people's configuration.
//!
//! - [`profile`]: what a session's remote needs of this machine's files
//! - [`system_paths`]: the parts of the system that every rclone reads
//! - [`shared_libraries`]: what the program itself is loaded from
//! - [`landlock`]: files, ports, and signals to others
//! - [`seccomp`]: system calls
//! - [`rlimits`]: how much of each resource
//! - [`close_fds`]: what was open before
//! - [`capabilities`]: what root may beside that
//!
//! All of it is prepared before the fork. Between fork and exec only system calls are made.

#[cfg(target_os = "linux")]
mod capabilities;
#[cfg(target_os = "linux")]
mod close_fds;
#[cfg(target_os = "linux")]
mod landlock;
#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::unwrap_used, reason = "a measurement that can't go on fails")]
mod measured;
pub mod profile;
mod rlimits;
#[cfg(target_os = "linux")]
mod seccomp;
#[cfg(target_os = "linux")]
mod shared_libraries;
#[cfg(target_os = "linux")]
mod system_paths;

pub use rlimits::THREADS;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use crate::connector::{Failure, Reason};
use crate::kernel::RunAs;
use crate::policy::{self, Enforcement, Ports};
use crate::quota::cgroups::SessionCgroup;

/// What one process may have of this machine beside what every rclone needs.
#[derive(Debug, Default)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "only Linux can withhold it"))]
pub struct Granted {
    /// Files and directories that it may read beside these.
    pub read: BTreeSet<PathBuf>,
    /// Files that a configuration names, which may be paths of a tenant's: what is there
    /// when they are granted, if it is a file.
    pub named: BTreeSet<PathBuf>,
    /// Its private directories, in which it makes files and directories and nothing else.
    pub own: BTreeSet<PathBuf>,
    /// What a policy grants of the remote itself: real paths, without a link in them.
    pub directories: BTreeSet<PathBuf>,
    /// Whether it may change these.
    pub write: bool,
    /// TCP ports that it may connect to. It never listens on any.
    pub ports: Ports,
    pub limits: policy::Limits,
    /// Whether files as large as it wants may be written.
    pub large_files: bool,
    /// Whether sockets that are files may be connected to: all that its user may.
    pub unix_sockets: bool,
    pub level: Enforcement,
    /// As whom it runs, if not as us.
    pub owner: Option<RunAs>,
    /// How many processes that one may have at the same time, if it is known.
    pub processes_of_owner: Option<u64>,
}

/// How a process stands among the others of a service.
#[derive(Clone, Copy, Default)]
pub struct Standing<'a> {
    /// How far it stands back behind others.
    pub niceness: i32,
    /// The control group that it is a member of, if any.
    pub group: Option<&'a SessionCgroup>,
}

impl Standing<'_> {
    /// What lets the calling process stand so, by system calls alone.
    fn take(self) -> std::io::Result<impl Fn() -> std::io::Result<()> + Send + Sync + use<>> {
        let niceness = self.niceness;
        let members = self.group.map(|it| it.members().try_clone_to_owned()).transpose()?;
        Ok(move || {
            if let Some(members) = &members {
                rustix::io::write(members, b"0")?;
            }
            match niceness {
                0 => Ok(()),
                _ => Ok(rustix::process::setpriority_process(None, niceness)?),
            }
        })
    }
}

/// A confinement that processes of one program can be put into.
pub struct Confinement {
    #[cfg(target_os = "linux")]
    ruleset: Option<std::os::fd::OwnedFd>,
    #[cfg(target_os = "linux")]
    filters: seccomp::Filters,
    #[cfg(target_os = "linux")]
    capabilities: capabilities::Kept,
    limits: rlimits::Limits,
    owner: Option<RunAs>,
}

#[cfg(target_os = "linux")]
fn script(program: &std::path::Path) -> Failure {
    let message = format!(
        "rclone at `{}` is a script, and what it starts can't be confined: set PLAKBOX_RCLONE to the path of rclone itself",
        program.display()
    );
    Failure::new(Reason::InvalidConfiguration, message)
}

/// What can't be confined on this machine, of what should be.
fn told(level: Enforcement, missing: &str) -> Result<(), Failure> {
    static TOLD: std::sync::Once = std::sync::Once::new();
    match level {
        Enforcement::Required => Err(Failure::new(
            Reason::Denied,
            format!(
                "the policy requires that rclone is confined, and here {missing}: use a Linux kernel of version 6.12 or later with Landlock, or set `confinement = \"preferred\"`"
            ),
        )),
        Enforcement::Preferred => {
            TOLD.call_once(|| {
                tracing::warn!("rclone is not fully confined: {missing} (Linux 6.12 or later with Landlock confines it)");
            });
            Ok(())
        }
    }
}

#[cfg(target_os = "linux")]
impl Confinement {
    /// Prepares the confinement of `program`.
    pub fn prepare(program: &std::path::Path, granted: &Granted) -> Result<Self, Failure> {
        let failed = |what: &str, why: String| {
            Failure::internal(format!("rclone can't be confined: {what}: {why}"))
        };
        if let Some(missing) = landlock::missing() {
            told(granted.level, missing)?;
        }
        let loaded = shared_libraries::of(program)
            .map_err(|error| failed("its libraries", error.to_string()))?
            .ok_or_else(|| script(program))?;
        let named = profile::open(granted)
            .map_err(|error| failed("the files that its options name", error.to_string()))?;
        let ruleset = landlock::ruleset(program, &loaded, granted, named)
            .map_err(|error| failed("landlock", error.to_string()))?;
        // There links are read, and times set: rclone tries how exact a directory's are.
        let local = !granted.directories.is_empty();
        let needs = seccomp::Needs { local, unix_sockets: granted.unix_sockets };
        let filters =
            seccomp::Filters::new(needs).map_err(|error| failed("seccomp", error.to_string()))?;
        let (limits, owner) = (rlimits::Limits::of(granted), granted.owner);
        let capabilities = capabilities::Kept::of(granted);
        Ok(Self { ruleset, filters, capabilities, limits, owner })
    }

    /// Puts what the command starts into it, and lets it stand so among others.
    pub fn confine(&self, command: &mut Command, standing: Standing<'_>) -> std::io::Result<()> {
        use std::os::unix::process::CommandExt;
        run_as(self.owner, command);
        let ruleset = self.ruleset.as_ref().map(|ruleset| ruleset.try_clone()).transpose()?;
        let (filters, limits) = (self.filters.clone(), self.limits.clone());
        let stand = standing.take()?;
        let capabilities = self.capabilities;
        let confine = move || {
            stand()?;
            close_fds::keep_the_first_three()?;
            limits.apply()?;
            capabilities.keep_only()?;
            rustix::thread::set_no_new_privs(true)?;
            if let Some(ruleset) = &ruleset {
                landlock::restrict(ruleset)?;
            }
            filters.install()
        };
        // SAFETY: the closure makes system calls only, all of which are safe between fork
        // and exec (signal-safety(7)), and allocates nothing.
        unsafe { command.pre_exec(confine) };
        Ok(())
    }
}

#[cfg(not(target_os = "linux"))]
impl Confinement {
    /// There is nothing to confine it with but limits.
    pub fn prepare(_: &std::path::Path, granted: &Granted) -> Result<Self, Failure> {
        told(
            granted.level,
            "only its resources are limited on this system: its files, ports and system calls aren't confined",
        )?;
        Ok(Self { limits: rlimits::Limits::of(granted), owner: granted.owner })
    }

    /// Puts what the command starts into it, and lets it stand so among others.
    pub fn confine(&self, command: &mut Command, standing: Standing<'_>) -> std::io::Result<()> {
        use std::os::unix::process::CommandExt;
        run_as(self.owner, command);
        let (limits, stand) = (self.limits.clone(), standing.take()?);
        // SAFETY: the closure makes system calls only, which are safe between fork and
        // exec, and allocates nothing.
        unsafe { command.pre_exec(move || stand().and_then(|()| limits.apply())) };
        Ok(())
    }
}

/// Lets what the command starts run as somebody else, with no groups beside that one's.
fn run_as(owner: Option<RunAs>, command: &mut Command) {
    use std::os::unix::process::CommandExt;
    if let Some(RunAs { uid, gid }) = owner {
        command.uid(uid).gid(gid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_required_confinement_that_can_t_be_had_is_a_refusal() {
        let refusal = told(Enforcement::Required, "there is no Landlock").unwrap_err();
        assert_eq!(refusal.reason, Reason::Denied);
        assert!(refusal.message.contains("here there is no Landlock: use a Linux kernel"));
        assert!(told(Enforcement::Preferred, "there is no Landlock").is_ok());
    }
}
