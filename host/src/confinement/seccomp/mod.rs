//! System calls: those that rclone makes, and no others.
//!
//! rclone is one process for as long as it lives: it starts no other and leaves its group
//! alone, so that ending it ends all of it.
//!
//! - [`allowed`]: which calls
//! - [`sockets`]: which kinds of them
//! - [`file_metadata`]: what Landlock doesn't see of files

mod allowed;
mod file_metadata;
mod sockets;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch,
};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

/// What rclone tells the kernel of its threads and memory: names. The last one is what the
/// filters that follow are installed with, and changes nothing any more.
const PRCTL: [libc::c_int; 4] =
    [libc::PR_SET_NAME, libc::PR_GET_NAME, libc::PR_SET_VMA, libc::PR_SET_NO_NEW_PRIVS];

/// What it asks of open files: whether they are a terminal and how wide, what waits in them,
/// not to wait, and to share blocks with another file.
const IOCTL: [u64; 6] =
    [libc::TCGETS, libc::TIOCGWINSZ, libc::FIONREAD, libc::FIONBIO, libc::FIOCLEX, libc::FICLONE];

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: TargetArch = TargetArch::x86_64;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: TargetArch = TargetArch::aarch64;

/// What a session needs beside what each of them does.
#[derive(Debug, Clone, Copy, Default)]
pub struct Needs {
    /// To read and make links, and to set times, in a directory of this machine.
    pub local: bool,
    /// To connect to sockets that are files.
    pub unix_sockets: bool,
}

/// Filters, ready to be installed.
#[derive(Clone)]
pub struct Filters(Arc<[BpfProgram]>);

impl Filters {
    pub fn new(needs: Needs) -> Result<Self, BackendError> {
        let allowed = allowed::calls(needs).map(|call| (call, Vec::new())).collect();
        let mut refused: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
        // A thread is no process.
        let thread = libc::CLONE_THREAD as u64;
        refused.insert(
            libc::SYS_clone,
            vec![rule([argument(0, SeccompCmpOp::MaskedEq(thread), 0)?])?],
        );
        let names = PRCTL.map(|option| option as u64);
        refused.insert(libc::SYS_prctl, vec![all_but(0, &names)?]);
        refused.insert(libc::SYS_ioctl, vec![all_but(1, &IOCTL)?]);
        // The limits of others; its own it can only lower.
        refused.insert(libc::SYS_prlimit64, vec![rule([argument(0, SeccompCmpOp::Ne, 0)?])?]);
        refused.extend(sockets::refused(needs)?);
        // Its arguments can't be looked at; without it, libraries use `clone`.
        let unknown = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
        let filters = [
            other_numbers(),
            filter(refused, libc::EPERM)?,
            filter(unknown, libc::ENOSYS)?,
            filter(file_metadata::feigned(), 0)?,
            only(allowed)?,
        ];
        Ok(Self(filters.into()))
    }

    /// Installs them in the calling process, in their order: the last one allows no other to
    /// follow. Allocates nothing.
    pub fn install(&self) -> io::Result<()> {
        self.0.iter().filter(|program| !program.is_empty()).try_for_each(|program| {
            seccompiler::apply_filter(program).map_err(|_| io::Error::last_os_error())
        })
    }
}

fn argument(
    index: u8,
    operator: SeccompCmpOp,
    value: u64,
) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(index, SeccompCmpArgLen::Dword, operator, value)
}

fn rule<const N: usize>(conditions: [SeccompCondition; N]) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(conditions.into())
}

/// Matches a call whose argument is none of these.
fn all_but(index: u8, values: &[u64]) -> Result<SeccompRule, BackendError> {
    let others = values.iter().map(|value| argument(index, SeccompCmpOp::Ne, *value));
    SeccompRule::new(others.collect::<Result<_, _>>()?)
}

/// Refuses all other calls with "operation not permitted".
fn only(allowed: BTreeMap<i64, Vec<SeccompRule>>) -> Result<BpfProgram, BackendError> {
    let refuse = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    SeccompFilter::new(allowed, refuse, SeccompAction::Allow, ARCHITECTURE)?.try_into()
}

fn filter(rules: BTreeMap<i64, Vec<SeccompRule>>, error: i32) -> Result<BpfProgram, BackendError> {
    let refuse = SeccompAction::Errno(error.unsigned_abs());
    SeccompFilter::new(rules, SeccompAction::Allow, refuse, ARCHITECTURE)?.try_into()
}

/// Kills whoever calls by the second set of numbers that x86 has for the same system calls
/// (x32), which the filters don't know.
#[cfg(target_arch = "x86_64")]
fn other_numbers() -> BpfProgram {
    const X32: u32 = 0x4000_0000;
    let instruction = |code, jt, jf, k| seccompiler::sock_filter { code, jt, jf, k };
    vec![
        // The number of the call; if it is at least this, kill, else allow (bpf(4)).
        instruction((libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16, 0, 0, 0),
        instruction((libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16, 0, 1, X32),
        instruction((libc::BPF_RET | libc::BPF_K) as u16, 0, 0, libc::SECCOMP_RET_KILL_PROCESS),
        instruction((libc::BPF_RET | libc::BPF_K) as u16, 0, 0, libc::SECCOMP_RET_ALLOW),
    ]
}

#[cfg(not(target_arch = "x86_64"))]
fn other_numbers() -> BpfProgram {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that this and newer kernels may have.
    const NUMBERS: std::ops::Range<i64> = 0..1024;

    /// Calls by which the kernel itself comes back from a probe, and which end any other caller
    /// (`uretprobe` and `uprobe` of x86).
    const OF_KERNEL: [i64; 2] = [335, 336];

    /// In a process of its own: how many of these calls aren't refused by the filters.
    fn answered(filters: &Filters, calls: &[i64]) -> i32 {
        // SAFETY: the child makes system calls only, allocates nothing and ends by `_exit`.
        unsafe {
            let child = libc::fork();
            if child == 0 {
                if rustix::thread::set_no_new_privs(true).is_err() || filters.install().is_err() {
                    libc::_exit(255);
                }
                let mut count = 0;
                for call in calls {
                    let done = libc::syscall(*call, 0, 0, 0, 0, 0, 0);
                    let refused = done == -1 && *libc::__errno_location() == libc::EPERM;
                    count += i32::from(!refused);
                }
                libc::_exit(count.min(254));
            }
            let mut status = 0;
            assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
            assert!(libc::WIFEXITED(status), "{status:x}");
            libc::WEXITSTATUS(status)
        }
    }

    #[test]
    fn every_call_that_is_not_allowed_is_refused_also_those_of_newer_kernels() {
        for needs in [Needs::default(), Needs { local: true, unix_sockets: true }] {
            let allowed: Vec<i64> = allowed::calls(needs).collect();
            let others: Vec<i64> = NUMBERS
                .filter(|call| !allowed.contains(call) && !OF_KERNEL.contains(call))
                .collect();
            assert!(others.len() > 700);
            let filters = Filters::new(needs).unwrap();
            assert_eq!(answered(&filters, &others), 0);
            assert_eq!(answered(&filters, &[libc::SYS_getpid, libc::SYS_reboot]), 1);
        }
    }
}
