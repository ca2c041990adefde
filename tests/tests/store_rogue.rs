//! Whatever the component of a store does, Plakar gets an answer.

use plakbox_tests::store_client::{Frames, LOCK, PACKFILE, Reason, STATE, StoreClient, name};
use plakbox_tests::{TestEnv, tools};
use std::process::Command;
use std::time::{Duration, Instant};
use tonic::Status;

/// The rogue component as a store.
fn command(place: &TestEnv) -> Command {
    let mut command = place.command(tools::plakbox());
    command.arg("storage").arg("--component").arg(tools::rogue());
    command
}

/// The same with a session, told by the path what to do.
async fn rogue(place: &TestEnv, what: &str) -> Result<StoreClient, Status> {
    let location = format!("rclone://{what}");
    let config = [("location", location.as_str()), ("rclone_type", "memory")];
    StoreClient::start_by(command(place), &config).await
}

#[tokio::test]
async fn a_component_without_a_store_is_named() {
    let place = TestEnv::bare();
    let mut command = place.command(tools::plakbox());
    let documents = tools::repository().join("examples/documents/bin/documents.wasm");
    if !documents.exists() {
        eprintln!("skipped: the example isn't built");
        return;
    }
    command.arg("storage").arg("--component").arg(documents);
    let config = [("location", "rclone://x"), ("rclone_type", "memory")];
    let refusal = StoreClient::start_by(command, &config).await.err().unwrap();
    assert_eq!(refusal.message(), "the connector `rclone` can't hold a store");
}

#[tokio::test]
async fn an_object_that_is_not_wanted_is_received_to_its_end_and_plakar_gets_the_reason() {
    let place = TestEnv::bare();
    let client = rogue(&place, "store-refuses").await.unwrap();
    let upload = client.begin(PACKFILE, name(1)).await;
    for _ in 0..30 {
        upload.send(&vec![1; 1 << 20]).await;
    }
    assert!(!upload.result.is_finished(), "the stream was ended early");
    let refusal = upload.end().await.unwrap_err();
    assert_eq!(refusal.message(), "the remote is full");
}

#[tokio::test]
async fn only_whole_streams_reach_the_component_as_whole() {
    let place = TestEnv::bare();
    let mut client = rogue(&place, "store").await.unwrap();
    for number in 0..5 {
        let upload = client.begin(STATE, name(number)).await;
        upload.send(&vec![number; 700_000]).await;
        upload.give_up().await;
    }
    let written = client.put(STATE, name(9), &[9; 3_000_000]).await;
    assert_eq!(written.unwrap(), 3_000_000);
    client.put(STATE, name(10), b"").await.unwrap();
    assert_eq!(client.list(STATE).await.unwrap(), [name(9), name(10)]);
    let bytes = client.get(STATE, name(9), Some((2_999_990, 100))).await.unwrap();
    assert_eq!(bytes, [9; 10]);
    assert_eq!(client.get(STATE, name(10), None).await.unwrap(), b"");
    assert_eq!(client.size().await.unwrap(), i64::MAX);
}

#[tokio::test]
async fn a_stream_that_is_reset_for_any_reason_makes_no_object() {
    let place = TestEnv::bare();
    let config = [("location", "rclone://store"), ("rclone_type", "memory")];
    let frames = Frames::start_by(command(&place), &config).await;
    // Plakar sends the first of them when it is interrupted, and libraries of HTTP/2 take both
    // for an end.
    for reason in [Reason::CANCEL, Reason::NO_ERROR, Reason::INTERNAL_ERROR] {
        for number in 0..20 {
            frames.reset(STATE, name(number), &[number; 5000], reason).await;
        }
    }
    frames.put(STATE, name(100), b"whole").await;
    assert_eq!(frames.list(STATE).await, [name(100)]);
}

#[tokio::test]
async fn a_lock_passes_a_hundred_objects_that_wait() {
    let place = TestEnv::bare();
    let mut client = rogue(&place, "store-holds").await.unwrap();
    let mut held = Vec::new();
    for number in 0..100 {
        let upload = client.begin(PACKFILE, name(number)).await;
        let chunks = upload.chunks.clone();
        let sending = tokio::spawn(async move {
            let chunk = bytes::Bytes::from(vec![1; 1 << 20]);
            for _ in 0..8 {
                let request = StoreClient::chunk(chunk.clone());
                let _ = chunks.send(request).await;
            }
        });
        held.push((upload, sending));
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let lock = tokio::time::timeout(Duration::from_secs(10), client.put(LOCK, name(1), b"lock"));
    lock.await.expect("it waits for the packfiles").unwrap();
    assert_eq!(client.list(LOCK).await.unwrap(), [name(1)]);
}

#[tokio::test]
async fn a_component_that_never_finishes_holds_plakar_for_half_a_minute() {
    let place = TestEnv::bare();
    let mut client = rogue(&place, "store-hangs").await.unwrap();
    let start = Instant::now();
    let refusal = client.close().await.unwrap_err();
    assert!(refusal.message().contains("are left after 30 s"), "{refusal:?}");
    assert!((29..45).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_trap_ends_the_session_with_the_reason() {
    let place = TestEnv::bare();
    let mut client = rogue(&place, "store-traps").await.unwrap();
    for attempt in 0..2 {
        let refusal = client.put(PACKFILE, name(1), &[1; 3 << 20]).await.unwrap_err();
        assert!(refusal.message().contains("wasm `unreachable`"), "{attempt}: {refusal:?}");
    }
    assert!(client.close().await.is_err());
}

#[tokio::test]
async fn a_store_that_may_only_be_read_is_not_written() {
    let place = TestEnv::bare();
    place.policy("[[allow]]\nbackends = [\"*\"]\nuse = [\"store\"]\nread-only = true\n");
    let mut client = rogue(&place, "store").await.unwrap();
    assert_eq!(client.mode().await.unwrap(), 4);
    let why = "the policy lets the store be read only";
    let refusals = [
        client.create(b"configuration").await.unwrap_err(),
        client.put(PACKFILE, name(1), &[1; 3 << 20]).await.unwrap_err(),
        client.delete(LOCK, name(1)).await.unwrap_err(),
    ];
    for refusal in refusals {
        assert!(refusal.message().starts_with(why), "{refusal:?}");
    }
    let missing = client.open().await.unwrap_err();
    assert!(missing.message().contains("has no file `CONFIG` in `store`"), "{missing:?}");
    client.close().await.unwrap();
}

#[tokio::test]
async fn a_policy_of_before_allows_no_store() {
    let place = TestEnv::bare();
    place.policy("[[allow]]\nbackends = [\"*\"]\nuse = [\"importer\", \"exporter\"]\n");
    let refusal = rogue(&place, "store").await.err().unwrap();
    assert!(refusal.message().contains("it may not be used as a store"), "{refusal:?}");
}

#[tokio::test]
async fn what_can_not_hold_a_store_is_refused() {
    let place = TestEnv::bare();
    for backend in ["google photos", "http", "iclouddrive"] {
        let config =
            [("location", "rclone://x"), ("rclone_type", backend), ("rclone_url", "http://a")];
        let refusal = StoreClient::start(&place, &config).await.err().unwrap();
        let why = format!("a remote of type `{backend}` can't hold a store");
        assert!(refusal.message().starts_with(&why), "{refusal:?}");
    }
}
