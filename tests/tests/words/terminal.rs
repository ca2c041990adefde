//! In a terminal nothing is said but what there is to say.

use plakbox_tests::env::run;
use plakbox_tests::{Run, TestEnv, tools};

/// Runs a command in a pseudo-terminal of its own, as the leader of its session.
fn in_terminal(place: &TestEnv, line: &str) -> Run {
    run(place.command("script").args(["-qec", line, "/dev/null"]))
}

#[test]
fn a_command_says_its_output_alone() {
    let place = TestEnv::with_source();
    let run = in_terminal(&place, &format!("{} ls source:", tools::plakbox().display())).good();
    let lines: Vec<_> = run.text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert!(lines.iter().all(|line| line.contains("  /")), "{}", run.text);
}

#[test]
fn a_backup_that_leads_its_session_says_what_plakar_says() {
    let place = TestEnv::with_source();
    let line = format!("exec {} at {} backup @source", tools::plakar().display(), place.store());
    for _ in 0..5 {
        let run = in_terminal(&place, &line).good();
        for noise in ["tracing-subscriber", "stopped", "plakbox:"] {
            assert!(!run.text.contains(noise), "{}", run.text);
        }
    }
    place.plakar(["at", &place.store(), "ls"]).good();
}
