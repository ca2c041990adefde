//! Each system call that rclone is seen to make, in all its uses and with every backend at
//! hand, is one that its confinement allows.

use plakbox_tests::daemons::{self, Daemon};
use plakbox_tests::env::run;
use plakbox_tests::{TestEnv, servers, tools, tree};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// The names of the calls that the confinement's table has.
fn allowed() -> BTreeSet<String> {
    let table = "host/src/confinement/seccomp/allowed.rs";
    let text = fs::read_to_string(tools::repository().join(table)).unwrap();
    let names = text.split("libc::SYS_").skip(1);
    let end = |text: &str| text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let mut names: BTreeSet<_> =
        names.map(|text| text[..end(text).unwrap_or(text.len())].to_owned()).collect();
    // It stands there by its number.
    names.insert("fchmodat2".to_owned());
    assert!(names.len() > 100, "{names:?}");
    names
}

/// Refused, and rclone goes on: it gives its new configuration the owner that it has already.
const REFUSED: [&str; 1] = ["fchownat"];

/// Backends that do with files and sockets what those below them do: a part of it is enough.
const WRAPPING: [&str; 5] = ["chunker", "compress", "crypt", "hasher", "union"];

/// Watches rclone at something, and gives what it called.
fn calls(place: &TestEnv, args: &[&str], input: Option<&Path>) -> BTreeSet<String> {
    let trace = place.path("trace");
    let mut command = place.command("strace");
    command.args(["-f", "-qq", "-o"]).arg(&trace).arg(tools::rclone());
    command.args(["--config", place.path("rclone.conf").to_str().unwrap()]);
    command.args(["--retries", "1", "--low-level-retries", "1"]).args(args);
    if let Some(input) = input {
        command.stdin(Stdio::from(fs::File::open(input).unwrap()));
    }
    // What it comes to doesn't matter here.
    let _ = run(&mut command);
    let text = fs::read_to_string(trace).unwrap();
    let name = |line: &str| {
        let (name, _) = line.split_once(' ')?.1.trim_start().split_once('(')?;
        let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        // What it shows of a thread that has just ended.
        let garbage = name.strip_prefix("syscall_0x").is_some_and(|number| number.len() > 3);
        (is_name && !name.is_empty() && !garbage).then(|| name.to_owned())
    };
    text.lines().filter_map(name).collect()
}

/// Everything that a session makes rclone do with a remote, at its directory `at`.
fn everything(place: &TestEnv, at: &str) -> BTreeSet<String> {
    let (source, large) = (place.path("small"), place.path("large"));
    let (from, file) = (source.to_str().unwrap(), format!("{at}/received"));
    let moved = format!("{at}/moved");
    let below = format!("{at}/copied");
    let mut all = BTreeSet::new();
    let copy = ["copy", "--ignore-times", "--create-empty-src-dirs", "--transfers", "4"];
    all.append(&mut calls(place, &[&copy[..], &[from, &below]].concat(), None));
    if WRAPPING.iter().any(|name| at.starts_with(name)) {
        all.append(&mut calls(place, &["cat", &format!("{below}/file3")], None));
        return all;
    }
    for args in [
        &["lsjson", "--recursive", "--hash", at][..],
        &["copy", "--ignore-times", from, &below],
        &["lsjson", "--recursive", at],
        &["cat", &format!("{below}/file3")],
        &["cat", &format!("{below}/missing")],
        &["touch", "--no-create", "--timestamp", "2020-01-01T00:00:00", &format!("{below}/file3")],
        &["mkdir", &format!("{at}/made")],
        &["backend", "features", at],
    ] {
        all.append(&mut calls(place, args, None));
    }
    all.append(&mut calls(place, &["rcat", "--size", "20971520", &file], Some(&large)));
    all.append(&mut calls(place, &["moveto", &file, &moved], None));
    all.append(&mut calls(place, &["deletefile", &moved], None));
    all.append(&mut calls(
        place,
        &["serve", "restic", "--stdio", at],
        Some(Path::new("/dev/null")),
    ));
    all
}

#[test]
fn what_rclone_calls_is_what_its_confinement_allows() {
    if Command::new("strace").arg("--version").output().is_err() {
        eprintln!("strace isn't installed (`just servers`): nothing is tested");
        return;
    }
    let place = TestEnv::bare();
    for number in 0..8 {
        tree::file(&place.path("small").join(format!("file{number}")), b"x", tree::time(1));
    }
    tree::file(&place.path("large"), &vec![b'x'; 20 << 20], tree::time(1));
    let mut remotes: BTreeMap<String, String> = BTreeMap::new();
    let directory = place.directory_remote("directory");
    remotes.insert("directory".into(), "directory:at".into());
    std::os::unix::fs::symlink("at", directory.join("link")).unwrap();
    place.remote("links", &[("type", "local"), ("links", "true")]);
    remotes.insert("links".into(), format!("links:{}", directory.display()));
    place.remote(
        "crypt",
        &[
            ("type", "crypt"),
            ("remote", "directory:crypt"),
            ("password", &servers::obscure(&place, "secret")),
        ],
    );
    place.remote("union", &[("type", "union"), ("upstreams", "directory: directory:crypt")]);
    place.remote("compress", &[("type", "compress"), ("remote", "directory:compress")]);
    place.remote(
        "chunker",
        &[("type", "chunker"), ("remote", "directory:chunker"), ("chunk_size", "1Mi")],
    );
    place.remote("hasher", &[("type", "hasher"), ("remote", "directory:hasher")]);
    for name in WRAPPING {
        remotes.insert(name.into(), format!("{name}:at"));
    }
    let daemons: Vec<(&str, Option<Daemon>)> = vec![
        ("sftp", daemons::sshd(&place, "")),
        ("ftp", daemons::vsftpd(&place, "")),
        ("ftps", daemons::proftpd(&place, "")),
        ("smb", daemons::samba(&place)),
        ("webdav", daemons::apache(&place)),
        ("http", daemons::nginx(&place, "", "")),
    ];
    for (name, daemon) in &daemons {
        let Some(daemon) = daemon else { continue };
        daemon.directory("at");
        daemon.remote(&place, name);
        remotes.insert((*name).into(), daemon.location(name, "at").replace("rclone://", ""));
    }
    let served = place.path("served");
    fs::create_dir_all(served.join("at")).unwrap();
    let s3 = servers::serve(&place, "s3", &served);
    servers::s3_remote(&place, "s3", &s3);
    remotes.insert("s3".into(), "s3:at".into());
    // A name that has to be resolved, and nothing that answers.
    place.remote("nowhere", &[("type", "webdav"), ("url", "http://plakbox.invalid/")]);
    remotes.insert("nowhere".into(), "nowhere:at".into());

    let allowed = allowed();
    let mut missing: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (name, at) in &remotes {
        for call in everything(&place, at) {
            if !allowed.contains(&call) && !REFUSED.contains(&&*call) {
                missing.entry(call).or_default().push(name);
            }
        }
    }
    assert!(missing.is_empty(), "rclone is refused these calls, with these backends: {missing:?}");
}
