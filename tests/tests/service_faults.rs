//! A fault of a service is reported to its clients, clearly and soon, and leaves
//! nothing behind.

use fastrand::Rng;
use plakbox_tests::env::{files_below, run, within};
use plakbox_tests::service::{self, Service, ours, session_by};
use plakbox_tests::{TestEnv, processes, tools, tree};
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Time limit for a client to fail when its service is gone.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Sessions that run when the service is killed.
const SESSIONS: usize = 20;

/// A place with a remote `granted` that takes a while at a megabyte a second.
fn place() -> TestEnv {
    service::place(|granted| {
        let mut random = Rng::with_seed(1);
        for number in 0..40 {
            let path = granted.join(format!("dir{}/file{number}", number % 4));
            tree::file(&path, &tree::random_bytes(&mut random, 1 << 20), tree::time(number));
        }
    })
}

#[test]
fn a_kill_amid_twenty_sessions_fails_each_client_soon_and_leaves_nothing() {
    let place = place();
    let stores: Vec<_> = (0..SESSIONS)
        .map(|number| {
            let store = place.path(&format!("store{number}")).display().to_string();
            place.plakar(["at", &store, "create", "-plaintext"]).good();
            store
        })
        .collect();
    let tenants = ours("[tenant.limits]\nsessions = 20\nbandwidth = \"1MiB\"\n");
    let mut service = Service::start(&place, "", &tenants);
    let state = service.path("state");
    let backups: Vec<_> = stores
        .iter()
        .map(|store| {
            let mut command = place.command(tools::plakar());
            command.args(["at", store, "backup", "@granted"]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            service.client(&mut command).spawn().unwrap()
        })
        .collect();
    let at_work = || processes::rclones(&state).len() >= SESSIONS;
    assert!(within(Duration::from_secs(120), at_work), "{}", service.log());
    assert_eq!(service.sessions(&place, ["list"]).text.lines().skip(1).count(), SESSIONS);
    assert!(!files_below(&state).is_empty());

    let killed = Instant::now();
    processes::kill(service.pid());
    assert!(service.ended());
    for backup in backups {
        let id = backup.id();
        let output = backup.wait_with_output().unwrap();
        let took = killed.elapsed();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{id} went well:\n{text}");
        assert!(took < TIMEOUT, "{id} failed after {took:?} only:\n{text}");
        assert!(text.contains("the service at `"), "{id} doesn't say what has happened:\n{text}");
    }
    let gone = || processes::rclones(&state).is_empty();
    assert!(within(TIMEOUT, gone), "processes are left");
    assert!(within(TIMEOUT, || processes::plakboxes(&place.path("")).is_empty()));
    drop(service);
    let again = Service::start(&place, "", &tenants);
    assert_eq!(files_of_sessions(&again), [""; 0]);
}

/// Remaining files of sessions and of their configurations.
fn files_of_sessions(service: &Service) -> Vec<String> {
    let state = service.path("state/tenants/ours");
    let left = ["sessions", "remotes"].map(|name| fs::read_dir(state.join(name)).unwrap());
    left.into_iter().flatten().map(|it| it.unwrap().path().display().to_string()).collect()
}

/// Lets a service have a state directory of its own of so many KiB, in which there is a file
/// `fill` that takes all of it.
fn with_full_disk(place: &TestEnv, command: &Command) -> Command {
    let state = service::directory(place).join("state");
    fs::create_dir_all(&state).unwrap();
    let mut inside = place.command("unshare");
    if rustix::process::geteuid().is_root() {
        inside.arg("--mount");
    } else {
        inside.args(["--mount", "--user", "--map-root-user"]);
    }
    let script = "mount -t tmpfs -o size=256k tmpfs \"$0\" && { cat /dev/zero > \"$0/fill\" \
                  2>/dev/null; exec \"$@\"; }";
    inside.args(["sh", "-c", script]).arg(state).arg(command.get_program());
    inside.args(command.get_args());
    inside
}

#[test]
fn a_full_disk_fails_sessions_with_its_name_and_the_service_continues() {
    let place = place();
    service::write(&place, "socket = \"socket\"\n", "", &ours(""));
    let mut command = with_full_disk(&place, &service::command(&place));
    let service = Service::begin(&place, &mut command);
    let backup = || {
        let mut command = place.backup_command("@granted");
        place.backup_by(service.client(&mut command))
    };
    backup().soon().bad("service/state/tenants/ours").says("No space left on device");
    // Its disk, as only the service sees it.
    let disk = format!("/proc/{}/root{}", service.pid(), service.path("state").display());
    fs::remove_file(format!("{disk}/fill")).unwrap();
    backup().good();
    // 256 KiB hold a configuration, and none of the batches of a restore.
    fs::remove_dir_all(place.path("granted")).unwrap();
    fs::create_dir(place.path("granted")).unwrap();
    let restored = run(service.client(&mut place.restore_command("@granted")));
    restored.bad("No space left on device");
    let sessions = fs::read_dir(format!("{disk}/tenants/ours/sessions")).unwrap();
    assert_eq!(sessions.count(), 0, "what a failed restore leaves takes up the disk");
    backup().good();
}

#[tokio::test]
async fn a_client_that_is_killed_ends_its_session_and_its_processes() {
    let place = place();
    let service = Service::start(&place, "", &ours("[tenant.limits]\nbandwidth = \"1MiB\"\n"));
    let (connect, granted) = (service.path("connect.toml"), place.path("granted"));
    let mut importer = session_by(&place, &connect, &granted).await.unwrap();
    let mut scan = importer.scan().await.unwrap();
    while scan.next().await.unwrap().is_some() {}
    let content = importer.open("/dir0/file0").await.unwrap();
    let state = service.path("state");
    assert!(!processes::rclones(&state).is_empty(), "a reader runs");
    // Dropped, it is killed.
    drop((content, scan, importer));
    assert!(within(TIMEOUT, || processes::rclones(&state).is_empty()));
    let listed = || service.sessions(&place, ["list"]).text.lines().count();
    assert!(within(TIMEOUT, || listed() == 1));
    assert!(within(TIMEOUT, || files_of_sessions(&service).is_empty()));
}
