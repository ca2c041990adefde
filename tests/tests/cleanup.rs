//! However a run ends, nothing stays behind, and the next one works.

use plakbox_tests::env::{files_below, finish, within};
use plakbox_tests::faulty_http_server::{Page, Web};
use plakbox_tests::{TestEnv, processes};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Time limit for the start of a read, and for the end of all processes.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A remote on which a backup hangs for a while, and the backup at that point.
fn hanging(web: &Web, place: &TestEnv) -> (std::process::Child, Instant) {
    web.put("file", Page { stalls: Duration::from_secs(120), ..Page::new("content").chunked() });
    place.remote("web", &[("type", "http"), ("url", &web.url)]);
    place.import("web");
    let start = Instant::now();
    let mut command = place.backup_command("@web");
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let here = place.path("");
    assert!(within(TIMEOUT, || !web.reads().is_empty()), "the backup doesn't read");
    assert!(!processes::rclones(&here).is_empty() && !processes::plakboxes(&here).is_empty());
    (child, start)
}

/// Nothing may run or lie around, at the latest after another start.
fn nothing_stays(web: &Web, place: &TestEnv) {
    let here = place.path("");
    assert!(within(TIMEOUT, || processes::rclones(&here).is_empty()), "rclone still runs");
    assert!(within(TIMEOUT, || processes::plakboxes(&here).is_empty()), "plakbox still runs");
    web.put("file", Page::new("content").chunked());
    place.backup("@web").good();
    let left: Vec<_> = files_below(&place.state())
        .into_iter()
        .filter(|path| !path.ends_with("rclone-version") && *path != place.state().join("lock"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(place.content("/file"), b"content");
}

#[test]
fn interrupting_plakar_leaves_nothing() {
    let (place, web) = (TestEnv::new(), Web::new());
    let (child, start) = hanging(&web, &place);
    processes::interrupt(child.id());
    assert!(!finish(child, start).soon().ok);
    nothing_stays(&web, &place);
}

#[test]
fn killing_plakar_leaves_nothing() {
    let (place, web) = (TestEnv::new(), Web::new());
    let (child, start) = hanging(&web, &place);
    processes::kill(child.id());
    assert!(!finish(child, start).soon().ok);
    nothing_stays(&web, &place);
}

#[test]
fn killing_plakbox_fails_the_run_and_leaves_nothing() {
    let (place, web) = (TestEnv::new(), Web::new());
    let (child, start) = hanging(&web, &place);
    processes::plakboxes(&place.path("")).into_iter().for_each(processes::kill);
    assert!(!finish(child, start).soon().ok, "a backup without its connector can't succeed");
    nothing_stays(&web, &place);
}

#[test]
fn a_rewritten_configuration_is_kept_even_when_everything_is_killed() {
    let (place, web) = (TestEnv::new(), Web::new());
    let (child, start) = hanging(&web, &place);
    // As rclone does when it has refreshed a token.
    let config =
        files_below(&place.state()).into_iter().find(|path| path.ends_with("rclone.conf")).unwrap();
    let refreshed = std::fs::read_to_string(&config).unwrap() + "token = refreshed\n";
    std::fs::write(&config, &refreshed).unwrap();
    processes::plakboxes(&place.path("")).into_iter().for_each(processes::kill);
    finish(child, start);
    web.put("file", Page::new("content").chunked());
    place.backup("@web").good();
    assert_eq!(std::fs::read_to_string(&config).unwrap(), refreshed);
    // Installing the package again keeps it, and what was imported.
    place.plakar(["pkg", "rm", "rclone"]).good();
    place.plakar(["pkg", "add", plakbox_tests::tools::package().to_str().unwrap()]).good();
    place.backup("@web").good();
    assert_eq!(std::fs::read_to_string(&config).unwrap(), refreshed);
}
