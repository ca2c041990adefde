//! However files are restored, refused, cut short and given up at the same time, each
//! one arrives whole, or fails by name and leaves nothing under its name.

use fastrand::Rng;
use plakbox_tests::plugin::{Exporter, FileInfo, Packets, Record, Results};
use plakbox_tests::servers::{self, Server};
use plakbox_tests::tree::random_bytes;
use plakbox_tests::{TestEnv, latency_proxy, seeded};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Go's bit for a directory in a file's mode.
const DIRECTORY: u32 = 1 << 31;

/// The course of a file's transfer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    Whole,
    /// Plakar can't read all of it from its store.
    Cut,
    /// The destination has a directory of this name.
    Refused,
}

struct File {
    bytes: Vec<u8>,
    way: Way,
}

/// A server of buckets for all rounds.
struct Buckets {
    place: TestEnv,
    server: Server,
}

impl Buckets {
    fn serve() -> Self {
        let place = TestEnv::bare();
        fs::create_dir_all(place.path("served/bucket")).unwrap();
        let server = servers::serve(&place, "s3", &place.path("served"));
        Self { place, server }
    }

    /// A remote called `to` so far away: the path of a round in it, and the directory
    /// that its files come to.
    fn far(&self, place: &TestEnv, round: u64, round_trip: Duration) -> (String, PathBuf) {
        let address = latency_proxy::start(&self.server.address, round_trip);
        servers::remote(place, "to", "s3", &address);
        let path = format!("bucket/{round}");
        let target = self.place.path("served").join(&path);
        (path, target)
    }
}

/// The entries of a restore, in Plakar's order: a directory before its contents.
fn tree(random: &mut Rng, target: &Path, refuses: bool) -> BTreeMap<String, Option<File>> {
    let mut tree = BTreeMap::new();
    for at in 0..3 + random.u64(..40) {
        let size = match random.u64(..32) {
            0 => 0,
            1 => 1 + random.u64(..3_000_000),
            2 if random.u64(..4) == 0 => (32 << 20) + 1 + random.u64(..1000),
            _ => random.u64(..100_000),
        };
        let way = match random.u64(..10) {
            0 if size > 0 => Way::Cut,
            1 if refuses => Way::Refused,
            _ => Way::Whole,
        };
        let directory = format!("/dir{}", random.u64(..4));
        let path = format!("{directory}/file{at}");
        if way == Way::Refused {
            fs::create_dir_all(target.join(&path[1..]).join("in the way")).unwrap();
        }
        tree.insert(directory, None);
        let bytes = random_bytes(random, usize::try_from(size).unwrap());
        tree.insert(path, Some(File { bytes, way }));
    }
    tree
}

fn record(path: &str, file: Option<&File>) -> Record {
    let (size, mode) = match file {
        Some(file) => (i64::try_from(file.bytes.len()).unwrap(), 0o644),
        None => (0, DIRECTORY | 0o755),
    };
    let name = path.rsplit('/').next().unwrap().to_owned();
    let info = FileInfo { name, size, mode, ..FileInfo::default() };
    Record {
        pathname: path.to_owned(),
        has_reader: file.is_some(),
        file_info: Some(info),
        ..Record::default()
    }
}

async fn send(packets: &Packets, path: &str, file: Option<&File>, random: &mut Rng) {
    packets.record(record(path, file)).await;
    let Some(File { bytes, way }) = file else { return };
    let (count, end) = match way {
        Way::Cut => (bytes.len() - 1, false),
        Way::Whole | Way::Refused => (bytes.len(), true),
    };
    let mut bytes = bytes::Bytes::copy_from_slice(&bytes[..count]);
    while !bytes.is_empty() {
        let piece = 1 + random.usize(..1 << 20);
        packets.chunk(bytes.split_to(piece.min(bytes.len()))).await;
    }
    if end {
        packets.chunk(bytes).await;
    }
}

/// Takes every result; gives those that are failures, and how many there were.
async fn results(mut results: Results, slow: bool) -> (BTreeMap<String, String>, usize, bool) {
    let (mut failed, mut count) = (BTreeMap::new(), 0);
    loop {
        match results.next().await {
            Ok(Some(result)) => {
                count += 1;
                if !result.error.is_empty() {
                    failed.insert(result.header.unwrap().pathname, result.error);
                }
            }
            Ok(None) => return (failed, count, true),
            Err(_) => return (failed, count, false),
        }
        if slow {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

/// One round, made from its number.
async fn round(buckets: &Buckets, number: u64, slow: bool) {
    let mut random = Rng::with_seed(number);
    let place = TestEnv::bare();
    let gives_up = random.u64(..5) == 0;
    // A bucket has no directory that could be in the way; and what a server does with
    // half a file is its own matter.
    let far = !gives_up && random.u64(..3) == 0;
    let (path, target) = if far {
        buckets.far(&place, number, Duration::from_millis(random.u64(..20)))
    } else {
        (String::new(), place.directory_remote("to"))
    };
    let tree = tree(&mut random, &target, !far);
    let given_up = gives_up.then(|| random.usize(..tree.len()));
    let location = format!("rclone://to:{path}");
    let config = [("location", location.as_str())];
    let exporter = Exporter::start(&place, &config).await.unwrap();
    let (packets, answers) = exporter.split();
    let sending = async {
        for (at, (path, file)) in tree.iter().enumerate() {
            if given_up == Some(at) {
                return;
            }
            send(&packets, path, file.as_ref(), &mut random).await;
        }
        drop(packets);
    };
    if given_up.is_some() {
        // Results go unread, and the exporter is killed with them.
        sending.await;
        drop(answers);
        return check(number, &target, &tree, None);
    }
    let ((failed, count, good), ()) = tokio::join!(results(answers, slow), sending);
    assert_eq!(count, tree.len(), "round {number}: entries without a result");
    assert_eq!(good, failed.is_empty(), "round {number}: {failed:?}");
    check(number, &target, &tree, Some(&failed));
}

fn check(
    round: u64,
    target: &Path,
    tree: &BTreeMap<String, Option<File>>,
    failed: Option<&BTreeMap<String, String>>,
) {
    for (path, file) in tree {
        let Some(File { bytes, way }) = file else { continue };
        let there = fs::read(target.join(&path[1..])).ok();
        if let Some(there) = &there {
            assert!(there == bytes, "round {round}: {path} has other bytes ({way:?})");
        }
        if let Some(failed) = failed {
            let failure = failed.get(path);
            assert_eq!(there.is_some(), *way == Way::Whole, "round {round}: {path}: {failure:?}");
            assert_eq!(failure.is_none(), *way == Way::Whole, "round {round}: {path}: {failure:?}");
        }
    }
}

fn all(slow: bool) {
    let buckets = Buckets::serve();
    seeded::all(slow, async |number, slow| round(&buckets, number, slow).await);
}

#[test]
fn each_file_arrives_whole_or_fails_by_name() {
    all(false);
}

#[test]
fn results_that_are_taken_slowly_are_as_exact() {
    all(true);
}
