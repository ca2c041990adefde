//! Each error names the mistake that was made.

use super::shell;
use plakbox_tests::env::run;
use plakbox_tests::google_account::Account;
use plakbox_tests::photos::{Call, Settings};
use plakbox_tests::{TestEnv, servers, tools, tree};

fn with_source() -> TestEnv {
    let place = TestEnv::new();
    let directory = place.directory_remote("source");
    tree::file(&directory.join("album/X/file"), b"x", tree::time(1));
    place.import("source");
    place
}

#[test]
fn the_missing_colon_of_a_remote_is_reported() {
    let place = with_source();
    place.backup("rclone://source").bad("write `rclone://source:`");
    place.backup("rclone://source/album/X").bad("write `rclone://source:album/X`");
    place.backup("rclone://source:album/X").good();
}

#[test]
fn an_imported_remote_with_a_name_in_its_location_is_reported_with_its_location() {
    let place = with_source();
    let set = |location: &str| place.plakar(["source", "set", "source", location]).good();
    set("location=rclone://source:album/X");
    place.backup("@source").bad("set the location to `rclone://album/X`");
    set("location=rclone://album/X");
    place.backup("@source").good().says("without errors");
}

#[test]
fn an_empty_import_is_distinguished_from_an_unknown_name() {
    let place = with_source();
    shell(&place, "rclone config show tpyo | plakar source import -rclone").good();
    place
        .backup("@tpyo")
        .bad("a name that rclone doesn't have (`rclone listremotes` lists them)")
        .says("remove it with `plakar source rm NAME`");
    // What is advised makes no source of a name that isn't there.
    place.plakar(["source", "rm", "tpyo"]).good();
    shell(&place, "rclone config dump | plakar source import -rclone tpyo").says("does not exist");
    place.plakar(["source", "show", "tpyo"]).bad("does not exist");
}

#[test]
fn a_path_of_rclone_that_is_wrong_is_named() {
    let place = with_source();
    run(place.backup_command("@source").env("PLAKBOX_RCLONE", "/nonexistent"))
        .bad("PLAKBOX_RCLONE names `/nonexistent` as rclone, which isn't a file; help: correct it");
    place.policy(
        "[rclone]\npath = \"/not/there\"\n[[allow]]\nbackends = [\"*\"]\n\
         use = [\"importer\"]\ndirectories = [\"/\"]\n",
    );
    place.backup("@source").bad("the policy names `/not/there` as rclone, which isn't a file");
}

#[test]
fn a_whole_remote_that_no_path_of_a_policy_allows_is_called_so() {
    let place = with_source();
    place.policy("[[allow]]\nbackends = [\"alias\", \"local\"]\nuse = [\"importer\"]\npaths = [\"photos\"]\n");
    let run = place.backup("@source").bad("the whole remote matches none of its `paths`");
    assert!(!run.text.contains("``"), "{}", run.text);
}

#[test]
fn an_invalid_log_level_is_named_and_the_rest_continues() {
    let place = with_source();
    for wrong in ["verbose", "plakbox=loud"] {
        let mut command = place.command(tools::plakbox());
        let run = run(command.args(["ls", "source:"]).env("PLAKBOX_LOG", wrong)).good();
        let said = format!("PLAKBOX_LOG is `{wrong}`, which isn't a level; help: set it to");
        assert_eq!(run.text.lines().filter(|line| line.contains(&said)).count(), 1, "{}", run.text);
        run.says("/album/X/file");
    }
}

#[test]
fn output_that_is_read_no_further_ends_it_quietly() {
    let place = with_source();
    for number in 0..3000 {
        tree::file(&place.path(&format!("source/many/{number:040}")), b"", tree::time(1));
    }
    let plakbox = tools::plakbox();
    for command in ["ls source:", "help google-photos", "policy schema"] {
        let line = format!("{} {command} | head -n 1 > /dev/null", plakbox.display());
        let run = shell(&place, &line).good();
        assert_eq!(run.text, "", "{command}");
    }
}

#[test]
fn what_rclone_is_not_given_of_the_environment_is_named() {
    let place = TestEnv::new();
    place.remote("ssh", &[("type", "sftp"), ("host", "127.0.0.1"), ("port", "9")]);
    let mut command = place.backup_command("rclone://ssh:");
    run(command.env("SSH_AUTH_SOCK", "/nowhere/agent"))
        .bad("plakbox gives rclone no ssh-agent; help: set the remote's `key_file`");
    let server = servers::serve(&place, "s3", &place.path(""));
    let url = format!("http://{}", server.address);
    let options =
        [("type", "s3"), ("provider", "Rclone"), ("endpoint", &url), ("env_auth", "true")];
    place.remote("s3", &options);
    let mut command = place.backup_command("rclone://s3:");
    let keys = [("AWS_ACCESS_KEY_ID", servers::KEY), ("AWS_SECRET_ACCESS_KEY", servers::SECRET)];
    run(command.envs(keys)).bad("plakbox gives rclone none of the AWS variables");
}

#[test]
fn a_status_is_printed_once() {
    let account = Account::new(Settings::default());
    account.photos.fill(3, 0, 0, 1);
    account.photos.fail(Call::Download, 404, 1000);
    let run = account.backup("").says("(404 Not Found)");
    assert!(!run.text.contains("404 404"), "{}", run.text);
}
