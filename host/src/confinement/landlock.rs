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

use super::shared_libraries::LoadedFiles;
use super::{Profile, system_paths};
use crate::policy::Ports;

/// The ABI whose rights are handled. A kernel with an older one enforces the rights that it has.
const LANDLOCK_ABI: ABI = ABI::V6;

/// The most important feature that this kernel lacks.
pub fn missing() -> Option<&'static str> {
    missing_in(abi_version())
}

fn missing_in(version: i64) -> Option<&'static str> {
    match version {
        ..=0 => Some("the kernel has no Landlock: its files and ports aren't confined"),
        1..=3 => Some(
            "the kernel's Landlock is too old for ports and signals: it may connect to any port \
             and listen, and send signals to other processes",
        ),
        4..=5 => Some(
            "the kernel's Landlock is too old for signals: it may send them to other processes of \
             its user",
        ),
        _ => None,
    }
}

/// The ABI of the kernel's Landlock; less than 1 without Landlock.
fn abi_version() -> i64 {
    const CREATE_RULESET_VERSION: u32 = 1;
    // SAFETY: with this flag the kernel takes no pointer and creates nothing.
    unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::null::<u8>(),
            0,
            CREATE_RULESET_VERSION,
        )
    }
}

/// The ruleset of a program, with the files that a configuration names. `None` if the kernel has no
/// Landlock.
///
/// # Errors
///
/// The kernel refuses a rule.
pub fn ruleset(
    program: &Path,
    loaded: &LoadedFiles,
    profile: &Profile,
    named: Vec<OwnedFd>,
) -> Result<Option<OwnedFd>, RulesetError> {
    let reading = AccessFs::ReadFile | AccessFs::ReadDir;
    let running = AccessFs::Execute | AccessFs::ReadFile;
    let writing = AccessFs::from_all(LANDLOCK_ABI)
        & !AccessFs::Execute
        & !AccessFs::MakeChar
        & !AccessFs::MakeBlock
        & !AccessFs::MakeSock;
    // A right that is handled is denied unless a rule allows it.
    let network: BitFlags<AccessNet> = match profile.ports {
        Ports::Any(_) => AccessNet::BindTcp.into(),
        Ports::Only(_) => AccessNet::BindTcp | AccessNet::ConnectTcp,
    };
    let mut ruleset: RulesetCreated = Ruleset::default()
        .handle_access(AccessFs::from_all(LANDLOCK_ABI))?
        .handle_access(network)?
        .scope(Scope::AbstractUnixSocket | Scope::Signal)?
        .create()?;
    ruleset = path_rule(ruleset, program, running)?;
    if let Some(loader) = &loaded.loader {
        ruleset = path_rule(ruleset, loader, running)?;
    }
    for path in loaded.libraries.iter().chain(&system_paths::readable()).chain(&profile.read) {
        ruleset = path_rule(ruleset, path, reading)?;
    }
    for file in named {
        ruleset = add_rule(ruleset, file, reading)?;
    }
    for device in system_paths::DEVICES {
        ruleset = path_rule(ruleset, Path::new(device), AccessFs::ReadFile | AccessFs::WriteFile)?;
    }
    for directory in &profile.own {
        // This program reads there as well: links could lead it elsewhere, and pipes block it.
        ruleset =
            path_rule(ruleset, directory, writing & !AccessFs::MakeSym & !AccessFs::MakeFifo)?;
    }
    for directory in &profile.directories {
        ruleset =
            path_rule_nofollow(ruleset, directory, if profile.write { writing } else { reading })?;
    }
    if let Ports::Only(ports) = &profile.ports {
        for port in ports {
            ruleset = ruleset.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
        }
    }
    Ok(ruleset.into())
}

/// Adds a rule for a file, or for a directory with everything below it. A missing path needs no
/// rule.
fn path_rule(
    ruleset: RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    match PathFd::new(path) {
        Ok(opened) => add_rule(ruleset, opened, access),
        Err(_) => Ok(ruleset),
    }
}

/// Adds a rule for a path that a policy has checked: a link that replaced a part of it since then
/// grants nothing.
fn path_rule_nofollow(
    ruleset: RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    match openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
        Ok(opened) => add_rule(ruleset, opened, access),
        Err(_) => Ok(ruleset),
    }
}

/// Adds a rule for an open file or directory, with the rights that apply to it.
fn add_rule(
    ruleset: RulesetCreated,
    opened: impl AsFd,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    let directory = fstat(&opened).is_ok_and(|meta| FileType::from_raw_mode(meta.st_mode).is_dir());
    let access = if directory { access } else { access & AccessFs::from_file(LANDLOCK_ABI) };
    ruleset.add_rule(PathBeneath::new(opened, access))
}

/// Applies a ruleset to the calling process. Allocates nothing.
///
/// # Errors
///
/// The kernel refuses it.
pub fn restrict(ruleset: &OwnedFd) -> io::Result<()> {
    // SAFETY: the kernel takes flags and a descriptor, which is open.
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
