//! A tenant whose rclone was taken over reaches nothing of another tenant, even where both
//! run as the same user.

use plakbox_tests::certificates::{Authority, Valid};
use plakbox_tests::env::{files_below, within};
use plakbox_tests::plugin::Importer;
use plakbox_tests::service::{self, Service, Tls, certified_client, ours, policy, session_by};
use plakbox_tests::{TestEnv, processes, tools, tree};
use std::fs;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// A refusal by the kernel: EACCES.
const REFUSED: &str = "refused 13";

/// Outcome of an attempt of the tenant `ours`, which has the probe in rclone's place.
async fn attempt(service: &Service, what: &str, value: &str) -> String {
    let option = format!("rclone_try_{what}");
    let config = [("location", "rclone://"), ("rclone_type", "memory"), (&*option, value)];
    let mut importer = Importer::start_at(&service.path("socket"), &config).await.unwrap();
    let mut scan = importer.scan().await.unwrap();
    let mut said = String::new();
    while let Some(record) = scan.next().await.unwrap() {
        said += &record.pathname;
    }
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compromised_rclone_reaches_nothing_of_another_tenant() {
    let (place, authority) = (TestEnv::bare(), Authority::new());
    let granted = place.directory_remote("granted");
    tree::file(&granted.join("file"), b"of the other", tree::time(0));
    policy(&place, "other.toml", &granted, &tools::rclone());
    let hostile = format!(
        "version = 1\n[rclone]\npath = {:?}\n[[allow]]\nbackends = [\"memory\"]\nuse = [\"importer\"]\n",
        tools::probe()
    );
    fs::write(service::directory(&place).join("ours.toml"), hostile).unwrap();
    let tenants = format!(
        "{}[[tenant]]\nname = \"other\"\npolicy = \"other.toml\"\ncertificates = [\"other\"]\n",
        ours("")
    );
    let tls = Tls { authority: &authority, valid: Valid::Now };
    let (service, address) = Service::start_with_tls(&place, &tls, "", &tenants);

    // The other tenant is at work.
    let client = certified_client(&place.path("client"), &authority, "other", &address);
    let mut other = session_by(&place, &client, &granted).await.unwrap();
    let mut scan = other.scan().await.unwrap();
    while scan.next().await.unwrap().is_some() {}
    other.open("/file").await.unwrap();

    let state = service.path("state/tenants/other");
    let rclone = processes::rclones(&state)[0];
    let kept = files_below(&state);
    let configuration = kept.iter().find(|file| file.ends_with("rclone.conf")).unwrap();
    let path = |path: &std::path::Path| path.display().to_string();
    for (what, value) in [
        ("list", path(&state)),
        ("list", path(&service.path("state"))),
        ("read", path(configuration)),
        ("read", path(&service.path("service.toml"))),
        ("read", path(&granted.join("file"))),
        ("write", path(&state.join("sessions/mine"))),
        ("read", format!("/proc/{rclone}/environ")),
        ("read", format!("/proc/{rclone}/mem")),
        ("read", format!("/proc/{rclone}/cmdline")),
        ("read", format!("/proc/{}/mem", service.pid())),
    ] {
        let said = attempt(&service, what, &value).await;
        assert!(said.contains(&format!("{what} {REFUSED}")), "{what} {value}: {said}");
    }
    // It would say otherwise where it may.
    let said = attempt(&service, "read", "/etc/hosts").await;
    assert!(said.contains("read done"), "{said}");
    assert!(other.open("/file").await.is_ok(), "the other tenant goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_say_nothing_have_few_places_and_give_way() {
    let place = TestEnv::bare();
    let granted = place.directory_remote("granted");
    policy(&place, "ours.toml", &granted, &tools::rclone());
    let service = Service::start(&place, "", &ours(""));
    let before = processes::open_files(service.pid());
    let silent: Vec<_> = (0..200).map(|_| UnixStream::connect(service.path("socket"))).collect();
    assert!(silent.iter().all(Result::is_ok));
    // So many of one user.
    let crowded =
        || service.metric("plakbox_rejected_connections_total{cause=\"too-many-pending\"}");
    assert!(within(Duration::from_secs(5), || crowded() == 200.0 - 64.0), "{}", crowded());
    let open = processes::open_files(service.pid());
    assert!(open < before + 80, "{before} {open}");
    assert!(service.session(&granted).await.is_ok(), "silence keeps others of this user out");
    drop(silent);
    let free = || processes::open_files(service.pid()) <= before + 2;
    assert!(within(Duration::from_secs(5), free), "{}", processes::open_files(service.pid()));
    assert!(service.session(&granted).await.is_ok());
}
