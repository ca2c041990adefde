//! Capacity and cost of a service: each figure next to its goal. Fails when one is
//! missed.
//!
//! `load [CASE]`: `clients`, `idle`, `starts`, `fairness` or `throughput`.

use fastrand::Rng;
use plakbox_tests::certificates::{Authority, Valid};
use plakbox_tests::env::run;
use plakbox_tests::plugin::{Importer, piece};
use plakbox_tests::service::{self, Service, Tls, certified_client, ours, policy, session_by};
use plakbox_tests::stats::{Peaks, median};
use plakbox_tests::{TestEnv, processes, tools, tree};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode};
use std::thread;
use std::time::{Duration, Instant};

const MIB: u64 = 1 << 20;

/// Limits that let a tenant have many sessions at once.
const MANY: &str = "[tenant.limits]\nsessions = 200\nqueue = 200\n";

/// Prints a row; whether the goal is met.
fn row(what: &str, goal: &str, figure: &str, met: bool) -> bool {
    println!("| {what} | {goal} | {figure}{} |", if met { "" } else { " (missed)" });
    met
}

/// A place with a remote `granted` of so many files of one size, that `ours` may read.
fn place(files: u64, size: usize) -> TestEnv {
    service::place(|granted| {
        let mut random = Rng::with_seed(files);
        for number in 0..files {
            let path = granted.join(format!("dir{}/file{number}", number % 5));
            tree::file(&path, &tree::random_bytes(&mut random, size), tree::time(number));
        }
    })
}

/// Lists everything and reads it, as Plakar would; gives the number of bytes.
async fn read_all(importer: &mut Importer) -> Result<u64, tonic::Status> {
    let mut scan = importer.scan().await?;
    let mut records = Vec::new();
    while let Some(record) = scan.next().await? {
        records.push(record);
    }
    let mut read = 0;
    for record in records {
        if record.has_reader {
            let mut content = importer.open(&record.pathname).await?;
            while let Some(bytes) = piece(&mut content).await? {
                read += bytes.len() as u64;
            }
        }
        scan.acknowledge(record).await;
    }
    Ok(read)
}

/// Watches the memory of a service together with its processes.
fn memory(service: &Service) -> Peaks<1> {
    let (id, state) = (service.pid(), service.path("state"));
    Peaks::watch(Duration::from_millis(250), move || {
        let all = processes::rclones(&state).into_iter().chain([id]);
        [all.map(processes::share_of_memory).sum()]
    })
}

/// 200 clients at once: all get what they want, sooner or later.
async fn clients() -> bool {
    const CLIENTS: usize = 200;
    let place = place(10, 10_000);
    let limits = "[tenant.limits]\nsessions = 32\nqueue = 200\n";
    let service = Service::start(&place, "", &ours(limits));
    let (connect, granted) = (service.path("connect.toml"), place.path("granted"));
    let memory = memory(&service);
    let start = Instant::now();
    let session = async || {
        let mut importer = session_by(&place, &connect, &granted).await?;
        read_all(&mut importer).await
    };
    let all = futures::future::join_all((0..CLIENTS).map(|_| session())).await;
    let took = start.elapsed();
    let [memory] = memory.stop();
    let complete = all.iter().filter(|read| read.as_ref().is_ok_and(|read| *read == 100_000));
    let complete = complete.count();
    if let Some(Err(failure)) = all.iter().find(|read| read.is_err()) {
        eprintln!("a session failed: {failure}");
    }
    let figure = format!("{complete} in {:.0} s", took.as_secs_f64());
    let met = row("200 clients at once that complete", "200", &figure, complete == CLIENTS);
    let figure = format!("{} MiB", memory / MIB);
    row("memory of the service and its processes then", "< 6 GiB", &figure, memory < 6 << 30) && met
}

/// Measures the cost of one more session that does nothing.
async fn idle() -> bool {
    const SESSIONS: u64 = 100;
    let place = place(1, 10);
    let service = Service::start(&place, "[limits]\nsessions = 200\n", &ours(MANY));
    let granted = place.path("granted");
    let session = async || service.session(&granted).await.unwrap();
    let first = session().await;
    let before = processes::memory(service.pid());
    let mut sessions = vec![first];
    for _ in 0..SESSIONS {
        sessions.push(session().await);
    }
    let each = processes::memory(service.pid()).saturating_sub(before) / SESSIONS;
    let figure = format!("{} KiB", each >> 10);
    row("one more idle session, in the service", "< 5 MiB", &figure, each < 5 * MIB)
}

/// Measures how many sessions start in a second, without rclone.
async fn starts() -> bool {
    const SESSIONS: usize = 1000;
    let place = place(1, 10);
    let service = Service::start(&place, "", &ours(""));
    let granted = place.path("granted");
    let sessions = async || {
        for _ in 0..SESSIONS / 8 {
            service.session(&granted).await.unwrap();
        }
    };
    // So that it knows its rclone.
    service.session(&granted).await.unwrap();
    let start = Instant::now();
    futures::future::join_all((0..8).map(|_| sessions())).await;
    let rate = SESSIONS as f64 / start.elapsed().as_secs_f64();
    row("session starts a second", ">= 100", &format!("{rate:.0}"), rate >= 100.0)
}

/// Backs up into a new store, and takes the time.
fn backup(place: &TestEnv, prepare: impl Fn(&mut Command)) -> Duration {
    let store = place.path("store-of-load").display().to_string();
    place.plakar(["at", &store, "create", "-plaintext"]).good();
    let mut command = place.command(tools::plakar());
    command.args(["at", &store, "backup", "@granted"]);
    prepare(&mut command);
    let took = run(&mut command).good().took;
    std::fs::remove_dir_all(store).unwrap();
    took
}

/// Ends with its owner.
struct Readers(Child);

impl Drop for Readers {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// One tenant reads with fifty sessions as fast as it can; another backs up once.
fn fairness() -> bool {
    const ROUNDS: usize = 3;
    let place = place(1000, 100_000);
    let greedy = place.path("greedy");
    for number in 0..64 {
        tree::file(
            &greedy.join(number.to_string()),
            &tree::seeded_bytes(number, 1 << 20),
            tree::time(0),
        );
    }
    policy(&place, "greedy.toml", &greedy, &tools::rclone());
    let tenants = format!(
        "{}[[tenant]]\nname = \"greedy\"\npolicy = \"greedy.toml\"\n\
         certificates = [\"greedy\"]\n[tenant.limits]\nsessions = 50\nprocesses = 110\n",
        ours("")
    );
    let authority = Authority::new();
    let tls = Tls { authority: &authority, valid: Valid::Now };
    let (service, address) = Service::start_with_tls(&place, &tls, "", &tenants);
    let once = || {
        backup(&place, |command| {
            service.client(command);
        })
    };
    let alone = median((0..ROUNDS).map(|_| once()).collect());
    let connect = certified_client(&place.path("client"), &authority, "greedy", &address);
    // They stand for other machines: their own work must not count (sched(7)).
    let mut command = place.command("chrt");
    command.args(["--idle", "0"]).arg(std::env::current_exe().unwrap()).arg("readers");
    let _readers = Readers(command.args([&connect, &greedy]).spawn().unwrap());
    thread::sleep(Duration::from_secs(10));
    let read = || service.metric("plakbox_rclone_read_bytes_total{tenant=\"greedy\"}");
    let (before, start) = (read(), Instant::now());
    let beside = median((0..ROUNDS).map(|_| once()).collect());
    let rate = (read() - before) / start.elapsed().as_secs_f64() / MIB as f64;
    let sessions = service.metric("plakbox_sessions{tenant=\"greedy\"}");
    assert!(sessions == 50.0 && rate > 1.0, "{sessions} sessions read {rate} MiB a second");
    let ratio = beside / alone;
    let figure =
        format!("{ratio:.2} x ({alone:.1} s alone, {beside:.1} s beside {rate:.0} MiB a second)");
    row("a backup beside 50 sessions of another tenant", "<= 2 x", &figure, ratio <= 2.0)
}

/// Fifty sessions that read everything over and over, until they are killed.
async fn readers(connect: &Path, greedy: &Path) {
    let place = TestEnv::bare();
    let session = async || {
        let mut importer = session_by(&place, connect, greedy).await.unwrap();
        loop {
            read_all(&mut importer).await.unwrap();
        }
    };
    futures::future::join_all((0..50).map(|_| async { session().await })).await;
}

/// A gigabyte through the service, and without it.
fn throughput() -> bool {
    const ROUNDS: usize = 3;
    let place = place(1, 1 << 30);
    let service = Service::start(&place, "", &ours(""));
    let (mut direct, mut through) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        direct.push(backup(&place, |_| ()));
        through.push(backup(&place, |command| {
            service.client(command);
        }));
    }
    let (direct, through) = (median(direct), median(through));
    let ratio = direct / through;
    let figure = format!("{ratio:.2} x ({direct:.1} s direct, {through:.1} s)");
    row("throughput of 1 GiB through `connect`", ">= 0.8 x", &figure, ratio >= 0.8)
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let wanted = arguments.next().unwrap_or_default();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if wanted == "readers" {
        let [connect, greedy] = [(); 2].map(|()| PathBuf::from(arguments.next().unwrap()));
        runtime.block_on(readers(&connect, &greedy));
        return ExitCode::SUCCESS;
    }
    println!("| what | goal | figure |");
    println!("| --- | --- | --- |");
    let mut met = true;
    for case in ["clients", "idle", "starts", "fairness", "throughput"] {
        if !case.contains(&wanted) {
            continue;
        }
        met &= match case {
            "clients" => runtime.block_on(clients()),
            "idle" => runtime.block_on(idle()),
            "starts" => runtime.block_on(starts()),
            "fairness" => fairness(),
            _ => throughput(),
        };
    }
    if met { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
