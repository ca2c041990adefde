//! A secret is seen by rclone and nobody else.

use plakbox_tests::place::{files_below, finish, within};
use plakbox_tests::web::{Page, Web};
use plakbox_tests::{Place, processes, searched};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

const MARKER: &str = "MARKER-4711-SECRET";

/// What is in the guest's memory for certain.
const LISTING: &str = "rclone's listing";

#[test]
fn a_secret_is_in_no_log_no_argument_no_readable_file_and_not_in_the_guest() {
    let (place, web) = (Place::new(), Web::new());
    web.put("file", Page { stalls: Duration::from_secs(3), ..Page::new("content").chunked() });
    let token = format!("{{\"access_token\":\"{MARKER}-a\",\"refresh_token\":\"{MARKER}-r\"}}");
    place.remote(
        "web",
        &[("type", "http"), ("url", &web.url), ("token", &token), ("secret_access_key", MARKER)],
    );
    place.import("web");
    let start = Instant::now();
    let mut command = place.backup_command("@web");
    command.env("PLAKBOX_LOG", "plakbox=trace").stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    assert!(within(Duration::from_secs(30), || !web.reads().is_empty()));

    for id in processes::find("", "") {
        assert!(!processes::command_line(id).contains(MARKER), "{}", processes::command_line(id));
    }
    for id in processes::plakboxes(&place.path("")) {
        let guest = searched::components(id, &[MARKER, LISTING]);
        assert_eq!(guest, [[LISTING]], "the guest's memory holds the secret");
    }
    let mut found = 0;
    for path in files_below(&place.state()) {
        if !searched::found(&fs::read(&path).unwrap_or_default(), &[MARKER]).is_empty() {
            found += 1;
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{} can be read by others", path.display());
        }
    }
    assert_eq!(found, 1, "the private configuration, and nothing else");
    assert_eq!(fs::metadata(place.state()).unwrap().permissions().mode() & 0o077, 0);

    let run = place.note(finish(child, start)).good();
    assert!(!run.text.contains(MARKER), "{}", run.text);
    assert!(run.text.contains("INFO plakbox"), "the log must have been on:\n{}", run.text);
    let origin = place.plakar(["at", &place.store(), "info", &place.last()]).good();
    assert!(!origin.text.contains(MARKER), "{}", origin.text);
}
