//! Memory stays flat, whatever the number and size of files.

use plakbox_tests::{TestEnv, processes};
use std::fs::{self, File};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

/// Maximum of plakbox's resident memory, in bytes.
const MAX_RESIDENT_BYTES: u64 = 150 << 20;

#[test]
fn many_files_and_a_huge_one_fit_in_little_memory() {
    let place = TestEnv::new();
    let source = place.directory_remote("source");
    for number in 0..20_000 {
        let directory = source.join(format!("{}", number % 100));
        if number < 100 {
            fs::create_dir(&directory).unwrap();
        }
        fs::write(directory.join(format!("{number}")), format!("{number}")).unwrap();
    }
    let huge = File::create(source.join("huge")).unwrap();
    huge.set_len(1 << 30).unwrap();
    place.import("source");
    let mut command = place.backup_command("@source");
    let mut child = command.stdout(Stdio::null()).spawn().unwrap();
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        for id in processes::plakboxes(&place.path("")) {
            peak = peak.max(processes::peak_memory(id));
        }
        thread::sleep(Duration::from_millis(50));
    }
    assert!(child.wait().unwrap().success());
    assert!(peak > 0 && peak < MAX_RESIDENT_BYTES, "{} MiB", peak >> 20);
}
