//! A secret is seen by rclone alone.

use plakbox_tests::env::{files_below, finish, run, within};
use plakbox_tests::faulty_http_server::{Page, Web};
use plakbox_tests::{TestEnv, processes, secret_scan, servers, tools};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

const MARKER: &str = "MARKER-4711-SECRET";

/// A text that is certainly in the guest's memory.
const LISTING: &str = "rclone's listing";

#[test]
fn a_secret_is_in_no_log_no_argument_no_readable_file_and_not_in_the_guest() {
    let (place, web) = (TestEnv::new(), Web::new());
    web.put("file", Page { stalls: Duration::from_secs(3), ..Page::new("content").chunked() });
    let token = format!("{{\"access_token\":\"{MARKER}-a\",\"refresh_token\":\"{MARKER}-r\"}}");
    place.remote(
        "web",
        &[("type", "http"), ("url", &web.url), ("token", &token), ("secret_access_key", MARKER)],
    );
    place.import("web");
    let start = Instant::now();
    let mut command = place.backup_command("@web");
    command.env("PLAKBOX_LOG", "plakbox=trace").stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    assert!(within(Duration::from_secs(30), || !web.reads().is_empty()));

    for id in processes::find("", "") {
        assert!(!processes::command_line(id).contains(MARKER), "{}", processes::command_line(id));
    }
    for id in processes::plakboxes(&place.path("")) {
        let guest = secret_scan::components(id, &[MARKER, LISTING]);
        assert_eq!(guest, [[LISTING]], "the guest's memory holds the secret");
    }
    let mut found = 0;
    for path in files_below(&place.state()) {
        if !secret_scan::found(&fs::read(&path).unwrap_or_default(), &[MARKER]).is_empty() {
            found += 1;
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{} can be read by others", path.display());
        }
    }
    assert_eq!(found, 1, "the private configuration, and nothing else");
    assert_eq!(fs::metadata(place.state()).unwrap().permissions().mode() & 0o077, 0);

    let run = place.note(finish(child, start)).good();
    assert!(!run.text.contains(MARKER), "{}", run.text);
    assert!(run.text.contains("INFO plakbox"), "the log must have been on:\n{}", run.text);
    let origin = place.plakar(["at", &place.store(), "info", &place.last()]).good();
    assert!(!origin.text.contains(MARKER), "{}", origin.text);
}

/// A server that answers each request with an error that has the request in it; gives its
/// address.
fn echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for connection in listener.incoming() {
            let Ok(mut connection) = connection else { return };
            let mut request = vec![0; 8 << 10];
            let length = connection.read(&mut request).unwrap_or_default();
            let said = String::from_utf8_lossy(&request[..length]).replace(['\r', '\n'], " | ");
            let answer = format!(
                "HTTP/1.1 403 {said}\r\nContent-Type: text/plain\r\n\
                 Content-Length: {}\r\nConnection: close\r\n\r\n{said}",
                said.len()
            );
            let _ = connection.write_all(answer.as_bytes());
        }
    });
    address
}

#[test]
fn a_secret_that_a_server_sends_back_is_struck_out_in_whatever_form() {
    let place = TestEnv::bare();
    let address = echo();
    let url = format!("http://{address}/");
    let obscured = servers::obscure(&place, "PlainPassword42");
    let basic = "dXNlcjpQbGFpblBhc3N3b3JkNDI";
    place
        .remote("dav", &[("type", "webdav"), ("url", &url), ("user", "user"), ("pass", &obscured)]);
    let headers = "Authorization,Bearer BearerTok42";
    place.remote("headers", &[("type", "http"), ("url", &url), ("headers", headers)]);
    let sas = format!("{url}c?sv=2022-11-02&sr=c&sig=SigSecret%2B77%3D");
    place.remote("azure", &[("type", "azureblob"), ("sas_url", &sas)]);
    let broken = format!("http://user:SuperSecretPw1@{address}/%zz");
    place.remote("broken", &[("type", "http"), ("url", &broken)]);
    for (remote, secrets) in [
        ("dav", &["PlainPassword42", basic, &obscured][..]),
        ("headers", &["BearerTok42"]),
        ("azure", &["SigSecret"]),
        ("broken", &["SuperSecretPw1"]),
    ] {
        let mut command = place.command(tools::plakbox());
        command.env("PLAKBOX_LOG", "plakbox=trace").args(["ls", &format!("{remote}:")]);
        let said = run(&mut command).soon().bad("plakbox: ").text;
        let seen = secrets.iter().find(|secret| said.contains(**secret));
        assert!(seen.is_none(), "{seen:?} of {remote}: {said}");
        assert!(said.contains("***"), "{remote}: {said}");
    }
}
