//! Whatever a snapshot or a component wants to have written, a restore touches nothing
//! outside its destination.

use plakbox_tests::env::files_below;
use plakbox_tests::plugin::{Acknowledgement, Exporter, FileInfo, Record};
use plakbox_tests::{TestEnv, processes, tools};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Go's bits for a directory and a symbolic link in a file's mode.
const DIRECTORY: u32 = 1 << 31;
const SYMLINK: u32 = 1 << 27;

fn record(path: &str, mode: u32, size: i64) -> Record {
    let name = path.rsplit('/').next().unwrap_or_default().to_owned();
    let info = FileInfo { name, size, mode, ..FileInfo::default() };
    Record {
        pathname: path.to_owned(),
        has_reader: mode & (DIRECTORY | SYMLINK) == 0,
        file_info: Some(info),
        ..Record::default()
    }
}

/// The replies of an exporter to these records, each file with a content of four bytes, and
/// how it ends.
async fn restored(
    place: &TestEnv,
    destination: &str,
    records: Vec<Record>,
    arguments: &[String],
) -> (Vec<Acknowledgement>, Result<(), String>) {
    restored_in(1, place, destination, records, arguments).await
}

/// The same with contents of this many times four bytes, in as many chunks.
async fn restored_in(
    chunks: usize,
    place: &TestEnv,
    destination: &str,
    records: Vec<Record>,
    arguments: &[String],
) -> (Vec<Acknowledgement>, Result<(), String>) {
    let backend = if destination.starts_with('/') { "local" } else { "memory" };
    let location = format!("rclone://{destination}");
    let config = [("location", location.as_str()), ("rclone_type", backend)];
    let exporter = match Exporter::start_with(place, &config, arguments).await {
        Ok(exporter) => exporter,
        Err(status) => return (Vec::new(), Err(status.message().to_owned())),
    };
    let (packets, mut results) = exporter.split();
    let sending = tokio::spawn(async move {
        for record in records {
            let file = record.has_reader;
            packets.record(record).await;
            if file {
                for _ in 0..chunks {
                    packets.chunk("evil".into()).await;
                }
                packets.chunk("".into()).await;
            }
        }
    });
    let mut answers = Vec::new();
    let end = loop {
        match results.next().await {
            Ok(Some(answer)) => answers.push(answer),
            Ok(None) => break Ok(()),
            Err(status) => break Err(status.message().to_owned()),
        }
    };
    sending.abort();
    (answers, end)
}

/// Files of a place, apart from the destination and the home.
fn outside(place: &TestEnv) -> Vec<PathBuf> {
    let mut files = files_below(&place.path(""));
    files.retain(|file| {
        !file.starts_with(place.path("target")) && !file.starts_with(place.path("home"))
    });
    files.sort();
    files
}

fn with_target() -> (TestEnv, String) {
    let place = TestEnv::bare();
    fs::create_dir(place.path("target")).unwrap();
    fs::write(place.path("neighbour"), "mine").unwrap();
    let target = place.path("target").display().to_string();
    (place, target)
}

#[tokio::test]
async fn a_snapshot_s_paths_never_lead_out_of_the_destination() {
    let (place, target) = with_target();
    let before = outside(&place);
    let long = format!("/{}", "x".repeat(5000));
    for path in [
        "/../neighbour",
        "/a/../../neighbour",
        "../neighbour",
        "neighbour/..",
        "",
        "//neighbour",
        "/a//b",
        "/./a",
        "/a\0b",
        "/．．/neighbour",
        "/‛．．/neighbour",
        "/a／..／..／neighbour",
        &long,
    ] {
        let (answers, end) = restored(&place, &target, vec![record(path, 0o644, 4)], &[]).await;
        let refused = end.is_err() || answers.iter().any(|answer| !answer.error.is_empty());
        assert!(refused, "{path:?}: {answers:?}");
        assert_eq!(outside(&place), before, "{path:?}");
        assert_eq!(fs::read(place.path("neighbour")).unwrap(), b"mine", "{path:?}");
    }
}

#[tokio::test]
async fn a_refused_file_of_many_chunks_holds_up_no_other() {
    let (place, target) = with_target();
    let records = vec![record("/../neighbour", 0o644, 400), record("/after", 0o644, 400)];
    let restoring = restored_in(100, &place, &target, records, &[]);
    let (answers, end) = tokio::time::timeout(Duration::from_secs(60), restoring).await.unwrap();
    let refused: Vec<_> = answers.iter().filter(|answer| !answer.error.is_empty()).collect();
    assert!(end.is_err() && refused.len() == 1, "{end:?} {answers:?}");
    assert_eq!(fs::read(place.path("target/after")).unwrap(), b"evil".repeat(100));
    assert_eq!(fs::read(place.path("neighbour")).unwrap(), b"mine");
}

#[tokio::test]
async fn a_link_in_the_destination_leads_nowhere() {
    let (place, target) = with_target();
    fs::create_dir(place.path("private")).unwrap();
    symlink(place.path("private"), place.path("target/out")).unwrap();
    symlink(place.path("neighbour"), place.path("target/file")).unwrap();
    let records = vec![
        record("/out", DIRECTORY | 0o755, 0),
        record("/out/stolen", 0o644, 4),
        record("/file", 0o644, 4),
        record("/good", 0o644, 4),
    ];
    let (_, end) = restored(&place, &target, records, &[]).await;
    assert!(end.is_err(), "{end:?}");
    assert!(files_below(&place.path("private")).is_empty());
    assert_eq!(fs::read(place.path("neighbour")).unwrap(), b"mine");
    assert_eq!(fs::read(place.path("target/good")).unwrap(), b"evil");
}

#[tokio::test]
async fn a_snapshot_s_links_are_not_made_and_not_followed() {
    let (place, target) = with_target();
    let link = Record {
        target: place.path("").display().to_string(),
        ..record("/link", SYMLINK | 0o777, 0)
    };
    let records = vec![link, record("/link/stolen", 0o644, 4)];
    let (answers, _) = restored(&place, &target, records, &[]).await;
    assert!(answers.iter().any(|answer| !answer.error.is_empty()), "{answers:?}");
    assert!(!place.path("stolen").exists());
    assert!(!place.path("target/link").is_symlink());
}

#[tokio::test]
async fn sizes_that_are_lies_or_unknown_fail_and_leave_no_file() {
    let (place, target) = with_target();
    for size in [i64::MAX, 5, 3, 0, 1 << 40, -1] {
        let (answers, end) =
            restored(&place, &target, vec![record("/file", 0o644, size)], &[]).await;
        assert!(end.is_err(), "{size}: {answers:?}");
        assert!(!place.path("target/file").exists(), "{size}");
    }
}

#[tokio::test]
async fn a_component_that_writes_can_t_name_what_lies_outside_or_fill_the_disk() {
    let (place, _) = with_target();
    let before = outside(&place);
    let component = ["--component".to_owned(), tools::rogue().display().to_string()];
    for (what, said) in [
        ("out-up", "is not a path below the remote's root"),
        ("out-absolute", "is not a path below the remote's root"),
        ("out-link", "is neither a file with content nor a directory without"),
        ("out-batches", "a session may have 64 batches at the same time"),
        ("out-flood", "a batch may hold 268435456 bytes at most"),
        ("out-write", "wasm trap"),
        ("out-finish", "wasm trap"),
        ("out-open", "wasm trap"),
    ] {
        let records = vec![record("/file", 0o644, 4)];
        let (answers, end) = restored(&place, what, records, &component).await;
        let errors: Vec<_> = answers.into_iter().map(|answer| answer.error).collect();
        let text = format!("{errors:?} {end:?}");
        assert!(end.is_err() && text.contains(said), "{what}: {text}");
        assert_eq!(outside(&place), before, "{what}");
    }
}

#[tokio::test]
async fn plakar_waits_while_a_component_reads_nothing_of_what_it_has() {
    let place = TestEnv::bare();
    place.policy(
        "[limits]\nbuffers = \"32MiB\"\n[[allow]]\nbackends = [\"memory\"]\nuse = [\"exporter\"]\n",
    );
    let component = ["--component".to_owned(), tools::rogue().display().to_string()];
    let config = [("location", "rclone://out-hoard"), ("rclone_type", "memory")];
    let exporter = Exporter::start_with(&place, &config, &component).await.unwrap();
    let (packets, _results) = exporter.split();
    let mut taken = 0;
    let all = async {
        while taken < 200 {
            packets.record(record(&format!("/{taken}"), 0o644, 1 << 20)).await;
            packets.chunk(vec![7; 1 << 20].into()).await;
            packets.chunk("".into()).await;
            taken += 1;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(3), all).await.is_err(), "all is taken");
    // Some more MiB lie in windows of HTTP/2.
    assert!((30..50).contains(&taken), "{taken} MiB");
}

#[tokio::test]
async fn a_component_that_never_ends_a_restore_is_stopped() {
    let place = TestEnv::bare();
    place.policy(
        "[limits]\nwall-time = \"3s\"\n[[allow]]\nbackends = [\"memory\"]\nuse = [\"exporter\"]\n",
    );
    let component = ["--component".to_owned(), tools::rogue().display().to_string()];
    let start = Instant::now();
    let records = vec![record("/file", 0o644, 4)];
    let (_, end) = restored(&place, "out-never", records, &component).await;
    assert!(end.unwrap_err().contains("the policy lets a session last 3s"));
    assert!(start.elapsed() < Duration::from_secs(30));
    assert!(processes::rclones_end(&place.path("")));
}
