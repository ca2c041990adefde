//! The counters of a session are those of its traffic.

use plakbox_tests::env::run;
use plakbox_tests::{TestEnv, tools, tree};

#[test]
fn the_bytes_of_restored_small_files_are_counted() {
    let place = TestEnv::new();
    let source = place.directory_remote("source");
    for number in 0..10 {
        tree::file(&source.join(format!("{number}")), &[b'x'; 1000], tree::time(1));
    }
    place.backup("rclone://source:").good();
    place.directory_remote("target");
    let audit = place.path("audit.jsonl");
    place.policy(&format!(
        "[audit]\nfile = {audit:?}\n[[allow]]\nbackends = [\"alias\", \"local\"]\n\
         use = [\"exporter\"]\ndirectories = [{:?}]\n",
        place.path("")
    ));
    place.restore("rclone://target:").good();
    let log = std::fs::read_to_string(audit).unwrap();
    let events = log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let session = events.into_iter().find(|event| event["event"] == "session").unwrap();
    assert_eq!(session["bytes_in"], 10_000, "{log}");
    run(place.command(tools::plakbox()).args(["audit", "show", "audit.jsonl"])).good();
}
