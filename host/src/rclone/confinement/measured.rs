//! What confinement costs: how much later rclone starts, and how fast bytes come out of it.
//! `just bench-confinement` prints it.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{Confinement, Granted, Standing};
use crate::policy::{Limits, Ports};

/// The most that rclone may start later.
const LATER: Duration = Duration::from_millis(30);

/// How many bytes are read.
const SIZE: usize = 1 << 30;

fn rclone() -> PathBuf {
    std::env::split_paths(&std::env::var_os("PATH").unwrap())
        .map(|directory| directory.join("rclone"))
        .find(|path| path.is_file())
        .expect("rclone is in PATH")
}

/// Runs rclone to its end, confined or not; gives how long it took with all that comes
/// before, and how much it printed.
fn run(granted: Option<&Granted>, args: &[&Path]) -> (Duration, usize) {
    let (start, rclone) = (Instant::now(), rclone());
    let mut command = Command::new(&rclone);
    command.args(args).env_clear().env("HOME", "/").current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    if let Some(granted) = granted {
        Confinement::prepare(&rclone, granted)
            .unwrap()
            .confine(&mut command, Standing::default())
            .unwrap();
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

/// The medians of both, each run in turn with the other.
fn medians(rounds: usize, granted: &Granted, args: &[&Path]) -> [Duration; 2] {
    let mut took = [Vec::new(), Vec::new()];
    for round in 0..2 * rounds {
        let ways = [Some(granted), None];
        // Whoever comes second finds things warm: they take turns.
        for at in [round % 2, 1 - round % 2] {
            took[at].push(run(ways[at], args).0);
        }
    }
    took.map(|mut times| {
        times.sort_unstable();
        times[times.len() / 2]
    })
}

#[test]
#[ignore = "it measures, which takes a quiet machine: just bench-confinement"]
fn rclone_starts_within_30_ms_and_reads_as_fast_as_without_confinement() {
    let rounds = std::env::var("PLAKBOX_ROUNDS").ok().and_then(|it| it.parse().ok()).unwrap_or(5);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, vec![7; SIZE]).unwrap();
    let granted = Granted {
        read: [directory.path().to_owned()].into(),
        ports: Ports::ANY,
        limits: Limits::usual(),
        ..Granted::default()
    };
    let cat = [Path::new("cat"), file.as_path()];
    assert_eq!(run(Some(&granted), &cat).1, SIZE);

    println!("| what | confined | not confined | |");
    println!("| --- | --- | --- | --- |");
    let [ours, plain] = medians(10 * rounds, &granted, &[Path::new("version")]);
    let later = ours.saturating_sub(plain);
    println!("| rclone version | {ours:.1?} | {plain:.1?} | {later:.1?} later |");
    assert!(later < LATER, "{later:?}");
    let [ours, plain] = medians(rounds, &granted, &cat);
    let ratio = ours.as_secs_f64() / plain.as_secs_f64();
    println!("| rclone cat, 1 GiB | {ours:.2?} | {plain:.2?} | {ratio:.3} |");
}
