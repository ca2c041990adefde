//! A policy file allows what it says and nothing else, and the audit log tells of it.

use plakbox_tests::env::{files_below, run, within};
use plakbox_tests::faulty_http_server::{Page, Web};
use plakbox_tests::{Run, TestEnv, servers, tools, tree};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::Duration;

fn plakbox<const N: usize>(place: &TestEnv, args: [&str; N]) -> Run {
    run(place.command(tools::plakbox()).args(args))
}

/// A rule for local directories below `granted` in this place, and for aliases of them.
fn local_rule(place: &TestEnv, uses: &str) -> String {
    format!(
        "[[allow]]\nbackends = [\"local\", \"alias\"]\nuse = {uses}\ndirectories = [{:?}]\n",
        place.path("granted")
    )
}

#[test]
fn plakar_backs_up_what_a_policy_allows_and_nothing_else() {
    let place = TestEnv::new();
    let granted = place.directory_remote("granted");
    let secret = place.directory_remote("secret");
    tree::file(&granted.join("a"), b"mine", tree::time(0));
    tree::file(&secret.join("b"), b"theirs", tree::time(0));
    place.policy(&local_rule(&place, "[\"importer\"]"));
    for name in ["granted", "secret"] {
        place.import(name);
    }
    place.backup("@granted").good();
    assert_eq!(place.content("/a"), b"mine");
    place.backup("@secret").soon().bad("policy.toml:2); help: ask the author of the policy");
    let link = granted.join("link");
    std::os::unix::fs::symlink(&secret, &link).unwrap();
    place.remote("sneaky", &[("type", "alias"), ("remote", link.to_str().unwrap())]);
    place.import("sneaky");
    place.backup("@sneaky").soon().bad("lies in none of its `directories`");
    place.restore("@granted").soon().bad("it may not be used by an exporter, see line 4");
    assert!(!granted.join("b").exists());
}

#[test]
fn an_invalid_policy_allows_nothing() {
    let place = TestEnv::bare();
    place.directory_remote("source");
    place.policy("[[alow]]\n");
    plakbox(&place, ["ls", "source:"]).soon().bad("policy.toml`:2:3: unknown field `alow`");
    place.policy("");
    plakbox(&place, ["ls", "source:"]).soon().bad("it allows nothing at all");
    let mut command = place.command(tools::plakbox());
    command.env("PLAKBOX_POLICY", "/nowhere.toml").args(["ls", "source:"]);
    run(&mut command).soon().bad("the policy `/nowhere.toml` can't be read");
}

#[test]
fn a_user_s_policy_can_only_narrow_the_operator_s() {
    let place = TestEnv::bare();
    let (granted, other) = (place.directory_remote("granted"), place.directory_remote("other"));
    tree::file(&granted.join("a"), b"a", tree::time(0));
    tree::file(&other.join("b"), b"b", tree::time(0));
    let operator = place.path("operator.toml");
    fs::write(&operator, format!("version = 1\n{}", local_rule(&place, "[\"importer\"]"))).unwrap();
    let operator = operator.to_str().unwrap();
    place.policy(
        "[[allow]]\nbackends = [\"*\"]\nuse = [\"importer\", \"exporter\"]\n\
         ports = \"any\"\ndirectories = [\"/\"]\n",
    );
    plakbox(&place, ["ls", "other:"]).good().says("/b");
    plakbox(&place, ["ls", "--policy", operator, "granted:"]).good().says("/a");
    plakbox(&place, ["ls", "--policy", operator, "other:"]).bad("operator.toml` doesn't allow");
    place.policy("[[allow]]\nbackends = [\"s3\"]\nuse = [\"importer\"]\n");
    plakbox(&place, ["ls", "--policy", operator, "granted:"])
        .bad("it allows the backends s3; help: ask the author of the policy");
}

#[test]
fn a_policy_is_checked_and_explained_with_the_lines_that_say_so() {
    let place = TestEnv::bare();
    place.directory_remote("granted");
    place.directory_remote("other");
    place.policy(&format!("{}limits = {{ sessions = 2 }}\n", local_rule(&place, "[\"importer\"]")));
    let file = place.path("home/.config/plakbox/policy.toml");
    let file = file.to_str().unwrap();
    plakbox(&place, ["policy", "check", file]).good().says("is sound: 1 rule");
    plakbox(&place, ["policy", "explain", file])
        .good()
        .says("policy.toml:2")
        .says("allows alias, local for importer")
        .says("(line 5)")
        .says("sessions 2 (line 6)")
        .says("guest-memory 256.0 MiB (default)");
    plakbox(&place, ["policy", "explain", file, "granted:"])
        .good()
        .says("as importer: allowed")
        .says("policy.toml:2")
        .says("as exporter: refused");
    plakbox(&place, ["policy", "explain", file, "other:"])
        .says("lies in none of its `directories`")
        .bad("the policy doesn't allow `other:`");
    let schema = plakbox(&place, ["policy", "schema"]).good().text;
    let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
    assert!(schema["properties"]["allow"].is_object(), "{schema}");
    fs::write(place.path("bad.toml"), "version = 1\n[limits]\nwall-time = \"soon\"\n").unwrap();
    let bad = place.path("bad.toml");
    plakbox(&place, ["policy", "check", bad.to_str().unwrap()]).soon().bad("bad.toml`:3:13: ");
}

#[test]
fn a_policy_decides_which_rclone_is_run() {
    let place = TestEnv::bare();
    let granted = place.directory_remote("granted");
    tree::file(&granted.join("a"), b"a", tree::time(0));
    let rule = local_rule(&place, "[\"importer\"]");
    let with = |program: &str| {
        place.policy(&format!("{rule}[rclone]\n{program}\n"));
        plakbox(&place, ["ls", "granted:"])
    };
    with("minimum-version = \"99.0.0\"")
        .bad("is older than the policy allows; help: install rclone 99");
    with(&format!("sha256 = \"{}\"", "0".repeat(64)))
        .bad("and the policy allows only the one with");
    let digest = run(place.command("sha256sum").arg(tools::rclone())).good().text;
    with(&format!("sha256 = \"{}\"", &digest[..64])).good().says("/a");
    with("path = \"/nowhere/rclone\"")
        .bad("the policy names `/nowhere/rclone` as rclone, which isn't a file");
    let path = format!("path = {:?}", tools::rclone());
    place.policy(&format!("{rule}[rclone]\n{path}\n"));
    let mut command = place.command(tools::plakbox());
    command.env("PLAKBOX_RCLONE", "/nowhere/rclone").args(["ls", "granted:"]);
    run(&mut command).good().says("/a");
}

#[test]
fn a_policy_pins_options_and_names_those_that_reach_this_machine() {
    let (place, web) = (TestEnv::bare(), Web::new());
    web.put("file", Page::new("content"));
    let rule = |more: &str| {
        format!("[[allow]]\nbackends = [\"http\"]\nuse = [\"importer\"]\nports = \"any\"\n{more}\n")
    };
    place.remote("web", &[("type", "http"), ("url", &web.url)]);
    place.remote("bare", &[("type", "http")]);
    place.remote("other", &[("type", "http"), ("url", "http://127.0.0.1:9")]);
    place.policy(&rule(&format!("pin = {{ url = {:?} }}", web.url)));
    plakbox(&place, ["ls", "web:"]).good().says("/file");
    plakbox(&place, ["ls", "bare:"]).good().says("/file");
    plakbox(&place, ["ls", "other:"]).soon().bad("the option `url` must be `http://127.0.0.1:");
    let operator = place.path("operator.toml");
    fs::write(&operator, format!("version = 1\n{}", rule("hosts = [\"*.example.org\"]"))).unwrap();
    plakbox(&place, ["ls", "--policy", operator.to_str().unwrap(), "bare:"])
        .soon()
        .bad("operator.toml` doesn't allow a remote of type `http` here: the host `127.0.0.1`");
    place.policy(&rule("hosts = [\"127.0.0.1\"]"));
    plakbox(&place, ["ls", "web:"]).good().says("/file");
    place.policy(&rule("hosts = [\"*.example.org\"]"));
    plakbox(&place, ["ls", "web:"]).soon().bad("the host `127.0.0.1` matches none of its `hosts`");
    place.remote("keyed", &[("type", "sftp"), ("host", "h"), ("key_file", "~/.ssh/id")]);
    place.policy(&rule("").replace("http", "sftp"));
    plakbox(&place, ["ls", "keyed:"]).soon().bad("the option `key_file` reads local files");
}

#[test]
fn contents_come_from_the_pinned_address_and_no_other() {
    let (place, elsewhere) = (TestEnv::bare(), Web::new());
    tree::file(&place.path("buckets/alpha/file"), b"good", tree::time(0));
    let server = servers::serve(&place, "s3", &place.path("buckets"));
    elsewhere.put("file", Page::new("evil"));
    let bare = elsewhere.url.trim_end_matches('/');
    for (name, download) in [("plain", ""), ("elsewhere", &*elsewhere.url), ("open", bare)] {
        servers::s3_remote(&place, name, &server);
        let file = place.path("rclone.conf");
        let text = fs::read_to_string(&file).unwrap();
        fs::write(file, format!("{text}download_url = {download}\n")).unwrap();
    }
    let pin = |more: &str| {
        place.policy(&format!(
            "[[allow]]\nbackends = [\"s3\"]\nuse = [\"importer\"]\nports = \"any\"\n\
             pin = {{ endpoint = \"http://{}\" }}\n{more}\n",
            server.address
        ));
    };
    let cat = |name: &str| plakbox(&place, ["cat", &format!("{name}:alpha/file")]);
    pin("");
    cat("plain").good().says("good");
    cat("elsewhere").soon().bad("the option `download_url` names a host in addition to `endpoint`");
    pin("hosts = [\"127.0.0.1\"]");
    cat("open").soon().bad("the option `download_url` needs a `/` after its host");
    assert!(elsewhere.reads().is_empty());
    cat("elsewhere").good().says("evil");
    pin("hosts = [\"a.example\"]");
    cat("plain").soon().bad("the host `127.0.0.1` matches none of its `hosts`");
}

#[test]
fn a_host_that_is_this_machine_in_whatever_words_is_refused_where_private_ones_are() {
    let (place, web) = (TestEnv::bare(), Web::new());
    web.put("file", Page::new("content"));
    let rule = |more: &str| {
        place.policy(&format!(
            "[[allow]]\nbackends = [\"http\"]\nuse = [\"importer\"]\nports = \"any\"\n{more}\n"
        ));
    };
    let port = web.url.trim_end_matches('/').rsplit(':').next().unwrap();
    let hosts = ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0x7f.1", "2130706433"];
    for (number, host) in hosts.iter().enumerate() {
        let url = format!("http://{host}:{port}/");
        place.remote(&format!("web{number}"), &[("type", "http"), ("url", &url)]);
    }
    rule("private-hosts = false");
    for number in 0..hosts.len() {
        let remote = format!("web{number}:");
        plakbox(&place, ["ls", &remote]).soon().bad("is this machine or in a private network");
    }
    assert!(web.reads().is_empty());
    for more in ["", "private-hosts = true", "hosts = [\"127.0.0.1\"]\nprivate-hosts = false"] {
        rule(more);
        plakbox(&place, ["ls", "web0:"]).good().says("/file");
    }
}

#[test]
fn limits_of_a_policy_hold() {
    let (place, web) = (TestEnv::bare(), Web::new());
    web.put("file", Page { stalls: Duration::from_secs(40), ..Page::new("content").chunked() });
    place.remote("web", &[("type", "http"), ("url", &web.url)]);
    place.remote("remote", &[("type", "memory")]);
    let rule =
        "[[allow]]\nbackends = [\"http\", \"memory\"]\nuse = [\"importer\"]\nports = \"any\"\n";
    place.policy(&format!(
        "{rule}limits = {{ guest-memory = \"64MiB\", guest-compute-timeout = \"1s\" }}\n"
    ));
    let rogue = |what: &str| {
        let mut command = place.command(tools::plakbox());
        command.arg("--component").arg(tools::rogue()).args(["ls", &format!("remote:{what}")]);
        run(&mut command).soon()
    };
    rogue("allocate").bad("it wanted more than its 64 MiB of memory");
    rogue("loop").bad("it computed for 1 seconds without a pause");

    place.policy(&format!("{rule}limits = {{ sessions = 1, wall-time = \"10s\" }}\n"));
    let mut first = place.command(tools::plakbox());
    first.args(["cat", "web:file"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let first = first.spawn().unwrap();
    assert!(within(Duration::from_secs(9), || !web.reads().is_empty()));
    plakbox(&place, ["ls", "web:"]).soon().bad("1 sessions are running, which is all");
    let first = first.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&first.stderr).into_owned();
    assert!(
        !first.status.success() && said.contains("the policy lets a session last 10s"),
        "{said}"
    );
    plakbox(&place, ["ls", "web:"]).good().says("/file");
    assert!(plakbox_tests::processes::rclones_end(&place.path("")));
}

#[test]
fn the_audit_log_has_what_was_decided_and_done_and_no_secret() {
    let (place, web) = (TestEnv::bare(), Web::new());
    web.put("file", Page::new("content"));
    let secret = "MARKER-0815-SECRET";
    place.remote("web", &[("type", "http"), ("url", &web.url), ("secret_access_key", secret)]);
    place.remote("no", &[("type", "s3"), ("secret_access_key", secret)]);
    let log = place.path("audit.jsonl");
    place.policy(&format!(
        "[audit]\nfile = {log:?}\n[[allow]]\nname = \"the web\"\n\
         backends = [\"http\"]\nuse = [\"importer\"]\nports = \"any\"\n"
    ));
    plakbox(&place, ["cat", "web:file"]).good();
    plakbox(&place, ["ls", "no:"]).soon().bad("it allows the backends http");
    plakbox(&place, ["ls", "web:gone"]).soon().bad("not found");

    let text = fs::read_to_string(&log).unwrap();
    assert!(!text.contains(secret), "{text}");
    assert_eq!(fs::metadata(&log).unwrap().permissions().mode() & 0o777, 0o600);
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |event: &str| lines.iter().filter(|line| line["event"] == event).collect::<Vec<_>>();
    let [allowed, refused, _] = of("decision")[..] else { panic!("{text}") };
    assert_eq!((&allowed["allowed"], &refused["allowed"]), (&true.into(), &false.into()));
    assert!(allowed["rules"][0].as_str().unwrap().ends_with("policy.toml:4 `the web`"), "{text}");
    let [version, process, ..] = of("process")[..] else { panic!("{text}") };
    assert_eq!((&version["remote"], &version["argv"][1]), (&"".into(), &"version".into()));
    assert!(process["bytes_out"].as_u64().unwrap() >= 7, "{process}");
    assert!(process["argv"][0].as_str().unwrap().ends_with("rclone"), "{process}");
    assert_eq!(of("session").len(), 2, "{text}");
    plakbox(&place, ["audit", "show", log.to_str().unwrap()])
        .good()
        .says("importer of http: (")
        .says("policy.toml:4 `the web`")
        .says("refused: ");
    assert!(files_below(&place.state().join("sessions")).is_empty());

    fs::remove_file(&log).unwrap();
    fs::create_dir(&log).unwrap();
    plakbox(&place, ["cat", "web:file"]).soon().bad("can't be written");
}

#[test]
fn what_others_wrote_reaches_no_terminal_that_obeys_it() {
    let place = TestEnv::bare();
    let source = place.directory_remote("source");
    // rclone has pictures of its own for what is below a space.
    tree::file(&source.join("a\u{202e}gpj.exe"), b"a", tree::time(0));
    tree::file(&source.join("b\u{9b}31m"), b"b", tree::time(0));
    let log = place.path("audit.jsonl");
    place.policy(&format!("[audit]\nfile = {log:?}\n{}", local_rule(&place, "[\"importer\"]")));
    let evil = "x\u{1b}]0;title\u{7}\u{202e}\r\n2099-01-01 00:00:00Z forged\u{9b}2J";
    let obeyed = |char: char| char.is_control() && char != '\n' || char == '\u{202e}';
    let run = plakbox(&place, ["ls", &format!("source:{evil}")]);
    assert!(!run.ok && !run.text.contains(obeyed), "{:?}", run.text);
    for args in
        [&["audit", "show", log.to_str().unwrap()][..], &["doctor", &format!("source:{evil}")]]
    {
        let run = plakbox_tests::env::run(place.command(tools::plakbox()).args(args));
        assert!(!run.text.contains(obeyed), "{:?}", run.text);
        assert!(!run.text.lines().any(|line| line.starts_with("2099")), "{}", run.text);
    }
    assert!(!fs::read_to_string(&log).unwrap().contains(obeyed));
    place
        .policy("[[allow]]\nbackends = [\"alias\", \"local\"]\nuse = [\"importer\"]\ndirectories = [\"/\"]\n");
    let run = plakbox(&place, ["ls", "source:"]).good();
    assert!(!run.text.contains(obeyed), "{:?}", run.text);
    run.says(r"a\u{202e}gpj.exe").says(r"b\u{9b}31m");
}

#[test]
fn each_attempt_is_a_line_of_what_the_audit_log_shows() {
    let place = TestEnv::bare();
    let log = place.path("audit.jsonl");
    let decision = |path: &str, allowed: bool| {
        let why = if allowed { "" } else { ",\"why\":\"no rule\"" };
        format!(
            "{{\"time\":\"2026-01-01T00:00:00Z\",\"session\":\"1-0-1\",\"uid\":1000,\
             \"event\":\"decision\",\"remote\":\"9c1f{path}\",\"backend\":\"s3\",\
             \"path\":\"{path}\",\"use\":\"importer\",\"rules\":[],\"allowed\":{allowed}{why}}}\n"
        )
    };
    let text = [decision("first", false), decision("second", false), decision("third", true)];
    fs::write(&log, text.concat()).unwrap();
    let shown = plakbox(&place, ["audit", "show", log.to_str().unwrap()]).good();
    assert_eq!(shown.text.matches("refused: no rule").count(), 2, "{}", shown.text);
    shown.says("s3:first").says("s3:second").says("allowed by the built-in policy");
}

#[test]
fn what_can_t_be_noted_is_not_done() {
    let (place, web) = (TestEnv::bare(), Web::new());
    web.put("file", Page::new("content"));
    place.remote("web", &[("type", "http"), ("url", &web.url)]);
    let rule = "[[allow]]\nbackends = [\"http\"]\nuse = [\"importer\"]\nports = \"any\"\n";
    place.policy(&format!("[audit]\nfile = \"/dev/full\"\n{rule}"));
    plakbox(&place, ["cat", "web:file"])
        .soon()
        .bad("the audit log that the policy requires can't be");
    assert!(web.reads().is_empty());
}

#[test]
fn the_audit_log_has_what_was_allowed_and_could_not_start() {
    let (place, web) = (TestEnv::bare(), Web::new());
    place.remote("web", &[("type", "http"), ("url", &web.url)]);
    let log = place.path("audit.jsonl");
    let rule = "[[allow]]\nbackends = [\"http\"]\nuse = [\"importer\"]\nports = \"any\"\n";
    let needs = "[rclone]\nminimum-version = \"99.0.0\"\n";
    place.policy(&format!("[audit]\nfile = {log:?}\n{needs}{rule}"));
    let why = "is older than the policy allows";
    plakbox(&place, ["ls", "web:"]).soon().bad(why);
    let text = fs::read_to_string(&log).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let lines: Vec<_> = lines.collect();
    let events: Vec<_> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["decision", "process", "start-failed"], "{text}");
    assert_eq!(lines[2]["remote"], lines[0]["remote"]);
    assert!(lines[2]["why"].as_str().unwrap().contains(why), "{text}");
    let shown = ["audit", "show", log.to_str().unwrap()];
    plakbox(&place, shown).good().says("but failed to start: rclone 1.");
}

#[test]
fn the_audit_log_has_whose_configuration_was_refused() {
    let place = TestEnv::bare();
    place.remote("evil", &[("type", "sftp"), ("host", "h"), ("ssh", "touch x")]);
    let log = place.path("audit.jsonl");
    place.policy(&format!("[audit]\nfile = {log:?}\n"));
    plakbox(&place, ["ls", "evil:some/path"]).soon().bad("would run a command");
    let line: serde_json::Value =
        serde_json::from_str(fs::read_to_string(&log).unwrap().trim()).unwrap();
    assert_eq!((&line["backend"], &line["path"]), (&"sftp".into(), &"some/path".into()), "{line}");
    assert_eq!(line["allowed"], false);
    assert!(line["why"].as_str().unwrap().contains("the option `ssh`"), "{line}");
}

#[test]
fn the_examples_in_the_documentation_are_sound() {
    let place = TestEnv::bare();
    let examples = tools::repository().join("docs/policies");
    let mut count = 0;
    for example in files_below(&examples) {
        let example = example.to_str().unwrap();
        plakbox(&place, ["policy", "check", example]).good();
        plakbox(&place, ["policy", "explain", example]).good().says("allows");
        count += 1;
    }
    assert_eq!(count, 3);
    let tenant = examples.join("tenant.toml");
    let tenant = tenant.to_str().unwrap();
    place.remote("bucket", &[("type", "s3"), ("access_key_id", "k"), ("region", "eu")]);
    place.remote("role", &[("type", "s3"), ("env_auth", "true")]);
    plakbox(&place, ["policy", "explain", tenant, "bucket:tenant-a/photos"])
        .good()
        .says("as importer: allowed")
        .says("TCP ports 443 (line 31)")
        .says("option endpoint is https://s3.example.org (line 29)")
        .says("  endpoint of `bucket` is https://s3.example.org")
        .says("as exporter: refused");
    let secret = place.path("secret.toml");
    let rule = "[[allow]]\nbackends = [\"s3\"]\nuse = [\"importer\"]\n";
    let text = format!("version = 1\n{rule}pin = {{ secret_access_key = \"MARKER\" }}\n");
    fs::write(&secret, text).unwrap();
    for remote in [None, Some("bucket:x")] {
        let mut command = place.command(tools::plakbox());
        let said = run(command.args(["policy", "explain"]).arg(&secret).args(remote)).good();
        assert!(!said.text.contains("MARKER"), "{}", said.text);
    }
    plakbox(&place, ["policy", "explain", tenant])
        .good()
        .says("option provider is Minio (line 29)")
        .says("wall-time 6h (line 13)");
    plakbox(&place, ["policy", "explain", tenant, "bucket:tenant-b"]).bad("doesn't allow");
    plakbox(&place, ["policy", "explain", tenant, "role:tenant-a"]).bad("doesn't allow");
}
