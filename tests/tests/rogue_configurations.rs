//! A configuration can't make rclone run a command: what does with rclone alone doesn't here.

use base64::Engine;
use plakbox_tests::env::run;
use plakbox_tests::plugin::Importer;
use plakbox_tests::{TestEnv, tools};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

/// The file whose existence shows that a command ran.
const MARKER: &str = "it-ran";

/// Remotes of an rclone.conf, of which `evil` is used; `TOUCH` stands for a command that
/// leaves the marker, `HERE` for the place.
struct Attack {
    remotes: &'static [(&'static str, &'static [(&'static str, &'static str)])],
    variables: &'static [(&'static str, &'static str)],
    /// plakbox's refusal; empty if it continues without the value.
    refusal: &'static str,
    /// Whether rclone alone runs the command.
    works: bool,
}

const fn attack(
    remotes: &'static [(&'static str, &'static [(&'static str, &'static str)])],
    refusal: &'static str,
    works: bool,
) -> Attack {
    Attack { remotes, variables: &[], refusal, works }
}

const SFTP: (&str, &str) = ("type", "sftp");
const HOST: (&str, &str) = ("host", "127.0.0.1");
const BASE: (&str, &[(&str, &str)]) = ("base", &[("type", "sftp"), ("host", "127.0.0.1")]);
const RUNS: &str = "would run a command, which plakbox refuses";
const OTHERWISE: &str = "has `%(...)s` in its value, which rclone would replace";
const STRING: &str = "wraps a connection string, which plakbox refuses";

const ATTACKS: &[Attack] = &[
    attack(&[("evil", &[SFTP, HOST, ("ssh", "TOUCH")])], RUNS, true),
    attack(
        &[(
            "evil",
            &[("type", "webdav"), ("url", "http://127.0.0.1:9"), ("bearer_token_command", "TOUCH")],
        )],
        RUNS,
        true,
    ),
    attack(&[("evil", &[("type", "memory"), ("password_command", "TOUCH")])], RUNS, false),
    attack(&[("evil", &[("type", "memory"), ("auth_command", "TOUCH")])], RUNS, false),
    attack(&[("evil", &[("type", "memory"), ("metadata_mapper", "TOUCH")])], RUNS, false),
    attack(
        &[("evil", &[("type", "memory"), ("override.metadata_mapper", "TOUCH")])],
        "would change rclone's own setting",
        false,
    ),
    attack(
        &[("evil", &[("type", "memory"), ("global.password_command", "TOUCH")])],
        "would change rclone's own setting",
        false,
    ),
    attack(
        &[("evil", &[("type", "alias"), ("remote", ":sftp,host=127.0.0.1,ssh='TOUCH':x")])],
        STRING,
        true,
    ),
    attack(&[("evil", &[("type", "alias"), ("remote", "base,ssh='TOUCH':x")]), BASE], STRING, true),
    attack(
        &[(
            "evil",
            &[("type", "alias"), ("remote", "evil,type=sftp,host=127.0.0.1,ssh='TOUCH':x")],
        )],
        STRING,
        true,
    ),
    attack(
        &[(
            "evil",
            &[("type", "union"), ("upstreams", "\":sftp,host=127.0.0.1,ssh='TOUCH':x\" /tmp")],
        )],
        STRING,
        true,
    ),
    attack(
        &[(
            "evil",
            &[("type", "combine"), ("upstreams", "\"a=:sftp,host=127.0.0.1,ssh='TOUCH':x\"")],
        )],
        STRING,
        true,
    ),
    attack(
        &[(
            "evil",
            &[
                ("type", "crypt"),
                ("password", "HUlKwuWmK3pHsGmsPwtdn_tm"),
                ("remote", ":sftp,host=127.0.0.1,ssh='TOUCH':x"),
            ],
        )],
        STRING,
        true,
    ),
    attack(
        &[("evil", &[("type", "chunker"), ("remote", ":sftp,host=127.0.0.1,ssh='TOUCH':x")])],
        STRING,
        true,
    ),
    attack(
        &[("evil", &[("type", "compress"), ("remote", ":sftp,host=127.0.0.1,ssh='TOUCH':x")])],
        STRING,
        true,
    ),
    attack(
        &[("evil", &[("type", "hasher"), ("remote", ":sftp,host=127.0.0.1,ssh='TOUCH':x")])],
        STRING,
        true,
    ),
    attack(
        &[("evil", &[("type", "archive"), ("remote", ":sftp,host=127.0.0.1,ssh='TOUCH':x")])],
        STRING,
        true,
    ),
    attack(
        &[("evil", &[("type", "cache"), ("remote", ":sftp,host=127.0.0.1,ssh='TOUCH':x")])],
        STRING,
        true,
    ),
    attack(
        &[(
            "evil",
            &[
                ("type", "cache"),
                ("remote", "HERE"),
                ("tmp_upload_path", ":sftp,host=127.0.0.1,ssh='TOUCH':x"),
            ],
        )],
        STRING,
        true,
    ),
    attack(
        &[
            ("evil", &[("type", "alias"), ("remote", "deep:x")]),
            ("deep", &[("type", "alias"), ("remote", "deeper:x")]),
            ("deeper", &[SFTP, HOST, ("ssh", "TOUCH")]),
        ],
        RUNS,
        true,
    ),
    attack(
        &[(
            "evil",
            &[
                ("type", "alias"),
                ("description", ":sftp,host=127.0.0.1,ssh='TOUCH':x"),
                ("remote", "%(description)s"),
            ],
        )],
        OTHERWISE,
        true,
    ),
    attack(
        &[("evil", &[("type", "alias"), ("remote", "`:sftp,host=127.0.0.1,ssh='TOUCH':x`")])],
        STRING,
        true,
    ),
    attack(
        &[("evil", &[("type", "sftp"), ("description", "x\\\nssh = TOUCH"), ("host", "h")])],
        "",
        true,
    ),
    attack(
        &[
            ("evil", &[("type", "alias"), ("remote", "deep.er:x")]),
            ("deep", &[SFTP, HOST, ("ssh", "TOUCH")]),
            ("deep.er", &[SFTP, HOST]),
        ],
        "the name of the remote `deep.er` has a dot",
        true,
    ),
    Attack {
        remotes: &[("evil", &[SFTP, HOST, ("user", "u"), ("pass", "HUlKwuWmK3pHsGmsPwtdn_tm")])],
        variables: &[("RCLONE_SFTP_SSH", "TOUCH")],
        refusal: "",
        works: true,
    },
    Attack {
        remotes: &[("evil", &[SFTP, HOST])],
        variables: &[("RCLONE_CONFIG_EVIL_SSH", "TOUCH")],
        refusal: "",
        works: true,
    },
    Attack {
        remotes: &[(
            "evil",
            &[
                ("type", "s3"),
                ("provider", "Other"),
                ("endpoint", "http://127.0.0.1:9"),
                ("env_auth", "true"),
            ],
        )],
        variables: &[],
        refusal: "",
        works: true,
    },
];

/// The words with their placeholders filled in.
fn filled(text: &str, place: &TestEnv) -> String {
    let touch = place.path("touch").display().to_string();
    text.replace("TOUCH", &touch)
        .replace("HERE", place.path("").to_str().unwrap().trim_end_matches('/'))
}

fn prepared(attack: &Attack) -> TestEnv {
    let place = TestEnv::bare();
    let script = format!("#!/bin/sh\n: > '{}'\n", place.path(MARKER).display());
    fs::write(place.path("touch"), script).unwrap();
    fs::set_permissions(place.path("touch"), fs::Permissions::from_mode(0o755)).unwrap();
    let credentials = filled("[default]\ncredential_process = TOUCH\n", &place);
    fs::create_dir(place.path("home/.aws")).unwrap();
    fs::write(place.path("home/.aws/credentials"), credentials).unwrap();
    for (name, options) in attack.remotes {
        let options: Vec<_> =
            options.iter().map(|(key, value)| (*key, filled(value, &place))).collect();
        let options: Vec<_> = options.iter().map(|(key, value)| (*key, value.as_str())).collect();
        place.remote(name, &options);
    }
    place
}

fn with_variables(command: &mut Command, attack: &Attack, place: &TestEnv) {
    for (name, value) in attack.variables {
        command.env(name, filled(value, place));
    }
}

#[test]
fn no_configuration_runs_a_command() {
    for attack in ATTACKS {
        let place = prepared(attack);
        let shown = fs::read_to_string(place.path("rclone.conf")).unwrap();
        let mut command = place.command(tools::plakbox());
        with_variables(&mut command, attack, &place);
        let said = run(command.args(["ls", "evil:x"])).bad(attack.refusal);
        assert!(!place.path(MARKER).exists(), "{shown}\n{}", said.text);

        let mut alone = place.command(tools::rclone());
        with_variables(&mut alone, attack, &place);
        alone.args(["lsf", "evil:x", "--retries", "1", "--low-level-retries", "1"]);
        alone.args(["--contimeout", "1s"]);
        let said = run(&mut alone);
        assert_eq!(place.path(MARKER).exists(), attack.works, "{shown}\n{}", said.text);
    }
}

#[tokio::test]
async fn a_value_can_t_become_another_option_or_section() {
    let place = TestEnv::bare();
    let touch = filled("TOUCH", &place);
    for (key, value) in [
        ("rclone_host", format!("h\nssh = {touch}")),
        ("rclone_host", format!("h\r\n[other]\nssh = {touch}")),
        ("rclone_host\nssh", touch.clone()),
        ("rclone_host = h\nssh", touch.clone()),
        ("rclone_]\n[remote", touch.clone()),
        ("rclone_ssh ", touch.clone()),
        ("rclone_SSH", touch.clone()),
        ("rclone_host", "h\0".to_owned()),
    ] {
        let config = [("location", "rclone://"), ("rclone_type", "sftp"), (key, value.as_str())];
        let refused = Importer::start(&place, &config).await.err().unwrap();
        let said = refused.message();
        assert!(said.contains("import the remote again"), "{key:?} {value:?}: {said}");
        assert!(!place.path(MARKER).exists());
    }
}

#[tokio::test]
async fn rclone_reads_each_value_as_it_was_configured() {
    for value in [
        "x\\",
        "a # b",
        "a ; b",
        "\"q\"",
        "[x]",
        "a = b : c",
        "'",
        "é",
        "%(",
        "100%s",
        "#x",
        ";",
        "a,b",
    ] {
        let place = TestEnv::bare();
        let config = [
            ("location", "rclone://"),
            ("rclone_type", "memory"),
            ("rclone_description", value),
            ("rclone_try_config", "1"),
        ];
        let probe = [("PLAKBOX_RCLONE".to_owned(), tools::probe().to_str().unwrap().to_owned())];
        let mut importer = Importer::start_in(&place, &config, probe).await.unwrap();
        let mut scan = importer.scan().await.unwrap();
        let mut shown = String::new();
        while let Some(record) = scan.next().await.unwrap() {
            shown += record.pathname.strip_prefix("/config done ").unwrap_or_default();
            scan.acknowledge(record).await;
        }
        let text =
            String::from_utf8(base64::engine::general_purpose::URL_SAFE.decode(&shown).unwrap())
                .unwrap();
        fs::write(place.path("rclone.conf"), &text).unwrap();
        let dump = place.command(tools::rclone()).args(["config", "dump"]).output().unwrap();
        let dump: serde_json::Value = serde_json::from_slice(&dump.stdout).unwrap();
        assert_eq!(dump["remote"]["description"], value, "{text}");
        assert_eq!(dump["remote"].as_object().unwrap().len(), 3, "{text}");
    }
}

#[test]
fn plakar_itself_can_t_be_made_to_run_one() {
    let place = TestEnv::new();
    let touch = filled("TOUCH", &place);
    place.remote("evil", &[("type", "sftp"), ("host", "127.0.0.1"), ("ssh", &touch)]);
    place.import("evil");
    place.backup("@evil").soon().bad(RUNS);
    place.backup("rclone://evil:x").soon().bad(RUNS);
    place.backup("rclone://:sftp,host=h,ssh=x:x").soon().bad("connection strings are refused");
    assert!(!place.path(MARKER).exists());
}
