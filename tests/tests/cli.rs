//! plakbox explains itself to a person, and works without Plakar.

use plakbox_tests::env::run;
use plakbox_tests::{TestEnv, tools, tree};

#[test]
fn help_says_what_it_is() {
    let place = TestEnv::bare();
    run(place.command(tools::plakbox()).arg("--help"))
        .good()
        .says("plugin of the backup tool Plakar")
        .says("inspect")
        .says("PLAKBOX_RCLONE");
}

#[test]
fn ls_and_cat_drive_the_connector() {
    let place = TestEnv::bare();
    let source = place.directory_remote("source");
    tree::file(&source.join("a/file"), b"content of it", tree::time(0));
    run(place.command(tools::plakbox()).args(["ls", "source:"]))
        .good()
        .says("13  2001-09-09 01:46:40  /a/file");
    run(place.command(tools::plakbox()).args(["ls", "source:a"])).good().says("/a/file");
    let cat = run(place.command(tools::plakbox()).args(["cat", "source:a/file"])).good();
    assert_eq!(cat.text, "content of it");
    run(place.command(tools::plakbox()).args(["cat", "source:a/none"]))
        .bad("file not found; help: check the path");
    run(place.command(tools::plakbox()).args(["cat", "none"]))
        .bad("names no remote; help: use NAME:path/file");
    run(place.command(tools::plakbox()).args(["ls", ":local:/etc"]))
        .bad("connection strings are refused");
}

#[test]
fn started_in_a_terminal_it_says_what_it_expects() {
    let place = TestEnv::bare();
    // script(1) gives it a terminal.
    let program = format!("{} importer", tools::plakbox().display());
    run(place.command("script").args(["-qec", &program, "/dev/null"])).soon().bad(
        "this is a plugin that plakar starts by itself; help: install the package with `plakar pkg add`",
    );
}

#[test]
fn started_without_pipes_it_says_what_it_expects() {
    let place = TestEnv::bare();
    run(place.command(tools::plakbox()).arg("exporter"))
        .soon()
        .bad("stdin and stdout must be pipes");
}
