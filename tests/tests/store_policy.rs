//! The rights of a session on a store, by its policy.

use plakbox_tests::env::{finish, run};
use plakbox_tests::plugin::local;
use plakbox_tests::repository::{Repository, objects};
use plakbox_tests::service::{self, Service, ours};
use plakbox_tests::store_client::{LOCK, PACKFILE, STATE, StoreClient, name, path};
use plakbox_tests::{TestEnv, processes, tools, tree};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// The user's policy for stores in a directory of this machine.
fn allow(place: &TestEnv, directory: &Path, more: &str) {
    let audit = place.path("audit.jsonl");
    place.policy(&format!(
        "[audit]\nfile = {audit:?}\n[[allow]]\nbackends = [\"local\", \"alias\"]\n\
         use = [\"store\"]\ndirectories = [{directory:?}]\n{more}"
    ));
}

/// A store with one backup, made without a policy.
fn store_with_backup(place: &TestEnv) -> (Repository<'_>, PathBuf, PathBuf) {
    let directory = place.directory_remote("remote");
    let source = place.path("source");
    tree::grow(&source, 30, false);
    let store = Repository::created(place, "rclone://remote:kloset");
    store.backup(&source).good();
    (store, source, directory)
}

#[test]
fn a_store_that_may_only_be_read_is_listed_restored_and_checked_and_no_more() {
    let place = TestEnv::new();
    let (store, source, directory) = store_with_backup(&place);
    allow(&place, &directory, "read-only = true\n");
    let before = plakbox_tests::env::files_below(&directory);
    store.plakar(&["ls"]).good().says(&store.last());
    store.assert_restored(&source, "restored");
    store.assert_sound();
    store.backup(&source).soon().bad("");
    store.plakar(&["maintenance"]).soon().bad("");
    assert_eq!(plakbox_tests::env::files_below(&directory), before);
    let new = Repository::at(&place, "rclone://remote:new").create().soon();
    new.bad("the policy lets the store be read only");
    assert!(!directory.join("new").exists());
}

#[test]
fn a_policy_without_stores_allows_none() {
    let place = TestEnv::new();
    let (store, ..) = store_with_backup(&place);
    place.policy("[[allow]]\nbackends = [\"*\"]\nuse = [\"importer\", \"exporter\"]\ndirectories = [\"/\"]\n");
    store.plakar(&["ls"]).soon().bad("it may not be used as a store, see line 4");
}

#[test]
fn a_store_that_is_appended_to_takes_backups_and_gives_them_back() {
    let place = TestEnv::new();
    let (store, source, directory) = store_with_backup(&place);
    allow(&place, &directory, "append-only = true\n");
    let kinds = ["packfiles", "states"];
    let kloset = directory.join("kloset");
    let before = kinds.map(|kind| objects(&kloset, kind));
    let first = store.last();
    tree::file(&source.join("more"), b"more", tree::time(7));
    store.backup(&source).good();
    store.plakar(&["rm", "-apply", &first]).good();
    store.assert_restored(&source, "restored");
    store.assert_sound();
    // It marks, and could delete nothing.
    store.plakar(&["maintenance"]);
    for (kind, before) in kinds.into_iter().zip(before) {
        let now = objects(&kloset, kind);
        assert!(before.iter().all(|object| now.contains(object)), "{kind}: {before:?} {now:?}");
    }
    assert_eq!(objects(&kloset, "locks"), []);
}

/// Tries what a malicious client may not do with an append-only store.
async fn assert_only_appended(client: &mut StoreClient, store: &Path) {
    for kind in [PACKFILE, STATE] {
        client.put(kind, name(1), b"what must stay").await.unwrap();
        for bytes in [&b"something else"[..], &b"longer than that"[..], b""] {
            // The same number of bytes may count as the same object, which stays as well.
            let outcome = client.put(kind, name(1), bytes).await;
            assert!(outcome.is_err() || bytes.len() == 14, "{kind}: {outcome:?}");
            assert_eq!(fs::read(path(store, kind, 1)).unwrap(), b"what must stay");
        }
        let refusal = client.delete(kind, name(1)).await.unwrap_err();
        assert!(refusal.message().contains("append"), "{refusal:?}");
        assert_eq!(fs::read(path(store, kind, 1)).unwrap(), b"what must stay");
        client.put(kind, name(2), b"more").await.unwrap();
    }
    client.put(LOCK, name(1), b"a lock").await.unwrap();
    client.put(LOCK, name(1), b"a lock that was refreshed").await.unwrap();
    client.delete(LOCK, name(1)).await.unwrap();
    assert!(!path(store, LOCK, 1).exists());
    let refusal = client.put(LOCK, name(3), &vec![1; 1 << 20]).await.unwrap_err();
    assert!(!path(store, LOCK, 3).exists(), "{refusal:?}");
}

#[tokio::test]
async fn nothing_in_a_store_that_is_appended_to_is_replaced_or_deleted() {
    let place = TestEnv::bare();
    let store = place.path("kloset");
    fs::create_dir(&store).unwrap();
    allow(&place, &store, "append-only = true\n");
    let mut client = StoreClient::create_in(&place, &local(&store)).await;
    assert_eq!(client.mode().await.unwrap(), 6);
    assert_only_appended(&mut client, &store).await;
    client.close().await.unwrap();
    let audit = fs::read_to_string(place.path("audit.jsonl")).unwrap();
    assert!(audit.contains("\"use\":\"store\""), "{audit}");
}

/// A service whose tenant may append to stores below a directory.
fn appending_service(place: &TestEnv, below: &Path) -> Service {
    let rclone = tools::rclone();
    let text = format!(
        "version = 1\n[rclone]\npath = {rclone:?}\n[[allow]]\n\
         backends = [\"local\", \"alias\"]\nuse = [\"store\"]\nappend-only = true\n\
         directories = [{below:?}]\n"
    );
    fs::write(service::directory(place).join("ours.toml"), text).unwrap();
    Service::start(place, "", &ours(""))
}

#[test]
fn a_tenant_of_a_service_appends_to_its_store_and_leaves_no_lock() {
    let place = TestEnv::new();
    let directory = place.directory_remote("remote");
    let service = appending_service(&place, &directory);
    let shown = place.command(tools::rclone()).args(["config", "show", "remote"]).output().unwrap();
    place.import_text("store", &shown.stdout);
    let source = place.path("source");
    tree::grow(&source, 30, false);
    let store = Repository::at(&place, "@remote");
    let by = |args: &[&str]| run(service.client(&mut store.command(args)));
    by(&["create", "-plaintext"]).good();
    store.note(by(&["backup", source.to_str().unwrap()])).good();
    assert_eq!(objects(&directory, "locks"), []);
    let before = [objects(&directory, "packfiles"), objects(&directory, "states")];
    by(&["rm", "-apply", &store.last()]).good();
    store.note(by(&["backup", source.to_str().unwrap()])).good();
    by(&["check"]).good();
    let target = place.path("target");
    by(&["restore", "-to", target.to_str().unwrap(), &store.last()]).good();
    tree::assert_same(&source, &target, tree::Keep::Files);
    for (kind, before) in ["packfiles", "states"].into_iter().zip(before) {
        let now = objects(&directory, kind);
        assert!(before.iter().all(|object| now.contains(object)), "{kind}");
    }
    // Plakar is killed, and the relay with it: the service ends the session, and its locks go.
    for number in 0..40 {
        let bytes = tree::seeded_bytes(number, 4 << 20);
        tree::file(&source.join(format!("large {number}")), &bytes, tree::time(number));
    }
    let mut command = store.command(&["backup", source.to_str().unwrap()]);
    let command = service.client(&mut command).stdout(Stdio::null()).stderr(Stdio::null());
    let (child, start) = (command.spawn().unwrap(), Instant::now());
    let is_locked = || !objects(&directory, "locks").is_empty();
    assert!(plakbox_tests::env::within(Duration::from_secs(30), is_locked));
    processes::kill(child.id());
    finish(child, start);
    let is_free = || objects(&directory, "locks").is_empty();
    assert!(plakbox_tests::env::within(Duration::from_secs(45), is_free), "{}", service.log());
}

#[test]
fn a_policy_of_stores_is_explained() {
    let place = TestEnv::bare();
    let remote = place.directory_remote("remote");
    let file = place.path("policy.toml");
    let rule = format!(
        "version = 1\n[[allow]]\nbackends = [\"local\", \"alias\"]\nuse = [\"store\"]\n\
         append-only = true\ndirectories = [{remote:?}]\n"
    );
    fs::write(&file, rule).unwrap();
    let explain = |args: &[&str]| {
        run(place.command(tools::plakbox()).args(["policy", "explain"]).arg(&file).args(args))
    };
    explain(&[]).good().says("allows alias, local for store").says("append only");
    let remote = explain(&["remote:"]).good().says("as store: allowed").says("append only");
    remote.says("as importer: refused");
}
