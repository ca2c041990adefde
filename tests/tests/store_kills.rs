//! However a backup to a store is killed, no object is incomplete, the next backup and a check
//! succeed, and the lock of another machine stays.

use fastrand::Rng;
use plakbox_tests::env::{files_below, finish, within};
use plakbox_tests::{TestEnv, processes, tree};
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Number of kills, unless `PLAKBOX_ROUNDS` sets another one.
const ROUNDS: u64 = 50;

/// Number of rounds between two checks of the whole store.
const CHECK_INTERVAL: u64 = 10;

/// Maximum of the time from the start of a backup to the kill: a whole backup takes about as long.
const MAX_DELAY_MILLIS: u64 = 900;

/// Time after which Plakar's daemon of caches has ended, without another job.
///
/// Source: the flag `-teardown` of `plakar cached`, 5 seconds.
const DAEMON_TEARDOWN: Duration = Duration::from_secs(8);

/// Time limit for Plakar to recover from a kill.
const PLAKAR_TIMEOUT: Duration = Duration::from_secs(60);

/// The program that is killed.
#[derive(Debug, Clone, Copy)]
enum Victim {
    Plakar,
    Plakbox,
    Rclone,
}

const VICTIMS: [Victim; 3] = [Victim::Plakar, Victim::Plakbox, Victim::Rclone];

/// Lists the objects of a store all the time. The size of one must never change.
struct Watcher {
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<Vec<String>>,
}

impl Watcher {
    fn start(store: PathBuf) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = thread::spawn(move || {
            let (mut sizes, mut errors) = (HashMap::new(), Vec::new());
            while !stopped.load(Ordering::Relaxed) {
                for (path, size) in objects(&store) {
                    let first = *sizes.entry(path.clone()).or_insert(size);
                    if first != size {
                        errors.push(format!("{} had {first} bytes, now {size}", path.display()));
                    }
                }
                thread::sleep(Duration::from_millis(1));
            }
            errors
        });
        Self { stop, thread }
    }

    /// Stops, and fails if an object changed its size.
    #[track_caller]
    fn finish(self) {
        self.stop.store(true, Ordering::Relaxed);
        assert_eq!(self.thread.join().unwrap(), Vec::<String>::new());
    }
}

/// The objects of a store under their final names, with their sizes.
fn objects(store: &Path) -> Vec<(PathBuf, u64)> {
    let is_object = |path: &PathBuf| path.file_name().is_some_and(|name| name.len() == 64);
    let files = ["packfiles", "states"].into_iter().flat_map(|kind| files_below(&store.join(kind)));
    let sized = |path: PathBuf| fs::metadata(&path).ok().map(|metadata| (path, metadata.len()));
    files.filter(is_object).filter_map(sized).collect()
}

fn locks(store: &Path) -> Vec<PathBuf> {
    files_below(&store.join("locks"))
}

/// A user of the store in `directory`, which is `kept:` in its rclone.conf.
fn user(directory: &Path) -> TestEnv {
    let place = TestEnv::new();
    place.remote("kept", &[("type", "alias"), ("remote", directory.to_str().unwrap())]);
    place
}

const STORE: &str = "rclone://kept:";

/// Starts a backup of changed files, and kills the victim after a moment.
fn kill_during_backup(place: &TestEnv, random: &mut Rng, round: u64) {
    change(place, random, round);
    let start = Instant::now();
    let mut command = place.command(plakbox_tests::tools::plakar());
    command.args(["at", STORE, "backup", place.path("files").to_str().unwrap()]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    thread::sleep(Duration::from_millis(random.u64(..MAX_DELAY_MILLIS)));
    match VICTIMS[usize::try_from(round % 3).unwrap()] {
        Victim::Plakar => processes::kill(child.id()),
        Victim::Plakbox => {
            processes::plakboxes(&place.path("")).into_iter().for_each(processes::kill);
        }
        Victim::Rclone => {
            processes::rclones(&place.path("")).into_iter().for_each(processes::kill);
        }
    }
    // It may have been done before, or have survived the end of an rclone.
    finish(child, start);
    assert!(processes::rclones_end(&place.path("")), "rclone survives in round {round}");
}

/// Changes the files that are backed up.
fn change(place: &TestEnv, random: &mut Rng, round: u64) {
    for number in 0..4 {
        let size = random.usize(..2_000_000);
        let path = place.path(&format!("files/file{number}"));
        tree::file(&path, &tree::random_bytes(random, size), tree::time(round));
    }
}

/// Whether a backup succeeds. Plakar's daemon of caches, whose plugin was killed, refuses
/// backups until it ends, some seconds after its last job; Plakar exits with 0 nevertheless.
fn backs_up(place: &TestEnv) -> bool {
    let files = place.path("files");
    let run = place.plakar(["at", STORE, "backup", files.to_str().unwrap()]);
    let is_done = run.text.contains("backup completed without errors");
    if !is_done {
        // Another job before its end would keep it.
        thread::sleep(DAEMON_TEARDOWN);
    }
    is_done
}

/// The lock that a killed backup of another machine leaves.
fn foreign_lock(store: &Path, random: &mut Rng) -> PathBuf {
    let other = user(store);
    change(&other, random, 0);
    let mut command = other.command(plakbox_tests::tools::plakar());
    command.args(["at", STORE, "backup", other.path("files").to_str().unwrap()]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    assert!(within(Duration::from_secs(30), || !locks(store).is_empty()), "there is no lock");
    processes::plakboxes(&other.path("")).into_iter().for_each(processes::kill);
    processes::kill(child.id());
    child.wait().unwrap();
    locks(store).pop().expect("the lock of a killed backup stays")
}

#[test]
fn no_kill_leaves_a_short_object_or_removes_the_lock_of_another_machine() {
    let rounds = std::env::var("PLAKBOX_ROUNDS").ok().and_then(|text| text.parse().ok());
    let shelf = tempfile::tempdir().unwrap();
    let store = shelf.path().join("store");
    fs::create_dir(&store).unwrap();
    let place = user(&store);
    place.plakar(["at", STORE, "create", "-plaintext"]).good();
    let mut random = Rng::with_seed(24);
    let foreign = foreign_lock(&store, &mut random);
    let begun = Instant::now();
    let watcher = Watcher::start(store.clone());
    for round in 0..rounds.unwrap_or(ROUNDS) {
        kill_during_backup(&place, &mut random, round);
        if round % CHECK_INTERVAL == CHECK_INTERVAL - 1 {
            assert!(
                within(PLAKAR_TIMEOUT, || backs_up(&place)),
                "no backup succeeds after round {round}"
            );
            place.plakar(["at", STORE, "check"]).good();
            // Plakar itself removes a lock that is ten minutes old.
            let is_stale = begun.elapsed() > Duration::from_secs(540);
            assert!(foreign.exists() || is_stale, "the foreign lock is gone in round {round}");
            let others: Vec<_> =
                locks(&store).into_iter().filter(|lock| *lock != foreign).collect();
            assert!(others.is_empty(), "locks stay in round {round}: {others:?}");
        }
    }
    watcher.finish();
}
