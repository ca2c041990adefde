//! Servers whose answers rclone takes apart, and of which it leaves something out.

use super::failed;
use plakbox_tests::TestEnv;
use plakbox_tests::scripted::{self, Answer, Request, webdav_entry, webdav_listing};
use std::sync::atomic::{AtomicU32, Ordering};

/// A web server of three files, of which one is answered by `refuse` when it is looked up.
fn web(refuse: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static) -> String {
    let address = scripted::serve(move |request| {
        let name = request.path.trim_start_matches('/');
        if let Some(answer) = refuse(request) {
            return answer;
        }
        match name {
            "" => {
                let links = ["one", "two", "three"].map(|it| format!("<a href=\"{it}\">{it}</a>"));
                Answer::new(200, links.concat()).header("Content-Type", "text/html")
            }
            _ => Answer::new(200, name)
                .header("Content-Type", "application/octet-stream")
                .header("Last-Modified", "Mon, 02 Jan 2006 15:04:05 GMT"),
        }
    });
    format!("http://{address}/")
}

#[test]
fn a_file_of_a_web_server_that_can_t_be_looked_up_is_an_error_of_its_path() {
    for status in [403, 405, 500] {
        let url = web(move |request| {
            let refused = request.method == "HEAD" && request.path == "/two";
            refused.then(|| Answer::new(status, ""))
        });
        let place = TestEnv::new();
        place.remote("web", &[("type", "http"), ("url", &url)]);
        let run = place.backup("rclone://web:").says("1 error");
        let line = failed(&run, "/two");
        assert!(line.contains(&status.to_string()), "{line}");
        assert!(place.content("/one") == b"one" && place.content("/three") == b"three");
    }
}

#[test]
fn a_file_that_a_web_server_refuses_for_a_while_is_looked_up_again() {
    let refusals = AtomicU32::new(0);
    let url = web(move |request| {
        let refused = request.method == "HEAD"
            && request.path == "/two"
            && refusals.fetch_add(1, Ordering::Relaxed) < 1;
        refused.then(|| Answer::new(429, ""))
    });
    let place = TestEnv::new();
    place.remote("web", &[("type", "http"), ("url", &url)]);
    place.backup("rclone://web:").good();
    assert_eq!(place.content("/two"), b"two");
}

#[test]
fn a_file_that_is_refused_again_and_again_is_never_taken_for_a_directory() {
    for (refusals, found) in [(2, true), (3, true), (1000, false)] {
        let refused = AtomicU32::new(0);
        let url = web(move |request| {
            let is_refused = request.method == "HEAD"
                && request.path == "/two"
                && refused.fetch_add(1, Ordering::Relaxed) < refusals;
            is_refused.then(|| Answer::new(429, ""))
        });
        let place = TestEnv::new();
        place.remote("web", &[("type", "http"), ("url", &url)]);
        let run = place.backup("rclone://web:");
        assert!(!run.text.contains("/two/two"), "{refusals}: {}", run.text);
        if found {
            run.says("without errors");
            assert_eq!(place.content("/two"), b"two");
        } else {
            failed(&run.says("1 error"), "/two");
        }
    }
}

#[test]
fn an_entry_that_webdav_shows_in_another_directory_is_an_error() {
    let listing = [
        webdav_entry("/", "<d:collection/>"),
        webdav_entry("/good", ""),
        webdav_entry("/x/deep.mkv", ""),
        webdav_entry("/gone", "").replace("200 OK", "403 Forbidden"),
    ];
    let address = scripted::serve(move |request| match (request.method.as_str(), &*request.path) {
        ("PROPFIND", "/") => webdav_listing(&listing.concat()),
        ("PROPFIND", "/good") => webdav_listing(&listing[1]),
        ("PROPFIND", _) => Answer::new(404, ""),
        _ => Answer::new(200, "x"),
    });
    let place = TestEnv::new();
    place.remote("dav", &[("type", "webdav"), ("url", &format!("http://{address}/"))]);
    let run = place.backup("rclone://dav:").says("2 errors");
    failed(&run, "deep.mkv");
    let line = failed(&run, "/gone");
    assert!(line.contains("403"), "{line}");
    assert_eq!(place.content("/good"), b"x");
}

/// An S3 server with one bucket of these keys, each with its own name as its content.
fn s3(place: &TestEnv, keys: &'static [&'static str], refuse: &'static str) {
    let address = scripted::serve(move |request| {
        let key = percent_decode(&request.path);
        let key = key.strip_prefix("/bucket").unwrap_or(&key);
        let key = key.strip_prefix('/').unwrap_or(key);
        if key.is_empty() && request.method == "GET" {
            let keys = keys.iter().map(|key| {
                format!(
                    "<Contents><Key>{key}</Key><LastModified>2024-01-02T03:04:05.000Z</LastModified>\
                     <ETag>\"{:032x}\"</ETag><Size>{}</Size></Contents>",
                    key.len(),
                    key.len()
                )
            });
            let body = format!(
                "<ListBucketResult><Name>bucket</Name><IsTruncated>false</IsTruncated>{}</ListBucketResult>",
                keys.collect::<String>()
            );
            return Answer::new(200, body).header("Content-Type", "application/xml");
        }
        if key == refuse {
            return Answer::new(403, "");
        }
        match keys.iter().find(|known| **known == key) {
            Some(key) => Answer::new(200, *key)
                .header("ETag", format!("\"{:032x}\"", key.len()))
                .header("Last-Modified", "Tue, 02 Jan 2024 03:04:05 GMT"),
            None => Answer::new(404, ""),
        }
    });
    let url = format!("http://{address}");
    let keys = [("access_key_id", "a"), ("secret_access_key", "b")];
    let options = [("type", "s3"), ("provider", "Other"), ("endpoint", &*url)];
    place.remote("s3", &[&options[..], &keys].concat());
}

fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let digits: Vec<u8> = rest.by_ref().take(2).collect();
                let digits = String::from_utf8(digits).unwrap();
                bytes.push(u8::from_str_radix(&digits, 16).unwrap());
            }
            _ => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).unwrap()
}

#[test]
fn an_s3_key_with_dots_for_a_name_fails_alone() {
    let place = TestEnv::new();
    s3(&place, &["one", "two/x", "w/../up"], "");
    let run = place.backup("rclone://s3:bucket");
    failed(&run, "up");
    assert!(place.content("/bucket/one") == b"one" && place.content("/bucket/two/x") == b"two/x");
}

#[test]
fn an_s3_object_that_may_not_be_looked_up_fails_alone() {
    let place = TestEnv::new();
    s3(&place, &["a", "b", "c", "d/closed", "d/e", "f"], "d/closed");
    let run = place.backup("rclone://s3:bucket").says("1 error");
    let line = failed(&run, "/bucket/d/closed");
    assert!(line.contains("403"), "{line}");
    for key in ["a", "b", "c", "d/e", "f"] {
        assert_eq!(place.content(&format!("/bucket/{key}")), key.as_bytes());
    }
}

#[test]
fn s3_keys_with_empty_names_are_errors_that_say_so() {
    let place = TestEnv::new();
    s3(&place, &["good", "a//b", "/c"], "");
    let run = place.backup("rclone://s3:bucket");
    assert!(!run.text.contains("it was removed"), "{}", run.text);
    run.says("is not a path that a snapshot can contain");
    assert_eq!(place.content("/bucket/good"), b"good");
}
