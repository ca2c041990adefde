//! Memory and threads of one process.

use std::fs;
use std::io::{self, Read};

/// Maximum size of the list of a process's mappings that is read: at most 65,530 lines of
/// about a hundred bytes.
const MAX_MAPPINGS_BYTES: u64 = 8 << 20;

/// Resource usage of one process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProcessUsage {
    /// Memory that exists because of it, in bytes: private memory, shared memory that belongs
    /// to no file, and page tables.
    pub memory: u64,
    /// Number of threads.
    pub tasks: u64,
}

/// Measures a process (proc_pid_status(5)). `None` if it has ended, or if the system has no
/// such file.
pub fn measure(pid: i32) -> Option<ProcessUsage> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    // Shared memory that was released with `madvise` still exists and is still mapped, but
    // isn't in any count of the status.
    Some(parse_status(&status, shared_memory(&mappings(pid).unwrap_or_default())))
}

/// Reads the mappings of a process (proc_pid_maps(5)).
///
/// # Errors
///
/// The process has ended, or belongs to a different user, or has made itself unreadable.
pub fn mappings(pid: i32) -> io::Result<String> {
    let mut text = Vec::new();
    fs::File::open(format!("/proc/{pid}/maps"))?.take(MAX_MAPPINGS_BYTES).read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Parses the status of a process with at least `shared` bytes of shared memory.
fn parse_status(status: &str, shared: u64) -> ProcessUsage {
    let number = |name: &str| {
        let value = status.lines().find_map(|line| line.strip_prefix(name))?;
        value.split_whitespace().next()?.parse::<u64>().ok()
    };
    let bytes = |name: &str| number(name).unwrap_or_default().saturating_mul(1 << 10);
    let own = ["RssAnon:", "VmSwap:", "VmPTE:", "HugetlbPages:"].map(bytes);
    let memory = own.into_iter().sum::<u64>().saturating_add(bytes("RssShmem:").max(shared));
    ProcessUsage { memory, tasks: number("Threads:").unwrap_or_default() }
}

/// Size of the mapped shared memory that belongs to no file, in bytes. Mappings of `/dev/zero`
/// are such memory as well.
fn shared_memory(mappings: &str) -> u64 {
    let size = |line: &str| {
        let mapping = Mapping::parse(line)?;
        let is_shared = mapping.mode.as_bytes().get(3) == Some(&b's');
        let is_anonymous =
            mapping.path.starts_with("/dev/zero") || mapping.path.starts_with("[anon_shmem");
        (is_shared && is_anonymous).then_some(mapping.size)
    };
    mappings.lines().filter_map(size).fold(0, u64::saturating_add)
}

/// One memory mapping of a process.
pub struct Mapping<'a> {
    mode: &'a str,
    size: u64,
    pub inode: u64,
    pub path: &'a str,
}

impl<'a> Mapping<'a> {
    /// Parses one line of `/proc/PID/maps`.
    pub fn parse(line: &'a str) -> Option<Self> {
        let mut words = line.splitn(6, ' ');
        let (from, to) = words.next()?.split_once('-')?;
        let address = |text: &str| u64::from_str_radix(text, 16).ok();
        let size = address(to)?.saturating_sub(address(from)?);
        let mode = words.next()?;
        let inode = words.nth(2)?.parse().ok()?;
        Some(Self { mode, size, inode, path: words.next().unwrap_or_default().trim_start() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "Name:\tx\nVmPTE:\t      10 kB\nVmSwap:\t       1 kB\n\
                          RssAnon:\t     100 kB\nRssFile:\t    9999 kB\nRssShmem:\t      20 kB\n\
                          Threads:\t7\n";
    const MAPS: &str = "7f0000000000-7f0000010000 rw-s 00000000 00:01 1042                       /dev/zero (deleted)\n\
        7f0000010000-7f0000014000 rw-s 00000000 00:01 7                          [anon_shmem:name]\n\
        7f1000000000-7f1000100000 rw-p 00000000 00:00 0 \n\
        7f2000000000-7f2000100000 r--s 00000000 fe:00 12                         /a file (deleted)\n";

    #[test]
    fn memory_is_what_is_its_own_and_what_it_could_share_mapped_or_resident() {
        assert_eq!(parse_status(STATUS, 0), ProcessUsage { memory: (111 + 20) << 10, tasks: 7 });
        assert_eq!(shared_memory(MAPS), 0x14000);
        assert_eq!(parse_status(STATUS, shared_memory(MAPS)).memory, (111 + 80) << 10);
        let mapping = Mapping::parse(MAPS.lines().last().unwrap()).unwrap();
        assert_eq!((mapping.inode, mapping.path), (12, "/a file (deleted)"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_memory_and_threads() {
        let us = measure(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(us.memory > 1 << 20 && us.tasks > 0, "{us:?}");
        assert_eq!(measure(i32::MAX), None);
    }
}
