//! How much of each resource a process may use.

use rustix::process::{Resource, Rlimit, setrlimit};
use std::io;
use std::sync::Arc;

use super::Granted;

/// How long a process that has used up its processor time may go on, in seconds: at the
/// limit it is told so, which a Go program doesn't hear, and then it is killed.
const LAST_WORDS: u64 = 1;

/// How many threads an rclone process may have, on average over all that one user has: far
/// more than Go starts. One of them is held to its own number by `held`.
pub const THREADS: u64 = 256;

/// Limits, ready to be set.
#[derive(Clone)]
pub struct Limits(Arc<[(Resource, u64)]>);

impl Limits {
    pub fn of(granted: &Granted) -> Self {
        let limits = &granted.limits;
        let memory = limits.rclone_memory.map(|size| size.as_u64());
        let cpu = limits.rclone_cpu.map(|time| time.as_secs().max(1));
        let files = limits.open_files.map(u64::from);
        let disk = limits.temporary_disk.map(|size| size.as_u64());
        // Where the user has other processes, too, they would count as well.
        let tasks = granted.owner.and(granted.processes_of_owner);
        let all = [
            // Its memory has secrets in it.
            Some((Resource::Core, 0)),
            memory.map(|bytes| (Resource::Data, bytes)),
            cpu.map(|seconds| (Resource::Cpu, seconds)),
            files.map(|count| (Resource::Nofile, count)),
            tasks.map(|processes| (Resource::Nproc, processes.saturating_mul(THREADS))),
            disk.filter(|_| !granted.large_files).map(|bytes| (Resource::Fsize, bytes)),
        ];
        Self(all.into_iter().flatten().collect())
    }

    /// Sets them for the calling process. Allocates nothing.
    pub fn apply(&self) -> io::Result<()> {
        for (resource, most) in self.0.iter() {
            let have = rustix::process::getrlimit(*resource);
            // Where there is a stricter limit already, it stays.
            let stricter = |most: u64| have.maximum.map_or(most, |have| have.min(most));
            let last = if *resource == Resource::Cpu { LAST_WORDS } else { 0 };
            let (current, maximum) = (stricter(*most), stricter(most.saturating_add(last)));
            setrlimit(*resource, Rlimit { current: Some(current), maximum: Some(maximum) })?;
        }
        Ok(())
    }
}
