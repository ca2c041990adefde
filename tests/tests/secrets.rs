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
    command.env("PLAKBOX_LOG", "trace").stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    assert!(within(Duration::from_secs(5), || !web.reads().is_empty()));

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

    let run = finish(child, start).good();
    assert!(!run.text.contains(MARKER), "{}", run.text);
    assert!(run.text.contains("DEBUG"), "the log must have been on:\n{}", run.text);
    let origin = place.plakar(["at", &place.store(), "info", &place.last()]).good();
    assert!(!origin.text.contains(MARKER), "{}", origin.text);
}

/// Looks through the linear memories of wasmtime: they are the large anonymous
/// mappings that are reserved with guard pages around them.
fn guest_memory_holds(id: u32, needle: &[u8]) -> bool {
    let maps = fs::read_to_string(format!("/proc/{id}/maps")).unwrap();
    let mut memory = File::open(format!("/proc/{id}/mem")).unwrap();
    let lines: Vec<_> = maps.lines().collect();
    let mut looked = 0;
    let mut holds = false;
    for pair in lines.windows(2) {
        let range = |line: &str| {
            let (start, end) = line.split_whitespace().next()?.split_once('-')?;
            Some((u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?))
        };
        let (Some((start, end)), Some((next, last))) = (range(pair[0]), range(pair[1])) else {
            continue;
        };
        // Four gibibytes of address space follow what is accessible.
        let reserved = pair[1].contains("---p") && end == next && last - next > 3 << 30;
        if !reserved || !pair[0].contains("rw") {
            continue;
        }
        looked += 1;
        let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
        memory.seek(SeekFrom::Start(start)).unwrap();
        memory.read_exact(&mut bytes).unwrap();
        assert!(contains(&bytes, b"rclone's listing"), "this isn't the guest's memory");
        holds |= contains(&bytes, needle);
    }
    assert!(looked > 0, "no linear memory was found:\n{maps}");
    holds
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}
