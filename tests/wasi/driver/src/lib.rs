//! Does with a connector what Plakar would, and compares what it sees with what the
//! scenario promises. The last argument names the scenario; without one, the names are
//! printed.
//!
//! - [`session`]: opening, and what the contract's types mean here
//! - [`backup`], [`restore`]: Plakar's two ways
//! - [`own`]: scenarios that need code of their own

mod backup;
mod own;
mod restore;
mod session;

mod bindings {
    wit_bindgen::generate!({
        path: ["../../../wit", "../wit"],
        world: "plakar:wasi-tests/driver",
        generate_all,
    });
}

use scenarios::{Act, Check, Scenario, list};
use std::fs;
use std::path::Path;

struct Driver;

impl bindings::exports::wasi::cli::run::Guest for Driver {
    async fn run() -> Result<(), ()> {
        let name = std::env::args().skip(1).last().unwrap_or_default();
        let Some(scenario) = list::find(&name) else {
            list::all().for_each(|(name, _)| println!("{name}"));
            return if name.is_empty() { Ok(()) } else { Err(()) };
        };
        let checks = checks(&name, &scenario).await;
        for Check { promise, broken } in &checks {
            match broken {
                None => println!("kept    {promise}"),
                Some(why) => println!("BROKEN  {promise}: {why}"),
            }
        }
        let failed = checks.iter().filter(|check| check.broken.is_some()).count();
        println!("{name}: {} passed, {failed} failed", checks.len() - failed);
        if failed == 0 { Ok(()) } else { Err(()) }
    }
}

async fn checks(name: &str, scenario: &Scenario) -> Vec<Check> {
    let place = list::place(name);
    // It is a scenario's own: an earlier run left it.
    let _ = fs::remove_dir_all(&place);
    scenario.lay(&place.join("remote")).unwrap();
    let mut checks = match &scenario.act {
        Act::Backup(plan) => backup::run(scenario, plan).await,
        Act::Restore(plan) => restore::run(scenario, plan, &place.join("remote")).await,
        Act::Own => own::run(name, scenario).await,
    };
    checks.extend(calls(&place, scenario).await);
    checks
}

/// Compares what the fake was called for with what was promised. What was given up may
/// take a while to end.
async fn calls(place: &Path, scenario: &Scenario) -> Vec<Check> {
    for _ in 0..20 {
        let calls = fs::read_to_string(place.join("calls")).unwrap_or_default();
        let checks = scenario.judge_calls(&calls);
        if checks.iter().all(|check| check.broken.is_none()) {
            return checks;
        }
        session::wait(50).await;
    }
    scenario.judge_calls(&fs::read_to_string(place.join("calls")).unwrap_or_default())
}

bindings::export!(Driver with_types_in bindings);
