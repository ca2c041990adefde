//! Changes of file modes. Landlock has no rights for modes, owners, times and attributes, so that
//! rclone could change those of any file of its user.

use seccompiler::SeccompRule;
use std::collections::BTreeMap;

/// Calls that do nothing and report success. rclone sets the mode that its new configuration
/// already has, and would report an error each time.
const FAKED_SUCCESS: &[i64] = &[
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chmod,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    // fchmodat2, the same everywhere, which libc doesn't name on every architecture
    // (include/uapi/asm-generic/unistd.h)
    452,
];

/// The rules for these calls.
pub fn faked_rules() -> BTreeMap<i64, Vec<SeccompRule>> {
    FAKED_SUCCESS.iter().map(|call| (*call, Vec::new())).collect()
}
