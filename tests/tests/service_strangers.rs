//! Those who say nothing, or nonsense, keep no tenant out and fill no disk.

use plakbox_tests::certificates::{Authority, Valid};
use plakbox_tests::env::within;
use plakbox_tests::service::{self, Service, Tls, ask, certified_client, ours, policy, session_by};
use plakbox_tests::{TestEnv, processes, tools};
use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::TcpSocket;

/// Time limit for a change of a metric or of a connection.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A place with a directory that the tenant `ours` may read.
fn granted() -> (TestEnv, PathBuf) {
    let place = TestEnv::bare();
    let granted = place.directory_remote("granted");
    policy(&place, "ours.toml", &granted, &tools::rclone());
    (place, granted)
}

/// A service with a tenant that comes with a certificate, and the file of a client.
fn with_certificates(place: &TestEnv, settings: &str) -> (Service, String, PathBuf) {
    let authority = Authority::new();
    let tenants =
        "[[tenant]]\nname = \"ours\"\npolicy = \"ours.toml\"\ncertificates = [\"ours.example\"]\n";
    let tls = Tls { authority: &authority, valid: Valid::Now };
    let (service, address) = Service::start_with_tls(place, &tls, settings, tenants);
    let client = certified_client(&place.path("client"), &authority, "ours.example", &address);
    (service, address, client)
}

/// A connection from another address of this machine than the usual one.
async fn from_elsewhere(address: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let stream = socket.connect(address.parse().unwrap()).await.unwrap();
    stream.into_std().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_says_nothing_keeps_no_tenant_out() {
    let (place, granted) = granted();
    let (service, address, client) = with_certificates(&place, "");
    let before = processes::open_files(service.pid());
    let mut silent = Vec::new();
    for _ in 0..280 {
        silent.push(from_elsewhere(&address).await);
    }
    for _ in 0..3 {
        session_by(&place, &client, &granted).await.unwrap();
    }
    let open = processes::open_files(service.pid());
    assert!(open < before + 100, "one host has {} connections", open - before);
    let crowded =
        || service.metric("plakbox_rejected_connections_total{cause=\"too-many-pending\"}");
    assert!(within(TIMEOUT, || crowded() == 280.0 - 64.0), "{}", crowded());
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_of_a_host_are_summed_up_in_the_log_and_in_the_audit_log() {
    let (place, _) = granted();
    let audit = place.path("audit.jsonl");
    let settings = format!("[limits]\nrejection-summaries = \"1s\"\n[audit]\nfile = {audit:?}\n");
    let (service, address, _) = with_certificates(&place, &settings);
    for _ in 0..300 {
        from_elsewhere(&address).await.write_all(b"nonsense, not TLS").unwrap();
    }
    let counted = || {
        let of = |cause| {
            service.metric(&format!("plakbox_rejected_connections_total{{cause=\"{cause}\"}}"))
        };
        of("tls") + of("too-many-pending")
    };
    assert!(within(TIMEOUT, || counted() == 300.0), "{}", counted());
    let summed = || service.log().contains("more rejections from 127.0.0.2 in ");
    assert!(within(TIMEOUT, summed), "{}", service.log());
    let noted = fs::read_to_string(audit).unwrap();
    assert!(noted.contains("more rejections from 127.0.0.2 in "), "{noted}");
    for text in [noted, service.log()] {
        let lines = text.lines().filter(|line| line.contains("127.0.0.2")).count();
        assert!(lines <= 12, "there are {lines} lines:\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_held_open_take_nothing_from_tenants_or_operators() {
    let (place, granted) = granted();
    let address = service::free_address();
    service::write(&place, "socket = \"socket\"\n", "", &ours(""));
    let file = service::directory(&place).join("service.toml");
    let text = fs::read_to_string(&file).unwrap();
    let operations = format!("[admin]\naddress = \"{address}\"\n");
    fs::write(&file, text.replace("[admin]\n", &operations)).unwrap();
    let serve = service::command(&place);
    let mut command = place.command("prlimit");
    command.arg("--nofile=256:256").arg(serve.get_program()).args(serve.get_args());
    let service = Service::begin(&place, &mut command);
    let before = processes::open_files(service.pid());

    let half = || {
        let mut connection = TcpStream::connect(&address).unwrap();
        connection.write_all(b"GET /metrics HTTP/1.1\r\nHost: ").unwrap();
        connection
    };
    let slow: Vec<_> = (0..260).map(|_| half()).collect();
    let open = processes::open_files(service.pid());
    assert!(open < before + 40, "{} connections are held", open - before);
    let health = || ask(TcpStream::connect(&address).unwrap(), "GET /health");
    assert!(health().starts_with("HTTP/1.1 200"), "operators are kept out");
    assert!(service.session(&granted).await.is_ok(), "tenants are kept out");
    let free = || processes::open_files(service.pid()) <= before + 2;
    assert!(within(TIMEOUT, free), "half a request may stay: {}", service.log());
    assert!(service.metric("plakbox_rejected_connections_total{cause=\"admin\"}") > 200.0);
    drop(slow);

    let long = format!("GET /health?{} HTTP/1.1\r\nX: y", "x".repeat(1 << 20));
    let mut connection = TcpStream::connect(&address).unwrap();
    let _ = connection.write_all(long.as_bytes());
    assert!(within(TIMEOUT, free), "a head without end is taken");
    assert!(health().starts_with("HTTP/1.1 200"));
}
