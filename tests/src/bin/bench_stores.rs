//! Measures Kloset stores on a remote that is 40 ms away, against Plakar's own store in a
//! directory and against rclone: each case interleaved with its rivals in one run, repeated,
//! medians and ratios in a table.
//!
//! `bench_stores [ROUNDS [CASE]]`: `restore`, `open`, `change` or `backup`. `PEER_PTAR` names
//! Plakar's official rclone package, which takes part then.

use fastrand::Rng;
use plakbox_tests::comparison::{case, timed, way};
use plakbox_tests::servers::Server;
use plakbox_tests::{TestEnv, latency_proxy, servers, tools, tree};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// The name of a case, and what measures it for a number of rounds.
type Case = (&'static str, fn(usize));

const ROUND_TRIP: Duration = Duration::from_millis(40);

/// Number of backups in the store of the case `open`.
const SNAPSHOTS: usize = 60;

/// A bucket on this machine, and the same bucket 40 ms away.
struct Bucket {
    place: TestEnv,
    /// The address of the server through the relay.
    far: String,
    server: Server,
}

impl Bucket {
    fn new() -> Self {
        let place = TestEnv::new();
        let served = place.path("served");
        fs::create_dir_all(served.join("bucket")).unwrap();
        let server = servers::serve(&place, "s3", &served);
        let far = latency_proxy::start(&server.address, ROUND_TRIP);
        servers::remote(&place, "near", "s3", &server.address);
        servers::remote(&place, "far", "s3", &far);
        Self { place, far, server }
    }

    /// Creates a store in the bucket, without the delay.
    fn create(&self, name: &str) {
        let store = format!("rclone://near:bucket/{name}");
        self.place.plakar(["at", &store, "create", "-plaintext"]).good();
    }

    /// A home without caches, which has a package installed and the store as `@far`.
    fn user(&self, package: &Path, store: &str) -> TestEnv {
        let user = TestEnv::with_package(package);
        servers::remote(&user, "far", "s3", &self.far);
        servers::remote(&user, "near", "s3", &self.server.address);
        for remote in ["far", "near"] {
            let file = user.path("rclone.conf");
            let import = ["store", "import", "-rclone", "-config", file.to_str().unwrap(), remote];
            user.plakar(import).good();
            let location = format!("location=rclone://bucket/{store}");
            user.plakar(["store", "set", remote, &location]).good();
        }
        user
    }
}

/// Runs Plakar on a store.
fn plakar(user: &TestEnv, store: &str, args: &[&str]) -> Duration {
    let mut command = user.command(tools::plakar());
    command.args(["at", store]).args(args).stdout(Stdio::null());
    timed(&mut command)
}

fn peer_package() -> Option<PathBuf> {
    std::env::var_os("PEER_PTAR").map(PathBuf::from)
}

fn small_files(directory: &Path, count: u64, size: usize) {
    let mut random = Rng::with_seed(count);
    for number in 0..count {
        let path = directory.join(format!("dir{}/file{number}", number % 20));
        tree::file(&path, &tree::random_bytes(&mut random, size), tree::time(number));
    }
}

/// The last snapshot of a store.
fn snapshot(user: &TestEnv, store: &str) -> String {
    let text = user.plakar(["at", store, "ls"]).good().text;
    let line = text.lines().find(|line| line.contains('Z')).expect("a snapshot");
    line.split_whitespace().nth(1).unwrap().to_owned()
}

/// Restores 3,000 small files to a directory.
fn restore(rounds: usize) {
    let bucket = Bucket::new();
    let place = &bucket.place;
    let files = place.path("files");
    small_files(&files, 3000, 16_000);
    bucket.create("store");
    let near = "rclone://near:bucket/store";
    plakar(place, near, &["backup", files.to_str().unwrap()]);
    plakar(place, &place.store(), &["backup", files.to_str().unwrap()]);
    let ids = [snapshot(place, near), snapshot(place, &place.store())];
    let to = |user: &TestEnv, store: &str, id: &str, name: String| {
        let target = user.path(&name);
        let took = plakar(user, store, &["restore", "-to", target.to_str().unwrap(), id]);
        fs::remove_dir_all(target).unwrap();
        took
    };
    let user = bucket.user(&tools::package(), "store");
    let peer = peer_package().map(|package| bucket.user(&package, "store"));
    let mut ways = vec![
        way("plakbox", |round| to(&user, "@far", &ids[0], format!("out{round}"))),
        way("plakar's fs store, local", |round| {
            to(place, &place.store(), &ids[1], format!("local{round}"))
        }),
    ];
    if let Some(peer) = &peer {
        ways.push(way("the package of PEER_PTAR", |round| {
            to(peer, "@far", &ids[0], format!("out{round}"))
        }));
    }
    case("restore 3,000 x 16 KB from s3, 40 ms away", rounds, ways);
}

/// Opens a store of many snapshots on a new machine.
fn open(rounds: usize) {
    let bucket = Bucket::new();
    let place = &bucket.place;
    bucket.create("store");
    let file = place.path("files/file");
    for number in 0..SNAPSHOTS {
        tree::file(&file, format!("{number}").as_bytes(), tree::time(number as u64));
        let directory = place.path("files");
        plakar(place, "rclone://near:bucket/store", &["backup", directory.to_str().unwrap()]);
    }
    let first = |package: &Path| {
        let user = bucket.user(package, "store");
        plakar(&user, "@far", &["ls"])
    };
    let mut ways = vec![way("plakbox", |_| first(&tools::package()))];
    if let Some(package) = peer_package() {
        ways.push(way("the package of PEER_PTAR", move |_| first(&package)));
    }
    case(&format!("open a store of {SNAPSHOTS} snapshots on s3, 40 ms away"), rounds, ways);
}

/// Backs up one changed file.
fn change(rounds: usize) {
    let bucket = Bucket::new();
    bucket.create("store");
    let users = [Some(tools::package()), peer_package()];
    let users: Vec<_> =
        users.into_iter().flatten().map(|package| bucket.user(&package, "store")).collect();
    let work = |user: &TestEnv, store: &str, text: String| {
        let directory = user.path("files");
        tree::file(&directory.join("file"), text.as_bytes(), tree::time(1));
        plakar(user, store, &["backup", directory.to_str().unwrap()])
    };
    for user in &users {
        work(user, "@near", "first".to_owned());
        work(user, &user.store(), "first".to_owned());
    }
    let mut ways = vec![
        way("plakbox", |round| work(&users[0], "@far", format!("far{round}"))),
        way("plakbox, without the 40 ms", |round| work(&users[0], "@near", format!("near{round}"))),
        way("plakar's fs store, local", |round| {
            work(&users[0], &users[0].store(), format!("local{round}"))
        }),
    ];
    if let Some(peer) = users.get(1) {
        // It leaves its lock, which only matters to maintenance.
        ways.push(way("the package of PEER_PTAR", |round| work(peer, "@far", format!("p{round}"))));
    }
    case("back up one changed file to s3, 40 ms away", rounds, ways);
}

/// Backs up 1 GiB.
fn backup(rounds: usize) {
    let bucket = Bucket::new();
    let place = &bucket.place;
    let files = place.path("files");
    let mut random = Rng::with_seed(7);
    for number in 0..16 {
        tree::file(
            &files.join(format!("file{number}")),
            &tree::random_bytes(&mut random, 64 << 20),
            tree::time(number),
        );
    }
    let directory = files.to_str().unwrap();
    let user = bucket.user(&tools::package(), "unused");
    let peer = peer_package().map(|package| bucket.user(&package, "unused"));
    let to_store = |user: &TestEnv, name: String| {
        bucket.create(&name);
        user.plakar(["store", "set", "far", &format!("location=rclone://bucket/{name}")]).good();
        let took = plakar(user, "@far", &["backup", directory]);
        fs::remove_dir_all(place.path("served/bucket").join(name)).unwrap();
        took
    };
    let mut ways = vec![
        way("plakbox", |round| to_store(&user, format!("store{round}"))),
        way("rclone copy", |round| {
            let mut command = place.command(tools::rclone());
            let took = timed(command.args(["copy", directory, &format!("far:bucket/copy{round}")]));
            fs::remove_dir_all(place.path(&format!("served/bucket/copy{round}"))).unwrap();
            took
        }),
        way("plakar's fs store, local", |round| {
            let store = place.path(&format!("local{round}"));
            let store = store.to_str().unwrap();
            place.plakar(["at", store, "create", "-plaintext"]).good();
            let took = plakar(place, store, &["backup", directory]);
            fs::remove_dir_all(store).unwrap();
            took
        }),
    ];
    if let Some(peer) = &peer {
        ways.push(way("the package of PEER_PTAR", |round| to_store(peer, format!("peer{round}"))));
    }
    case("back up 1 GiB to s3, 40 ms away", rounds, ways);
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let rounds = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(3);
    let wanted = arguments.next().unwrap_or_default();
    let start = Instant::now();
    println!("| case | way | median of {rounds} | plakbox / way |");
    println!("| --- | --- | --- | --- |");
    let cases: [Case; 4] =
        [("restore", restore), ("open", open), ("change", change), ("backup", backup)];
    for (name, measure) in cases {
        if name.contains(&wanted) {
            measure(rounds);
        }
    }
    eprintln!("measured in {:.0?}", start.elapsed());
}
