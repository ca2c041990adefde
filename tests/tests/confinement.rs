//! Whatever stands in rclone's place can do what it was granted and nothing else.

use plakbox_tests::env::{run, within};
use plakbox_tests::{Run, TestEnv, processes, tools, tree};
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Stdio;
use std::time::Duration;

/// A place with a remote `probe` whose options say what to try.
fn place(attempts: &[(&str, &str)]) -> TestEnv {
    let place = TestEnv::bare();
    let attempts: Vec<_> =
        attempts.iter().map(|(what, value)| (format!("try_{what}"), *value)).collect();
    let mut options = vec![("type", "memory")];
    options.extend(attempts.iter().map(|(what, value)| (what.as_str(), *value)));
    place.remote("probe", &options);
    place
}

/// Output of `plakbox ls` with the probe in rclone's place.
fn probe(place: &TestEnv) -> Run {
    let mut command = place.command(tools::plakbox());
    run(command.env("PLAKBOX_RCLONE", tools::probe()).args(["ls", "probe:"])).good()
}

/// A policy under which only the probe's own remote is allowed.
fn strict(place: &TestEnv, more: &str) {
    place.policy(&format!("[[allow]]\nbackends = [\"memory\"]\nuse = [\"importer\"]\n{more}\n"));
}

const EPERM: &str = "refused 1";
const EACCES: &str = "refused 13";

#[test]
fn it_can_t_read_or_list_what_isn_t_granted() {
    let outside = tempfile::tempdir().unwrap();
    let path = |name: &str| outside.path().join(name).display().to_string();
    fs::create_dir(path(".ssh")).unwrap();
    fs::write(path(".ssh/id_ed25519"), "key").unwrap();
    let environ = format!("/proc/{}/environ", std::process::id());
    for (what, value) in [
        ("read", path(".ssh/id_ed25519")),
        ("list", path(".ssh")),
        ("read", "/etc/passwd".to_owned()),
        ("read", "/etc/shadow".to_owned()),
        ("read", environ),
        ("read", "/proc/self/environ".to_owned()),
        ("read", "/proc/self/mem".to_owned()),
        ("list", "/".to_owned()),
        ("list", "/home".to_owned()),
        ("list", "/proc".to_owned()),
        ("read", "/bin/sh".to_owned()),
        ("read", tools::plakbox().display().to_string()),
    ] {
        probe(&place(&[(what, &value)])).says(&format!("/{what} {EACCES}"));
    }
    probe(&place(&[("link", "")])).says(&format!("/link {EPERM}"));
}

#[test]
fn it_can_t_write_outside_its_private_directories() {
    let outside = tempfile::tempdir().unwrap();
    let file = outside.path().join("kept");
    fs::write(&file, "kept").unwrap();
    let path = |name: &str| outside.path().join(name).display().to_string();
    for (what, name) in [("write", "kept"), ("write", "new"), ("make", "new"), ("remove", "kept")] {
        probe(&place(&[(what, &path(name))])).says(&format!("/{what} {EACCES}"));
    }
    assert_eq!(fs::read(&file).unwrap(), b"kept");
    let place = place(&[("write", "mine"), ("make", "directory")]);
    probe(&place).says("/write done").says("/make done");
    let conf = place.path("rclone.conf").display().to_string();
    let before = fs::read(&conf).unwrap();
    let other = self::place(&[("write", &conf)]);
    probe(&other).says(&format!("/write {EACCES}"));
    assert_eq!(fs::read(&conf).unwrap(), before);
}

#[test]
fn it_can_t_write_what_the_host_trusts() {
    for name in ["started.json", "pristine", "lock", "refreshing", "rclone.conf", "new"] {
        probe(&place(&[("beside", name)])).says(&format!("/beside {EACCES}"));
    }
    // What is read of the user's file lies there, and where it is written back to.
    let place = place(&[("write", "../lock"), ("make", "../input/x"), ("remove", "../lock")]);
    for what in ["write", "make", "remove"] {
        probe(&place).says(&format!("/{what} {EACCES}"));
    }
}

#[test]
fn a_configuration_that_it_makes_huge_isn_t_read_or_kept() {
    let place = place(&[("grow", "2000000000")]);
    for _ in 0..2 {
        probe(&place).says("/grow done");
    }
    let kept = plakbox_tests::env::files_below(&place.state());
    assert!(!kept.iter().any(|file| file.ends_with("rclone.conf")), "{kept:?}");
}

#[test]
fn it_can_t_start_a_program_of_any_kind() {
    for (what, value) in
        [("exec", "/bin/sh"), ("exec", "/usr/bin/env"), ("exec_own", ""), ("spawn", "/bin/true")]
    {
        let text = probe(&place(&[(what, value)])).text;
        assert!(text.contains(&format!("/{what} refused")), "{what} {value}: {text}");
    }
    for what in ["exec_memory", "fork"] {
        probe(&place(&[(what, "")])).says(&format!("/{what} {EPERM}"));
    }
    probe(&place(&[("thread", "")])).says("/thread done");
}

#[test]
fn it_can_t_reach_other_processes_or_the_kernel_s_larger_parts() {
    for what in [
        "setsid",
        "setpgid",
        "outlive",
        "hide",
        "ptrace",
        "kill_us",
        "mount",
        "unshare",
        "chroot",
        "io_uring",
        "keys",
        "bpf",
        "raw_socket",
        "limits_of_others",
        "priority",
        "affinity",
        "scheduler",
    ] {
        probe(&place(&[(what, "")])).says(&format!("/{what} {EPERM}"));
    }
}

#[test]
fn it_has_none_of_root_s_rights_beside_its_files() {
    for what in ["address", "clock", "user"] {
        probe(&place(&[(what, "")])).says(&format!("/{what} {EPERM}"));
    }
}

#[test]
fn it_can_t_call_by_other_numbers_or_reach_the_terminal() {
    probe(&place(&[("read", "/dev/tty")])).says(&format!("/read {EACCES}"));
    probe(&place(&[("write", "/dev/tty")])).says(&format!("/write {EACCES}"));
    if cfg!(target_arch = "x86_64") {
        // `getpid` of x32, and of the calls for 32 bits.
        let x32 = format!("{},0,0,0", 0x4000_0000 + libc::SYS_getpid);
        for (what, value) in [("call", &*x32), ("call_of_32_bits", "")] {
            let place = place(&[(what, value)]);
            let mut command = place.command(tools::plakbox());
            command.env("PLAKBOX_RCLONE", tools::probe()).args(["ls", "probe:"]);
            run(&mut command).bad("was killed by signal 31");
        }
    }
}

#[test]
fn arguments_that_calls_are_not_made_with_are_refused() {
    let calls = [
        // Names of threads and memory are all that it tells of itself.
        (libc::SYS_prctl, libc::PR_SET_DUMPABLE, 1),
        (libc::SYS_prctl, libc::PR_SET_PTRACER, -1),
        (libc::SYS_prctl, libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL),
        (libc::SYS_prctl, libc::PR_SET_CHILD_SUBREAPER, 1),
        (libc::SYS_prctl, libc::PR_SET_SECCOMP, 1),
        (libc::SYS_prctl, libc::PR_SET_MM, 0),
        // Input for a terminal, a file's flags, a file system that stands still.
        (libc::SYS_ioctl, 0, 0x5412),
        (libc::SYS_ioctl, 0, 0x4008_6602),
        (libc::SYS_ioctl, 0, 0xc004_5877_u32 as i32),
        // A process, by way of `clone`.
        (libc::SYS_clone, libc::SIGCHLD, 0),
        (libc::SYS_clone, libc::CLONE_VM | libc::CLONE_NEWUSER, 0),
        (libc::SYS_prlimit64, 1, 7),
        (libc::SYS_setsockopt, 0, libc::IPPROTO_TCP),
    ];
    for (call, first, second) in calls {
        // The option of a socket is the third.
        let third = if call == libc::SYS_setsockopt { libc::TCP_ULP } else { 0 };
        let value = format!("{call},{first},{second},{third}");
        let text = probe(&place(&[("call", &value)])).text;
        assert!(text.contains(&format!("/call {EPERM}")), "{value}: {text}");
    }
}

#[test]
fn its_own_directory_does_not_lead_to_its_neighbours() {
    let outside = tempfile::tempdir().unwrap();
    let file = outside.path().join("file").display().to_string();
    fs::write(&file, "x").unwrap();
    for (what, value, errors) in [
        ("hard_link", &*file, [EPERM, EPERM]),
        ("pipe", "", [EPERM, EPERM]),
        ("rename", "../own ../other", [EACCES, EACCES]),
        ("rename", "../input x", [EACCES, "refused 18"]),
        ("rename", "../lock x", [EACCES, "refused 18"]),
        ("remove", "../input", [EACCES, "refused 21"]),
    ] {
        let text = probe(&place(&[(what, value)])).text;
        let refused = errors.iter().any(|error| text.contains(&format!("/{what} {error}")));
        assert!(refused, "{what} {value}: {text}");
    }
    assert_eq!(fs::metadata(&file).unwrap().nlink(), 1);
    // What isn't a file isn't a configuration, and isn't kept.
    let place = place(&[("replace", "")]);
    for _ in 0..2 {
        probe(&place).says("/replace done");
    }
}

#[test]
fn it_can_t_watch_files_or_see_links_and_attributes_outside_its_grant() {
    let outside = tempfile::tempdir().unwrap();
    let path = |name: &str| outside.path().join(name).display().to_string();
    fs::write(path("file"), "x").unwrap();
    std::os::unix::fs::symlink("file", path("link")).unwrap();
    for (what, value) in [
        ("watch", path("")),
        ("see_attribute", path("file")),
        ("see_attributes", path("file")),
        ("see_link", path("link")),
    ] {
        probe(&place(&[(what, &value)])).says(&format!("/{what} {EPERM}"));
    }
}

#[test]
fn it_can_t_connect_by_other_names_of_tcp_or_answer_anybody() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    for what in ["mptcp", "fast_open", "fast_message", "fast_option", "listen_abstract"] {
        probe(&place(&[(what, &port)])).says(&format!("/{what} {EPERM}"));
    }
    assert!(listener.accept().is_err());
}

#[test]
fn it_can_t_reach_an_abstract_socket_of_another_process() {
    use std::os::linux::net::SocketAddrExt;
    let name = format!("plakbox-test-{}", std::process::id());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    let _listener = std::os::unix::net::UnixListener::bind_addr(&address).unwrap();
    probe(&place(&[("abstract", &name)])).says(&format!("/abstract {EPERM}"));
}

#[test]
fn it_can_t_reach_a_socket_that_is_a_file_unless_the_remote_is_one() {
    let outside = tempfile::tempdir().unwrap();
    let path = outside.path().join("docker.sock").display().to_string();
    let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    probe(&place(&[("unix", &path), ("unix_pair", "")]))
        .says(&format!("/unix {EPERM}"))
        .says(&format!("/unix_pair {EPERM}"));
    let place = TestEnv::bare();
    let options = [("url", "http://h"), ("unix_socket", &*path), ("try_unix", &*path)];
    place.remote("probe", &[&[("type", "webdav")][..], &options].concat());
    probe(&place).says("/unix done");
}

#[test]
fn it_has_no_sockets_but_tcp_udp_and_the_list_of_addresses() {
    use libc::{AF_INET, AF_INET6, AF_NETLINK, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_RAW, SOCK_STREAM};
    let attempt = |family: i32, kind: i32, protocol: i32| {
        let value = format!("{family},{kind},{protocol}");
        (probe(&place(&[("socket", &value)])), value)
    };
    for (family, kind, protocol) in [
        (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
        (AF_INET6, SOCK_STREAM, libc::IPPROTO_TCP),
        (AF_INET, SOCK_DGRAM, libc::IPPROTO_UDP),
        (AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, libc::NETLINK_ROUTE),
    ] {
        let (said, what) = attempt(family, kind, protocol);
        assert!(said.text.contains("/socket done"), "{what}: {}", said.text);
    }
    for (family, kind, protocol) in [
        (AF_INET, SOCK_RAW, libc::IPPROTO_ICMP),
        (AF_INET6, SOCK_RAW | SOCK_CLOEXEC, libc::IPPROTO_RAW),
        (AF_INET, SOCK_DGRAM, libc::IPPROTO_ICMP),
        (AF_INET, SOCK_DGRAM, libc::IPPROTO_UDPLITE),
        (AF_INET, SOCK_STREAM, libc::IPPROTO_SCTP),
        (AF_INET, libc::SOCK_SEQPACKET, libc::IPPROTO_SCTP),
        (AF_INET, SOCK_STREAM, libc::IPPROTO_MPTCP),
        (AF_INET, libc::SOCK_DCCP, libc::IPPROTO_DCCP),
        (AF_NETLINK, SOCK_RAW, libc::NETLINK_AUDIT),
        (libc::AF_PACKET, SOCK_DGRAM, 0),
        // The old name of a socket for packets.
        (AF_INET, 10, 0),
        (libc::AF_VSOCK, SOCK_STREAM, 0),
        (libc::AF_ALG, libc::SOCK_SEQPACKET, 0),
        (libc::AF_UNIX, SOCK_STREAM, 0),
    ] {
        let (said, what) = attempt(family, kind, protocol);
        assert!(said.text.contains(&format!("/socket {EPERM}")), "{what}: {}", said.text);
    }
}

#[test]
fn it_shares_no_memory_and_no_queues_with_others() {
    for what in ["shared_memory", "semaphore", "message_queue", "named_queue"] {
        probe(&place(&[(what, "")])).says(&format!("/{what} {EPERM}"));
    }
}

#[test]
fn it_can_t_change_modes_owners_times_or_attributes_of_its_user_s_files() {
    let outside = tempfile::tempdir().unwrap();
    let file = outside.path().join("mine");
    fs::write(&file, "mine").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let before = fs::metadata(&file).unwrap();
    let path = file.display().to_string();
    for what in ["owner", "link_owner", "times", "attribute"] {
        probe(&place(&[(what, &path)])).says(&format!("/{what} {EPERM}"));
    }
    // It is told that this was done.
    probe(&place(&[("mode", &path)])).says("/mode done");
    let after = fs::metadata(&file).unwrap();
    assert_eq!(
        (after.mode(), after.uid(), after.gid()),
        (before.mode(), before.uid(), before.gid())
    );
    let changed = |meta: &fs::Metadata| (meta.ctime(), meta.ctime_nsec(), meta.mtime_nsec());
    assert_eq!(changed(&after), changed(&before));
}

#[test]
fn it_inherits_nothing_that_was_open_before() {
    let place = place(&[("descriptor", "7")]);
    let secret = place.path("secret");
    fs::write(&secret, "secret").unwrap();
    let mut command = place.command("/bin/sh");
    command
        .env("PLAKBOX_RCLONE", tools::probe())
        .args(["-c", "exec 7< \"$1\"; exec \"$0\" ls probe:"]);
    run(command.arg(tools::plakbox()).arg(&secret)).good().says("/descriptor refused 9");
}

#[test]
fn it_is_ended_when_it_has_used_up_its_processor_time() {
    let place = place(&[("spin", "")]);
    strict(&place, "limits = { rclone-cpu = \"1s\" }");
    let mut command = place.command(tools::plakbox());
    command.env("PLAKBOX_RCLONE", tools::probe()).args(["ls", "probe:"]);
    run(&mut command).soon().bad("it used up the processor time that the policy allows");
}

#[test]
fn it_connects_to_ports_that_are_granted_and_listens_on_none() {
    let listeners = [0, 1].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    let [granted, denied] = [0, 1].map(|at| listeners[at].local_addr().unwrap());
    for (ports, reached, refused) in [
        (format!("ports = [{}]", granted.port()), vec![granted], vec![denied]),
        ("ports = \"any\"".to_owned(), vec![granted, denied], vec![]),
        (String::new(), vec![], vec![granted, denied]),
    ] {
        for (addresses, said) in [(reached, "done"), (refused, EACCES)] {
            for address in addresses {
                let place = place(&[("connect", &address.to_string()), ("listen", "")]);
                strict(&place, &ports);
                probe(&place).says(&format!("/connect {said}")).says(&format!("/listen {EACCES}"));
            }
        }
    }
}

#[test]
fn it_can_t_use_more_than_its_limits() {
    let attempts = [("files", ""), ("memory", "900"), ("large_file", "1100")];
    let place = place(&attempts);
    strict(
        &place,
        "limits = { open-files = 100, rclone-memory = \"600MiB\", temporary-disk = \"1GiB\" }",
    );
    let said = probe(&place).says("/memory refused 12").says("/large_file refused 27").text;
    let files = said.split("/files done ").nth(1).and_then(|rest| rest.lines().next());
    let files: u32 = files.unwrap().parse().unwrap();
    assert!((80..100).contains(&files), "{said}");
    let place = self::place(&attempts[1..2]);
    probe(&place).says("/memory done");
}

/// Limits of what the kernel doesn't limit.
const LIMITS: &str = "limits = { rclone-memory = \"600MiB\", tasks = 100, temporary-disk = \"1GiB\", \
                      temporary-files = 10000 }";

#[test]
fn it_is_ended_when_it_has_more_than_the_kernel_would_hold_it_to() {
    let attempts = [
        ("shared", "900", "rclone-memory"),
        ("shared_released", "900", "rclone-memory"),
        ("page_tables", "700", "rclone-memory"),
        ("threads", "200", "tasks"),
        ("disk", "2", "temporary-disk"),
        ("disk_removed", "2", "temporary-disk"),
        ("disk_mapped", "1", "temporary-disk"),
        ("inodes", "11000", "temporary-files"),
    ];
    std::thread::scope(|scope| {
        for (what, value, limit) in attempts {
            scope.spawn(move || {
                let place = place(&[(what, value), ("wait", "30")]);
                strict(&place, LIMITS);
                let mut command = place.command(tools::plakbox());
                command.env("PLAKBOX_RCLONE", tools::probe()).args(["ls", "probe:"]);
                let run = run(&mut command);
                assert!(run.took < Duration::from_secs(25), "{what}: {:?}", run.took);
                run.bad(&format!("(`{limit}`)"));
                assert!(probes(&place).is_empty());
            });
        }
    });
}

#[test]
fn it_continues_below_these_limits() {
    let place = place(&[
        ("disk", "1"),
        ("inodes", "5000"),
        ("shared", "300"),
        ("threads", "60"),
        ("wait", "2"),
    ]);
    strict(&place, LIMITS);
    probe(&place).says("/wait done").says("/threads done 60").says("/disk done");
}

#[test]
fn it_is_ended_when_it_hides_what_it_writes() {
    // Root looks into everything.
    if rustix::process::geteuid().is_root() {
        return;
    }
    let place = place(&[("unreadable", ""), ("wait", "30")]);
    let mut command = place.command(tools::plakbox());
    command.env("PLAKBOX_RCLONE", tools::probe()).args(["ls", "probe:"]);
    run(&mut command).soon().bad("can't be counted");
}

#[test]
fn it_gets_the_variables_that_its_policy_names_and_the_pace_that_it_sets() {
    let ours = |place: &TestEnv| {
        let mut command = place.command(tools::plakbox());
        command.env("PLAKBOX_RCLONE", tools::probe()).env("MY_SECRET", "x").env("TZ", "UTC");
        command.env("RCLONE_VERBOSE", "2").env("HTTPS_PROXY", "http://127.0.0.1:9");
        run(command.args(["ls", "probe:"])).good()
    };
    let attempts = [("environment", ""), ("argv", "")];
    let place = place(&attempts);
    ours(&place).says("/environment done HOME,HTTPS_PROXY,TMPDIR,TZ");
    strict(&place, "limits = { bandwidth = \"2MiB\", calls-per-second = 7 }");
    ours(&place).says("/environment done HOME,TMPDIR").says("--bwlimit 2097152B --tpslimit 7");
}

#[test]
fn a_key_that_the_configuration_names_is_read_and_its_neighbour_is_not() {
    let place = TestEnv::bare();
    let keys = place.path("keys");
    fs::create_dir(&keys).unwrap();
    let path = |name: &str| keys.join(name).display().to_string();
    fs::write(path("id"), "key").unwrap();
    fs::write(path("other"), "key").unwrap();
    let attempt = |name: &str, read: &str| {
        place.remote(
            name,
            &[("type", "sftp"), ("host", "h"), ("key_file", &path("id")), ("try_read", read)],
        );
        let mut command = place.command(tools::plakbox());
        let remote = format!("{name}:");
        run(command.env("PLAKBOX_RCLONE", tools::probe()).args(["ls", &remote])).good()
    };
    attempt("named", &path("id")).says("/read done");
    attempt("neighbour", &path("other")).says(&format!("/read {EACCES}"));
}

#[test]
fn a_key_that_is_a_directory_opens_nothing() {
    let place = TestEnv::bare();
    let keys = place.path("keys");
    fs::create_dir(&keys).unwrap();
    fs::write(keys.join("id"), "key").unwrap();
    let (file, keys) = (keys.join("id").display().to_string(), keys.display().to_string());
    for (name, key, read) in [
        ("root", "/..", "/etc/passwd"),
        ("above", &*format!("{keys}/../keys"), &*file),
        ("whole", &*keys, &*file),
    ] {
        let options = [("type", "sftp"), ("host", "h"), ("key_file", key), ("try_read", read)];
        place.remote(name, &options);
        let mut command = place.command(tools::plakbox());
        let remote = format!("{name}:");
        run(command.env("PLAKBOX_RCLONE", tools::probe()).args(["ls", &remote]))
            .good()
            .says(&format!("/read {EACCES}"));
    }
}

/// The processes that run the probe for this place.
fn probes(place: &TestEnv) -> Vec<u32> {
    let probe = tools::probe().display().to_string();
    let state = place.path("").display().to_string();
    processes::find(&probe, &state)
}

#[test]
fn it_never_outlives_plakbox_even_if_it_is_deaf() {
    let place = place(&[("stay", "deaf")]);
    let mut command = place.command(tools::plakbox());
    command.env("PLAKBOX_RCLONE", tools::probe()).args(["ls", "probe:"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    for signal in [rustix::process::Signal::KILL, rustix::process::Signal::TERM] {
        let mut child = command.spawn().unwrap();
        assert!(within(Duration::from_secs(30), || !probes(&place).is_empty()));
        let id = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(id, signal).unwrap();
        child.wait().unwrap();
        assert!(within(Duration::from_secs(30), || probes(&place).is_empty()), "{signal:?}");
    }
}

#[test]
fn nonsense_in_place_of_rclone_s_output_is_a_clear_failure() {
    for (how, said) in [
        ("nonsense", "rclone"),
        ("early", "rclone lsjson ended with exit status: 7"),
        ("line", ""),
        ("noisy", ""),
    ] {
        let place = place(&[("stay", how)]);
        let mut command = place.command(tools::plakbox());
        command.env("PLAKBOX_RCLONE", tools::probe()).args(["ls", "probe:"]);
        run(&mut command).soon().bad(said);
        assert!(probes(&place).is_empty());
    }
}

#[test]
fn a_key_that_is_exchanged_for_a_link_meanwhile_grants_nothing_but_a_file() {
    let place = TestEnv::bare();
    let path = |name: &str| place.path(name).display().to_string();
    fs::write(path("key"), "key").unwrap();
    std::os::unix::fs::symlink("/", path("link")).unwrap();
    place.remote(
        "probe",
        &[("type", "sftp"), ("host", "h"), ("key_file", &path("key")), ("try_read", "/etc/passwd")],
    );
    tree::exchanged(&place.path("key"), &place.path("link"), || {
        for _ in 0..20 {
            probe(&place).says(&format!("/read {EACCES}"));
        }
    });
}
