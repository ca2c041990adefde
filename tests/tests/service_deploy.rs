//! The means of deployment work: the page that goes from an empty machine to three
//! tenants, the privileges of the systemd unit, and the configuration for Kubernetes.

use plakbox_tests::certificates::{Authority, Valid};
use plakbox_tests::env::{run, within};
use plakbox_tests::plugin::Importer;
use plakbox_tests::service::{self, HOST, Service, open_to_users, ours, policy};
use plakbox_tests::{TestEnv, doc_snippets, processes, tools, tree};
use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// A file of the repository.
fn file(name: &str) -> String {
    fs::read_to_string(tools::repository().join(name)).unwrap()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The page's blocks in this language, one after the other.
fn blocks(language: &str) -> String {
    doc_snippets::blocks("operations.md", language).concat()
}

/// A text in which the machine's directories are this place's.
fn moved(place: &TestEnv, text: &str) -> String {
    ["/usr/lib/plakbox", "/usr/bin/rclone", "/etc/", "/run/", "/var/", "/srv/"].iter().fold(
        text.to_owned(),
        |text, directory| {
            let there = place.path("machine").join(&directory[1..]);
            let slash = if directory.ends_with('/') { "/" } else { "" };
            let there = format!("{}{slash}", there.display().to_string().trim_end_matches('/'));
            text.replace(&format!(" {directory}"), &format!(" {there}"))
                .replace(&format!("\"{directory}"), &format!("\"{there}"))
                .replace(&format!("={directory}"), &format!("={there}"))
        },
    )
}

#[test]
fn the_steps_of_the_page_lead_to_three_tenants() {
    let place = TestEnv::new();
    if is_root() {
        open_to_users(&place);
    }
    let machine = place.path("machine");
    let rclone = machine.join("usr/bin/rclone");
    fs::create_dir_all(rclone.parent().unwrap()).unwrap();
    fs::copy(tools::rclone(), &rclone).unwrap();
    for directory in ["run/plakbox", "var/log/plakbox", "var/lib", "srv/beta"] {
        fs::create_dir_all(machine.join(directory)).unwrap();
    }
    // It is built already, no group is delegated, we are in the group of beta, and other ports are free here.
    let (tls, operations) = (service::free_address(), service::free_address());
    let group = rustix::process::getgid().as_raw();
    let script = moved(&place, &blocks("sh"))
        .replace("make build\n", "")
        .replace("cgroups = true\n", "")
        .replace("groups = [2000]", &format!("groups = [{group}]"))
        .replace("0.0.0.0:9440", &tls)
        .replace("127.0.0.1:9441", &operations);
    let script = if is_root() {
        script
    } else {
        script.replace("[users]\nfirst = 200000\ncount = 1000\n", "").replace("chown 199999", "ls")
    };
    let mut shell = place.command("sh");
    run(shell.args(["-euc", &script]).current_dir(tools::repository())).good();
    let mut serve = place.command(machine.join("usr/lib/plakbox/plakbox"));
    serve.arg("serve").arg(machine.join("etc/plakbox/service.toml"));
    let path = format!("{}:/usr/bin:/bin", rclone.parent().unwrap().display());
    let _service = Service::begin(&place, serve.env("PATH", path));

    let beta = machine.join("srv/beta");
    tree::file(&beta.join("a"), b"of beta", tree::time(0));
    place.remote("beta", &[("type", "alias"), ("remote", beta.to_str().unwrap())]);
    place.remote("photos", &[("type", "google photos")]);
    place.remote("bucket", &[("type", "s3"), ("endpoint", "https://s3.example.org")]);
    ["beta", "photos", "bucket"].iter().for_each(|name| place.import(name));
    let backup = |source: &str, connect: &Path| {
        place.backup_by(place.backup_command(source).env("PLAKBOX_CONNECT", connect))
    };
    let here = machine.join("etc/plakbox/connect.toml");
    backup("@beta", &here).good();
    assert_eq!(place.content("/a"), b"of beta");
    backup("@bucket", &here).bad("it allows the backends alias, local");

    // Gamma's machine has its three files, and a name for the service's address.
    let gamma = machine.join("etc/plakbox/tls/connect.toml");
    let text = blocks("toml").replace("backups.example:9440", &tls);
    fs::write(&gamma, format!("name = \"backups.example\"\n{text}")).unwrap();
    backup("@bucket", &gamma).bad("it allows the backends google photos");
}

/// The line of the unit with this key.
fn of_unit(key: &str) -> String {
    let unit = file("deploy/plakbox.service");
    let line = unit.lines().find_map(|line| line.strip_prefix(&format!("{key}=")));
    line.unwrap_or_else(|| panic!("the unit has no {key}")).to_owned()
}

/// Starts what was written, with the unit's capabilities and no other.
fn with_capabilities(place: &TestEnv) -> Service {
    let capabilities = of_unit("CapabilityBoundingSet").to_lowercase().replace("cap_", "+");
    let serve = service::command(place);
    // As `ProcSubset=pid` shows it.
    let alone = "mount -t proc -o subset=pid proc /proc && exec setpriv \"$@\"";
    let mut command: Command = place.command("unshare");
    command
        .args(["--mount", "sh", "-c", alone, "sh"])
        .arg("--no-new-privs")
        .arg(format!("--bounding-set=-all,{}", capabilities.replace(' ', ",")))
        .arg(serve.get_program())
        .args(serve.get_args());
    Service::begin(place, &mut command)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_tenant_s_rclone_uses_is_counted_with_the_capabilities_of_the_unit() {
    if !is_root() {
        eprintln!("only root has capabilities to give up: nothing is tested");
        return;
    }
    let place = TestEnv::bare();
    open_to_users(&place);
    let rclone = place.path("rclone");
    fs::copy(tools::probe(), &rclone).unwrap();
    let policy = format!(
        "version = 1\n[rclone]\npath = {rclone:?}\n[[allow]]\nbackends = [\"memory\"]\n\
         use = [\"importer\"]\n[limits]\nrclone-memory = \"600MiB\"\ntasks = 100\n\
         temporary-disk = \"1GiB\"\n"
    );
    fs::write(service::directory(&place).join("ours.toml"), policy).unwrap();
    let users = "[users]\nfirst = 74000\ncount = 10\n";
    service::write(&place, "socket = \"socket\"\n", users, &ours(""));
    let service = with_capabilities(&place);
    let attempts = [
        ("shared_released", "900", "(`rclone-memory`)"),
        ("threads", "200", "(`tasks`)"),
        ("disk_removed", "2", "(`temporary-disk`)"),
        ("unreadable", "", "can't be counted"),
    ];
    let attempts = attempts.map(async |(what, value, said)| {
        let what = format!("rclone_try_{what}");
        let config = [
            ("location", "rclone://"),
            ("rclone_type", "memory"),
            (&*what, value),
            ("rclone_try_wait", "30"),
        ];
        let mut importer = Importer::start_at(&service.path("socket"), &config).await.unwrap();
        let scanned = async {
            let mut scan = importer.scan().await?;
            while scan.next().await?.is_some() {}
            Ok::<(), tonic::Status>(())
        };
        let failure = scanned.await.expect_err(&what);
        assert!(failure.message().contains(said), "{what}: {failure}");
    });
    futures::future::join_all(attempts).await;
    let limits = "[tenant.limits]\nmemory = \"300MiB\"\n";
    fs::write(service.path("tenants.toml"), ours(limits)).unwrap();
    service.read_again("has changed");
    let config = [
        ("location", "rclone://"),
        ("rclone_type", "memory"),
        ("rclone_try_shared", "400"),
        ("rclone_try_wait", "30"),
    ];
    let mut importer = Importer::start_at(&service.path("socket"), &config).await.unwrap();
    let mut scan = importer.scan().await.unwrap();
    let tasks = (processes::rclones(&service.path("state")).into_iter())
        .map(|pid| fs::read_to_string(format!("/proc/{pid}/limits")).unwrap_or_default());
    let tasks: Vec<_> = tasks.collect();
    assert!(tasks.iter().all(|it| it.contains("Max processes             16384")), "{tasks:?}");
    let failure = loop {
        match scan.next().await {
            Ok(record) => assert!(record.is_some(), "it goes on"),
            Err(failure) => break failure,
        }
    };
    assert!(failure.message().contains("used more than their 300"), "{failure}");
}

#[test]
fn a_service_works_with_the_capabilities_of_its_unit() {
    if !is_root() {
        eprintln!("only root has capabilities to give up: nothing is tested");
        return;
    }
    const FIRST: u32 = 73_000;
    let place = TestEnv::new();
    open_to_users(&place);
    let granted = place.directory_remote("granted");
    tree::file(&granted.join("a"), b"mine", tree::time(0));
    place.import("granted");
    let rclone = place.path("rclone");
    fs::copy(tools::rclone(), &rclone).unwrap();
    policy(&place, "ours.toml", &granted, &rclone);
    let users = format!("[users]\nfirst = {FIRST}\ncount = 10\n");
    service::write(&place, "socket = \"socket\"\n", &users, &ours(""));
    let capabilities = of_unit("CapabilityBoundingSet");
    let service = with_capabilities(&place);
    let status = fs::read_to_string(format!("/proc/{}/status", service.pid())).unwrap();
    let bounding = status.lines().find_map(|line| line.strip_prefix("CapEff:\t")).unwrap();
    let count = u64::from_str_radix(bounding, 16).unwrap().count_ones() as usize;
    assert_eq!(count, capabilities.split(' ').count(), "it has others: {bounding}");

    place.backup_by(service.client(&mut place.backup_command("@granted"))).good();
    fs::remove_file(granted.join("a")).unwrap();
    chown(&granted, Some(FIRST), Some(FIRST)).unwrap();
    run(service.client(&mut place.restore_command("@granted"))).good();
    assert_eq!(fs::read(granted.join("a")).unwrap(), b"mine");
    let sessions = service.path("state/tenants/ours/sessions");
    assert_eq!(fs::read_dir(&sessions).unwrap().count(), 0);

    // Who reads more than there is time for is ended, with processes of another user.
    tree::file(&granted.join("large"), &vec![7; 256 << 20], tree::time(1));
    fs::write(service.path("tenants.toml"), ours("[tenant.limits]\nbandwidth = \"1MiB\"\n"))
        .unwrap();
    service.read_again("has changed");
    let mut slow = place.backup_command("@granted");
    let slow = service.client(&mut slow).stdout(Stdio::null()).stderr(Stdio::null());
    let mut slow = slow.spawn().unwrap();
    let state = service.path("state");
    let limit = Duration::from_secs(30);
    assert!(within(limit, || !processes::rclones(&state).is_empty()));
    let listed = service.sessions(&place, ["list"]).good().text;
    let session = listed.lines().nth(1).unwrap().split_whitespace().next().unwrap();
    service.sessions(&place, ["cancel", session]).good();
    // Plakar calls it a success where just the file failed: that it ends is what matters.
    assert!(within(limit, || slow.try_wait().unwrap().is_some()));
    assert!(within(limit, || processes::rclones(&state).is_empty()), "rclone isn't ended");
    assert!(within(limit, || fs::read_dir(&sessions).unwrap().count() == 0));
}

/// A file in the ConfigMap of deploy/kubernetes.yaml.
fn of_configuration(name: &str) -> String {
    let text = file("deploy/kubernetes.yaml");
    let (_, rest) = text.split_once(&format!("\n  {name}: |\n")).expect("it isn't there");
    let lines = rest.lines().take_while(|line| line.is_empty() || line.starts_with("    "));
    lines.map(|line| format!("{}\n", line.trim_start_matches("    "))).collect()
}

#[test]
fn the_configuration_for_kubernetes_starts_a_service() {
    let place = TestEnv::bare();
    let directory = service::directory(&place);
    for name in ["service.toml", "tenants.toml", "alpha.policy"] {
        let text = moved(&place, &of_configuration(name))
            .replace("0.0.0.0:9440", &service::free_address())
            .replace("0.0.0.0:9441", &service::free_address());
        fs::write(directory.join(name), text).unwrap();
    }
    let tls: PathBuf = place.path("machine/etc/plakbox-tls");
    for directory in [&tls, &place.path("machine/var/lib"), &place.path("machine/run/plakbox")] {
        fs::create_dir_all(directory).unwrap();
    }
    let authority = Authority::new();
    let certificate = authority.sign(&tls, "tls", HOST, Valid::Now);
    fs::rename(certificate.with_extension("key"), tls.join("tls.key")).unwrap();
    fs::rename(certificate, tls.join("tls.crt")).unwrap();
    authority.write(&tls.join("ca.crt"));
    let service = Service::begin(&place, &mut service::command(&place));
    assert!(service.log().contains("\"tenants\":1"), "{}", service.log());
}
