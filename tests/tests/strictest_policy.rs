//! The journey from an import to a backup under the strictest policy of the documentation.

use plakbox_tests::env::{files_below, run};
use plakbox_tests::{TestEnv, servers, tools, tree};
use std::fs;

/// docs/policies/tenant.toml, with this machine's server, rclone and log for those of the
/// example.
fn tenants_policy(place: &TestEnv, address: &str) -> String {
    let example = tools::repository().join("docs/policies/tenant.toml");
    let mut text = fs::read_to_string(example).unwrap();
    let (host, port) = address.split_once(':').unwrap();
    let rclone = tools::rclone();
    let log = place.path("audit.jsonl");
    for (its, ours) in [
        ("https://s3.example.org", &*format!("http://{address}")),
        ("\"s3.example.org\"", &format!("{host:?}")),
        ("[443]", &format!("[{port}]")),
        ("\"/usr/bin/rclone\"", &format!("{rclone:?}")),
        ("\"/var/log/plakbox/tenant-a.jsonl\"", &format!("{log:?}")),
    ] {
        assert!(text.contains(its), "the example has no {its} any more");
        text = text.replace(its, ours);
    }
    text
}

#[test]
fn one_tenant_s_bucket_is_backed_up_under_the_strictest_example_and_nothing_else() {
    let place = TestEnv::new();
    let served = place.path("served");
    for (bucket, count) in [("tenant-a", 60), ("tenant-b", 1)] {
        for number in 0..count {
            let file = served.join(format!("{bucket}/photos/{number}"));
            tree::file(&file, format!("{bucket} {number}").as_bytes(), tree::time(number));
        }
    }
    let server = servers::serve(&place, "s3", &served);
    place.remote(
        "bucket",
        &[
            ("type", "s3"),
            ("access_key_id", servers::KEY),
            ("secret_access_key", servers::SECRET),
            ("region", "us-east-1"),
        ],
    );
    let policies = place.path("home/.config/plakbox");
    fs::create_dir_all(&policies).unwrap();
    fs::write(policies.join("policy.toml"), tenants_policy(&place, &server.address)).unwrap();

    place.import("bucket");
    let located = |path: &str| {
        let location = format!("location=rclone://{path}");
        place.plakar(["source", "set", "bucket", &location]).good();
    };
    located("tenant-a/photos");
    place.backup("@bucket").good();
    for number in [0, 59] {
        let content = place.content(&format!("/tenant-a/photos/{number}"));
        assert_eq!(content, format!("tenant-a {number}").as_bytes());
    }
    place.backup("@bucket").good();
    assert_eq!(place.content("/tenant-a/photos/7"), b"tenant-a 7");
    let restored = files_below(&place.restore_here("restored"));
    assert_eq!(restored.len(), 60);
    let ninth = restored.iter().find(|file| file.ends_with("9")).unwrap();
    assert_eq!(fs::read(ninth).unwrap(), b"tenant-a 9");

    place.restore("@bucket").soon().bad("it may not be used by an exporter");
    located("tenant-b/photos");
    place.backup("@bucket").soon().bad("the path `tenant-b/photos` matches none of its `paths`");

    let log = place.path("audit.jsonl");
    let shown = run(place.command(tools::plakbox()).arg("audit").arg("show").arg(&log)).good();
    shown.says("`tenant a reads its bucket`").says("refused: ");
    let text = fs::read_to_string(&log).unwrap();
    assert!(!text.contains(servers::SECRET) && !text.contains(servers::KEY), "{text}");
}
