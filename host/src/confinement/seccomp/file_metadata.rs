//! Modes of files, of which Landlock has no rights, as it has none of owners, times and
//! attributes: rclone could change those of any file of the user it runs as.

use seccompiler::SeccompRule;
use std::collections::BTreeMap;

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

/// What of them is said to be done.
pub fn feigned() -> BTreeMap<i64, Vec<SeccompRule>> {
    FEIGNED.iter().map(|call| (*call, Vec::new())).collect()
}
