//! Measures what plakbox costs by itself, with a program in rclone's place that lists
//! as many entries as it is told to, and prints a table.
//!
//! `bench_alone [ROUNDS]`

use plakbox_tests::stats::median;
use plakbox_tests::{TestEnv, processes, tools};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

const ENTRIES: u64 = 1_000_000;

/// Time that `plakbox ls` takes to list a remote, and its peak memory.
fn list(place: &TestEnv, remote: &str) -> (Duration, u64) {
    let mut command = place.command(tools::plakbox());
    command.env("PLAKBOX_RCLONE", tools::probe()).args(["ls", remote]).stdout(Stdio::null());
    let start = Instant::now();
    let mut child = command.spawn().unwrap();
    let mut memory = 0;
    let status = loop {
        memory = memory.max(processes::peak_memory(child.id()));
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None => thread::sleep(Duration::from_micros(200)),
        }
    };
    assert!(status.success(), "plakbox can't list `{remote}`");
    (start.elapsed(), memory)
}

/// The median of the times, in seconds, and the most memory of all.
fn rounds(count: usize, place: &TestEnv, remote: &str) -> (f64, u64) {
    let (times, memory): (Vec<_>, Vec<_>) = (0..count).map(|_| list(place, remote)).unzip();
    (median(times), memory.into_iter().max().unwrap_or_default())
}

fn main() {
    let count = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(3).max(1);
    let place = TestEnv::bare();
    place.remote("nothing", &[("type", "memory"), ("try_entries", "0")]);
    place.remote("million", &[("type", "memory"), ("try_entries", &ENTRIES.to_string())]);
    let (start, little) = rounds(count, &place, "nothing:");
    let (seconds, much) = rounds(count, &place, "million:");
    let package = std::fs::metadata(tools::package()).unwrap().len();
    println!("| plakbox alone | median of {count} |");
    println!("| --- | --- |");
    let row = |what: &str, figure: String| println!("| {what} | {figure} |");
    row("start and end, with an rclone that lists nothing", format!("{:.0} ms", start * 1000.0));
    row("most memory of that", format!("{} MiB", little >> 20));
    row(&format!("a listing of {ENTRIES} entries, from pipe to pipe"), format!("{seconds:.2} s"));
    row("", format!("{:.0} entries/s", f64::from(u32::try_from(ENTRIES).unwrap()) / seconds));
    row("most memory of that", format!("{} MiB", much >> 20));
    row("the package", format!("{:.1} MB", f64::from(u32::try_from(package).unwrap()) / 1e6));
}
