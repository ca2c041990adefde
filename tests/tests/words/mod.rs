//! Words lead to what works: each error names the mistake, and each command that one
//! advises is run as it was read.

mod counted;
mod finding;
mod imports;
mod mistakes;
mod network;
mod parts;
mod recipes;
mod renewal;
mod terminal;

use plakbox_tests::TestEnv;
use plakbox_tests::env::run;
use std::fs;

/// The command in backticks that a message has after these words.
#[track_caller]
fn advised(text: &str, after: &str) -> String {
    let (_, rest) = text.split_once(after).unwrap_or_else(|| panic!("no `{after}`:\n{text}"));
    let (_, command) = rest.split_once('`').unwrap_or_else(|| panic!("no command:\n{text}"));
    command.split_once('`').unwrap().0.to_owned()
}

/// Runs a command as a person does who has read it.
fn shell(place: &TestEnv, command: &str) -> plakbox_tests::Run {
    run(place.command("sh").args(["-c", command]))
}

/// Plakar's sources or destinations.
fn known(place: &TestEnv, kind: &str) -> String {
    fs::read_to_string(place.path("home/.config/plakar").join(format!("{kind}s.yml"))).unwrap()
}
