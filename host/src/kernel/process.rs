//! What one process has of this machine.

use std::fs;
use std::io::{self, Read};

/// How much is read of the list of a process's mappings: they are 65,530 at most, of a
/// hundred bytes or so.
const MAPPINGS: u64 = 8 << 20;

/// What one process has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Process {
    /// Bytes of memory that are there because of it: its own, what it could share, and what
    /// the kernel needs to map them.
    pub memory: u64,
    /// Threads.
    pub tasks: u64,
}

/// What a process has at present; none, where it is gone or the system doesn't tell
/// (proc_pid_status(5)).
pub fn of(pid: i32) -> Option<Process> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    // What was released with `madvise` of shared memory is mapped and in no count, and there.
    Some(process(&status, shared(&mappings(pid).unwrap_or_default())))
}

/// The mappings of a process (proc_pid_maps(5)). Who isn't its user, or where it has seen to
/// that, isn't told.
pub fn mappings(pid: i32) -> io::Result<String> {
    let mut text = Vec::new();
    fs::File::open(format!("/proc/{pid}/maps"))?.take(MAPPINGS).read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn process(status: &str, shared: u64) -> Process {
    let number = |name: &str| {
        let value = status.lines().find_map(|line| line.strip_prefix(name))?;
        value.split_whitespace().next()?.parse::<u64>().ok()
    };
    let bytes = |name: &str| number(name).unwrap_or_default().saturating_mul(1 << 10);
    let own = ["RssAnon:", "VmSwap:", "VmPTE:", "HugetlbPages:"].map(bytes);
    let memory = own.into_iter().sum::<u64>().saturating_add(bytes("RssShmem:").max(shared));
    Process { memory, tasks: number("Threads:").unwrap_or_default() }
}

/// How large its memory is that others could share: of no file, or of `/dev/zero`, which comes
/// to the same, whatever it is called.
fn shared(mappings: &str) -> u64 {
    let size = |line: &str| {
        let mapping = Mapping::of(line)?;
        let is_shared = mapping.mode.as_bytes().get(3) == Some(&b's');
        let is_of_none =
            mapping.path.starts_with("/dev/zero") || mapping.path.starts_with("[anon_shmem");
        (is_shared && is_of_none).then_some(mapping.size)
    };
    mappings.lines().filter_map(size).fold(0, u64::saturating_add)
}

/// One of a process's mappings.
pub struct Mapping<'a> {
    mode: &'a str,
    size: u64,
    pub inode: u64,
    pub path: &'a str,
}

impl<'a> Mapping<'a> {
    pub fn of(line: &'a str) -> Option<Self> {
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

    const STATUS: &str = "Name:\tx\nVmPTE:\t      10 kB\nVmSwap:\t       1 kB\nRssAnon:\t     100 kB\nRssFile:\t    9999 kB\nRssShmem:\t      20 kB\nThreads:\t7\n";
    const MAPS: &str = "7f0000000000-7f0000010000 rw-s 00000000 00:01 1042                       /dev/zero (deleted)\n\
        7f0000010000-7f0000014000 rw-s 00000000 00:01 7                          [anon_shmem:name]\n\
        7f1000000000-7f1000100000 rw-p 00000000 00:00 0 \n\
        7f2000000000-7f2000100000 r--s 00000000 fe:00 12                         /a file (deleted)\n";

    #[test]
    fn memory_is_what_is_its_own_and_what_it_could_share_mapped_or_resident() {
        assert_eq!(process(STATUS, 0), Process { memory: (111 + 20) << 10, tasks: 7 });
        assert_eq!(shared(MAPS), 0x14000);
        assert_eq!(process(STATUS, shared(MAPS)).memory, (111 + 80) << 10);
        let mapping = Mapping::of(MAPS.lines().last().unwrap()).unwrap();
        assert_eq!((mapping.inode, mapping.path), (12, "/a file (deleted)"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_memory_and_threads() {
        let us = of(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(us.memory > 1 << 20 && us.tasks > 0, "{us:?}");
        assert_eq!(of(i32::MAX), None);
    }
}
