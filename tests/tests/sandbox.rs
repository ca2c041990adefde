//! A component that misbehaves is refused or stopped, with a clear line.

use plakbox_tests::env::{finish, run};
use plakbox_tests::plugin::{Importer, Record};
use plakbox_tests::{Run, TestEnv, processes, tools};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

/// The rogue component at work on a remote, told by the path what to do.
fn rogue(place: &TestEnv, what: &str) -> Run {
    let mut command = place.command(tools::plakbox());
    command.arg("--component").arg(tools::rogue()).args(["ls", &format!("remote:{what}")]);
    let run = run(&mut command);
    assert!(processes::rclones_end(&place.path("")));
    run
}

fn with_remote() -> TestEnv {
    let place = TestEnv::bare();
    place.remote("remote", &[("type", "memory")]);
    place
}

#[test]
fn a_component_that_traps_ends_the_session() {
    rogue(&with_remote(), "trap")
        .soon()
        .bad("the connector was stopped: wasm trap: wasm `unreachable` instruction executed");
}

#[test]
fn a_component_that_loops_for_ever_is_stopped() {
    rogue(&with_remote(), "loop")
        .soon()
        .bad("the connector was stopped: it computed for 10 seconds without a pause");
}

#[test]
fn a_component_that_eats_memory_is_stopped() {
    rogue(&with_remote(), "allocate")
        .soon()
        .bad("the connector was stopped: it wanted more than its 256 MiB of memory");
}

#[test]
fn a_component_can_t_name_what_lies_outside_its_remote() {
    let place = with_remote();
    for path in [
        "..!..!etc!passwd",
        "a!..!..!b",
        "!etc!passwd",
        "a!!b",
        ".",
        "．．!．．!etc!passwd",
        "a／..／..／b",
    ] {
        let shown = path.replace('!', "/");
        rogue(&place, path).soon().bad(&format!("`{shown}` is not a path below the remote's root"));
    }
}

#[test]
fn a_component_that_imports_more_is_refused_with_the_import_s_name() {
    let place = with_remote();
    for import in [
        "wasi:sockets/tcp@0.2.0",
        "wasi:filesystem/types@0.2.6",
        "wasi:http/outgoing-handler@0.2.0",
    ] {
        let text = format!("(component (import \"{import}\" (instance)))");
        let path = place.path("greedy.wasm");
        fs::write(&path, wat::parse_str(text).unwrap()).unwrap();
        let refusal = format!("it imports `{import}`, which no connector is granted");
        let mut command = place.command(tools::plakbox());
        run(command.arg("--component").arg(&path).args(["ls", "remote:"])).soon().bad(&refusal);
        let mut command = place.command(tools::plakbox());
        run(command.arg("inspect").arg(&path))
            .soon()
            .says(&format!("imports {import}  (refused)"))
            .bad(&refusal);
    }
}

#[test]
fn a_file_that_is_not_a_component_is_refused() {
    let place = with_remote();
    fs::write(place.path("text.wasm"), "hello").unwrap();
    let mut command = place.command(tools::plakbox());
    run(command.arg("--component").arg(place.path("text.wasm")).args(["ls", "remote:"]))
        .soon()
        .bad("is not a component that can be run");
    let mut command = place.command(tools::plakbox());
    run(command.args(["--component", "/nowhere.wasm", "ls", "remote:"]))
        .soon()
        .bad("`/nowhere.wasm` can't be read");
}

#[test]
fn the_package_s_component_would_be_run() {
    let place = with_remote();
    let mut command = place.command(tools::plakbox());
    run(command.arg("inspect").arg(tools::component()))
        .good()
        .says("imports plakar:connector/rclone@0.2.0")
        .says("it would be run");
}

/// The rogue component in a session that reads, with what it is told by the path, under
/// limits that are reached soon.
fn under_limits(what: &str) -> Run {
    let place = with_remote();
    place.policy(
        "[limits]\nprocesses = 8\nwall-time = \"4s\"\n[[allow]]\nbackends = [\"memory\"]\n\
         use = [\"importer\"]\n",
    );
    rogue(&place, what).soon()
}

#[test]
fn a_component_that_starts_processes_without_end_has_eight_and_is_stopped() {
    for what in ["spawn", "hold"] {
        let place = with_remote();
        place.policy(
            "[limits]\nprocesses = 8\nwall-time = \"4s\"\n[[allow]]\n\
             backends = [\"memory\"]\nuse = [\"importer\"]\n",
        );
        let mut command = place.command(tools::plakbox());
        command.arg("--component").arg(tools::rogue()).args(["ls", &format!("remote:{what}")]);
        let start = Instant::now();
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut most = 0;
        while child.try_wait().unwrap().is_none() {
            most = most.max(processes::rclones(&place.path("")).len());
        }
        finish(child, start).soon().bad("the policy lets a session last 4s");
        assert!((2..=8).contains(&most), "{what}: {most}");
        assert!(processes::rclones_end(&place.path("")));
    }
}

#[test]
fn a_component_keeps_no_more_than_its_cache_may_hold() {
    let place = with_remote();
    rogue(&place, "keep-flood").soon().bad("more than 16777216 bytes aren't kept in the cache");
    for size in ["1", "16777216"] {
        rogue(&place, &format!("keep-{size}")).soon().bad("this session keeps all of the 67108864");
    }
    let caches = place.state().join("caches");
    let files = |directory: &Path| -> Vec<_> {
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    for cache in files(&caches) {
        let bytes: u64 = files(&cache).iter().map(|file| file.metadata().unwrap().len()).sum();
        let count = files(&cache).len() as u64;
        // Each ends with a checksum.
        assert!(count <= 1024 && bytes <= (64 << 20) + 32 * count, "{bytes} in {count}");
    }
    rogue(&place, "recall").soon().bad("what is kept isn't returned any more");
}

#[test]
fn a_component_with_too_many_unread_contents_receives_an_error() {
    std::thread::scope(|scope| {
        for (what, file) in [
            ("unread-3145728", "big"),
            ("unread-0", "big"),
            ("unread-1", "small"),
            ("uncut", "big"),
        ] {
            scope.spawn(move || {
                let place = TestEnv::bare();
                let what = format!("{what}-{file}");
                let directory = place.directory_remote("remote").join(&what);
                fs::create_dir(&directory).unwrap();
                fs::write(directory.join("big"), vec![7; 3 << 20]).unwrap();
                fs::write(directory.join("small"), "7").unwrap();
                let granted = place.path("remote").display().to_string();
                place.policy(&format!(
                    "[limits]\nbuffers = \"32MiB\"\n[[allow]]\n\
                     backends = [\"local\", \"alias\"]\nuse = [\"importer\"]\n\
                     directories = [{granted:?}]\n"
                ));
                rogue(&place, &what).soon().bad("contents are open that aren't read");
            });
        }
    });
}

#[test]
fn a_component_that_never_yields_is_stopped() {
    for what in ["deaf", "scan-never"] {
        under_limits(what).bad("the policy lets a session last 4s");
    }
    under_limits("scan-without-end").bad("the policy lets a session last 4s");
}

#[test]
fn a_component_that_only_reads_can_t_write() {
    for what in ["batch", "receive"] {
        rogue(&with_remote(), what).soon().bad("a remote that is only read can't be written");
    }
}

#[test]
fn a_component_can_t_name_other_paths_in_any_verb() {
    for (what, path) in [("start", "../x"), ("listed", "../x"), ("excluded", "../x")] {
        let refusal = format!("`{path}` is not a path below the remote's root");
        rogue(&with_remote(), what).soon().bad(&refusal);
    }
    rogue(&with_remote(), "files").soon().bad("has a line break in its name");
    let refusal = "`../x` is not a path below the remote's root";
    rogue(&with_remote(), "range-..!x").soon().bad(refusal);
}

#[test]
fn a_component_that_traps_in_any_call_ends_the_session() {
    let trapped = "the connector was stopped: wasm trap";
    for what in ["scan-trap", "scan-halfway"] {
        rogue(&with_remote(), what).soon().bad(trapped);
    }
    let place = with_remote();
    let mut command = place.command(tools::plakbox());
    command.arg("--component").arg(tools::rogue()).args(["cat", "remote:read-trap/file"]);
    run(&mut command).soon().bad(trapped);
}

/// A scan by the rogue component as Plakar sees it: what came, and how it ended.
async fn scanned(place: &TestEnv, what: &str) -> (Vec<Record>, Result<(), String>) {
    let location = format!("rclone://{what}");
    let config = [("location", location.as_str()), ("rclone_type", "memory")];
    let component = ["--component", tools::rogue().to_str().unwrap()].map(str::to_owned);
    let mut importer = Importer::start_with(place, &config, &component).await.unwrap();
    let mut scan = match importer.scan().await {
        Ok(scan) => scan,
        Err(status) => return (Vec::new(), Err(status.message().to_owned())),
    };
    let mut records = Vec::new();
    loop {
        match scan.next().await {
            Ok(Some(record)) => records.push(record),
            Ok(None) => return (records, Ok(())),
            Err(status) => return (records, Err(status.message().to_owned())),
        }
    }
}

#[tokio::test]
async fn paths_that_lead_elsewhere_never_reach_plakar() {
    let place = TestEnv::bare();
    for what in ["up", "relative", "nothing", "zero", "long"] {
        let (records, end) = scanned(&place, &format!("scan-{what}")).await;
        assert!(records.is_empty(), "{what}: {records:?}");
        let said = end.unwrap_err();
        assert!(said.contains("is not a path of a snapshot"), "{what}: {said}");
        assert!(said.len() < 1000);
    }
}

#[tokio::test]
async fn a_failure_of_a_path_that_leads_elsewhere_is_an_error_beside_the_others() {
    let place = TestEnv::bare();
    let (records, end) = scanned(&place, "scan-failed").await;
    assert_eq!(end, Ok(()));
    let [record] = &records[..] else { panic!("{records:?}") };
    assert_eq!(record.pathname, "/．．／x");
    assert!(record.error.contains("no"), "{}", record.error);
}

#[tokio::test]
async fn absurd_sizes_times_and_messages_reach_plakar_as_what_it_can_take() {
    let place = TestEnv::bare();
    let one = async |what: &str| {
        let (mut records, end) = scanned(&place, &format!("scan-{what}")).await;
        assert_eq!((records.len(), end), (1, Ok(())), "{what}");
        records.remove(0)
    };
    assert_eq!(one("size").await.file_info.unwrap().size, -1);
    assert!(one("time").await.error.contains("its time lies before the year 1"));
    assert_eq!(one("mode").await.file_info.unwrap().mode, 0o777);
    let message = one("message").await.error;
    assert!(message.contains("wiped") && !message.contains(char::is_control), "{message:?}");
}

#[test]
fn precompiled_code_is_run_only_if_it_is_this_component_s_and_only_its_owner_may_write_it() {
    let place = TestEnv::bare();
    let directory = place.directory_remote("directory");
    fs::write(directory.join("file"), "x").unwrap();
    let file = |name: &str| place.path(name).display().to_string();
    fs::copy(tools::plakbox(), file("plakbox")).unwrap();
    fs::copy(tools::component(), file("rclone.wasm")).unwrap();
    let plakbox = |args: &[&str]| run(place.command(file("plakbox")).args(args)).good();
    let compile = |component: &str| {
        plakbox(&["compile", component, &file("rclone.cwasm")]);
    };
    let mode = |mode| {
        let mode = fs::Permissions::from_mode(mode);
        fs::set_permissions(file("rclone.cwasm"), mode).unwrap();
    };
    compile(tools::rogue().to_str().unwrap());
    mode(0o644);
    plakbox(&["ls", "directory:"])
        .says("/file")
        .says("it wasn't compiled from the component next to it");
    compile(&file("rclone.wasm"));
    mode(0o666);
    plakbox(&["ls", "directory:"]).says("/file").says("others than its owner may write it");
    mode(0o644);
    let said = plakbox(&["ls", "directory:"]).says("/file").text;
    assert!(!said.contains("isn't used"), "{said}");
}
