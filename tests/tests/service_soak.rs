//! A service that runs random sessions, cancellations and faults for a while is afterwards
//! what it was before: no memory, descriptor, thread, process or file is left of them.

use fastrand::Rng;
use plakbox_tests::env::within;
use plakbox_tests::plugin::{Importer, piece};
use plakbox_tests::service::{Service, ours, policy};
use plakbox_tests::tree::time;
use plakbox_tests::{TestEnv, processes, tools, tree};
use std::cell::Cell;
use std::env;
use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};
use tonic::Status;

/// Duration in minutes, unless `PLAKBOX_SOAK` sets another one.
const MINUTES: f64 = 2.0;

/// Number of concurrent workers.
const WORKERS: u64 = 8;

/// Time between two measurements of the service.
const EPOCH: Duration = Duration::from_secs(8);

/// Part of the time after which the service has all that it keeps.
const WARM: f64 = 0.3;

const FILES: u64 = 30;

/// Maximum growth of its memory: what an allocator keeps goes up and down.
const MORE: u64 = 12 << 20;

/// Maximum growth of its threads: those that wait for files and names stay as long as there is work for
/// one in ten seconds. One for each session would be hundreds.
const MORE_THREADS: usize = 8;

/// Delay of the next attempt after a refusal.
const RETRY_DELAY: Duration = Duration::from_millis(100);

/// Resources of the service when nothing runs.
#[derive(Debug, Clone, Copy)]
struct Has {
    memory: u64,
    open_files: usize,
    threads: usize,
}

impl Has {
    /// The least of each.
    fn least(seen: &[Self]) -> Self {
        Self {
            memory: seen.iter().map(|it| it.memory).min().unwrap(),
            open_files: seen.iter().map(|it| it.open_files).min().unwrap(),
            threads: seen.iter().map(|it| it.threads).min().unwrap(),
        }
    }
}

/// Counts of the outcomes, so that a run without any is noticed.
#[derive(Debug, Default)]
struct Counts {
    good: Cell<u64>,
    failed: Cell<u64>,
}

fn count(what: &Cell<u64>) {
    what.set(what.get() + 1);
}

struct Soak {
    place: TestEnv,
    service: Service,
    counts: Counts,
}

fn content(number: u64) -> Vec<u8> {
    tree::seeded_bytes(number, 1000 + usize::try_from(number * 7919).unwrap())
}

impl Soak {
    fn new() -> Self {
        let place = TestEnv::bare();
        let granted = place.directory_remote("granted");
        for number in 0..FILES {
            tree::file(&granted.join(format!("file{number}")), &content(number), time(number));
        }
        policy(&place, "ours.toml", &granted, &tools::rclone());
        let limits = "[tenant.limits]\nsessions = 6\nqueue = 1\nprocesses = 12\n";
        let service = Service::start(&place, "[limits]\nwait = \"3s\"\n", &ours(limits));
        Self { place, service, counts: Counts::default() }
    }

    async fn session(&self, directory: &str) -> Result<Importer, Status> {
        self.service.session(&self.place.path(directory)).await
    }

    /// Lists everything and reads some files; what is read is what is there.
    async fn whole(&self, random: &mut Rng) -> Result<(), Status> {
        let mut importer = self.session("granted").await?;
        let mut scan = importer.scan().await?;
        while scan.next().await?.is_some() {}
        for _ in 0..random.u64(..10) {
            let number = random.u64(..FILES);
            let mut file = importer.open(&format!("/file{number}")).await?;
            let mut bytes = Vec::new();
            while let Some(more) = piece(&mut file).await? {
                bytes.extend_from_slice(&more);
            }
            assert!(bytes == content(number), "file{number} has {} other bytes", bytes.len());
        }
        Ok(())
    }

    /// Goes away in the middle.
    async fn broken_off(&self, random: &mut Rng) -> Result<(), Status> {
        let mut importer = self.session("granted").await?;
        let mut scan = importer.scan().await?;
        for _ in 0..random.u64(..FILES) {
            scan.next().await?;
        }
        let file = importer.open("/file29").await?;
        tokio::time::sleep(Duration::from_millis(random.u64(..200))).await;
        drop((file, scan, importer));
        Ok(())
    }

    /// Begins, and does nothing.
    async fn idle(&self, random: &mut Rng) -> Result<(), Status> {
        let importer = self.session("granted").await?;
        tokio::time::sleep(Duration::from_millis(random.u64(..500))).await;
        drop(importer);
        Ok(())
    }

    /// Asks for what the policy denies.
    async fn denied(&self) -> Result<(), Status> {
        let denied = self.session("home").await;
        assert!(denied.is_err(), "what the policy denies is there");
        denied.map(drop)
    }

    /// Comes to the socket and speaks nonsense.
    fn nonsense(&self, random: &mut Rng) {
        if let Ok(mut stream) = UnixStream::connect(self.service.path("socket")) {
            let length = random.usize(..2000);
            // It may have had enough before.
            let _ = stream.write_all(&tree::random_bytes(random, length));
        }
    }

    /// Kills an rclone.
    fn killed(&self, random: &mut Rng) {
        let all = processes::rclones(&self.service.path("state"));
        if let Some(id) = all.get(random.usize(..12)) {
            processes::kill(*id);
        }
    }

    /// Cancels a session as an operator.
    fn cancelled(&self) {
        let listed = self.service.sessions(&self.place, ["list"]).text;
        let session = listed.lines().nth(1).and_then(|line| line.split_whitespace().next());
        if let Some(session) = session {
            self.service.sessions(&self.place, ["cancel", session]);
        }
    }

    /// Lets the service read its files again: good ones, or one that is invalid.
    fn reloaded(&self, random: &mut Rng) {
        let file = self.service.path("tenants.toml");
        let good = fs::read_to_string(&file).unwrap();
        if random.bool() {
            fs::write(&file, "nonsense").unwrap();
            self.service.read_again("nothing has changed");
        } else {
            self.service.read_again("were reloaded");
        }
        fs::write(&file, good).unwrap();
    }

    async fn something(&self, random: &mut Rng) {
        let done = match random.u64(..20) {
            0..8 => self.whole(random).await,
            8..12 => self.broken_off(random).await,
            12..15 => self.idle(random).await,
            15 => self.denied().await,
            16 => return self.nonsense(random),
            17 => return self.killed(random),
            18 => return self.cancelled(),
            _ => return self.reloaded(random),
        };
        match done {
            Ok(()) => count(&self.counts.good),
            Err(_) => {
                count(&self.counts.failed);
                // Who hears that all are busy comes again a little later.
                tokio::time::sleep(RETRY_DELAY).await;
            }
        }
    }

    /// Lets all do random things for a while, and waits until nothing of it is left.
    async fn epoch(&self, number: u64) -> Has {
        let end = Instant::now() + EPOCH;
        let worker = async |worker: u64| {
            let mut random = Rng::with_seed(number * WORKERS + worker);
            while Instant::now() < end {
                self.something(&mut random).await;
                tokio::task::yield_now().await;
            }
        };
        futures::future::join_all((0..WORKERS).map(worker)).await;
        let over = within(Duration::from_secs(20), || {
            let listed = self.service.sessions(&self.place, ["list"]).text.lines().count();
            let state = self.service.path("state");
            let files = fs::read_dir(state.join("tenants/ours/sessions")).unwrap().count();
            listed == 1 && processes::rclones(&state).is_empty() && files == 0
        });
        assert!(over, "sessions or their files never end:\n{}", self.service.log());
        let id = self.service.pid();
        Has {
            memory: processes::memory(id),
            open_files: processes::open_files(id),
            threads: processes::threads(id),
        }
    }
}

// What is dropped goes away on another thread, while this one waits.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_the_same_after_many_random_sessions() {
    let minutes = env::var("PLAKBOX_SOAK").ok().and_then(|text| text.parse().ok());
    let whole = Duration::from_secs_f64(minutes.unwrap_or(MINUTES) * 60.0);
    let soak = Soak::new();
    let start = Instant::now();
    soak.epoch(0).await;
    let mut seen = Vec::new();
    while start.elapsed() < whole {
        let has = soak.epoch(seen.len() as u64 + 1).await;
        println!("{:.0?}: {has:?}, {:?}", start.elapsed(), soak.counts);
        if start.elapsed() > whole.mul_f64(WARM) {
            seen.push(has);
        }
    }
    let (good, failed) = (soak.counts.good.get(), soak.counts.failed.get());
    assert!(good > 50 && failed > 5, "too little happened: {:?}", soak.counts);
    // What an epoch leaves for a while comes and goes: what is never given back stays in all of
    // them, so the least of each half tells.
    let (early, late) = seen.split_at(seen.len() / 2);
    let (early, late) = (Has::least(early), Has::least(late));
    assert!(late.memory < early.memory + MORE, "its memory grows: {early:?}, {late:?}");
    assert!(late.open_files <= early.open_files + 2, "it keeps files open: {early:?}, {late:?}");
    assert!(late.threads <= early.threads + MORE_THREADS, "it keeps threads: {early:?}, {late:?}");
}
