//! Limits on the resources of a process (setrlimit(2)).

use rustix::process::{Resource, Rlimit, setrlimit};
use std::io;
use std::sync::Arc;

use super::Profile;

/// Grace period of a process that has used up its processor time. At the limit it receives SIGXCPU,
/// which a Go program ignores, and then it is killed.
const CPU_GRACE_SECS: u64 = 1;

/// Number of threads of an rclone process, on average over all processes of one user: far more than
/// Go starts. The limit of a single process is enforced by the resource watchdog.
pub const MAX_THREADS_PER_PROCESS: u64 = 256;

/// Limits, ready to be applied.
#[derive(Clone)]
pub struct Rlimits(Arc<[(Resource, u64)]>);

impl Rlimits {
    /// The limits of a profile.
    pub fn new(profile: &Profile) -> Self {
        let limits = &profile.limits;
        let memory = limits.rclone_memory.map(|size| size.as_u64());
        let cpu = limits.rclone_cpu.map(|time| time.as_secs().max(1));
        let files = limits.open_files.map(u64::from);
        let disk = limits.temporary_disk.map(|size| size.as_u64());
        // Other processes of the user would count as well.
        let tasks = profile.owner.and(profile.owner_processes);
        let all = [
            // A core dump would have secrets in it.
            Some((Resource::Core, 0)),
            memory.map(|bytes| (Resource::Data, bytes)),
            cpu.map(|seconds| (Resource::Cpu, seconds)),
            files.map(|count| (Resource::Nofile, count)),
            tasks.map(|processes| {
                (Resource::Nproc, processes.saturating_mul(MAX_THREADS_PER_PROCESS))
            }),
            disk.filter(|_| !profile.large_files).map(|bytes| (Resource::Fsize, bytes)),
        ];
        Self(all.into_iter().flatten().collect())
    }

    /// Applies the limits to the calling process. Allocates nothing.
    ///
    /// # Errors
    ///
    /// The kernel refuses a limit.
    pub fn apply(&self) -> io::Result<()> {
        for (resource, limit) in self.0.iter() {
            let have = rustix::process::getrlimit(*resource);
            // A stricter limit stays.
            let stricter = |limit: u64| have.maximum.map_or(limit, |have| have.min(limit));
            let grace = if *resource == Resource::Cpu { CPU_GRACE_SECS } else { 0 };
            let (current, maximum) = (stricter(*limit), stricter(limit.saturating_add(grace)));
            setrlimit(*resource, Rlimit { current: Some(current), maximum: Some(maximum) })?;
        }
        Ok(())
    }
}
