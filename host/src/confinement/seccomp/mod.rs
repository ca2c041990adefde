//! System calls: those that rclone makes, and no others.
//!
//! rclone is one process for as long as it lives. It starts no other process and doesn't change its
//! group, so that killing the group ends all of it.
//!
//! - [`allowed`]: the allowed calls
//! - [`sockets`]: the allowed kinds of sockets
//! - [`file_metadata`]: changes to files that Landlock doesn't cover

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

/// The allowed prctl(2) operations: names of threads and memory. The last one is needed to install
/// the filters that follow, and has no further effect.
const ALLOWED_PRCTLS: [libc::c_int; 4] =
    [libc::PR_SET_NAME, libc::PR_GET_NAME, libc::PR_SET_VMA, libc::PR_SET_NO_NEW_PRIVS];

/// The allowed ioctl(2) requests: whether a file is a terminal and how wide, how many bytes wait in
/// it, not to block, and to share blocks with another file.
const ALLOWED_IOCTLS: [u64; 6] =
    [libc::TCGETS, libc::TIOCGWINSZ, libc::FIONREAD, libc::FIONBIO, libc::FIOCLEX, libc::FICLONE];

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: TargetArch = TargetArch::x86_64;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: TargetArch = TargetArch::aarch64;

/// The needs of a session, in addition to the calls that every session makes.
#[derive(Debug, Clone, Copy, Default)]
pub struct SessionNeeds {
    /// Reading and making links, and setting times, in a directory of this machine.
    pub local: bool,
    /// Connecting to Unix sockets.
    pub unix_sockets: bool,
}

/// Filters, ready to be installed.
#[derive(Clone)]
pub struct Filters(Arc<[BpfProgram]>);

impl Filters {
    /// Compiles the filters of a session.
    ///
    /// # Errors
    ///
    /// A rule is invalid.
    pub fn new(needs: SessionNeeds) -> Result<Self, BackendError> {
        let allowed = allowed::allowed_calls(needs).map(|call| (call, Vec::new())).collect();
        let mut refused: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
        // A new thread is allowed, a new process isn't.
        let thread = libc::CLONE_THREAD as u64;
        refused.insert(
            libc::SYS_clone,
            vec![rule([argument(0, SeccompCmpOp::MaskedEq(thread), 0)?])?],
        );
        let names = ALLOWED_PRCTLS.map(|option| option as u64);
        refused.insert(libc::SYS_prctl, vec![none_of(0, &names)?]);
        refused.insert(libc::SYS_ioctl, vec![none_of(1, &ALLOWED_IOCTLS)?]);
        // It may lower its own limits only.
        refused.insert(libc::SYS_prlimit64, vec![rule([argument(0, SeccompCmpOp::Ne, 0)?])?]);
        refused.extend(sockets::refused_calls(needs)?);
        // Filters can't check its arguments. Without it, libraries use `clone`.
        let unknown = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
        let filters = [
            kill_x32_calls(),
            filter(refused, libc::EPERM)?,
            filter(unknown, libc::ENOSYS)?,
            filter(file_metadata::faked_rules(), 0)?,
            allow_only(allowed)?,
        ];
        Ok(Self(filters.into()))
    }

    /// Installs the filters in the calling process, in their order: the last one allows no further
    /// filter. Allocates nothing.
    ///
    /// # Errors
    ///
    /// The kernel refuses a filter.
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
fn none_of(index: u8, values: &[u64]) -> Result<SeccompRule, BackendError> {
    let others = values.iter().map(|value| argument(index, SeccompCmpOp::Ne, *value));
    SeccompRule::new(others.collect::<Result<_, _>>()?)
}

/// Refuses all other calls with "operation not permitted".
fn allow_only(allowed: BTreeMap<i64, Vec<SeccompRule>>) -> Result<BpfProgram, BackendError> {
    let refuse = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    SeccompFilter::new(allowed, refuse, SeccompAction::Allow, ARCHITECTURE)?.try_into()
}

fn filter(rules: BTreeMap<i64, Vec<SeccompRule>>, error: i32) -> Result<BpfProgram, BackendError> {
    let refuse = SeccompAction::Errno(error.unsigned_abs());
    SeccompFilter::new(rules, SeccompAction::Allow, refuse, ARCHITECTURE)?.try_into()
}

/// Kills a process that uses the second set of numbers that x86 has for the same system calls
/// (x32), which the filters don't cover.
#[cfg(target_arch = "x86_64")]
fn kill_x32_calls() -> BpfProgram {
    const X32: u32 = 0x4000_0000;
    let instruction = |code, jt, jf, k| seccompiler::sock_filter { code, jt, jf, k };
    vec![
        // Load the number of the call; if it is at least this, kill, else allow (bpf(4)).
        instruction((libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16, 0, 0, 0),
        instruction((libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16, 0, 1, X32),
        instruction((libc::BPF_RET | libc::BPF_K) as u16, 0, 0, libc::SECCOMP_RET_KILL_PROCESS),
        instruction((libc::BPF_RET | libc::BPF_K) as u16, 0, 0, libc::SECCOMP_RET_ALLOW),
    ]
}

#[cfg(not(target_arch = "x86_64"))]
fn kill_x32_calls() -> BpfProgram {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that calls of this and newer kernels may have.
    const CALL_NUMBERS: std::ops::Range<i64> = 0..1024;

    /// Calls by which the kernel itself returns from a probe, and which kill any other caller
    /// (`uretprobe` and `uprobe` of x86).
    const KERNEL_CALLS: [i64; 2] = [335, 336];

    /// Number of these calls that the filters don't refuse, tried in a child process.
    fn allowed_count(filters: &Filters, calls: &[i64]) -> i32 {
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
        for needs in [SessionNeeds::default(), SessionNeeds { local: true, unix_sockets: true }] {
            let allowed: Vec<i64> = allowed::allowed_calls(needs).collect();
            let others: Vec<i64> = CALL_NUMBERS
                .filter(|call| !allowed.contains(call) && !KERNEL_CALLS.contains(call))
                .collect();
            assert!(others.len() > 700);
            let filters = Filters::new(needs).unwrap();
            assert_eq!(allowed_count(&filters, &others), 0);
            assert_eq!(allowed_count(&filters, &[libc::SYS_getpid, libc::SYS_reboot]), 1);
        }
    }
}
