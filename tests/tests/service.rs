//! One service runs the sessions of many tenants: each has its policy, its user and its
//! directories, and a client without a tenant has nothing.

use plakbox_tests::env::{run, within};
use plakbox_tests::plugin::Importer;
use plakbox_tests::processes::{self, kill, terminate};
use plakbox_tests::service::{self, Service, open_to_users, ours, policy, session_by};
use plakbox_tests::{TestEnv, tools, tree};
use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::time::Duration;

/// A place with a remote `granted`, which the policy of the tenant allows.
fn place() -> TestEnv {
    service::place(|granted| tree::file(&granted.join("a"), b"mine", tree::time(0)))
}

fn backup(place: &TestEnv, service: &Service, source: &str) -> plakbox_tests::Run {
    place.backup_by(service.client(&mut place.backup_command(source)))
}

#[test]
fn plakar_backs_up_and_restores_through_a_service_what_its_tenant_may() {
    let place = place();
    let secret = place.directory_remote("secret");
    tree::file(&secret.join("b"), b"theirs", tree::time(0));
    place.import("secret");
    let service = Service::start(&place, "", &ours(""));
    backup(&place, &service, "@granted").good();
    assert_eq!(place.content("/a"), b"mine");
    fs::remove_file(place.path("granted/a")).unwrap();
    run(service.client(&mut place.restore_command("@granted"))).good();
    assert_eq!(fs::read(place.path("granted/a")).unwrap(), b"mine");
    backup(&place, &service, "@secret").soon().bad("ask the author of the policy");
    backup(&place, &service, "rclone://granted:")
        .soon()
        .bad("a service doesn't read any rclone.conf");
    let log = service.log();
    assert!(log.contains("\"tenant\":\"ours\"") && log.contains("\"session\":\""), "{log}");
    // What a session leaves is nothing but what is kept for the next one.
    let left = fs::read_dir(service.path("state/tenants/ours/sessions")).unwrap();
    assert_eq!(left.count(), 0);
}

#[test]
fn a_client_without_a_tenant_is_refused_and_noted() {
    let place = place();
    let audit = place.path("audit.jsonl");
    let settings = format!("[audit]\nfile = {audit:?}\n");
    let tenants = ours("").replace("users = [", "users = [1");
    let service = Service::start(&place, &settings, &tenants);
    backup(&place, &service, "@granted")
        .soon()
        .bad("is not a tenant of this service; help: ask its operator");
    let noted = fs::read_to_string(audit).unwrap();
    assert!(noted.contains("\"event\":\"refusal\"") && noted.contains("the user "), "{noted}");
}

#[test]
fn a_service_that_is_not_there_is_named() {
    let place = place();
    let service = Service::start(&place, "", &ours(""));
    kill(service.pid());
    let mut command = place.backup_command("@granted");
    service.client(&mut command);
    drop(service);
    run(&mut command).soon().bad("service/socket` can't be reached");
}

#[test]
fn processes_of_a_tenant_run_as_a_user_of_its_own() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("only root can let processes run as others: nothing is tested");
        return;
    }
    const FIRST: u32 = 71_000;
    let place = place();
    // For everybody to pass, as /usr/bin is.
    open_to_users(&place);
    let rclone = place.path("rclone");
    fs::copy(tools::rclone(), &rclone).unwrap();
    policy(&place, "ours.toml", &place.path("granted"), &rclone);
    let settings = format!("[users]\nfirst = {FIRST}\ncount = 10\n");
    let service = Service::start(&place, &settings, &ours(""));
    backup(&place, &service, "@granted").good();
    fs::remove_file(place.path("granted/a")).unwrap();
    chown(place.path("granted"), Some(FIRST), Some(FIRST)).unwrap();
    run(service.client(&mut place.restore_command("@granted"))).good();
    assert_eq!(fs::metadata(place.path("granted/a")).unwrap().uid(), FIRST);
    // They pass through the tenant's directory, and can't change what the host keeps there.
    let state = fs::metadata(service.path("state/tenants/ours")).unwrap();
    assert_eq!((state.gid(), state.mode() & 0o777), (FIRST, 0o710));
    assert_ne!(state.uid(), FIRST);

    // The service itself has given up what it doesn't need for that: by capabilities(7),
    // it keeps CHOWN, DAC_OVERRIDE, FOWNER, KILL, SETGID and SETUID.
    for task in fs::read_dir(format!("/proc/{}/task", service.pid())).unwrap() {
        let status = fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        for set in ["CapPrm", "CapEff", "CapBnd"] {
            let line = status.lines().find(|line| line.starts_with(set)).unwrap();
            let bits = u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap();
            assert_eq!(bits & !0xeb, 0, "{line}");
        }
    }

    // A directory that isn't there is made by that user, where that user may.
    place.remote("disk", &[("type", "local")]);
    place.import("disk");
    let to = |directory: &str| {
        let location = format!("location=rclone://{}", place.path(directory).display());
        place.plakar(["destination", "set", "disk", &location]).good();
        run(service.client(&mut place.restore_command("@disk")))
    };
    to("granted/new/deep").good();
    for directory in ["granted/new", "granted/new/deep", "granted/new/deep/a"] {
        assert_eq!(fs::metadata(place.path(directory)).unwrap().uid(), FIRST, "{directory}");
    }
    fs::create_dir(place.path("granted/of-root")).unwrap();
    to("granted/of-root/new").bad(&format!("can't be made, as the user {FIRST}"));
    assert!(!place.path("granted/of-root/new").exists());

    // Nor is anything made where a link leads that takes a directory's place meanwhile.
    let elsewhere = place.path("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::create_dir(place.path("granted/there")).unwrap();
    chown(place.path("granted/there"), Some(FIRST), Some(FIRST)).unwrap();
    std::os::unix::fs::symlink(&elsewhere, place.path("granted/link")).unwrap();
    tree::exchanged(&place.path("granted/there"), &place.path("granted/link"), || {
        for number in 0..12 {
            to(&format!("granted/there/new{number}"));
        }
    });
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
}

/// A session that an importer has begun, as Plakar would, and goes on with nothing.
async fn session(place: &TestEnv, service: &Service) -> Importer {
    session_by(place, &service.path("connect.toml"), &place.path("granted")).await.unwrap()
}

#[tokio::test]
async fn an_operator_sees_the_sessions_and_can_end_one() {
    let place = place();
    let service = Service::start(&place, "", &ours("[tenant.limits]\nsessions = 1\nqueue = 1\n"));
    let mut importer = session(&place, &service).await;
    let listed = service.sessions(&place, ["list"]).good();
    let line = listed.text.lines().nth(1).expect("no session is listed").to_owned();
    assert!(line.contains("ours") && line.contains("importer"), "{line}");
    let id = line.split_whitespace().next().unwrap();
    service.sessions(&place, ["cancel", "none"]).bad("the session `none` does not exist");
    service.sessions(&place, ["cancel", id]).good();
    let failure = importer.scan().await.err().expect("a cancelled session goes on");
    assert!(failure.message().contains("was cancelled by the operator"), "{failure}");
    drop(importer);
    let gone = || service.sessions(&place, ["list"]).text.lines().count() == 1;
    assert!(within(Duration::from_secs(10), gone));
}

#[tokio::test]
async fn a_service_that_is_killed_ends_its_clients_and_leaves_no_process() {
    let place = place();
    let service = Service::start(&place, "", &ours(""));
    let mut importer = session(&place, &service).await;
    let mut scan = importer.scan().await.unwrap();
    while scan.next().await.unwrap().is_some() {}
    assert!(importer.open("/a").await.is_ok());
    assert!(!processes::rclones(&service.path("state")).is_empty(), "a reader runs");
    kill(service.pid());
    let answer = tokio::time::timeout(Duration::from_secs(5), importer.open("/a")).await;
    assert!(answer.expect("the client waits for a service that is gone").is_err());
    let gone = || processes::rclones(&service.path("state")).is_empty();
    assert!(within(Duration::from_secs(5), gone));
    drop(service);
    let again = Service::start(&place, "", &ours(""));
    let left = fs::read_dir(again.path("state/tenants/ours/sessions")).unwrap();
    assert_eq!(left.count(), 0);
}

#[tokio::test]
async fn a_reload_is_all_or_nothing_and_reported() {
    let place = place();
    let service = Service::start(&place, "", &ours(""));
    fs::write(service.path("tenants.toml"), "[[tenant]]\nname = \"ours\"\n").unwrap();
    service.read_again("the reload failed, nothing has changed");
    backup(&place, &service, "@granted").good();
    let other = ours("").replace("\"ours\"", "\"others\"");
    fs::write(service.path("tenants.toml"), other).unwrap();
    service.read_again("the tenant `others` was added");
    backup(&place, &service, "@granted").good();
    assert!(service.path("state/tenants/others").is_dir());
}

#[tokio::test]
async fn a_service_that_receives_a_stop_signal_lets_its_sessions_end() {
    let place = place();
    let mut service = Service::start(&place, "", &ours(""));
    let mut importer = session(&place, &service).await;
    terminate(service.pid());
    let draining = || service.log().contains("draining: new sessions are refused");
    assert!(within(Duration::from_secs(10), draining));
    backup(&place, &service, "@granted").soon().bad("takes no more sessions");
    let mut scan = importer.scan().await.unwrap();
    while scan.next().await.unwrap().is_some() {}
    drop((scan, importer));
    assert!(service.ended(), "{}", service.log());
}
