//! The storage protocol of Plakar, call by call.

use plakbox_tests::env::files_below;
use plakbox_tests::plugin::local;
use plakbox_tests::processes;
use plakbox_tests::store_client::{
    ECC_STATE, LOCK, PACKFILE, STATE, StoreClient, name, path, shown,
};
use plakbox_tests::{TestEnv, tree};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A directory for a store.
fn directory(place: &TestEnv) -> PathBuf {
    let directory = place.path("kloset");
    fs::create_dir(&directory).unwrap();
    directory
}

/// Everything in a store that isn't whole: what isn't an object's, and what isn't as large.
fn assert_whole(store: &Path, sizes: &[usize]) {
    for file in files_below(store) {
        let below = file.strip_prefix(store).unwrap().display().to_string();
        let size = fs::metadata(&file).map_or(0, |metadata| metadata.len());
        let is_object = below.starts_with("packfiles/") || below.starts_with("states/");
        assert!(
            !is_object || sizes.contains(&usize::try_from(size).unwrap()),
            "{below} has {size} bytes"
        );
    }
}

#[tokio::test]
async fn objects_are_put_listed_read_and_deleted() {
    let (place, bytes) = (TestEnv::bare(), tree::seeded_bytes(1, 5 << 20));
    let store = directory(&place);
    let mut client = StoreClient::create_in(&place, &local(&store)).await;
    assert_eq!(client.open().await.unwrap(), &b"configuration"[..]);
    assert_eq!(client.mode().await.unwrap(), 6);
    client.ping().await.unwrap();
    for (kind, size) in [(PACKFILE, bytes.len()), (STATE, 70_000), (LOCK, 200)] {
        assert_eq!(client.list(kind).await.unwrap(), Vec::<bytes::Bytes>::new());
        let written = client.put(kind, name(7), &bytes[..size]).await.unwrap();
        assert_eq!(usize::try_from(written).unwrap(), size);
        assert_eq!(fs::read(path(&store, kind, 7)).unwrap(), bytes[..size]);
        assert_eq!(client.list(kind).await.unwrap(), [name(7)]);
        assert!(client.get(kind, name(7), None).await.unwrap() == bytes[..size]);
        if kind != LOCK {
            let part = client.get(kind, name(7), Some((100, 50))).await.unwrap();
            assert_eq!(part, bytes[100..150]);
        }
    }
    let part = client.get(PACKFILE, name(7), Some((1 << 20, 3 << 20))).await.unwrap();
    assert!(part == bytes[1 << 20..4 << 20]);
    assert!(client.size().await.unwrap() >= 5 << 20);
    let refusal = client.get(PACKFILE, name(7), Some((4 << 20, 2 << 20))).await.unwrap_err();
    assert!(refusal.message().contains("bytes"), "{refusal:?}");
    for kind in [PACKFILE, STATE, LOCK] {
        client.delete(kind, name(7)).await.unwrap();
        client.delete(kind, name(7)).await.unwrap();
        assert_eq!(client.list(kind).await.unwrap(), Vec::<bytes::Bytes>::new());
        assert!(client.get(kind, name(7), None).await.is_err());
    }
    client.close().await.unwrap();
    let closed = client.open().await.unwrap_err();
    assert!(closed.message().contains("nothing was opened"), "{closed:?}");
}

#[tokio::test]
async fn an_invalid_call_is_refused_when_its_stream_has_ended() {
    let place = TestEnv::bare();
    let store = directory(&place);
    let mut client = StoreClient::create_in(&place, &local(&store)).await;
    let chunk = vec![1; 1 << 20];
    for (kind, mac, why) in [
        (ECC_STATE, name(1), "doesn't hold error-correcting codes"),
        (9, name(1), "9 isn't a kind of objects"),
        (PACKFILE, name(1).slice(..31), "has 32 bytes, not 31"),
    ] {
        let upload = client.begin(kind, mac.clone()).await;
        for _ in 0..20 {
            upload.chunks.send(Default::default()).await.expect("the stream was ended early");
            upload.send(&chunk).await;
        }
        assert!(!upload.result.is_finished(), "the stream was ended early");
        let refusal = upload.end().await.unwrap_err();
        assert!(refusal.message().contains(why), "{refusal:?}");
        let refusal = client.get(kind, mac.clone(), None).await.unwrap_err();
        assert!(refusal.message().contains(why), "{refusal:?}");
        let refusal = client.delete(kind, mac).await.unwrap_err();
        assert!(refusal.message().contains(why), "{refusal:?}");
    }
    let refusal = client.list(ECC_STATE).await.unwrap_err();
    assert!(refusal.message().contains("error-correcting"), "{refusal:?}");
    client.put(PACKFILE, name(1), b"all the same").await.unwrap();
    assert_whole(&store, &[12]);
}

#[tokio::test]
async fn only_a_stream_that_plakar_ended_makes_an_object() {
    let place = TestEnv::bare();
    let store = directory(&place);
    let client = StoreClient::create_in(&place, &local(&store)).await;
    for number in 0..10 {
        let upload = client.begin(PACKFILE, name(number)).await;
        for _ in 0..number {
            upload.send(&[number; 300_000]).await;
        }
        upload.give_up().await;
    }
    client.put(PACKFILE, name(100), b"the session goes on").await.unwrap();
    assert_whole(&store, &[19]);
    // One that never ends, as when Plakar can't read its own file, keeps nothing from closing.
    let stalled = client.begin(PACKFILE, name(101)).await;
    stalled.send(&[1; 100]).await;
    let unended = client.begin(STATE, name(102)).await;
    unended.send(&[2; 2 << 20]).await;
    client.cut().await;
    drop((stalled, unended));
    assert_whole(&store, &[19]);
}

#[tokio::test]
async fn the_locks_of_a_session_go_when_it_ends_however_it_ends() {
    let place = TestEnv::bare();
    let store = directory(&place);
    drop(StoreClient::create_in(&place, &local(&store)).await);
    let foreign = path(&store, LOCK, 200);
    for end in ["close", "cut", "terminate", "stalled"] {
        let mut client = StoreClient::start(&place, &local(&store)).await.unwrap();
        client.open().await.unwrap();
        fs::create_dir_all(foreign.parent().unwrap()).unwrap();
        fs::write(&foreign, b"of a different machine").unwrap();
        client.put(LOCK, name(1), b"first").await.unwrap();
        client.put(LOCK, name(1), b"refreshed").await.unwrap();
        client.put(LOCK, name(2), b"second").await.unwrap();
        assert_eq!(client.list(LOCK).await.unwrap(), [name(1), name(2), name(200)], "{end}");
        let upload = client.begin(PACKFILE, name(3)).await;
        let start = Instant::now();
        match end {
            "close" => {
                drop(upload);
                client.close().await.unwrap();
            }
            "stalled" => client.close().await.unwrap(),
            "terminate" => {
                processes::terminate(client.pid());
                client.ended().await;
            }
            _ => client.cut().await,
        }
        assert!(start.elapsed() < Duration::from_secs(20), "{end} took {:?}", start.elapsed());
        let left: Vec<_> = files_below(&store.join("locks"));
        assert_eq!(left, std::slice::from_ref(&foreign), "{end}");
    }
}

#[tokio::test]
async fn a_lock_of_a_killed_session_goes_with_the_next_one_of_this_machine_and_no_other_does() {
    let place = TestEnv::bare();
    let store = directory(&place);
    let mut client = StoreClient::create_in(&place, &local(&store)).await;
    fs::create_dir_all(store.join("locks")).unwrap();
    fs::write(path(&store, LOCK, 200), b"of a different machine").unwrap();
    client.put(LOCK, name(1), b"mine").await.unwrap();
    processes::kill(client.pid());
    client.ended().await;
    assert!(path(&store, LOCK, 1).exists());
    let mut next = StoreClient::start(&place, &local(&store)).await.unwrap();
    next.open().await.unwrap();
    assert_eq!(next.list(LOCK).await.unwrap(), [name(200)]);
    assert!(!path(&store, LOCK, 1).exists());
}

#[tokio::test]
async fn files_that_are_not_objects_are_not_listed() {
    let place = TestEnv::bare();
    let store = directory(&place);
    drop(StoreClient::create_in(&place, &local(&store)).await);
    for kind in ["packfiles", "states", "locks"] {
        let directory = store.join(kind);
        fs::create_dir_all(directory.join("ab")).unwrap();
        let object = shown(1);
        for foreign in [
            ".DS_Store".to_owned(),
            format!("{object}.partial"),
            object[1..].to_owned(),
            object.to_uppercase(),
            format!("{object}0"),
        ] {
            fs::write(directory.join(foreign), b"foreign").unwrap();
        }
        fs::create_dir(directory.join(shown(9))).unwrap();
        fs::write(directory.join(object), b"an object").unwrap();
    }
    let mut client = StoreClient::start(&place, &local(&store)).await.unwrap();
    client.open().await.unwrap();
    for kind in [PACKFILE, STATE, LOCK] {
        assert_eq!(client.list(kind).await.unwrap(), [name(1)], "{kind}");
    }
}

#[tokio::test]
async fn a_listing_that_fails_is_not_an_empty_one() {
    let place = TestEnv::bare();
    let store = directory(&place);
    let mut client = StoreClient::create_in(&place, &local(&store)).await;
    client.put(STATE, name(1), b"a state").await.unwrap();
    client.put(PACKFILE, name(1), b"a packfile").await.unwrap();
    fs::rename(&store, place.path("elsewhere")).unwrap();
    for kind in [STATE, PACKFILE] {
        assert!(client.list(kind).await.is_err(), "{kind}");
    }
    fs::rename(place.path("elsewhere"), &store).unwrap();
    assert_eq!(client.list(STATE).await.unwrap(), [name(1)]);
}

#[tokio::test]
async fn the_passphrase_of_the_repository_goes_nowhere() {
    const MARKER: &str = "MARKER-4711-PASSPHRASE";
    let place = TestEnv::bare();
    let store = directory(&place);
    let location = local(&store);
    let command = format!("echo {MARKER}");
    let config = [
        &location[..],
        &[("passphrase", MARKER), ("passphrase_cmd", &command), ("Passphrase_x", MARKER)],
    ]
    .concat();
    let audit = place.path("audit.jsonl");
    place.policy(&format!(
        "[audit]\nfile = {audit:?}\n[[allow]]\nbackends = [\"*\"]\nuse = [\"store\"]\ndirectories = [\"/\"]\n"
    ));
    let log = place.path("log");
    let mut command = place.command(plakbox_tests::tools::plakbox());
    command.arg("storage").env("PLAKBOX_LOG", "plakbox=trace,debug");
    command.stderr(fs::File::create(&log).unwrap());
    let mut client = StoreClient::start_by(command, &config).await.unwrap();
    client.create(b"configuration").await.unwrap();
    client.put(LOCK, name(1), b"lock").await.unwrap();
    client.list(LOCK).await.unwrap();
    let pid = client.pid();
    let secrets = [MARKER];
    assert!(plakbox_tests::secret_scan::components(pid, &secrets).iter().all(Vec::is_empty));
    for id in processes::descendants(pid).into_iter().chain([pid]) {
        assert!(plakbox_tests::secret_scan::said(id, &secrets).is_empty());
    }
    for directory in [place.state(), place.path("kloset"), place.path("home")] {
        assert!(plakbox_tests::secret_scan::files(&directory, &secrets).is_empty());
    }
    client.close().await.unwrap();
    for file in [log, audit] {
        let text = fs::read_to_string(&file).unwrap();
        assert!(!text.is_empty() && !text.contains(MARKER), "{text}");
    }
}
