//! Running processes, and their state in /proc.

use crate::env::within;
use rustix::process::{Pid, Signal};
use std::fs;
use std::path::Path;
use std::time::Duration;

/// The processes whose command line holds both texts, apart from this one.
pub fn find(first: &str, second: &str) -> Vec<u32> {
    let numbers = fs::read_dir("/proc").unwrap().flatten();
    numbers
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|id| *id != std::process::id())
        .filter(|id| {
            let line = command_line(*id);
            line.contains(first) && line.contains(second)
        })
        .collect()
}

/// The arguments of a process, separated by spaces; empty once it has ended.
pub fn command_line(id: u32) -> String {
    let bytes = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ")
}

/// The rclone processes that work for this place.
pub fn rclones(place: &Path) -> Vec<u32> {
    find("rclone", place.to_str().unwrap())
        .into_iter()
        .filter(|id| command_line(*id).contains("--use-json-log"))
        .collect()
}

/// Whether all the rclone processes of this place end within a moment: the kernel ends what
/// is killed in its own time, which on a busy machine is after its parent's end.
pub fn rclones_end(place: &Path) -> bool {
    within(Duration::from_secs(5), || rclones(place).is_empty())
}

/// The plakbox processes of this place.
pub fn plakboxes(place: &Path) -> Vec<u32> {
    find("bin/plakbox ", place.to_str().unwrap())
}

/// All that a process has started, and what they have.
pub fn descendants(id: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten();
    let children: Vec<u32> = tasks
        .filter_map(|task| fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|text| text.split_whitespace().flat_map(str::parse).collect::<Vec<_>>())
        .collect();
    children.iter().flat_map(|child| descendants(*child)).chain(children.clone()).collect()
}

/// Kills a process group that a child of this process leads.
pub fn kill_group(leader: u32) {
    if let Some(leader) = i32::try_from(leader).ok().and_then(Pid::from_raw) {
        let _ = rustix::process::kill_process_group(leader, Signal::KILL);
    }
}

/// Sends SIGKILL to a process.
pub fn kill(id: u32) {
    signal(id, Signal::KILL);
}

/// Sends SIGINT to a process.
pub fn interrupt(id: u32) {
    signal(id, Signal::INT);
}

/// Sends SIGTERM to a process.
pub fn terminate(id: u32) {
    signal(id, Signal::TERM);
}

/// Sends SIGHUP to a process.
pub fn hang_up(id: u32) {
    signal(id, Signal::HUP);
}

fn signal(id: u32, signal: Signal) {
    if let Some(id) = i32::try_from(id).ok().and_then(Pid::from_raw) {
        let _ = rustix::process::kill_process(id, signal);
    }
}

/// As whom a process runs; nothing once it has ended.
pub fn user(id: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The memory that a process has, in bytes; 0 once it has ended.
pub fn memory(id: u32) -> u64 {
    status(id, "VmRSS:")
}

/// The memory that a process has, in bytes, where what several share is divided among them
/// (proc_pid_smaps(5)); 0 once it has ended.
pub fn share_of_memory(id: u32) -> u64 {
    field(&format!("/proc/{id}/smaps_rollup"), "Pss:")
}

/// Number of files and connections that a process has open.
pub fn open_files(id: u32) -> usize {
    fs::read_dir(format!("/proc/{id}/fd")).map_or(0, Iterator::count)
}

/// Number of threads of a process.
pub fn threads(id: u32) -> usize {
    fs::read_dir(format!("/proc/{id}/task")).map_or(0, Iterator::count)
}

/// The most memory that a process had at once, in bytes; 0 once it has ended.
pub fn peak_memory(id: u32) -> u64 {
    status(id, "VmHWM:")
}

fn status(id: u32, name: &str) -> u64 {
    field(&format!("/proc/{id}/status"), name)
}

/// A number of kB in a file of /proc, in bytes.
fn field(file: &str, name: &str) -> u64 {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or_default() * 1024
}
