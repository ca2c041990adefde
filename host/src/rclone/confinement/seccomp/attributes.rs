//! Modes, owners, times and attributes of files, of which Landlock has no rights: without
//! this, rclone could change those of any file of the user it runs as.

use seccompiler::SeccompRule;
use std::collections::BTreeMap;

use super::Needs;

/// Refused: rclone keeps none of them, as it isn't asked for metadata.
const REFUSED: &[i64] = &[
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lchown,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    // setxattrat, removexattrat and file_setattr (include/uapi/asm-generic/unistd.h)
    463,
    466,
    469,
];

/// Refused, unless a directory of this machine is backed up or restored to.
const TIMES: &[i64] = &[
    #[cfg(target_arch = "x86_64")]
    libc::SYS_utime,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_utimes,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_futimesat,
    libc::SYS_utimensat,
];

/// Said to be done, and not done. rclone gives its new configuration the mode that it has
/// already, and would complain of an error each time.
const FEIGNED: &[i64] = &[
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chmod,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    // fchmodat2, the same everywhere, which libc doesn't name on every architecture
    // (include/uapi/asm-generic/unistd.h)
    452,
];

/// What of them is refused.
pub fn refused(needs: Needs) -> BTreeMap<i64, Vec<SeccompRule>> {
    let times = TIMES.iter().filter(|_| !needs.times);
    REFUSED.iter().chain(times).map(|call| (*call, Vec::new())).collect()
}

/// What of them is said to be done.
pub fn feigned() -> BTreeMap<i64, Vec<SeccompRule>> {
    FEIGNED.iter().map(|call| (*call, Vec::new())).collect()
}
