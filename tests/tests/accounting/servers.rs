//! Servers that stop answering, or never do: the run ends within two minutes, with one reason.

use fastrand::Rng;
use plakbox_tests::env::{finish, within};
use plakbox_tests::scripted::{self, Answer, webdav_entry, webdav_listing};
use plakbox_tests::{Run, TestEnv, servers, tools, tree};
use std::net::TcpListener;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The longest that a run may take after its remote has stopped answering.
const TIMEOUT: Duration = Duration::from_secs(120);

#[track_caller]
fn in_time(run: Run) -> Run {
    assert!(run.took < TIMEOUT, "it took {:?}:\n{}", run.took, run.text);
    run
}

/// The address of a server that takes connections and says nothing.
fn silent() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let mut held = Vec::new();
        listener.incoming().flatten().for_each(|stream| held.push(stream));
    });
    address
}

/// A backup from a server that takes connections and never answers must end.
fn back_up_from_silence(backend: &str, more: &[(&str, &str)]) {
    let address = silent();
    let (host, port) = address.split_once(':').unwrap();
    let url = format!("http://{address}");
    let place = TestEnv::new();
    let password = servers::obscure(&place, "x");
    let login = [("host", host), ("port", port), ("user", "x"), ("pass", &password)];
    let address = match backend {
        "webdav" => &[("url", url.as_str())][..],
        "s3" => &[("endpoint", url.as_str())][..],
        _ => &login[..],
    };
    place.remote("it", &[&[("type", backend)], address, more].concat());
    in_time(place.backup("rclone://it:bucket")).bad("check the network");
}

#[test]
fn a_webdav_server_that_never_answers_ends_the_run() {
    back_up_from_silence("webdav", &[]);
}

#[test]
fn an_s3_server_that_never_answers_ends_the_run() {
    let keys = [("access_key_id", "a"), ("secret_access_key", "b"), ("provider", "Other")];
    back_up_from_silence("s3", &keys);
}

#[test]
fn an_sftp_server_that_never_answers_ends_the_run() {
    back_up_from_silence("sftp", &[]);
}

#[test]
fn an_ftp_server_that_never_answers_ends_the_run() {
    back_up_from_silence("ftp", &[]);
}

#[test]
fn doctor_says_soon_that_a_port_refuses() {
    let place = TestEnv::new();
    let keys = [("access_key_id", "a"), ("secret_access_key", "b")];
    let s3 = [("type", "s3"), ("provider", "Other"), ("endpoint", "http://127.0.0.1:9")];
    place.remote("s3", &[&s3[..], &keys].concat());
    let mut command = place.command(tools::plakbox());
    command.args(["doctor", "s3:bucket"]);
    plakbox_tests::env::run(&mut command).soon().says("connection refused");
}

#[test]
fn a_server_that_stops_for_good_ends_the_backup_with_one_reason() {
    for kind in ["webdav", "s3"] {
        let place = TestEnv::new();
        let served = place.path("served");
        let mut random = Rng::with_seed(7);
        for number in 0..2000 {
            let name = format!("bucket/{}/{number}", number % 10);
            tree::file(
                &served.join(name),
                &tree::random_bytes(&mut random, 20_000),
                tree::time(number),
            );
        }
        let server = servers::serve(&place, kind, &served);
        // Slow enough to be met half way.
        let far = plakbox_tests::latency_proxy::start(&server.address, Duration::from_millis(40));
        servers::remote(&place, "it", kind, &far);
        let start = Instant::now();
        let mut command = place.backup_command("rclone://it:bucket");
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        let read = || {
            plakbox_tests::processes::rclones(&place.path(""))
                .iter()
                .any(|id| plakbox_tests::processes::command_line(*id).contains(" serve "))
        };
        assert!(within(Duration::from_secs(60), read), "nothing was read");
        std::thread::sleep(Duration::from_millis(1500));
        drop(server);
        let stopped = Instant::now();
        let run = finish(child, start);
        assert!(stopped.elapsed() < TIMEOUT, "it took {:?}", stopped.elapsed());
        assert!(run.text.contains("KO") || !run.ok, "{}", run.text);
        let reasons: std::collections::BTreeSet<_> = run
            .text
            .lines()
            .filter(|line| line.contains("KO"))
            .filter_map(|line| line.rsplit_once(": ").map(|(_, reason)| reason.to_owned()))
            .collect();
        assert!(reasons.len() <= 3, "{reasons:?}");
    }
}

#[test]
fn access_that_is_revoked_in_the_middle_ends_the_backup_with_one_reason() {
    const FILES: usize = 2000;
    let files = (0..FILES).map(|number| webdav_entry(&format!("/{number}"), ""));
    let listing = webdav_entry("/", "<d:collection/>") + &files.collect::<String>();
    let reads = AtomicUsize::new(0);
    let address = scripted::serve(move |request| {
        if request.method == "GET" && reads.fetch_add(1, Ordering::Relaxed) > 100
            || request.method != "GET" && reads.load(Ordering::Relaxed) > 100
        {
            std::thread::sleep(Duration::from_millis(50));
            return Answer::new(401, "");
        }
        match (request.method.as_str(), request.path.as_str()) {
            ("PROPFIND", "/") => webdav_listing(&listing),
            ("PROPFIND", path) => webdav_listing(&webdav_entry(path, "")),
            _ => Answer::new(200, "x"),
        }
    });
    let place = TestEnv::new();
    place.remote("dav", &[("type", "webdav"), ("url", &format!("http://{address}/"))]);
    let run = place.backup("rclone://dav:");
    assert!(run.took < Duration::from_secs(60), "it took {:?}", run.took);
    run.says("401 Scripted; help: check the remote's user, password or keys");
}
