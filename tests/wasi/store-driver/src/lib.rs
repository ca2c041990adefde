//! Driver of a store: calls it as Plakar would, step by step, and checks the results against a
//! scenario. The last argument is the scenario's name. Without a name, all names are printed.
//!
//! - [`contents`]: contents, created and read
//! - [`steps`]: the steps of a session

mod contents;
mod steps;

/// The contract's types and functions, generated from `wit/`.
mod bindings {
    wit_bindgen::generate!({
        path: ["../../../wit", "../wit"],
        world: "plakar:wasi-tests/store-driver",
        with: { "plakar:connector/types@0.2.0": scenarios::types },
        generate_all,
    });
}

use scenarios::{Act, Check, Scenario, list};
use std::fs;

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
    let Act::Store(steps) = &scenario.act else {
        return vec![Check::that("it is a store's", false, "it has another driver")];
    };
    let mut checks = steps::run(scenario, steps, &place).await;
    let calls = fs::read_to_string(place.join("calls")).unwrap_or_default();
    checks.extend(scenario.judge_calls(&calls));
    checks
}

bindings::export!(Driver with_types_in bindings);
