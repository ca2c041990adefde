//! Confinement of one rclone process: it may do what its session was granted and what every rclone
//! needs, and nothing else. rclone is a large program that processes other people's configuration.
//!
//! - [`profile`]: the files of this machine that a session's remote needs
//! - [`system_paths`]: the parts of the system that every rclone reads
//! - [`shared_libraries`]: the files that the program itself is loaded from
//! - [`landlock`]: files, ports, and signals to other processes
//! - [`seccomp`]: system calls
//! - [`rlimits`]: limits on resources
//! - [`close_fds`]: inherited descriptors
//! - [`capabilities`]: privileges of root
//! - [`spawner`]: starts confined processes from one thread
//!
//! All of it is prepared before the fork. Between fork and exec only system calls are made.

#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::unwrap_used, reason = "a measurement that can't continue fails")]
mod bench;
#[cfg(target_os = "linux")]
mod capabilities;
#[cfg(target_os = "linux")]
mod close_fds;
#[cfg(target_os = "linux")]
mod landlock;
mod profile;
mod rlimits;
#[cfg(target_os = "linux")]
mod seccomp;
#[cfg(target_os = "linux")]
mod shared_libraries;
pub mod spawner;
#[cfg(target_os = "linux")]
mod system_paths;

pub use profile::Profile;
pub use rlimits::MAX_THREADS_PER_PROCESS;

use std::process::Command;

use crate::connector::{Failure, Reason};
use crate::kernel::UserIds;
use crate::policy::Enforcement;
use crate::quota::cgroups::SessionCgroup;

/// The scheduling of a process among the others of a service.
#[derive(Clone, Copy, Default)]
pub struct Scheduling<'a> {
    /// The niceness, as in nice(1).
    pub niceness: i32,
    /// The control group that it joins, if any.
    pub group: Option<&'a SessionCgroup>,
}

impl Scheduling<'_> {
    /// A closure that applies the settings to the calling process, by system calls only.
    fn into_pre_exec(
        self,
    ) -> std::io::Result<impl Fn() -> std::io::Result<()> + Send + Sync + use<>> {
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

/// The prepared confinement of one program.
pub struct Confinement {
    #[cfg(target_os = "linux")]
    ruleset: Option<std::os::fd::OwnedFd>,
    #[cfg(target_os = "linux")]
    filters: seccomp::Filters,
    #[cfg(target_os = "linux")]
    capabilities: capabilities::KeptCapabilities,
    limits: rlimits::Rlimits,
    owner: Option<UserIds>,
}

#[cfg(target_os = "linux")]
fn script_failure(program: &std::path::Path) -> Failure {
    let message = format!(
        "rclone at `{}` is a script, and what it starts can't be confined",
        program.display()
    );
    Failure::invalid_config(message).with_help("set PLAKBOX_RCLONE to the path of rclone itself")
}

/// Reports a confinement feature that this kernel lacks: an error if the policy requires it, else
/// one warning.
fn report_missing(level: Enforcement, missing: &str) -> Result<(), Failure> {
    static WARNING: std::sync::Once = std::sync::Once::new();
    match level {
        Enforcement::Required => Err(Failure::new(
            Reason::Denied,
            format!("the policy requires that rclone is confined, and here {missing}"),
        )
        .with_help(
            "use a Linux kernel of version 6.12 or later with Landlock, or set `confinement = \
             \"preferred\"`",
        )),
        Enforcement::Preferred => {
            WARNING.call_once(|| {
                tracing::warn!(
                    "rclone is not fully confined: {missing} (Linux 6.12 or later with Landlock \
                     confines it)"
                );
            });
            Ok(())
        }
    }
}

#[cfg(target_os = "linux")]
impl Confinement {
    /// Prepares the confinement of `program`.
    ///
    /// # Errors
    ///
    /// The program isn't a binary, a required feature is missing, or the kernel refuses a part.
    pub fn prepare(program: &std::path::Path, profile: &Profile) -> Result<Self, Failure> {
        let failed = |what: &str, why: String| {
            Failure::internal(format!("rclone can't be confined: {what}: {why}"))
        };
        if let Some(missing) = landlock::missing() {
            report_missing(profile.level, missing)?;
        }
        let loaded = shared_libraries::find(program)
            .map_err(|error| failed("its libraries", error.to_string()))?
            .ok_or_else(|| script_failure(program))?;
        let named = profile::open_named_files(profile)
            .map_err(|error| failed("the files that its options name", error.to_string()))?;
        let ruleset = landlock::ruleset(program, &loaded, profile, named)
            .map_err(|error| failed("landlock", error.to_string()))?;
        // Links are read in local directories, and times set: rclone tests how precise these are.
        let local = !profile.directories.is_empty();
        let needs = seccomp::SessionNeeds { local, unix_sockets: profile.unix_sockets };
        let filters =
            seccomp::Filters::new(needs).map_err(|error| failed("seccomp", error.to_string()))?;
        let (limits, owner) = (rlimits::Rlimits::new(profile), profile.owner);
        let capabilities = capabilities::KeptCapabilities::new(profile);
        Ok(Self { ruleset, filters, capabilities, limits, owner })
    }

    /// Applies the confinement and the scheduling settings to the process that a command starts.
    ///
    /// # Errors
    ///
    /// A descriptor can't be duplicated.
    pub fn confine(
        &self,
        command: &mut Command,
        scheduling: Scheduling<'_>,
    ) -> std::io::Result<()> {
        use std::os::unix::process::CommandExt;
        set_user(self.owner, command);
        let ruleset = self.ruleset.as_ref().map(|ruleset| ruleset.try_clone()).transpose()?;
        let (filters, limits) = (self.filters.clone(), self.limits.clone());
        let schedule = scheduling.into_pre_exec()?;
        let capabilities = self.capabilities;
        let confine = move || {
            schedule()?;
            close_fds::close_other_descriptors()?;
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
    /// Prepares the limits of resources, which are all that this system offers.
    ///
    /// # Errors
    ///
    /// The policy requires full confinement.
    pub fn prepare(_: &std::path::Path, profile: &Profile) -> Result<Self, Failure> {
        report_missing(
            profile.level,
            "only its resources are limited on this system: its files, ports and system calls \
             aren't confined",
        )?;
        Ok(Self { limits: rlimits::Rlimits::new(profile), owner: profile.owner })
    }

    /// Applies the confinement and the scheduling settings to the process that a command starts.
    ///
    /// # Errors
    ///
    /// A descriptor can't be duplicated.
    pub fn confine(
        &self,
        command: &mut Command,
        scheduling: Scheduling<'_>,
    ) -> std::io::Result<()> {
        use std::os::unix::process::CommandExt;
        set_user(self.owner, command);
        let (limits, schedule) = (self.limits.clone(), scheduling.into_pre_exec()?);
        // SAFETY: the closure makes system calls only, which are safe between fork and
        // exec, and allocates nothing.
        unsafe { command.pre_exec(move || schedule().and_then(|()| limits.apply())) };
        Ok(())
    }
}

/// Makes a command run as another user, without any further groups.
fn set_user(owner: Option<UserIds>, command: &mut Command) {
    use std::os::unix::process::CommandExt;
    if let Some(UserIds { uid, gid }) = owner {
        command.uid(uid).gid(gid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_required_confinement_that_can_t_be_had_is_a_refusal() {
        let refusal = report_missing(Enforcement::Required, "there is no Landlock").unwrap_err();
        assert_eq!(refusal.reason, Reason::Denied);
        assert!(
            refusal.to_string().contains("here there is no Landlock; help: use a Linux kernel")
        );
        assert!(report_missing(Enforcement::Preferred, "there is no Landlock").is_ok());
    }
}
