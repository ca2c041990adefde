//! A measurement of what confinement costs: how much later rclone starts, and how fast it outputs
//! bytes. `just bench-confinement` prints it.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{Confinement, Profile, Scheduling};
use crate::policy::{Limits, Ports};

/// The largest delay of rclone's start.
const MAX_START_DELAY: Duration = Duration::from_millis(30);

/// Number of bytes that are read.
const READ_BYTES: usize = 256 << 20;

fn rclone() -> PathBuf {
    std::env::split_paths(&std::env::var_os("PATH").unwrap())
        .map(|directory| directory.join("rclone"))
        .find(|path| path.is_file())
        .expect("rclone is in PATH")
}

/// Runs rclone to its end, confined or not. Returns how long it took with all preparations, and how
/// much it printed.
fn run(profile: Option<&Profile>, args: &[&Path]) -> (Duration, usize) {
    let (start, rclone) = (Instant::now(), rclone());
    let mut command = Command::new(&rclone);
    command.args(args).env_clear().env("HOME", "/").current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    match profile {
        Some(profile) => Confinement::prepare(&rclone, profile)
            .unwrap()
            .confine(&mut command, Scheduling::default())
            .unwrap(),
        // Without a closure, a program starts in a different way, which matters more than all of
        // the confinement does.
        None => drop(unsafe { command.pre_exec(|| Ok(())) }),
    }
    let mut child = command.spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let (mut buffer, mut count) = (vec![0; 1 << 20], 0);
    loop {
        match stdout.read(&mut buffer).unwrap() {
            0 => break,
            read => count += read,
        }
    }
    assert!(child.wait().unwrap().success());
    (start.elapsed(), count)
}

/// The processor time of ended children of this process (proc_pid_stat(5)), in ticks, of which a
/// second has 100.
fn ticks_of_children() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    // The name before it may contain spaces and brackets.
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let fields: Vec<_> = fields.split_whitespace().collect();
    fields[13..=14].iter().map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}

/// The cost of one way: the median duration of its runs, and the processor time of all.
struct Cost {
    median: Duration,
    processors: Duration,
}

impl Cost {
    /// The costs of running confined and unconfined, alternately.
    fn of_both(runs: usize, profile: &Profile, args: &[&Path]) -> [Self; 2] {
        let (mut took, mut ticks) = ([Vec::new(), Vec::new()], [0, 0]);
        for run_at in 0..runs {
            let ways = [Some(profile), None];
            // The second run finds warm caches, so they alternate.
            for at in [run_at % 2, 1 - run_at % 2] {
                let before = ticks_of_children();
                took[at].push(run(ways[at], args).0);
                ticks[at] += ticks_of_children() - before;
            }
        }
        [0, 1].map(|at| {
            took[at].sort_unstable();
            let processors = Duration::from_millis(10 * ticks[at]);
            Self { median: took[at][runs / 2], processors: processors / runs as u32 }
        })
    }
}

#[test]
#[ignore = "it measures, which takes a quiet machine: just bench-confinement"]
fn rclone_starts_within_30_ms_and_reads_as_fast_as_without_confinement() {
    let rounds = std::env::var("PLAKBOX_ROUNDS").ok().and_then(|it| it.parse().ok()).unwrap_or(5);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, vec![7; READ_BYTES]).unwrap();
    let profile = Profile {
        read: [directory.path().to_owned()].into(),
        ports: Ports::ANY,
        limits: Limits::built_in(),
        ..Profile::default()
    };
    let cat = [Path::new("cat"), file.as_path()];
    assert_eq!(run(Some(&profile), &cat).1, READ_BYTES);

    println!("| what | confined | not confined | |");
    println!("| --- | --- | --- | --- |");
    let [ours, plain] = Cost::of_both(20 * rounds, &profile, &[Path::new("version")]);
    let later = ours.median.saturating_sub(plain.median);
    let [our, their] = [ours.median, plain.median];
    println!("| rclone version | {our:.1?} | {their:.1?} | {later:.1?} later |");
    assert!(later < MAX_START_DELAY, "{later:?}");
    let [ours, plain] = Cost::of_both(20 * rounds, &profile, &cat);
    for (what, our, their) in [
        ("rclone cat, 256 MiB", ours.median, plain.median),
        ("its processors' time", ours.processors, plain.processors),
    ] {
        let ratio = our.as_secs_f64() / their.as_secs_f64();
        println!("| {what} | {our:.1?} | {their:.1?} | {ratio:.3} |");
    }
}
