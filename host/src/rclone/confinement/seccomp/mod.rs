//! System calls that rclone never makes, and whoever took it over would.
//!
//! rclone is one process for as long as it lives: it starts no other and leaves its group
//! alone, so that ending it ends all of it.
//!
//! - [`sockets`]: which kinds of them
//! - [`attributes`]: what Landlock doesn't see of files

mod attributes;
mod sockets;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch,
};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

/// Refused with "operation not permitted", whatever their arguments.
const REFUSED: &[i64] = &[
    // other processes
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    // leaving the group that is killed
    libc::SYS_setsid,
    libc::SYS_setpgid,
    // the scheduling of others, which a process of the same user may change
    libc::SYS_setpriority,
    libc::SYS_ioprio_set,
    libc::SYS_sched_setattr,
    libc::SYS_sched_setparam,
    libc::SYS_sched_setscheduler,
    libc::SYS_sched_setaffinity,
    // answering the network: rclone is started for one answer on its pipes
    libc::SYS_listen,
    // programs that aren't files, which Landlock doesn't see
    libc::SYS_execveat,
    libc::SYS_memfd_create,
    libc::SYS_memfd_secret,
    // memory, queues and locks that it would share with others, and that would outlive it
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_shmctl,
    libc::SYS_semget,
    libc::SYS_semop,
    libc::SYS_semtimedop,
    libc::SYS_semctl,
    libc::SYS_msgget,
    libc::SYS_msgsnd,
    libc::SYS_msgrcv,
    libc::SYS_msgctl,
    libc::SYS_mq_open,
    libc::SYS_mq_unlink,
    // other views of files
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    libc::SYS_fanotify_init,
    // the kernel's larger surfaces
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_userfaultfd,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_personality,
    // the whole machine
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_syslog,
];

/// Starting a process the old way, where the architecture has it.
#[cfg(target_arch = "x86_64")]
const FORKS: &[i64] = &[libc::SYS_fork, libc::SYS_vfork];
#[cfg(not(target_arch = "x86_64"))]
const FORKS: &[i64] = &[];

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: TargetArch = TargetArch::x86_64;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: TargetArch = TargetArch::aarch64;

/// What a session needs beside what each of them does.
#[derive(Debug, Clone, Copy, Default)]
pub struct Needs {
    /// To set the times of files.
    pub times: bool,
    /// To connect to sockets that are files.
    pub unix_sockets: bool,
}

/// Filters, ready to be installed.
#[derive(Clone)]
pub struct Filters(Arc<[BpfProgram]>);

impl Filters {
    pub fn new(needs: Needs) -> Result<Self, BackendError> {
        let mut refused: BTreeMap<i64, Vec<SeccompRule>> =
            REFUSED.iter().chain(FORKS).map(|call| (*call, Vec::new())).collect();
        // A thread is no process.
        let thread = libc::CLONE_THREAD as u64;
        refused.insert(
            libc::SYS_clone,
            vec![rule([argument(0, SeccompCmpOp::MaskedEq(thread), 0)?])?],
        );
        // It would outlive us.
        refused.insert(
            libc::SYS_prctl,
            vec![rule([argument(0, SeccompCmpOp::Eq, libc::PR_SET_PDEATHSIG as u64)?])?],
        );
        // The limits of others; its own it can only lower.
        refused.insert(libc::SYS_prlimit64, vec![rule([argument(0, SeccompCmpOp::Ne, 0)?])?]);
        refused.extend(sockets::refused(needs)?);
        refused.extend(attributes::refused(needs));
        // Its arguments can't be looked at; without it, libraries use `clone`.
        let unknown = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
        let filters = [
            other_numbers(),
            filter(refused, libc::EPERM)?,
            filter(unknown, libc::ENOSYS)?,
            filter(attributes::feigned(), 0)?,
        ];
        Ok(Self(filters.into()))
    }

    /// Installs them in the calling process. Allocates nothing.
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
