//! Files, ports and signals: a Landlock ruleset, made before the fork.
//!
//! Source: <https://docs.kernel.org/userspace-api/landlock.html>

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, NetPort, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetError, Scope,
};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat2};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use super::shared_libraries::Loaded;
use super::{Granted, system_paths};
use crate::policy::Ports;

/// The version whose rights are asked for; a kernel that has fewer enforces those it has.
const VERSION: ABI = ABI::V6;

/// What this kernel can't confine that matters.
pub fn missing() -> Option<&'static str> {
    missing_in(version())
}

fn missing_in(version: i64) -> Option<&'static str> {
    match version {
        ..=0 => Some("the kernel has no Landlock: its files and ports aren't confined"),
        1..=3 => Some(
            "the kernel's Landlock is too old for ports and signals: it may connect to any port and listen, and send signals to other processes",
        ),
        4..=5 => Some(
            "the kernel's Landlock is too old for signals: it may send them to other processes of its user",
        ),
        _ => None,
    }
}

/// The version of the kernel's Landlock; less than 1 without one.
fn version() -> i64 {
    const ASK_FOR_VERSION: u32 = 1;
    // SAFETY: with this flag the kernel takes no pointer and makes nothing.
    unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0, ASK_FOR_VERSION)
    }
}

/// The ruleset of a program, with the files that a configuration names; none where the kernel has no Landlock.
pub fn ruleset(
    program: &Path,
    loaded: &Loaded,
    granted: &Granted,
    named: Vec<OwnedFd>,
) -> Result<Option<OwnedFd>, RulesetError> {
    let reading = AccessFs::ReadFile | AccessFs::ReadDir;
    let running = AccessFs::Execute | AccessFs::ReadFile;
    let writing = AccessFs::from_all(VERSION)
        & !AccessFs::Execute
        & !AccessFs::MakeChar
        & !AccessFs::MakeBlock
        & !AccessFs::MakeSock;
    // What is handled is forbidden unless a rule allows it.
    let network: BitFlags<AccessNet> = match granted.ports {
        Ports::Any(_) => AccessNet::BindTcp.into(),
        Ports::Only(_) => AccessNet::BindTcp | AccessNet::ConnectTcp,
    };
    let mut ruleset: RulesetCreated = Ruleset::default()
        .handle_access(AccessFs::from_all(VERSION))?
        .handle_access(network)?
        .scope(Scope::AbstractUnixSocket | Scope::Signal)?
        .create()?;
    ruleset = beneath(ruleset, program, running)?;
    if let Some(loader) = &loaded.loader {
        ruleset = beneath(ruleset, loader, running)?;
    }
    for path in loaded.libraries.iter().chain(&system_paths::readable()).chain(&granted.read) {
        ruleset = beneath(ruleset, path, reading)?;
    }
    for file in named {
        ruleset = grant(ruleset, file, reading)?;
    }
    for device in system_paths::DEVICES {
        ruleset = beneath(ruleset, Path::new(device), AccessFs::ReadFile | AccessFs::WriteFile)?;
    }
    for directory in &granted.own {
        // What reads there, as we do, is led nowhere else and waits for nobody.
        ruleset = beneath(ruleset, directory, writing & !AccessFs::MakeSym & !AccessFs::MakeFifo)?;
    }
    for directory in &granted.directories {
        ruleset = straight(ruleset, directory, if granted.write { writing } else { reading })?;
    }
    if let Ports::Only(ports) = &granted.ports {
        for port in ports {
            ruleset = ruleset.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
        }
    }
    Ok(ruleset.into())
}

/// Grants a file, or all below a directory; what isn't there needs no grant.
fn beneath(
    ruleset: RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    match PathFd::new(path) {
        Ok(opened) => grant(ruleset, opened, access),
        Err(_) => Ok(ruleset),
    }
}

/// The same for what a policy has looked at: a link that took its place, or that of a
/// directory which it lies in, grants nothing.
fn straight(
    ruleset: RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    match openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
        Ok(opened) => grant(ruleset, opened, access),
        Err(_) => Ok(ruleset),
    }
}

/// Grants what was opened, as far as it can have such a right.
fn grant(
    ruleset: RulesetCreated,
    opened: impl AsFd,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    let directory = fstat(&opened).is_ok_and(|meta| FileType::from_raw_mode(meta.st_mode).is_dir());
    let access = if directory { access } else { access & AccessFs::from_file(VERSION) };
    ruleset.add_rule(PathBeneath::new(opened, access))
}

/// Puts the calling process into a ruleset. Allocates nothing.
pub fn restrict(ruleset: &OwnedFd) -> io::Result<()> {
    // SAFETY: the kernel takes a descriptor, which is open, and flags.
    let done =
        unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0_u32) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_older_kernel_lacks_is_told() {
        for (version, part) in [
            (-1, "no Landlock"),
            (0, "no Landlock"),
            (3, "may connect to any port"),
            (4, "send them to other processes"),
            (5, "send them to other processes"),
        ] {
            assert!(missing_in(version).is_some_and(|told| told.contains(part)), "{version}");
        }
        assert_eq!(missing_in(6), None);
    }
}
