//! Nonsense from Plakar's side or from rclone's ends in a clear failure: no panic, no hang,
//! no wrong bytes. For as many seconds as `PLAKBOX_FUZZ` says: see `just fuzz`.

use fastrand::Rng;
use plakbox_tests::plugin::Importer;
use plakbox_tests::raw_grpc_client::RawGrpcClient;
use plakbox_tests::{TestEnv, plugin, processes, tools, tree};
use std::io::{Read, Write};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Tries something with a different seed each time, until the time is over.
fn for_a_while(mut attempt: impl FnMut(u64)) {
    let seconds = std::env::var("PLAKBOX_FUZZ").ok().and_then(|text| text.parse().ok());
    let time = Duration::from_secs(seconds.unwrap_or(2));
    let begin = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() << 20;
    let (start, mut tried) = (Instant::now(), 0);
    while start.elapsed() < time {
        attempt(begin + tried);
        tried += 1;
    }
    let target = std::thread::current().name().unwrap_or_default().to_owned();
    println!("{target}: {tried} inputs in {} s", start.elapsed().as_secs());
}

/// Time limit for a failure.
const FAILURE_TIMEOUT: Duration = Duration::from_secs(60);

#[test]
fn nonsense_in_place_of_plakar_s_requests_ends_the_plugin_without_a_panic() {
    let place = TestEnv::bare();
    for_a_while(|seed| {
        let mut random = Rng::with_seed(seed);
        let role = if random.bool() { "importer" } else { "exporter" };
        let mut command = place.command(tools::plakbox());
        command.arg(role).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
        if random.u64(..5) == 0 {
            bytes = tree::random_bytes(&mut random, 64);
        }
        for _ in 0..random.u64(..30) {
            let length = random.usize(..100);
            bytes.extend([0, 0, u8::try_from(length).unwrap()]);
            bytes.extend([random.u8(..10), random.u8(..)]);
            bytes.extend([0, 0, 0, random.u8(..8)]);
            bytes.extend(tree::random_bytes(&mut random, length));
        }
        let mut stdin = child.stdin.take().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let reading = std::thread::spawn(move || {
            let mut answer = Vec::new();
            let _ = stdout.read_to_end(&mut answer);
        });
        // It may have ended by itself.
        let _ = stdin.write_all(&bytes);
        drop(stdin);
        let start = Instant::now();
        while child.try_wait().unwrap().is_none() {
            assert!(start.elapsed() < FAILURE_TIMEOUT, "it hangs: {seed}");
            std::thread::sleep(Duration::from_millis(1));
        }
        reading.join().unwrap();
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(!said.contains("panicked"), "{seed}: {said}");
    });
}

/// Time limit for a reply to a stream of messages: the plugin may wait for more of them.
const REPLY_TIMEOUT: Duration = Duration::from_secs(1);

/// The bytes with a few of them changed, removed, doubled or made up.
fn changed(bytes: &[u8], random: &mut Rng) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..random.u64(..4) {
        let mut place = || random.usize(..=bytes.len());
        let (one, other) = (place(), place());
        let (from, to) = (one.min(other), one.max(other));
        match random.u64(..5) {
            0 => bytes.truncate(to),
            1 => drop(bytes.drain(from..to)),
            2 => bytes.extend_from_within(from..to),
            3 => drop(bytes.splice(from..from, tree::random_bytes(random, to - from))),
            _ => bytes.iter_mut().skip(from).take(1).for_each(|byte| *byte ^= random.u8(..)),
        }
    }
    bytes
}

#[test]
fn nonsense_in_sound_frames_of_grpc_is_answered_without_a_panic() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let config = [("location", "rclone://"), ("rclone_type", "memory"), ("rclone_try_udp", "1")];
    for_a_while(|seed| {
        let place = TestEnv::bare();
        let mut random = Rng::with_seed(seed);
        let role = if random.bool() { "importer" } else { "exporter" };
        let methods = plugin::methods(role, &config);
        let said = place.path("stderr");
        let mut command = place.command(tools::plakbox());
        command.arg(role).env("PLAKBOX_RCLONE", tools::probe());
        command.stderr(std::fs::File::create(&said).unwrap());
        let work = async {
            let plugin = RawGrpcClient::start(command).await;
            // Half of them are told of a remote as they should be.
            let (init, message) = methods[0].clone();
            if random.bool() {
                plugin.call(init, vec![message.into()]).await.unwrap();
            }
            for _ in 0..30 {
                let pick = random.usize(..methods.len());
                let (method, message) = (methods[pick].0, &methods[pick].1);
                let count = 1 + random.u64(..4);
                let messages = (0..count).map(|_| changed(message, &mut random).into()).collect();
                let _ = tokio::time::timeout(REPLY_TIMEOUT, plugin.call(method, messages)).await;
            }
        };
        let work = async { tokio::time::timeout(FAILURE_TIMEOUT, work).await };
        assert!(runtime.block_on(work).is_ok(), "it hangs: {seed}");
        let said = std::fs::read_to_string(said).unwrap();
        assert!(!said.contains("panicked"), "{seed}: {said}");
    });
}

#[test]
fn nonsense_in_place_of_rclone_s_replies_is_a_failure_of_that_file() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for_a_while(|seed| {
        let place = TestEnv::bare();
        let number = seed.to_string();
        let config = [
            ("location", "rclone://"),
            ("rclone_type", "memory"),
            ("rclone_try_replies", &*number),
        ];
        runtime.block_on(async {
            let work = async {
                let probe =
                    [("PLAKBOX_RCLONE".to_owned(), tools::probe().to_str().unwrap().to_owned())];
                let mut importer = Importer::start_in(&place, &config, probe).await.unwrap();
                let mut scan = importer.scan().await.unwrap();
                while let Some(record) = scan.next().await.unwrap() {
                    if !record.has_reader {
                        continue;
                    }
                    let size = record.file_info.as_ref().unwrap().size;
                    let path = record.pathname.clone();
                    if let Ok(count) = whole(&mut importer, &path).await {
                        assert!(size < 0 || size == count, "{seed}: {count} bytes of {path}");
                    }
                    scan.acknowledge(record).await;
                }
            };
            tokio::time::timeout(FAILURE_TIMEOUT, work)
                .await
                .unwrap_or_else(|_| panic!("it hangs: {seed}"));
        });
        assert!(plakbox_tests::env::within(FAILURE_TIMEOUT, || processes::plakboxes(
            &place.path("")
        )
        .is_empty()));
    });
}

/// Number of bytes of a file, if it can be read.
async fn whole(importer: &mut Importer, path: &str) -> Result<i64, tonic::Status> {
    let mut content = importer.open(path).await?;
    let mut count = 0;
    while let Some(piece) = plugin::piece(&mut content).await? {
        count += i64::try_from(piece.len()).unwrap();
    }
    Ok(count)
}
