//! A service with users of their own for its tenants runs without a right over the machine:
//! who takes it over is root of a namespace in which there are only these users.

use plakbox_tests::env::within;
use plakbox_tests::service::{self, Service, open_to_users, ours, policy};
use plakbox_tests::{TestEnv, processes, tools, tree};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::time::Duration;

/// The first of the users that tenants' processes run as, and the user of the service.
const FIRST: u32 = 75_000;
const OWN: u32 = FIRST - 1;

/// A process that ends with the test.
struct Asleep(Child);

impl Asleep {
    fn of(uid: u32) -> Self {
        Self(Command::new("sleep").arg("60").uid(uid).gid(uid).spawn().unwrap())
    }
}

impl Drop for Asleep {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether there can be such a service here.
fn is_possible() -> bool {
    let can = || Command::new("unshare").args(["--user", "true"]).status().unwrap().success();
    let possible = rustix::process::geteuid().is_root() && can();
    if !possible {
        eprintln!("only root on a system with user namespaces can have them: nothing is tested");
    }
    possible
}

/// A service with a tenant whose processes run as a user, and the directory that it may read.
fn start(place: &TestEnv) -> Service {
    open_to_users(place);
    let granted = place.directory_remote("granted");
    tree::file(&granted.join("a"), b"mine", tree::time(0));
    place.import("granted");
    let rclone = place.path("rclone");
    fs::copy(tools::rclone(), &rclone).unwrap();
    policy(place, "ours.toml", &granted, &rclone);
    let users = format!("[users]\nfirst = {FIRST}\ncount = 10\n");
    Service::start(place, &users, &ours(""))
}

#[test]
fn an_attacker_in_the_service_has_no_rights_on_the_machine() {
    if !is_possible() {
        return;
    }
    let place = TestEnv::new();
    let service = start(&place);
    place.backup_by(service.client(&mut place.backup_command("@granted"))).good();

    // What belongs to root, and to a user that isn't the service's.
    let file = |name: &str, uid: u32, mode: u32| {
        let path = place.path(name);
        fs::write(&path, "theirs").unwrap();
        chown(&path, Some(uid), Some(uid)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path.display().to_string()
    };
    let secret = file("secret", 0, 0o600);
    let shown = file("shown", 0, 0o644);
    let other = file("other", 4000, 0o600);
    let (roots, others) = (Asleep::of(0), Asleep::of(4000));
    let [root, other_user] = [&roots, &others].map(|it| it.0.id());
    let own = service.path("state/mine").display().to_string();

    // With every capability in its namespace, which is more than the service keeps.
    let attempt = |what: &str| {
        let mut command = Command::new("nsenter");
        let target = format!("--target={}", service.pid());
        command.args(["--user", &target, "--setuid=0", "--setgid=0", "sh", "-euc", what]);
        command.output().unwrap()
    };
    for what in [
        "id -u | grep -qx 0",
        &format!("cat /proc/{}/status > {own}", service.pid()),
        &format!("chown {} {own}", FIRST + 3),
        &format!("setpriv --reuid={FIRST} --regid={FIRST} --clear-groups sleep 60 & kill $!"),
    ] {
        let done = attempt(what);
        assert!(done.status.success(), "{what}: {}", String::from_utf8_lossy(&done.stderr));
    }
    for what in [
        &*format!("cat {secret}"),
        &format!("cat {other}"),
        &format!("echo mine >> {shown}"),
        &format!("rm -f {shown}"),
        &format!("chmod 0666 {shown}"),
        &format!("chown 4000 {own}"),
        &format!("kill -0 {root}"),
        &format!("kill -0 {other_user}"),
        "kill -0 1",
        "setpriv --reuid=4000 true",
        "setpriv --regid=4000 true",
        &format!("cat /proc/{root}/environ"),
        "mount -t tmpfs x /mnt",
        "echo taken > /proc/sys/kernel/hostname",
        "date -s @0",
        "echo x > /proc/sys/kernel/core_pattern",
        "chroot / sh -c 'cat /etc/shadow'",
        "mknod /tmp/plakbox-device b 254 0",
    ] {
        let done = attempt(what);
        assert!(!done.status.success(), "{what}: {}", String::from_utf8_lossy(&done.stdout));
    }
    assert_eq!(fs::read(&shown).unwrap(), b"theirs");
}

#[test]
fn no_thread_of_the_service_is_root_outside_of_its_namespace() {
    if !is_possible() {
        return;
    }
    let place = TestEnv::new();
    let mut service = start(&place);
    place.backup_by(service.client(&mut place.backup_command("@granted"))).good();
    let threads = fs::read_dir(format!("/proc/{}/task", service.pid())).unwrap();
    let threads: Vec<_> = threads.map(|entry| entry.unwrap().path()).collect();
    assert!(threads.len() > 2, "{threads:?}");
    let here = fs::read_link("/proc/self/ns/user").unwrap();
    for thread in threads {
        let status = fs::read_to_string(thread.join("status")).unwrap();
        let line = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        for ids in ["Uid:", "Gid:"] {
            assert!(line(ids).iter().all(|id| *id == OWN.to_string()), "{ids} {:?}", line(ids));
        }
        assert_eq!(line("Groups:"), [""; 0]);
        assert_ne!(fs::read_link(thread.join("ns/user")).unwrap(), here);
    }
    // What it keeps is its own user's, and what a tenant has is that one's.
    let owner = |name: &str| fs::symlink_metadata(service.path(name)).unwrap().uid();
    assert_eq!([owner("state"), owner("state/tenants/ours")], [OWN, OWN]);

    // The other process of it has nothing at all, and ends with it.
    let children = format!("/proc/{0}/task/{0}/children", service.pid());
    let children = fs::read_to_string(children).unwrap();
    let outside: Vec<u32> = children.split_whitespace().map(|id| id.parse().unwrap()).collect();
    assert_eq!(outside.len(), 1, "{children}");
    let status = fs::read_to_string(format!("/proc/{}/status", outside[0])).unwrap();
    for has in [format!("Uid:\t{OWN}\t{OWN}\t{OWN}\t{OWN}"), "CapEff:\t0000000000000000".to_owned()]
    {
        assert!(status.contains(&has), "{status}");
    }
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    // Nor does it end by what ends or reloads a service.
    processes::hang_up(outside[0]);
    processes::terminate(outside[0]);
    place.backup_by(service.client(&mut place.backup_command("@granted"))).good();
    processes::terminate(service.pid());
    assert!(service.ended());
    let gone = || fs::metadata(format!("/proc/{}", outside[0])).is_err();
    assert!(within(Duration::from_secs(10), gone), "it stays");
}

#[test]
fn a_service_that_can_t_tell_users_apart_any_more_ends() {
    if !is_possible() {
        return;
    }
    let place = TestEnv::new();
    let mut service = start(&place);
    let children = format!("/proc/{0}/task/{0}/children", service.pid());
    let outside: i32 = fs::read_to_string(children).unwrap().trim().parse().unwrap();
    let outside = rustix::process::Pid::from_raw(outside).unwrap();
    rustix::process::kill_process(outside, rustix::process::Signal::KILL).unwrap();
    let mut backup = place.backup_command("@granted");
    place.backup_by(service.client(&mut backup)).bad("");
    assert!(service.ended(), "{}", service.log());
    assert!(service.log().contains("the process that tells users apart has ended"));
}

#[test]
fn a_state_directory_of_another_user_or_a_file_that_the_service_may_write_is_refused() {
    if !is_possible() {
        return;
    }
    let place = TestEnv::new();
    drop(start(&place));
    let directory = service::directory(&place);
    let refused = |part: &str| {
        let ended = service::command(&place).output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(!ended.status.success() && said.contains(part), "{part}: {said}");
    };
    // It was given to the service's user: a service that stays root doesn't work in it.
    let users = format!("[users]\nfirst = {FIRST}\ncount = 10\n");
    service::write(&place, "socket = \"socket\"\n", "", &ours(""));
    refused(&format!("belongs to the user {OWN}"));
    service::write(&place, "socket = \"socket\"\n", &users, &ours(""));
    chown(directory.join("service.toml"), Some(OWN), None).unwrap();
    refused("let only root write it");
}

#[test]
fn files_that_the_service_could_not_read_again_are_named_at_its_start() {
    if !is_possible() {
        return;
    }
    let place = TestEnv::new();
    open_to_users(&place);
    service::policy(&place, "ours.toml", &place.path("x"), &tools::rclone());
    let users = format!("[users]\nfirst = {FIRST}\ncount = 10\n");
    service::write(&place, "socket = \"socket\"\n", &users, &ours(""));
    let tenants = service::directory(&place).join("tenants.toml");
    fs::set_permissions(&tenants, fs::Permissions::from_mode(0o600)).unwrap();
    let ended = service::command(&place).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(!ended.status.success());
    let expected = format!("tenants.toml` can't be read by the user {OWN}");
    assert!(said.contains(&expected) && said.contains("let that user"), "{said}");
}
