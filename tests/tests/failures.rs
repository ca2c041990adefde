//! Every failure is one clear line that says what is wrong and what to do, on
//! Plakar's own output, soon, and nothing is lost or half written.

use fastrand::Rng;
use plakbox_tests::env::{finish, run, within};
use plakbox_tests::faulty_http_server::{Page, Web};
use plakbox_tests::{Run, TestEnv, processes, servers, tree};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// A backup with a program in the place of rclone that says this of its version.
fn backup_with_rclone(place: &TestEnv, version: &str) -> Run {
    let rclone = place.rclone_that_says(version);
    place.backup_by(place.backup_command("@source").env("PLAKBOX_RCLONE", rclone))
}

/// Kills the rclone that runs this verb for a place, soon after it has begun.
fn kill_at_work(place: &TestEnv, verb: &str) {
    let at_work = || {
        let mut rclones = processes::rclones(&place.path("")).into_iter();
        rclones.find(|id| processes::command_line(*id).contains(&format!(" {verb} ")))
    };
    assert!(within(Duration::from_secs(60), || at_work().is_some()), "no rclone ran {verb}");
    std::thread::sleep(Duration::from_millis(700));
    at_work().into_iter().for_each(processes::kill);
}

#[test]
fn rclone_missing() {
    let place = TestEnv::with_source();
    run(place.backup_command("@source").env("PLAKBOX_RCLONE", "/nowhere/rclone"))
        .soon()
        .bad("PLAKBOX_RCLONE names `/nowhere/rclone` as rclone, which isn't a file");
    let empty = place.path("empty");
    fs::create_dir(&empty).unwrap();
    run(place.backup_command("@source").env("PATH", empty)).soon().bad(
        "rclone was not found; help: install rclone 1.70.0 or later \
         (https://rclone.org/install), or set PLAKBOX_RCLONE to its path",
    );
}

#[test]
fn rclone_too_old() {
    let place = TestEnv::with_source();
    backup_with_rclone(&place, "rclone v1.60.1-DEV")
        .soon()
        .bad("is too old; help: install rclone 1.70.0 or later (https://rclone.org/install)");
}

#[test]
fn rclone_that_is_something_else() {
    let place = TestEnv::with_source();
    backup_with_rclone(&place, "hello")
        .soon()
        .bad("doesn't work (it prints `hello`); help: reinstall rclone");
}

#[test]
fn rclone_that_is_a_script() {
    let place = TestEnv::with_source();
    let rclone = place.path("rclone");
    fs::write(&rclone, "#!/bin/sh\nexec rclone \"$@\"\n").unwrap();
    fs::set_permissions(&rclone, fs::Permissions::from_mode(0o755)).unwrap();
    run(place.backup_command("@source").env("PLAKBOX_RCLONE", rclone)).soon().bad(
        "is a script, and what it starts can't be confined; help: set PLAKBOX_RCLONE to \
         the path of rclone itself",
    );
}

#[test]
fn no_type() {
    let place = TestEnv::new();
    place.import_text("source", b"[half]\nurl = http://localhost/\n");
    place.backup("@half").soon().bad(
        "or import it again with `rclone config dump | plakar source import -rclone \
         -overwrite NAME`",
    );
    place
        .backup("rclone://nothing")
        .soon()
        .bad("has neither `rclone_type` nor the name of a remote");
    place.backup("rclone://unknown:x").soon().bad(
        "your rclone.conf has no remote `unknown`; help: run `rclone listremotes` to list them",
    );
}

#[test]
fn unknown_type() {
    let place = TestEnv::new();
    place.remote("odd", &[("type", "punchcards")]);
    place.import("odd");
    place.backup("@odd").soon().bad(
        "didn't find backend called \"punchcards\"; help: check `rclone_type`: `rclone help \
         backends` lists what this rclone knows",
    );
}

#[test]
fn unknown_option() {
    let place = TestEnv::with_source();
    place.plakar(["source", "set", "source", "read_a_head=1"]).good();
    place.backup("@source").soon().bad(
        "the rclone connector has no option `read_a_head`, only `read_ahead`, \
         `streams`, `processes`, `times`, `view` and `exports`; help: remove it",
    );
}

#[test]
fn an_option_with_a_senseless_value() {
    let place = TestEnv::with_source();
    place
        .plakar(["source", "set", "source", "read_ahead=128MiB", "streams=4", "times=server"])
        .good();
    place.backup("@source").good();
    place.plakar(["source", "set", "source", "read_ahead=plenty"]).good();
    place.backup("@source").soon().bad(
        "`plenty` is not a value of the option `read_ahead`; help: set `read_ahead` to a \
         size up to 128MiB, like 64MiB, or 0",
    );
}

#[test]
fn a_hidden_password() {
    let place = TestEnv::new();
    let server = servers::serve(&place, "webdav", &place.directory_remote("source"));
    servers::webdav_remote(&place, "dav", &server);
    place.import("dav");
    place.backup("@dav").soon().bad("the remote's `pass` was hidden by `rclone config show`");
}

#[test]
fn wrong_credentials() {
    let place = TestEnv::new();
    let directory = place.path("served");
    fs::create_dir_all(directory.join("bucket")).unwrap();
    let [dav, s3] = ["webdav", "s3"].map(|kind| servers::serve(&place, kind, &directory));
    let wrong = servers::obscure(&place, "wrong");
    let url = format!("http://{}/", dav.address);
    place.remote("dav", &[("type", "webdav"), ("url", &url), ("user", "user"), ("pass", &wrong)]);
    place
        .backup("rclone://dav:")
        .soon()
        .bad("401 Unauthorized; help: check the remote's user, password or keys");
    let url = format!("http://{}", s3.address);
    let keys = [("access_key_id", servers::KEY), ("secret_access_key", "wrongwrong")];
    let options =
        [&[("type", "s3"), ("provider", "Rclone"), ("endpoint", &*url)], &keys[..]].concat();
    place.remote("s3", &options);
    place.backup("rclone://s3:bucket").soon().bad("check the remote's user, password or keys");
}

#[test]
fn server_not_reachable() {
    let place = TestEnv::new();
    place.remote("gone", &[("type", "webdav"), ("url", "http://127.0.0.1:9/")]);
    place.import("gone");
    place.backup("@gone").soon().bad(
        "connect: connection refused; help: check the network and the server, and run it again",
    );
    place
        .plakar(["source", "ping", "gone"])
        .soon()
        .bad("connection refused; help: check the network and the server, and run it again");
}

#[test]
fn path_not_found() {
    let place = TestEnv::new();
    place.directory_remote("source");
    place
        .backup("rclone://source:not/there")
        .soon()
        .bad("directory not found; help: check the path");
}

#[test]
fn a_directory_that_can_t_be_listed_is_an_error_of_its_path_and_the_rest_is_kept() {
    let (place, web) = (TestEnv::new(), Web::new());
    web.put("good/file", Page::new("good"));
    // A link to a directory that isn't there: listing it fails, nothing else does.
    web.put("index/inside/", Page::new("<a href=\"gone/\">gone/</a>").breaking(5));
    place.remote("web", &[("type", "http"), ("url", &web.url)]);
    place.import("web");
    let run = place.backup("@web").says("1 error").says("/index/inside");
    assert!(
        run.text.lines().any(|line| line.contains("KO") && line.contains("inside")),
        "{}",
        run.text
    );
    assert_eq!(place.content("/good/file"), b"good");
}

#[test]
fn a_file_that_can_t_be_read_is_an_error_of_its_path_and_the_rest_is_kept() {
    let (place, web) = (TestEnv::new(), Web::new());
    for number in 0..20 {
        let gone = number == 7;
        web.put(&format!("file{number}"), Page { gone, ..Page::new("good") });
    }
    place.remote("web", &[("type", "http"), ("url", &web.url)]);
    place.import("web");
    let run = place.backup("@web").says("1 error");
    let line = run.text.lines().find(|line| line.contains("KO") && line.contains("/file7"));
    assert!(
        line.is_some_and(|line| line.contains("404 Not Found; help: check the path")),
        "{}",
        run.text
    );
    assert_eq!(place.content("/file8"), b"good");
}

#[test]
fn a_destination_that_refuses_one_file_gets_the_others() {
    let place = TestEnv::with_source();
    let source = place.path("source");
    for number in 0..20 {
        tree::file(&source.join(format!("file{number}")), b"good", tree::time(number));
    }
    place.backup("@source").good();
    let target = place.directory_remote("target");
    // A directory of that name stands in the way.
    fs::create_dir_all(target.join("file7/full")).unwrap();
    let run = place.restore("rclone://target:").soon().bad("1 of 2");
    let line =
        run.text.lines().find(|line| line.contains("KO") && line.contains("/file7")).unwrap();
    assert!(line.contains("a directory is in the way at `file7`"), "{line}");
    assert_eq!(fs::read(target.join("file8")).unwrap(), b"good");
    assert_eq!(fs::read_dir(&target).unwrap().count(), 21);
}

#[test]
fn a_destination_that_can_t_be_written_says_so() {
    let place = TestEnv::with_source();
    place.backup("@source").good();
    place.remote("nowhere", &[("type", "alias"), ("remote", "/proc/nowhere")]);
    place.restore("rclone://nowhere:").soon().bad("the directory `/proc/nowhere` can't be made");
}

#[test]
fn rclone_killed_half_way_through_a_backup_is_never_a_shorter_file() {
    for verb in ["lsjson", "serve", "cat"] {
        let (place, web) = (TestEnv::new(), Web::new());
        let stalling = |size| Page {
            stalls: std::time::Duration::from_secs(2),
            ..Page::new(tree::seeded_bytes(1, size))
        };
        web.put("a/small", stalling(100_000).chunked());
        web.put("b/large", stalling(30 << 20));
        if verb == "lsjson" {
            web.put(
                "index/",
                Page { stalls: Duration::from_secs(4), ..Page::new("<a href=\"x\">x</a>") },
            );
        }
        place.remote("source", &[("type", "http"), ("url", &web.url)]);
        place.import("source");
        let start = Instant::now();
        let mut command = place.backup_command("@source");
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        kill_at_work(&place, verb);
        let run = place.note(finish(child, start)).soon();
        match verb {
            "lsjson" => drop(run.bad("rclone lsjson was killed by signal 9; help: run it again")),
            // What is small is read again by another process.
            "serve" => {
                run.good();
                assert!(place.content("/a/small") == tree::seeded_bytes(1, 100_000));
            }
            _ => {
                let run = run.says("1 error");
                let line =
                    run.text.lines().find(|line| line.contains("KO") && line.contains("/b/large"));
                assert!(line.is_some(), "{}", run.text);
                assert!(!place.listed().contains("large"), "{}", place.listed());
            }
        }
    }
}

#[test]
fn rclone_killed_half_way_through_a_restore_fails_clearly() {
    let place = TestEnv::with_source();
    let mut random = Rng::with_seed(3);
    // By a process of its own, and in a batch.
    let sizes = [("large", 40 << 20), ("medium", 16 << 20)];
    for (name, size) in sizes {
        tree::file(
            &place.path("source").join(name),
            &tree::random_bytes(&mut random, size),
            tree::time(9),
        );
    }
    place.backup("@source").good();
    // Slow enough to be met half way.
    place.policy(&format!(
        "[limits]\nbandwidth = \"4MiB\"\n[[allow]]\nbackends = [\"alias\", \"local\"]\n\
         use = [\"exporter\"]\ndirectories = [{:?}]\n",
        place.path("")
    ));
    for verb in ["copy", "rcat"] {
        let target = place.directory_remote(&format!("target-{verb}"));
        let start = Instant::now();
        let mut command = place.restore_command(&format!("rclone://target-{verb}:"));
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        kill_at_work(&place, verb);
        finish(child, start)
            .bad(&format!("rclone {verb} was killed by signal 9; help: run it again"));
        for (name, size) in sizes {
            let found = fs::metadata(target.join(name)).map(|meta| meta.len()).ok();
            assert!(found.is_none_or(|found| found == size as u64), "a short file: {found:?}");
        }
    }
}
