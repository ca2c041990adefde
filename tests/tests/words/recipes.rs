//! README's recipes work as they are written.

use plakbox_tests::env::run;
use plakbox_tests::faulty_http_server::{Page, Web};
use plakbox_tests::{Run, TestEnv, tools};
use std::fs;

/// The indented block of README that begins with this line.
#[track_caller]
fn block(beginning: &str) -> String {
    let readme = fs::read_to_string(tools::repository().join("README.md")).unwrap();
    let lines = readme.lines().skip_while(|line| line.trim() != beginning);
    let block = lines.take_while(|line| line.starts_with("    "));
    let block: String = block.map(|line| format!("{}\n", &line[4..])).collect();
    assert!(!block.is_empty(), "README has no block that begins with `{beginning}`");
    block
}

#[test]
fn plakbox_is_in_path_after_the_documented_command() {
    let place = TestEnv::new();
    let line = block("mkdir -p ~/.local/bin");
    run(place.command("sh").args(["-c", &line])).good();
    let path = format!("{}/.local/bin", place.path("home").display());
    run(place.command("/bin/sh").args(["-c", "plakbox help"]).env("PATH", path))
        .good()
        .says("renew");
}

/// Runs the recipe for cron as cron does: what it prints is mailed.
fn cron(place: &TestEnv) -> Run {
    let recipe = block("#!/bin/sh").replace("/var/backups", &place.store());
    run(place.command("sh").args(["-c", &recipe.replace("@myphotos", "@web")]))
}

#[test]
fn cron_is_silent_after_a_whole_backup_and_shows_what_failed_after_any_other() {
    let (place, web) = (TestEnv::new(), Web::new());
    web.put("good", Page::new("good"));
    place.remote("web", &[("type", "http"), ("url", &web.url)]);
    place.import("web");
    let run = cron(&place).good();
    assert_eq!(run.text, "");
    // Plakar itself ends well then.
    web.put("bad", Page { gone: true, ..Page::new("bad") });
    place.backup("@web").good().says("1 error");
    cron(&place).bad("/bad").says("404 Not Found");
    place.plakar(["source", "unset", "web", "rclone_url"]).good();
    cron(&place).bad("unsupported protocol scheme");
}
