//! A secret is seen by rclone and nobody else.

use plakbox_tests::place::{files_below, finish, within};
use plakbox_tests::web::{Page, Web};
use plakbox_tests::{Place, processes};
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

const MARKER: &str = "MARKER-4711-SECRET";

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
        assert!(!guest_memory_holds(id, MARKER.as_bytes()), "the guest's memory holds the secret");
    }
    let mut found = 0;
    for path in files_below(&place.state()) {
        if fs::read(&path).is_ok_and(|bytes| contains(&bytes, MARKER.as_bytes())) {
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

/// Looks through the linear memories of wasmtime: what is accessible is followed by
/// gigabytes of address space that aren't.
fn guest_memory_holds(id: u32, needle: &[u8]) -> bool {
    let maps = fs::read_to_string(format!("/proc/{id}/maps")).unwrap();
    let mut memory = File::open(format!("/proc/{id}/mem")).unwrap();
    let (mut found, mut holds) = (false, false);
    let mut accessible: Vec<(u64, u64)> = Vec::new();
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (start, end) = words.next().unwrap().split_once('-').unwrap();
        let [start, end] = [start, end].map(|text| u64::from_str_radix(text, 16).unwrap());
        let permissions = words.next().unwrap();
        if accessible.last().is_some_and(|(_, last)| *last != start) {
            accessible.clear();
        }
        if permissions.starts_with("rw") {
            accessible.push((start, end));
            continue;
        }
        let reserved = permissions == "---p" && end - start > 3 << 30;
        for (start, end) in accessible.drain(..).filter(|_| reserved) {
            let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
            memory.seek(SeekFrom::Start(start)).unwrap();
            memory.read_exact(&mut bytes).unwrap();
            found |= contains(&bytes, b"rclone's listing");
            holds |= contains(&bytes, needle);
        }
    }
    assert!(found, "the guest's memory was not found:\n{maps}");
    holds
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}
