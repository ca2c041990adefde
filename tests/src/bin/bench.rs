//! Measures plakbox against rclone and against Plakar's own connectors: each case
//! interleaved with its rival in one run, repeated, medians and ratios in a table.
//!
//! `bench [ROUNDS [CASE]]`: `s3`, `webdav`, `many`, `medium`, `one`, `unchanged`,
//! `linear`, `streams` or `transfers`. `PEER_PTAR` names Plakar's official rclone package,
//! which takes part in the backups then; or another build of plakbox.

use fastrand::Rng;
use plakbox_tests::comparison::{Way, case, timed, way};
use plakbox_tests::{TestEnv, latency_proxy, servers, tools, tree};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

const ROUND_TRIP: Duration = Duration::from_millis(40);

/// A place with an empty store of its own for every backup.
struct Stores<'a> {
    place: &'a TestEnv,
    count: usize,
}

impl Stores<'_> {
    fn backup(&mut self, source: &str) -> Duration {
        self.count += 1;
        let store = self.place.path(&format!("store{}", self.count));
        let store = store.to_str().unwrap();
        self.place.plakar(["at", store, "create", "-plaintext"]).good();
        let took = self.again(store, source);
        std::fs::remove_dir_all(store).unwrap();
        took
    }

    fn again(&self, store: &str, source: &str) -> Duration {
        let mut command = self.place.command(tools::plakar());
        command.args(["at", store, "backup", source]);
        timed(command.stdout(Stdio::null()))
    }
}

/// A place with the other package and a source of its own, if there is one.
fn peer(place: &TestEnv, remote: &str, path: &str) -> Option<TestEnv> {
    let package = std::env::var_os("PEER_PTAR")?;
    let peer = TestEnv::with_package(Path::new(&package));
    std::fs::copy(place.path("rclone.conf"), peer.path("rclone.conf")).unwrap();
    peer.import_file(remote);
    peer.plakar(["source", "set", remote, &format!("location=rclone://{path}")]).good();
    Some(peer)
}

/// The other package's way, if there is one.
fn others<'a>(peer: &'a Option<TestEnv>, source: &'a str) -> Option<Way<'a>> {
    let mut stores = Stores { place: peer.as_ref()?, count: 0 };
    Some(way("the package of PEER_PTAR", move |_| stores.backup(source)))
}

/// `rclone copy` with its defaults.
fn copy(place: &TestEnv, from: &str, to: &str, more: &[&str]) -> Duration {
    let mut command = place.command(tools::rclone());
    timed(command.args(["copy", from, to]).args(more))
}

fn small_files(directory: &Path, count: u64, size: usize) {
    let mut random = Rng::with_seed(count);
    for number in 0..count {
        let path = directory.join(format!("dir{}/file{number}", number % 20));
        tree::file(&path, &tree::random_bytes(&mut random, size), tree::time(number));
    }
}

/// Backup and restore of 500 small files on a server that is 40 ms away.
fn far_away(kind: &str, rounds: usize) {
    let place = TestEnv::new();
    let files = place.path("files");
    small_files(&files, 500, 20_000);
    let served = place.path("served");
    std::fs::create_dir_all(served.join("bucket")).unwrap();
    let server = servers::serve(&place, kind, &served);
    let far = latency_proxy::start(&server.address, ROUND_TRIP);
    servers::remote(&place, "near", kind, &server.address);
    servers::remote(&place, "far", kind, &far);
    copy(&place, files.to_str().unwrap(), "near:bucket/source", &[]);

    let mut stores = Stores { place: &place, count: 0 };
    let peer = peer(&place, "far", "bucket/source");
    let name = format!("back up 500 x 20 KB from {kind}, 40 ms away");
    let mut ways = vec![
        way("plakbox", |_| stores.backup("rclone://far:bucket/source")),
        way("rclone copy", |round| {
            copy(
                &place,
                "far:bucket/source",
                place.path(&format!("copied{round}")).to_str().unwrap(),
                &[],
            )
        }),
        way("rclone copy, 32 transfers", |round| {
            let to = place.path(&format!("copied32-{round}"));
            copy(&place, "far:bucket/source", to.to_str().unwrap(), &["--transfers", "32"])
        }),
    ];
    ways.extend(others(&peer, "@far"));
    case(&name, rounds, ways);
    place.backup("rclone://near:bucket/source").good();
    case(
        &format!("restore 500 x 20 KB to {kind}, 40 ms away"),
        rounds,
        vec![
            way("plakbox", |round| {
                timed(&mut place.restore_command(&format!("rclone://far:bucket/restored{round}")))
            }),
            way("rclone copy", |round| {
                copy(&place, files.to_str().unwrap(), &format!("far:bucket/uploaded{round}"), &[])
            }),
            way("rclone copy, 32 transfers", |round| {
                let to = format!("far:bucket/uploaded32-{round}");
                copy(&place, files.to_str().unwrap(), &to, &["--transfers", "32"])
            }),
        ],
    );
}

/// Backup of a local tree, against Plakar's own importer of files.
fn local(name: &str, rounds: usize, fill: impl Fn(&Path), again: bool) {
    let place = TestEnv::new();
    let files = place.directory_remote("files");
    fill(&files);
    let (mut ours, mut theirs) =
        (Stores { place: &place, count: 0 }, Stores { place: &place, count: 1000 });
    let directory = files.to_str().unwrap().to_owned();
    if !again {
        let peer = peer(&place, "files", "");
        let mut ways = vec![
            way("plakbox", |_| ours.backup("rclone://files:")),
            way("plakar's fs importer", |_| theirs.backup(&directory)),
        ];
        ways.extend(others(&peer, "@files"));
        return case(name, rounds, ways);
    }
    let stores = ["ours", "theirs"].map(|name| place.path(name).to_str().unwrap().to_owned());
    for (store, source) in stores.iter().zip(["rclone://files:", &directory]) {
        place.plakar(["at", store, "create", "-plaintext"]).good();
        ours.again(store, source);
    }
    let list = || {
        let mut command = place.command(tools::rclone());
        timed(command.args(["lsjson", "-R", "files:"]).stdout(Stdio::null()))
    };
    let ways = vec![
        way("plakbox", |_| ours.again(&stores[0], "rclone://files:")),
        way("plakar's fs importer", |_| theirs.again(&stores[1], &directory)),
        way("rclone lsjson alone", |_| list()),
    ];
    case(name, rounds, ways);
}

/// Measures numbers of streams and of transfers, on a server 40 ms away.
fn sweep(what: &str, rounds: usize) {
    let place = TestEnv::new();
    let files = place.path("files");
    small_files(&files, 500, 20_000);
    let served = place.path("served");
    std::fs::create_dir_all(served.join("bucket")).unwrap();
    let server = servers::serve(&place, "s3", &served);
    servers::remote(&place, "near", "s3", &server.address);
    copy(&place, files.to_str().unwrap(), "near:bucket/source", &[]);
    let far = latency_proxy::start(&server.address, ROUND_TRIP);
    servers::remote(&place, "far", "s3", &far);
    let numbers = ["32", "4", "8", "16", "64", "128"];
    let mut ways = Vec::new();
    for number in numbers {
        let (place, files) = (&place, files.to_str().unwrap());
        ways.push(match what {
            "streams" => way(number, move |_| {
                let mut stores = Stores { place, count: 0 };
                place.import_file("far");
                place.plakar(["source", "set", "far", "location=rclone://bucket/source"]).good();
                place.plakar(["source", "set", "far", &format!("streams={number}")]).good();
                stores.backup("@far")
            }),
            _ => way(number, move |round| {
                let to = format!("far:bucket/uploaded{number}-{round}");
                copy(place, files, &to, &["--transfers", number, "--checkers", number])
            }),
        });
    }
    case(&format!("500 x 20 KB, s3 40 ms away, {what}"), rounds, ways);
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let rounds = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(3);
    let wanted = arguments.next().unwrap_or_default();
    let start = Instant::now();
    println!("| case | way | median of {rounds} | plakbox / way |");
    println!("| --- | --- | --- | --- |");
    for kind in ["s3", "webdav"] {
        if kind.contains(&wanted) {
            far_away(kind, rounds);
        }
    }
    let many = |directory: &Path| small_files(directory, 10_000, 16_000);
    let one = |directory: &Path| {
        let block = tree::seeded_bytes(5, 1 << 20);
        let whole: Vec<u8> = (0..1024_u32)
            .flat_map(|number| [&number.to_le_bytes()[..], &block[4..]].concat())
            .collect();
        tree::file(&directory.join("one"), &whole, tree::time(1));
    };
    if "many".contains(&wanted) {
        local("back up 10,000 x 16 KB, local", rounds, many, false);
    }
    let medium = |directory: &Path| small_files(directory, 40, 16 << 20);
    if "medium".contains(&wanted) {
        local("back up 40 x 16 MiB, local", rounds, medium, false);
    }
    if "one".contains(&wanted) {
        local("back up 1 GiB in one file, local", rounds, one, false);
    }
    if "unchanged".contains(&wanted) {
        local("back up 10,000 unchanged files, local", rounds, many, true);
    }
    for what in ["streams", "transfers"] {
        if what.contains(&wanted) {
            sweep(what, rounds);
        }
    }
    if "linear".contains(&wanted) {
        for count in [1_000, 10_000, 100_000] {
            let name = format!("back up {count} x 1 KB, local");
            local(&name, 1, |directory| small_files(directory, count, 1000), false);
        }
    }
    eprintln!("measured in {:.0?}", start.elapsed());
}
