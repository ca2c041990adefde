//! Three tenants back up at the same time through one service: each gets its own data, is
//! refused what its policy denies, and has nothing of the others'.

use plakbox_tests::certificates::{Authority, Valid};
use plakbox_tests::env::{files_below, run};
use plakbox_tests::faulty_http_server::{Page, Web};
use plakbox_tests::service::{self, Service, Tls, certified_client, open_to_users};
use plakbox_tests::{Run, TestEnv, processes, secret_scan, tools};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

const NAMES: [&str; 3] = ["alpha", "beta", "gamma"];

/// Texts that only one tenant's remote has: its secret, its files' names and
/// their contents.
const SECRETS: [&str; 3] = ["secret-of-alpha-7c1e", "secret-of-beta-7c1e", "secret-of-gamma-7c1e"];
const FILES: [&str; 3] = ["name-of-alpha-7c1e", "name-of-beta-7c1e", "name-of-gamma-7c1e"];
const CONTENTS: [&str; 3] =
    ["content-of-alpha-7c1e", "content-of-beta-7c1e", "content-of-gamma-7c1e"];

/// The first of the users that tenants' processes run as.
const FIRST_USER: u32 = 72_000;

/// Delay of the last file of each backup, during which everything is searched.
const STALL: Duration = Duration::from_secs(20);

fn everything() -> Vec<&'static str> {
    [SECRETS, FILES, CONTENTS].concat()
}

/// A tenant on a machine of its own.
struct Tenant {
    number: usize,
    place: TestEnv,
    web: Web,
    /// The file by which its packages find the service.
    client: PathBuf,
}

impl Tenant {
    /// One whose remote `own` has twenty files, and one that takes long.
    fn new(number: usize) -> Self {
        let (place, web) = (TestEnv::new(), Web::new());
        let content = CONTENTS[number];
        for file in 0..20 {
            let name = format!("open/{}-{file}", FILES[number]);
            web.put(&name, Page::new(format!("{content} {file}")));
        }
        let long = Page::new(content.repeat(9)).chunked();
        web.put("open/slow", Page { stalls: STALL, ..long });
        web.put("closed/file", Page::new(content));
        let headers = format!("Authorization,{}", SECRETS[number]);
        place.remote("own", &[("type", "http"), ("url", &web.url), ("headers", &headers)]);
        place.import("own");
        place.plakar(["source", "set", "own", "location=rclone://open"]).good();
        let client = place.path("client/connect.toml");
        Self { number, place, web, client }
    }

    fn name(&self) -> &'static str {
        NAMES[self.number]
    }

    fn port(&self) -> &str {
        self.web.url.trim_end_matches('/').rsplit(':').next().unwrap()
    }

    /// Its policy: alpha's pins its server, beta's may restore into a directory, and gamma's
    /// names a path; each of them means servers of this machine, and says so in its way.
    fn policy(&self, rclone: &Path) -> String {
        let out = self.place.path("out");
        let own = match self.name() {
            "alpha" => format!("pin = {{ url = {:?} }}\n", self.web.url),
            "beta" => "hosts = [\"127.0.0.1\"]\n".to_owned(),
            _ => "paths = [\"open\"]\nread-only = true\nprivate-hosts = true\n".to_owned(),
        };
        let more = match self.name() {
            "beta" => format!(
                "[[allow]]\nbackends = [\"local\", \"alias\"]\nuse = [\"exporter\"]\ndirectories = [{out:?}]\n"
            ),
            _ => String::new(),
        };
        format!(
            "version = 1\n[rclone]\npath = {rclone:?}\n[[allow]]\n\
             backends = [\"http\"]\nuse = [\"importer\"]\nports = [{}]\n{own}{more}",
            self.port()
        )
    }

    fn backup(&self, source: &str) -> Run {
        let mut command = self.place.backup_command(source);
        self.place.backup_by(command.env("PLAKBOX_CONNECT", &self.client))
    }

    /// A backup of something that its policy denies.
    #[track_caller]
    fn denied(&self, options: &[(&str, &str)], location: &str, why: &str) {
        self.place.remote("denied", options);
        self.place.import("denied");
        self.place.plakar(["source", "set", "denied", &format!("location={location}")]).good();
        self.backup("@denied").soon().bad(why);
        // The next one of this name is another.
        fs::write(self.place.path("rclone.conf"), "").unwrap();
    }

    fn state(&self, service: &Service) -> PathBuf {
        service.path("state/tenants").join(self.name())
    }
}

/// Finds of each tenant where they may be, so that a search that finds nothing is noticed.
#[derive(Default)]
struct Seen {
    rclones: BTreeSet<u32>,
    users: BTreeSet<u32>,
    in_rclones: BTreeSet<&'static str>,
    in_clients: BTreeSet<&'static str>,
}

impl Seen {
    /// Searches the processes and files of a tenant for what is another's.
    fn look(&mut self, tenant: &Tenant, service: &Service) {
        let state = tenant.state(service);
        for id in processes::rclones(&state) {
            self.rclones.insert(id);
            self.users.extend(processes::user(id));
            self.in_rclones.extend(only_its_own(tenant, secret_scan::memory(id, &everything())));
            assert_eq!(secret_scan::said(id, &SECRETS), [""; 0], "it is there for all to see");
            only_its_own(tenant, secret_scan::said(id, &everything()));
        }
        for id in processes::find("", tenant.place.path("").to_str().unwrap()) {
            self.in_clients.extend(only_its_own(tenant, secret_scan::memory(id, &everything())));
            only_its_own(tenant, secret_scan::said(id, &everything()));
        }
        only_its_own(tenant, secret_scan::files(&state, &everything()));
    }
}

/// Nothing of what was found may be of another tenant's.
#[track_caller]
fn only_its_own(tenant: &Tenant, found: Vec<&'static str>) -> Vec<&'static str> {
    let own = |text: &str| text.contains(&format!("-of-{}-", tenant.name()));
    assert!(found.iter().all(|text| own(text)), "{} has {found:?}", tenant.name());
    found
}

/// No component at work may have a secret, or what is of two tenants. How many have names
/// of files.
fn look_into_components(service: &Service) -> usize {
    let components = secret_scan::components(service.pid(), &everything());
    for found in &components {
        assert!(found.iter().all(|text| !SECRETS.contains(text)), "{found:?}");
        let whose: BTreeSet<_> = found.iter().map(|text| text.split('-').nth(2)).collect();
        assert!(whose.len() <= 1, "one component has {found:?}");
    }
    components.iter().filter(|found| !found.is_empty()).count()
}

/// The service of three tenants; the first comes to its socket, the others by TLS.
fn service(host: &TestEnv, tenants: &mut [Tenant]) -> Service {
    let root = rustix::process::geteuid().is_root();
    let directory = service::directory(host);
    let rclone = host.path("rclone");
    fs::copy(tools::rclone(), &rclone).unwrap();
    if root {
        // So that they find rclone, as in /usr/bin.
        open_to_users(host);
    }
    let mut text = String::new();
    for tenant in &*tenants {
        let name = tenant.name();
        fs::write(directory.join(format!("{name}.toml")), tenant.policy(&rclone)).unwrap();
        let who = match name {
            "alpha" => format!("users = [{}]", rustix::process::getuid().as_raw()),
            _ => format!("certificates = [\"spiffe://example/{name}\"]"),
        };
        text += &format!("[[tenant]]\nname = \"{name}\"\npolicy = \"{name}.toml\"\n{who}\n");
    }
    let authority = Authority::new();
    let users = format!("[users]\nfirst = {FIRST_USER}\ncount = 10\n");
    let settings = format!(
        "[audit]\nfile = {:?}\n{}",
        host.path("audit.jsonl"),
        if root { users.as_str() } else { "" }
    );
    let tls = Tls { authority: &authority, valid: Valid::Now };
    let address = service::write_with_tls(host, &tls, &settings, &text);
    let mut command = service::command(host);
    let service = Service::begin(host, command.env("PLAKBOX_LOG", "plakbox=debug"));
    for tenant in tenants {
        if tenant.name() == "alpha" {
            tenant.client = service.path("connect.toml");
            continue;
        }
        let directory = tenant.client.parent().unwrap();
        let whose = format!("spiffe://example/{}", tenant.name());
        certified_client(directory, &authority, &whose, &address);
    }
    service
}

/// A log in which each line that has a tenant has nothing of another, and none has a secret.
#[track_caller]
fn assert_log_is_clean(log: &str, tenants: &[Tenant]) {
    assert_eq!(secret_scan::found(log.as_bytes(), &SECRETS), [""; 0]);
    for tenant in tenants {
        let its = format!("\"tenant\":\"{}\"", tenant.name());
        let lines: Vec<_> = log.lines().filter(|line| line.contains(&its)).collect();
        assert!(!lines.is_empty(), "nothing was logged of {}:\n{log}", tenant.name());
        only_its_own(tenant, secret_scan::found(lines.join("\n").as_bytes(), &everything()));
    }
}

#[test]
fn three_tenants_have_their_own_data_and_nothing_of_the_others() {
    let host = TestEnv::bare();
    let mut tenants: Vec<_> = (0..3).map(Tenant::new).collect();
    let service = service(&host, &mut tenants);
    let mut seen: [Seen; 3] = Default::default();
    let mut most_components = 0;
    thread::scope(|scope| {
        let backups: Vec<_> = tenants
            .iter()
            .map(|tenant| {
                let mut command = tenant.place.backup_command("@own");
                command.env("PLAKBOX_CONNECT", &tenant.client);
                scope.spawn(move || run(&mut command))
            })
            .collect();
        while !backups.iter().any(|backup| backup.is_finished()) {
            for (seen, tenant) in seen.iter_mut().zip(&tenants) {
                seen.look(tenant, &service);
            }
            most_components = most_components.max(look_into_components(&service));
        }
        for (tenant, backup) in tenants.iter().zip(backups) {
            tenant.place.note(backup.join().unwrap()).good();
        }
    });
    for (seen, tenant) in seen.iter().zip(&tenants) {
        let number = tenant.number;
        assert!(seen.in_rclones.contains(SECRETS[number]), "the search finds no secret at all");
        assert!(seen.in_rclones.contains(CONTENTS[number]));
        assert!(seen.in_clients.contains(FILES[number]));
        let path = format!("/open/{}-7", FILES[number]);
        assert_eq!(tenant.place.content(&path), format!("{} 7", CONTENTS[number]).as_bytes());
        let listed = tenant.place.listed();
        only_its_own(tenant, secret_scan::found(listed.as_bytes(), &everything()));
        only_its_own(tenant, secret_scan::files(&tenant.place.path("home"), &everything()));
        only_its_own(tenant, secret_scan::files(&tenant.state(&service), &everything()));
    }
    assert_eq!(most_components, 3, "each session has a component with names in it");
    assert_eq!(look_into_components(&service), 0, "what a session had is gone with it");
    if rustix::process::geteuid().is_root() {
        let users: BTreeSet<_> = seen.iter().map(|seen| seen.users.clone()).collect();
        assert_eq!(users, (0..3).map(|number| [FIRST_USER + number].into()).collect());
    }
    assert_log_is_clean(&service.log(), &tenants);
    assert_log_is_clean(&fs::read_to_string(host.path("audit.jsonl")).unwrap(), &tenants);
}

#[test]
fn each_tenant_is_refused_what_its_own_policy_denies() {
    let host = TestEnv::bare();
    let mut tenants: Vec<_> = (0..3).map(Tenant::new).collect();
    for tenant in &tenants {
        // Nothing waits for these here.
        tenant.web.put("open/slow", Page::new("fast"));
    }
    let service = service(&host, &mut tenants);
    let [alpha, beta, gamma] = &tenants[..] else { unreachable!() };
    tenants.iter().for_each(|tenant| drop(tenant.backup("@own").good()));
    let url_of = |tenant: &Tenant| tenant.web.url.clone();
    alpha.denied(&[("type", "http"), ("url", &url_of(beta))], "rclone://open", "must be `http://");
    beta.denied(&[("type", "http"), ("url", &url_of(gamma))], "rclone://open", "permission denied");
    let others = alpha.state(&service);
    let others = others.to_str().unwrap();
    beta.denied(&[("type", "alias"), ("remote", others)], "rclone://", "policy");
    gamma.denied(&[("type", "http"), ("url", &url_of(gamma))], "rclone://closed", "policy");
    for tenant in &tenants {
        let out = tenant.place.directory_remote("out");
        if rustix::process::geteuid().is_root() {
            open_to_users(&tenant.place);
            let user = FIRST_USER + u32::try_from(tenant.number).unwrap();
            chown(&out, Some(user), Some(user)).unwrap();
        }
        tenant.place.import("out");
        let mut restore = tenant.place.restore_command("@out");
        let restored = run(restore.env("PLAKBOX_CONNECT", &tenant.client));
        if tenant.name() == "beta" {
            restored.good();
            let name = format!("{}-7", FILES[1]);
            let file = files_below(&out).into_iter().find(|file| file.ends_with(&name)).unwrap();
            assert_eq!(fs::read(file).unwrap(), format!("{} 7", CONTENTS[1]).as_bytes());
        } else {
            restored.soon().bad("ask the author of the policy");
            assert_eq!(fs::read_dir(out).unwrap().count(), 0);
        }
    }
}
