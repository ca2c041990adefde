//! Driver of a connector: calls it as Plakar would, and checks the results against a scenario.
//! The last argument is the scenario's name. Without a name, all names are printed.
//!
//! - [`backup`], [`restore`]: what Plakar does
//! - [`contents`]: contents, read to their ends
//! - [`custom`]: scenarios that need code of their own

mod backup;
mod contents;
mod custom;
mod restore;

/// The contract's types and functions, generated from `wit/`.
mod bindings {
    wit_bindgen::generate!({
        path: ["../../../wit", "../wit"],
        world: "plakar:wasi-tests/driver",
        with: { "plakar:connector/types@0.2.0": scenarios::types },
        generate_all,
    });
}

use bindings::wasi::clocks::monotonic_clock::wait_for;
use scenarios::{Act, Check, Scenario, list};
use std::fs;
use std::path::Path;

/// Interval between two reads of the calls, in milliseconds.
const POLL_INTERVAL_MS: u64 = 50;

/// Maximum number of these reads.
const MAX_POLLS: usize = 20;

struct Driver;

impl bindings::exports::wasi::cli::run::Guest for Driver {
    async fn run() -> Result<(), ()> {
        let name = std::env::args().skip(1).last().unwrap_or_default();
        let Some(scenario) = list::find(&name) else {
            list::all().for_each(|(name, _)| println!("{name}"));
            return if name.is_empty() { Ok(()) } else { Err(()) };
        };
        if scenarios::report(&name, &checks(&name, &scenario).await) { Ok(()) } else { Err(()) }
    }
}

/// Prepares and runs a scenario.
async fn checks(name: &str, scenario: &Scenario) -> Vec<Check> {
    let place = list::place(name);
    // Left by an earlier run of the scenario.
    let _ = fs::remove_dir_all(&place);
    scenario.lay(&place.join("remote")).unwrap();
    let mut checks = match &scenario.act {
        Act::Backup(plan) => backup::run(scenario, plan).await,
        Act::Restore(plan) => restore::run(scenario, plan, &place.join("remote")).await,
        Act::Custom => custom::run(name, scenario).await,
        Act::Store(_) => vec![Check::that("it is a store's", false, "it has another driver")],
    };
    checks.extend(check_calls(&place, scenario).await);
    checks
}

/// Checks the calls of the fake rclone. A cancelled call may need some time to end.
async fn check_calls(place: &Path, scenario: &Scenario) -> Vec<Check> {
    for _ in 0..MAX_POLLS {
        let calls = fs::read_to_string(place.join("calls")).unwrap_or_default();
        let checks = scenario.judge_calls(&calls);
        if checks.iter().all(|check| check.broken.is_none()) {
            return checks;
        }
        wait(POLL_INTERVAL_MS).await;
    }
    scenario.judge_calls(&fs::read_to_string(place.join("calls")).unwrap_or_default())
}

/// Waits for a number of milliseconds.
async fn wait(milliseconds: u64) {
    wait_for(milliseconds * 1_000_000).await;
}

bindings::export!(Driver with_types_in bindings);
