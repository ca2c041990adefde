//! A component that misbehaves is refused or stopped, with a clear line.

use plakbox_tests::place::run;
use plakbox_tests::{Place, Run, processes, tools};
use std::fs;

/// The rogue component at work on a remote, told by the path what to do.
fn rogue(place: &Place, what: &str) -> Run {
    let mut command = place.command(tools::plakbox());
    command.arg("--component").arg(tools::rogue()).args(["ls", &format!("remote:{what}")]);
    let run = run(&mut command);
    assert!(processes::rclones(&place.path("")).is_empty());
    run
}

fn with_remote() -> Place {
    let place = Place::bare();
    place.remote("remote", &[("type", "memory")]);
    place
}

#[test]
fn a_component_that_traps_ends_the_session() {
    rogue(&with_remote(), "trap")
        .soon()
        .bad("the connector was stopped: wasm trap: wasm `unreachable` instruction executed");
}

#[test]
fn a_component_that_loops_for_ever_is_stopped() {
    rogue(&with_remote(), "loop")
        .soon()
        .bad("the connector was stopped: it computed for 10 seconds without a pause");
}

#[test]
fn a_component_that_eats_memory_is_stopped() {
    rogue(&with_remote(), "allocate")
        .soon()
        .bad("the connector was stopped: it wanted more than its 256 MiB of memory");
}

#[test]
fn a_component_can_t_name_what_lies_outside_its_remote() {
    let place = with_remote();
    for path in [
        "..!..!etc!passwd",
        "a!..!..!b",
        "!etc!passwd",
        "a!!b",
        ".",
        "．．!．．!etc!passwd",
        "a／..／..／b",
    ] {
        let shown = path.replace('!', "/");
        rogue(&place, path).soon().bad(&format!("`{shown}` is not a path below the remote's root"));
    }
}

#[test]
fn a_component_that_imports_more_is_refused_with_the_import_s_name() {
    let place = with_remote();
    for import in [
        "wasi:sockets/tcp@0.2.0",
        "wasi:filesystem/types@0.2.6",
        "wasi:http/outgoing-handler@0.2.0",
    ] {
        let text = format!("(component (import \"{import}\" (instance)))");
        let path = place.path("greedy.wasm");
        fs::write(&path, wat::parse_str(text).unwrap()).unwrap();
        let refusal = format!("it imports `{import}`, which no connector is granted");
        let mut command = place.command(tools::plakbox());
        run(command.arg("--component").arg(&path).args(["ls", "remote:"])).soon().bad(&refusal);
        let mut command = place.command(tools::plakbox());
        run(command.arg("inspect").arg(&path))
            .soon()
            .says(&format!("imports {import}  (refused)"))
            .bad(&refusal);
    }
}

#[test]
fn what_is_no_component_is_refused() {
    let place = with_remote();
    fs::write(place.path("text.wasm"), "hello").unwrap();
    let mut command = place.command(tools::plakbox());
    run(command.arg("--component").arg(place.path("text.wasm")).args(["ls", "remote:"]))
        .soon()
        .bad("is no component that can be run");
    let mut command = place.command(tools::plakbox());
    run(command.args(["--component", "/nowhere.wasm", "ls", "remote:"]))
        .soon()
        .bad("`/nowhere.wasm` can't be read");
}

#[test]
fn the_package_s_component_would_be_run() {
    let place = with_remote();
    let mut command = place.command(tools::plakbox());
    run(command.arg("inspect").arg(tools::component()))
        .good()
        .says("imports plakar:connector/rclone@0.1.0")
        .says("it would be run");
}
