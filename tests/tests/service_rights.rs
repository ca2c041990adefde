//! A right that was withdrawn gives no session any more, whatever was begun before.

use plakbox_tests::certificates::{Authority, Valid};
use plakbox_tests::env::within;
use plakbox_tests::plugin::{Connected, greet, local};
use plakbox_tests::service::{HOST, Service, Tls, certified_client, ours, policy};
use plakbox_tests::{TestEnv, tools, tree};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ClientConfig, HandshakeKind, RootCertStore};
use tonic::Status;

/// Time limit for a change of a metric or of a connection.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A place with a directory that the tenant `ours` may read.
fn granted() -> (TestEnv, PathBuf) {
    let place = TestEnv::bare();
    let granted = place.directory_remote("granted");
    tree::file(&granted.join("file"), b"mine", tree::time(0));
    policy(&place, "ours.toml", &granted, &tools::rclone());
    (place, granted)
}

async fn connected(service: &Service) -> Connected {
    Connected::at(&service.path("socket")).await.unwrap()
}

/// The refusal of a session with this directory.
async fn refused(connection: &mut Connected, directory: &Path) -> Status {
    connection.session(&local(directory)).await.err().expect("there is a session")
}

/// Makes a different user the tenant `ours`.
fn withdraw_the_user(service: &Service) {
    let users = format!("users = [{}]", rustix::process::getuid().as_raw());
    let elsewhere = ours("").replace(&users, "users = [4321]");
    fs::write(service.path("tenants.toml"), elsewhere).unwrap();
    service.read_again("the tenant `ours` has changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_has_one_session() {
    let (place, granted) = granted();
    let service = Service::start(&place, "", &ours(""));
    let mut connection = connected(&service).await;
    let mut importer = connection.session(&local(&granted)).await.unwrap();
    let again = refused(&mut connection, &granted).await;
    assert!(again.message().contains("a connection has one session"), "{again}");
    assert!(importer.scan().await.is_ok(), "the first one goes on");

    let mut connection = connected(&service).await;
    let denied = refused(&mut connection, &place.path("other")).await;
    assert!(!denied.message().contains("a connection has one session"), "{denied}");
    let again = refused(&mut connection, &granted).await;
    assert!(again.message().contains("a connection has one session"), "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_was_replaced_decides_about_connections_that_were_there_before() {
    let (place, granted) = granted();
    let service = Service::start(&place, "", &ours(""));
    let mut connection = connected(&service).await;
    policy(&place, "ours.toml", &place.path("other"), &tools::rclone());
    service.read_again("the tenant `ours` has a different policy");
    let denied = refused(&mut connection, &granted).await;
    assert!(denied.message().contains("ask the author of the policy"), "{denied}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_waits_does_not_begin_under_a_policy_that_was_replaced() {
    let (place, granted) = granted();
    let service = Service::start(&place, "", &ours("[tenant.limits]\nsessions = 1\n"));
    let first = service.session(&granted).await.unwrap();
    let mut connection = connected(&service).await;
    let directory = granted.clone();
    let second = tokio::spawn(async move { refused(&mut connection, &directory).await });
    let waiting = || service.metric("plakbox_queued_sessions{tenant=\"ours\"}");
    assert!(within(TIMEOUT, || waiting() == 1.0));
    policy(&place, "ours.toml", &place.path("other"), &tools::rclone());
    service.read_again("the tenant `ours` has a different policy");
    drop(first);
    let denied = second.await.unwrap();
    assert!(denied.message().contains("was changed while the session waited"), "{denied}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_user_has_no_session_left_and_starts_none() {
    let (place, granted) = granted();
    let service = Service::start(&place, "", &ours(""));
    let mut running = service.session(&granted).await.unwrap();
    let mut connection = connected(&service).await;
    withdraw_the_user(&service);
    let denied = refused(&mut connection, &granted).await;
    assert!(denied.message().contains("no longer belongs to the tenant `ours`"), "{denied}");
    let scan = async { running.scan().await?.next().await };
    let ended = scan.await.expect_err("it goes on");
    assert!(ended.message().contains("no longer belongs to the tenant `ours`"), "{ended}");
}

/// A service with the tenant `ours`, that comes with a certificate of `ours.example`.
fn with_certificates(place: &TestEnv, authority: &Authority) -> (Service, String) {
    let tenants =
        "[[tenant]]\nname = \"ours\"\npolicy = \"ours.toml\"\ncertificates = [\"ours.example\"]\n";
    let tls = Tls { authority, valid: Valid::Now };
    Service::start_with_tls(place, &tls, "", tenants)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_no_longer_trusted_gives_no_session_on_an_open_connection() {
    let (place, granted) = granted();
    let authority = Authority::new();
    let (service, address) = with_certificates(&place, &authority);
    let client = certified_client(&place.path("client"), &authority, "ours.example", &address);
    let connect = async |number: usize| {
        let mut command = place.command(tools::plakbox());
        command.arg("importer").env("PLAKBOX_CONNECT", &client);
        let connection = Connected::by(command).await;
        let begun = || service.log().matches("session started").count() == number;
        assert!(within(TIMEOUT, begun), "{}", service.log());
        connection
    };
    let mut connection = connect(1).await;
    let tenants = fs::read_to_string(service.path("tenants.toml")).unwrap();
    let elsewhere = tenants.replace("ours.example", "else.example");
    fs::write(service.path("tenants.toml"), elsewhere).unwrap();
    service.read_again("the tenant `ours` has changed");
    let denied = refused(&mut connection, &granted).await;
    assert!(denied.message().contains("no longer belongs to the tenant `ours`"), "{denied}");

    fs::write(service.path("tenants.toml"), tenants).unwrap();
    service.read_again("the tenant `ours` has changed");
    let mut connection = connect(2).await;
    Authority::new().write(&service.path("authority.pem"));
    service.read_again("certificates were reloaded");
    let denied = refused(&mut connection, &granted).await;
    assert!(denied.message().contains("is no longer trusted"), "{denied}");
}

/// Says what kind of handshakes two connections with one memory of sessions have.
async fn handshakes(config: ClientConfig, address: &str) -> Vec<Option<HandshakeKind>> {
    let connector = TlsConnector::from(Arc::new(config));
    let mut kinds = Vec::new();
    for _ in 0..2 {
        let socket = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from(HOST).unwrap();
        let mut stream = connector.connect(name, socket).await.unwrap();
        // A ticket would come before the answer.
        greet(&mut stream).await.unwrap();
        kinds.push(stream.get_ref().1.handshake_kind());
        stream.shutdown().await.unwrap();
    }
    kinds
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_looked_at_in_each_handshake() {
    let (place, _) = granted();
    let authority = Authority::new();
    let (_service, address) = with_certificates(&place, &authority);
    let directory = place.path("client");
    certified_client(&directory, &authority, "ours.example", &address);
    let certificate = |name: &str| CertificateDer::from_pem_file(directory.join(name)).unwrap();
    for version in [&TLS12, &TLS13] {
        let mut roots = RootCertStore::empty();
        roots.add(certificate("authority.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(directory.join("client.key")).unwrap();
        let config = ClientConfig::builder_with_protocol_versions(&[version])
            .with_root_certificates(roots)
            .with_client_auth_cert(vec![certificate("client.pem")], key)
            .unwrap();
        let kinds = handshakes(config, &address).await;
        let full = |kind: &Option<HandshakeKind>| {
            matches!(kind, Some(HandshakeKind::Full | HandshakeKind::FullWithHelloRetryRequest))
        };
        assert!(kinds.iter().all(full), "{version:?}: {kinds:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_without_a_session_ends_and_a_session_without_a_request_does_not() {
    let (place, granted) = granted();
    let service = Service::start(&place, "[limits]\nidle = \"1s\"\n", &ours(""));
    let mut importer = service.session(&granted).await.unwrap();
    let mut failed = connected(&service).await;
    refused(&mut failed, &place.path("other")).await;
    let mut stream = UnixStream::connect(service.path("socket")).await.unwrap();
    greet(&mut stream).await.unwrap();
    let mut rest = Vec::new();
    tokio::time::timeout(TIMEOUT, stream.read_to_end(&mut rest))
        .await
        .expect("it is kept")
        .unwrap();
    let idle = || service.metric("plakbox_rejected_connections_total{cause=\"idle\"}");
    assert!(within(TIMEOUT, || idle() == 2.0), "{}", idle());
    assert!(importer.scan().await.is_ok(), "Plakar's own hooks may take their time");
}
