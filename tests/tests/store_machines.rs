//! Two machines that use one store at the same time lose nothing.

use fastrand::Rng;
use plakbox_tests::env::finish;
use plakbox_tests::repository::{Repository, objects};
use plakbox_tests::{TestEnv, servers, tree};
use std::fs;
use std::process::Stdio;
use std::time::Instant;

/// Number of rounds, unless `PLAKBOX_ROUNDS` says otherwise.
const ROUNDS: u64 = 4;

/// A machine that has the served directory as `kept:`.
fn machine(server: &servers::Server) -> TestEnv {
    let place = TestEnv::new();
    servers::webdav_remote(&place, "kept", server);
    place
}

#[test]
fn a_backup_and_maintenance_at_the_same_time_lose_nothing() {
    let rounds = std::env::var("PLAKBOX_ROUNDS").ok().and_then(|text| text.parse().ok());
    let rounds = rounds.unwrap_or(ROUNDS);
    let served = TestEnv::bare();
    fs::create_dir(served.path("served")).unwrap();
    let server = servers::serve(&served, "webdav", &served.path("served"));
    let (first, second) = (machine(&server), machine(&server));
    let backups = Repository::created(&first, "rclone://kept:kloset");
    let maintenance = Repository::at(&second, "rclone://kept:kloset");
    let source = first.path("source");
    let mut successes = 0;
    for round in 0..rounds {
        // Files that are in each snapshot, and files that maintenance finds unused later.
        for number in 0..20 {
            let bytes = tree::random_bytes(&mut Rng::with_seed(round * 100 + number), 300_000);
            tree::file(&source.join(format!("file {number}")), &bytes, tree::time(round));
        }
        let started = Instant::now();
        let mut ends = Vec::new();
        let source_name = source.to_str().unwrap();
        for (repository, args) in
            [(&backups, &["backup", source_name][..]), (&maintenance, &["maintenance"])]
        {
            let mut command = repository.command(args);
            ends.push(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
        }
        let mut ends = ends.into_iter().map(|child| finish(child, started));
        let (backup, maintained) = (ends.next().unwrap(), ends.next().unwrap());
        for run in [&backup, &maintained] {
            // Plakar itself rarely ends with a bare `EOF` here, and names no reason.
            let gives_way = run.text.contains("lock") || run.text.contains(": EOF");
            assert!(run.ok || gives_way, "round {round}: {}", run.text);
        }
        if backup.ok {
            successes += 1;
            backups.note(backup);
            backups.assert_restored(&source, &format!("restored {round}"));
        }
        let left = objects(&served.path("served/kloset"), "locks");
        assert_eq!(left, [], "round {round}");
    }
    // Each of them goes on when the other one has ended.
    maintenance.plakar(&["maintenance"]).good();
    backups.backup(&source).good();
    backups.assert_restored(&source, "restored at the end");
    backups.assert_sound();
    let listed = backups.plakar(&["ls"]).good().text;
    assert_eq!(listed.lines().count(), successes + 1, "{listed}");
}
