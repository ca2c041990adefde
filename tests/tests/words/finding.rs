//! plakbox, its explanations and what is wrong are found by a person who looks for them.

use super::{advised, shell};
use plakbox_tests::env::{finish, run};
use plakbox_tests::google_account::Account;
use plakbox_tests::photos::{Call, Photos, Settings};
use plakbox_tests::{Run, TestEnv, service, tools, tree};
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Instant;

fn doctor(command: &mut Command, text: &str) -> Run {
    command.arg("doctor").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let start = Instant::now();
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    finish(child, start).soon()
}

#[test]
fn the_page_about_google_photos_is_shown_by_the_command_of_the_message() {
    let account = Account::new(Settings::default());
    let failed = account.backup("").bad("shows rclone no photo at all");
    let command = advised(&failed.text, "itself; help: see");
    assert!(command.starts_with('/'), "it isn't in PATH: {command}");
    shell(&account.place, &command).good().says("Google Takeout").says("plakbox doctor myphotos:");
}

#[test]
fn the_command_is_a_plain_name_where_path_has_it() {
    let place = TestEnv::bare();
    let bin = place.path("bin");
    fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink(tools::plakbox(), bin.join("plakbox")).unwrap();
    let ask = |path: &str| {
        let mut command = place.command(tools::plakbox());
        run(command.arg("doctor").env("PATH", path)).text
    };
    // Without rclone it says more, which is of no matter.
    let path = std::env::var("PATH").unwrap();
    let empty = advised(&ask(&format!("{}:{path}", bin.display())), "no rclone configuration");
    assert!(empty.ends_with("| plakbox doctor"), "{empty}");
    let absolute = advised(&ask(&path), "no rclone configuration");
    assert!(absolute.ends_with(&format!("| {} doctor", tools::plakbox().display())), "{absolute}");
}

#[test]
fn help_explains_commands_and_topics() {
    let place = TestEnv::bare();
    let help = |topic: &[&str]| run(place.command(tools::plakbox()).arg("help").args(topic));
    help(&[]).good().says("renew").says("google-photos");
    help(&["renew"]).good().says("Their `location` and all other options");
    help(&["policy", "check"]).good().says("is valid");
    help(&["google-photos"]).good().says("# Google Photos");
    help(&["nonsense"]).bad("there is no command or topic `nonsense`");
}

#[test]
fn doctor_warns_of_a_library_that_a_backup_refuses() {
    let (place, photos) = (TestEnv::bare(), Photos::start());
    let look = |place: &TestEnv| {
        let mut command = place.command(tools::plakbox());
        doctor(command.envs(photos.environment()), &photos.config("p"))
    };
    let run = look(&place).bad("problem  Google Photos shows rclone no photo at all");
    assert!(!run.text.contains("ok       the remote answers"), "{}", run.text);
    photos.fill(3, 0, 0, 1);
    photos.take_calls();
    look(&place).good().says("ok       the remote answers");
    assert!(photos.take_calls().of(Call::Search) <= 1);
}

#[test]
fn doctor_names_the_proxy_in_use_without_its_password() {
    let place = TestEnv::bare();
    place.directory_remote("source");
    let mut command = place.command(tools::plakbox());
    command.args(["doctor", "source:"]).env("https_proxy", "http://me:MARKER-4711@proxy:8080");
    let run = run(&mut command).good();
    let run = run.says("ok       rclone goes by the proxy `proxy:8080`, which HTTPS_PROXY names");
    assert!(!run.text.contains("MARKER-4711"), "{}", run.text);
    place.policy("[[allow]]\nbackends = [\"*\"]\nuse = [\"importer\"]\n");
    let run = plakbox_tests::env::run(&mut command);
    assert!(!run.text.contains("proxy"), "rclone isn't given it:\n{}", run.text);
}

#[test]
fn a_missing_token_is_one_problem() {
    let (place, photos) = (TestEnv::bare(), Photos::start());
    let config = photos.config("p");
    let config: String = config
        .lines()
        .filter(|line| !line.starts_with("token"))
        .map(|line| format!("{line}\n"))
        .collect();
    let run = doctor(place.command(tools::plakbox()).envs(photos.environment()), &config)
        .bad("the remote has no `token`")
        .says("there is a problem; help: fix it");
    assert_eq!(run.text.matches("problem  ").count(), 1, "{}", run.text);
}

#[test]
fn doctor_says_that_backups_go_to_a_service_and_whether_it_takes_us() {
    let place = TestEnv::bare();
    let source = place.directory_remote("source");
    tree::file(&source.join("file"), b"x", tree::time(1));
    let connect = place.path("connect.toml");
    fs::write(&connect, "socket = \"not-there.sock\"\n").unwrap();
    let look = || {
        let mut command = place.command(tools::plakbox());
        run(command.args(["doctor", "source:"]).env("PLAKBOX_CONNECT", &connect))
    };
    look().bad("not-there.sock` can't be reached").says("the service reads no rclone.conf");
    fs::write(&connect, "soket = 1\n").unwrap();
    look().bad("problem  `").says("unknown field `soket`");
    let served = service::place(|_| ());
    let running = service::Service::start(&served, "", &service::ours(""));
    let mut command = place.command(tools::plakbox());
    running.client(command.args(["doctor", "source:"]));
    run(&mut command).good().says("warning  plakar's backups and restores go to the service at");
}
