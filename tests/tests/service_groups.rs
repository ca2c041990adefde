//! A service with a control group of its own has one in it for each session, which ends with
//! the session.

use plakbox_tests::env::within;
use plakbox_tests::plugin::Importer;
use plakbox_tests::service::{self, Service, ours, policy};
use plakbox_tests::{TestEnv, processes, tools, tree};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Time limit for the end of a process.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A control group of the test's, as systemd would delegate one.
struct Group(PathBuf);

impl Group {
    /// None where we may make none.
    fn make() -> Option<Self> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let mount = mounts.lines().find(|line| line.contains(" - cgroup2 "))?;
        let point = mount.split(' ').nth(4)?;
        let own = fs::read_to_string("/proc/self/cgroup").unwrap();
        let own = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
        let name = format!("plakbox-test-{}", std::process::id());
        let group = Path::new(point).join(own).join(name);
        fs::create_dir(&group).ok().map(|()| Self(group))
    }

    /// Starts a service as its first member.
    fn service(&self, place: &TestEnv) -> Service {
        let serve = service::command(place);
        let mut shell = place.command("sh");
        shell.args(["-c", "echo 0 > \"$0/cgroup.procs\" && exec \"$@\""]).arg(&self.0);
        shell.arg(serve.get_program()).args(serve.get_args());
        Service::begin(place, &mut shell)
    }

    /// The groups of sessions.
    fn sessions(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.join("tenant-ours")).into_iter().flatten().flatten();
        let groups = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        groups.map(|group| group.file_name().to_string_lossy().into_owned()).collect()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::write(self.0.join("cgroup.kill"), "1");
        let gone = || {
            let sessions = self.sessions().into_iter().map(|name| format!("tenant-ours/{name}"));
            for name in sessions.chain(["service", "tenant-ours", ""].map(str::to_owned)) {
                let _ = fs::remove_dir(self.0.join(name));
            }
            !self.0.exists()
        };
        within(TIMEOUT, gone);
    }
}

/// The group of a process below that of the service.
fn group_of(id: u32) -> String {
    let text = fs::read_to_string(format!("/proc/{id}/cgroup")).unwrap_or_default();
    let path = text.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or_default();
    path.split("/tenant-ours/").nth(1).unwrap_or_default().to_owned()
}

/// A session that has begun to read.
async fn reading(place: &TestEnv, service: &Service) -> Importer {
    let mut importer = service.session(&place.path("granted")).await.unwrap();
    let mut scan = importer.scan().await.unwrap();
    while scan.next().await.unwrap().is_some() {}
    importer.open("/file").await.unwrap();
    importer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_s_processes_have_a_group_that_ends_with_it() {
    let Some(group) = Group::make() else {
        eprintln!("no control group can be made here: nothing is tested");
        return;
    };
    let place = TestEnv::bare();
    let granted = place.directory_remote("granted");
    tree::file(&granted.join("file"), b"mine", tree::time(0));
    policy(&place, "ours.toml", &granted, &tools::rclone());
    service::write(&place, "socket = \"socket\"\n", "", &ours(""));
    let file = service::directory(&place).join("service.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("cgroups = true\n{text}")).unwrap();
    let service = group.service(&place);
    let state = service.path("state");

    let (first, second) = (reading(&place, &service).await, reading(&place, &service).await);
    let groups: Vec<_> = processes::rclones(&state).into_iter().map(group_of).collect();
    assert!(groups.len() >= 2 && groups.iter().all(|group| group.contains('-')), "{groups:?}");
    assert_eq!(group.sessions().len(), 2);
    drop(first);
    assert!(within(TIMEOUT, || group.sessions().len() == 1), "{:?}", group.sessions());
    assert!(second.open("/file").await.is_ok(), "another session's end is its own");

    processes::kill(service.pid());
    drop((second, service));
    assert!(within(TIMEOUT, || processes::rclones(&state).is_empty()));
    let again = group.service(&place);
    assert_eq!(group.sessions(), [""; 0], "groups of a killed service are left");
    drop(reading(&place, &again).await);
}
