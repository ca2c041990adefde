//! Comparisons: several ways to do the same work, interleaved in one run, with their medians.

use std::process::Command;
use std::time::Duration;

use crate::env::run;
use crate::stats::{Peaks, median};

/// One way to do the work of a case.
pub struct Way<'a> {
    name: &'static str,
    run: Box<dyn FnMut(usize) -> Duration + 'a>,
}

/// Makes a way.
pub fn way<'a>(name: &'static str, run: impl FnMut(usize) -> Duration + 'a) -> Way<'a> {
    Way { name, run: Box::new(run) }
}

/// Runs a command that must succeed.
pub fn timed(command: &mut Command) -> Duration {
    run(command).good().took
}

/// Runs every way in turn, several times, and prints a row for each.
pub fn case(name: &str, rounds: usize, mut ways: Vec<Way<'_>>) {
    let memory = Peaks::of_memory();
    let mut took: Vec<Vec<Duration>> = vec![Vec::new(); ways.len()];
    for round in 0..rounds {
        for (at, way) in ways.iter_mut().enumerate() {
            took[at].push((way.run)(round));
        }
    }
    let [own, all] = memory.stop();
    let medians: Vec<_> = took.into_iter().map(median).collect();
    for (way, median) in ways.iter().zip(&medians) {
        let ratio = medians[0] / median;
        println!("| {name} | {} | {median:.2} s | {ratio:.2} |", way.name);
    }
    println!(
        "| {name} | plakbox's memory, with its rclones | {} MiB, {} MiB | |",
        own >> 20,
        all >> 20
    );
}
