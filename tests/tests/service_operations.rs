//! The operators' view of a service, and their tools: metrics and health, limits that hold and
//! can be changed at work, and what systemd and it tell each other.

use plakbox_tests::env::within;
use plakbox_tests::plugin::{Importer, piece};
use plakbox_tests::service::{self, Service, ask, ours};
use plakbox_tests::tree::time;
use plakbox_tests::{TestEnv, processes, tree};
use std::fs;
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::time::{Duration, Instant};
use tonic::Status;

const MIB: usize = 1 << 20;

/// A place with a remote `granted` that has a file of four MiB.
fn place() -> TestEnv {
    service::place(|granted| {
        tree::file(&granted.join("file"), &tree::seeded_bytes(4, 4 * MIB), time(0));
    })
}

async fn session(place: &TestEnv, service: &Service) -> Result<Importer, Status> {
    service.session(&place.path("granted")).await
}

/// Lists everything, and reads the file; gives its size.
async fn read(importer: &mut Importer) -> Result<usize, Status> {
    let mut scan = importer.scan().await?;
    while scan.next().await?.is_some() {}
    let mut file = importer.open("/file").await?;
    let mut size = 0;
    while let Some(bytes) = piece(&mut file).await? {
        size += bytes.len();
    }
    Ok(size)
}

// What is dropped goes away on another thread, while this one waits.
#[tokio::test(flavor = "multi_thread")]
async fn metrics_tell_what_each_tenant_does_and_did() {
    let place = place();
    let service = Service::start(&place, "", &ours(""));
    let value = |name: &str| service.metric(&format!("plakbox_{name}{{tenant=\"ours\"}}"));
    let mut importer = session(&place, &service).await.unwrap();
    assert_eq!(value("sessions"), 1.0);
    assert!(value("component_memory_bytes") > 65_536.0);
    assert_eq!(read(&mut importer).await.unwrap(), 4 * MIB);
    assert!(value("rclone_processes") >= 1.0);
    // These are looked at twice a second.
    let seen = || value("rclone_memory_bytes") > 1e6 && value("rclone_threads") > 3.0;
    assert!(within(Duration::from_secs(10), seen), "{}", value("rclone_memory_bytes"));
    assert!(value("disk_bytes") >= 4096.0 && value("disk_files") >= 1.0);
    drop(importer);
    assert!(within(Duration::from_secs(10), || value("sessions") == 0.0));
    assert!(within(Duration::from_secs(10), || value("rclone_processes") == 0.0));
    assert_eq!((value("component_memory_bytes"), value("queued_sessions")), (0.0, 0.0));
    for gone in ["rclone_memory_bytes", "rclone_threads", "disk_bytes", "disk_files"] {
        assert!(within(Duration::from_secs(10), || value(gone) == 0.0), "{gone}");
    }
    for none in ["buffered_bytes", "batches", "batch_descriptors"] {
        assert_eq!(value(none), 0.0, "{none}");
    }
    assert!(value("rclone_read_bytes_total") > (4 * MIB) as f64);
    assert_eq!((value("entries_total"), value("rclone_written_bytes_total")), (2.0, 0.0));
    assert!(value("rclone_started_total") >= 2.0 && value("component_cpu_seconds_total") > 0.0);

    let reason = "plakbox_failures_total{tenant=\"ours\",reason=\"denied\"}";
    assert_eq!(service.metric(reason), 0.0);
    let config = [("location", "rclone://"), ("rclone_type", "memory")];
    let denied = Importer::start_at(&service.path("socket"), &config).await;
    assert!(denied.is_err());
    assert_eq!(service.metric(reason), 1.0);
    assert_eq!(service.metric("plakbox_queued_sessions_global"), 0.0);

    let unknown = "plakbox_rejected_connections_total{cause=\"unknown-client\"}";
    assert_eq!(service.metric(unknown), 0.0);
    let users = format!("users = [{}]", rustix::process::getuid().as_raw());
    let elsewhere = ours("").replace(&users, "users = [4321]");
    fs::write(service.path("tenants.toml"), elsewhere).unwrap();
    service.read_again("the tenant `ours` has changed");
    assert!(session(&place, &service).await.is_err());
    assert_eq!(service.metric(unknown), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_a_client_leaves_unread_take_what_its_session_may_and_no_more() {
    const FILES: usize = 80;
    let place = service::place(|granted| {
        for at in 0..FILES {
            tree::file(&granted.join(format!("{at}")), &vec![7; 3 * MIB], time(0));
        }
    });
    let policy = service::directory(&place).join("ours.toml");
    let text = fs::read_to_string(&policy).unwrap();
    fs::write(&policy, format!("{text}[limits]\nbuffers = \"32MiB\"\n")).unwrap();
    let service = Service::start(&place, "", &ours(""));
    let held = || service.metric("plakbox_buffered_bytes{tenant=\"ours\"}");
    assert_eq!(held(), 0.0);
    let mut importer = session(&place, &service).await.unwrap();
    let mut scan = importer.scan().await.unwrap();
    while scan.next().await.unwrap().is_some() {}
    let before = processes::peak_memory(service.pid());
    let paths: Vec<_> = (0..FILES).map(|at| format!("/{at}")).collect();
    let opened = futures::future::join_all(paths.iter().map(|path| importer.open(path))).await;
    let refused = opened.iter().filter_map(|opened| opened.as_ref().err());
    let messages: Vec<_> = refused.map(Status::message).collect();
    assert!(messages.iter().any(|it| it.contains("aren't read")), "{messages:?}");
    // Ten are what it may have, and 16 are let in beside them.
    let most = (26 * 3 * MIB) as f64;
    assert!(held() > (8 * MIB) as f64 && held() <= most, "{}", held());
    let more = processes::peak_memory(service.pid()) - before;
    assert!(more < 160 << 20, "{} MiB", more >> 20);
    let other = session(&place, &service).await.unwrap();
    assert!(piece(&mut other.open("/0").await.unwrap()).await.unwrap().is_some());
    drop((opened, importer, other));
    assert!(within(Duration::from_secs(10), || held() == 0.0), "{}", held());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_shows_metrics_and_health_and_no_sessions() {
    let place = place();
    let address = service::free_address();
    let settings = "[limits]\ndrain = \"30s\"\n";
    service::write(&place, "socket = \"socket\"\n", settings, &ours(""));
    let file = service::directory(&place).join("service.toml");
    let text = fs::read_to_string(&file).unwrap();
    let operations = format!("[admin]\naddress = \"{address}\"\n");
    fs::write(&file, text.replace("[admin]\n", &operations)).unwrap();
    let service = Service::begin(&place, &mut service::command(&place));
    let status = |request: &str| {
        let answer = ask(TcpStream::connect(&address).unwrap(), request);
        answer.split_whitespace().nth(1).unwrap().to_owned()
    };
    for (request, expected) in [
        ("GET /metrics", "200"),
        ("GET /health", "200"),
        ("GET /ready", "200"),
        ("GET /sessions", "404"),
        ("DELETE /sessions/x", "404"),
    ] {
        assert_eq!(status(request), expected, "{request}");
    }
    let importer = session(&place, &service).await.unwrap();
    processes::terminate(service.pid());
    assert!(within(Duration::from_secs(10), || status("GET /ready") == "503"));
    assert_eq!(status("GET /health"), "200", "it is still at work");
    drop(importer);
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_pass_no_faster_than_a_tenant_or_all_may() {
    let place = place();
    for (all, tenant) in
        [("", "[tenant.limits]\nbandwidth = \"1MiB\"\n"), ("[limits]\nbandwidth = \"1MiB\"\n", "")]
    {
        let service = Service::start(&place, all, &ours(tenant));
        let mut importer = session(&place, &service).await.unwrap();
        let start = Instant::now();
        assert_eq!(read(&mut importer).await.unwrap(), 4 * MIB);
        let took = start.elapsed();
        // The last of it is on its way when it may pass, and the list of files passes, too.
        assert!(took > Duration::from_secs(3), "4 MiB at 1 MiB a second took {took:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_with_too_much_memory_loses_its_newest_session() {
    let of_tenant = ours("[tenant.limits]\nmemory = \"96MiB\"\n");
    loses_the_last("", &of_tenant, "the tenant `ours` together used more than their 96").await;
    let of_all = "[limits]\nmemory = \"96MiB\"\n";
    loses_the_last(of_all, &ours(""), "the service used more than its 96").await;
}

/// Begins sessions that read until one is ended for this reason: the last, not the first.
async fn loses_the_last(of_all: &str, tenants: &str, why: &str) {
    let place = place();
    let service = Service::start(&place, of_all, tenants);
    let mut sessions = Vec::new();
    let mut ended = None;
    for _ in 0..12 {
        let mut importer = session(&place, &service).await.unwrap();
        if let Err(failure) = read(&mut importer).await {
            ended = Some(failure);
            break;
        }
        sessions.push(importer);
        // The service looks every second.
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let last = sessions.last_mut().unwrap();
        if let Err(failure) = last.open("/file").await {
            ended = Some(failure);
            break;
        }
    }
    let ended = ended.expect("no session was ended");
    assert!(ended.message().contains(why), "{ended}");
    assert!(sessions.len() > 1, "one session alone has too much");
    let mut content = sessions[0].open("/file").await.unwrap();
    assert!(piece(&mut content).await.unwrap().is_some(), "the first one goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_limits_apply_to_running_sessions() {
    let place = place();
    let service = Service::start(&place, "[limits]\nsessions = 4\n", &ours(""));
    let mut old = session(&place, &service).await.unwrap();
    assert_eq!(read(&mut old).await.unwrap(), 4 * MIB);

    fs::write(service.path("tenants.toml"), ours("[tenant.limits]\nbandwidth = \"1MiB\"\n"))
        .unwrap();
    service.read_again("the tenant `ours` has changed");
    let (mut new, start) = (session(&place, &service).await.unwrap(), Instant::now());
    let both = futures::future::join(read(&mut old), read(&mut new)).await;
    assert_eq!((both.0.unwrap(), both.1.unwrap()), (4 * MIB, 4 * MIB));
    let took = start.elapsed();
    assert!(took > Duration::from_secs(6), "8 MiB at 1 MiB a second took {took:?}");

    let file = service.path("service.toml");
    let text = fs::read_to_string(&file).unwrap();
    let limits = |limits: &str| {
        fs::write(&file, text.replace("sessions = 4\n", &format!("{limits}\n"))).unwrap();
    };
    limits("sessions = 2\nqueue = 0");
    service.read_again("`sessions` in [limits] changed from 4 to 2");
    let refused = session(&place, &service).await.err().expect("a third session begins");
    assert!(refused.message().contains("2 sessions of all tenants are running"), "{refused}");
    drop(old);
    let begins = async || session(&place, &service).await.is_ok();
    let start = Instant::now();
    while !begins().await {
        assert!(start.elapsed() < Duration::from_secs(10), "no place is free");
    }
    limits("sessions = 2\nprocesses = 5");
    service.read_again("[limits]: 2 sessions may need 6 processes");
    limits("sessions = 5");
    service.read_again("can't be above the 4 that the service was started with");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_tenant_receives_the_reason() {
    let place = place();
    let service = Service::start(&place, "", &ours(""));
    let mut importer = session(&place, &service).await.unwrap();
    let others = ours("").replace("\"ours\"", "\"others\"");
    fs::write(service.path("tenants.toml"), others).unwrap();
    service.read_again("the tenant `ours` was removed");
    let failure = read(&mut importer).await.expect_err("the session of a removed tenant continues");
    assert!(
        failure.message().contains("`ours` is no longer a tenant of this service"),
        "{failure}"
    );
    drop(importer);
    assert!(session(&place, &service).await.is_ok(), "we are `others` now");
}

/// The service's next message to systemd, at this socket.
fn told(systemd: &UnixDatagram) -> String {
    let mut text = vec![0; 1000];
    let length = systemd.recv(&mut text).expect("it says nothing");
    String::from_utf8(text[..length].to_vec()).unwrap()
}

/// Lets a command have a descriptor as the first that systemd passes (sd_listen_fds(3)).
fn pass(command: &mut std::process::Command, listener: &impl AsRawFd) {
    let passed = listener.as_raw_fd();
    // SAFETY: the closure makes system calls only, which are safe between fork and exec.
    unsafe {
        command.pre_exec(move || {
            // It may be 3 by itself, which `dup2` would leave to be closed.
            let copy = libc::fcntl(passed, libc::F_DUPFD_CLOEXEC, 10);
            match if copy == -1 { -1 } else { libc::dup2(copy, 3) } {
                -1 => Err(std::io::Error::last_os_error()),
                _ => Ok(()),
            }
        });
    }
    command.env("LISTEN_FDS", "1");
}

#[test]
fn systemd_passes_the_socket_and_is_notified_of_the_service_s_state() {
    let place = place();
    service::write(&place, "socket = \"socket\"\n", "", &ours(""));
    let directory = service::directory(&place);
    let notified = directory.join("notified");
    let systemd = UnixDatagram::bind(&notified).unwrap();
    systemd.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let listener = UnixListener::bind(directory.join("socket")).unwrap();
    // It comes before anybody is there.
    let early = |path: &Path| {
        let mut command = place.backup_command("@granted");
        command.env("PLAKBOX_CONNECT", path).spawn().unwrap()
    };
    let mut client = early(&directory.join("connect.toml"));
    let mut command = service::command(&place);
    pass(&mut command, &listener);
    let mut service = Service::begin(&place, command.env("NOTIFY_SOCKET", &notified));
    assert_eq!(told(&systemd).trim(), "READY=1");
    assert!(client.wait().unwrap().success());
    processes::hang_up(service.pid());
    let reloading = told(&systemd);
    assert!(reloading.contains("RELOADING=1") && reloading.contains("MONOTONIC_USEC="));
    assert_eq!(told(&systemd).trim(), "READY=1");
    processes::terminate(service.pid());
    assert_eq!(told(&systemd).trim(), "STOPPING=1");
    assert!(service.ended());
    assert!(directory.join("socket").exists(), "the socket is systemd's");
}

#[test]
fn systemd_passes_a_socket_of_tcp_as_well() {
    use plakbox_tests::certificates::{Authority, Valid};
    use plakbox_tests::service::{Tls, certified_client, write_with_tls};
    let (place, authority) = (place(), Authority::new());
    let tenants =
        "[[tenant]]\nname = \"ours\"\npolicy = \"ours.toml\"\ncertificates = [\"ours\"]\n";
    let tls = Tls { authority: &authority, valid: Valid::Now };
    write_with_tls(&place, &tls, "", tenants);
    // Another address than the one in the file: it is systemd who says where.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = service::command(&place);
    pass(&mut command, &listener);
    let _service = Service::begin(&place, &mut command);
    let address = listener.local_addr().unwrap().to_string();
    let client = certified_client(&place.path("client"), &authority, "ours", &address);
    let mut backup = place.backup_command("@granted");
    place.backup_by(backup.env("PLAKBOX_CONNECT", client)).good();
}
