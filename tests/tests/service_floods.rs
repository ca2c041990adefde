//! Floods of HTTP/2 by a client that was let in cost a service neither memory nor other clients.

use plakbox_tests::service::{Service, ours, policy};
use plakbox_tests::{TestEnv, processes, tools};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// One frame of HTTP/2 (RFC 9113, 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&head, payload].concat()
}

/// `POST / HTTP/2` by the static table (RFC 7541, appendix A).
const REQUEST: [u8; 3] = [0x83, 0x86, 0x84];

/// Sends all this to a service, as a client that was let in, until it takes no more of it.
fn flood(service: &Service, frames: impl Iterator<Item = Vec<u8>>) {
    let mut client = UnixStream::connect(service.path("socket")).unwrap();
    client.set_write_timeout(Some(Duration::from_secs(3))).unwrap();
    let hello = b"{\"version\":1,\"role\":\"importer\"}";
    client.write_all(&u16::try_from(hello.len()).unwrap().to_be_bytes()).unwrap();
    client.write_all(hello).unwrap();
    let mut length = [0; 2];
    client.read_exact(&mut length).unwrap();
    let mut answer = vec![0; u16::from_be_bytes(length).into()];
    client.read_exact(&mut answer).unwrap();
    assert!(String::from_utf8_lossy(&answer).contains("welcome"), "{answer:?}");
    client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
    client.write_all(&frame(4, 0, 0, &[])).unwrap();
    for frame in frames {
        if client.write_all(&frame).is_err() {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_of_http_2_cost_a_service_nothing() {
    const HEADERS: u8 = 1;
    const RST_STREAM: u8 = 3;
    const SETTINGS: u8 = 4;
    const PING: u8 = 6;
    const CONTINUATION: u8 = 9;
    const END_HEADERS: u8 = 4;
    let place = TestEnv::bare();
    let granted = place.directory_remote("granted");
    policy(&place, "ours.toml", &granted, &tools::rclone());
    let service = Service::start(&place, "", &ours(""));
    assert!(service.session(&granted).await.is_ok());
    let streams = || (0..20_000).map(|number| number * 2 + 1);
    // A header that isn't indexed, `a: a`.
    const HEADER: [u8; 5] = [0x00, 0x01, b'a', 0x01, b'a'];
    let endless = |part: &'static [u8]| {
        let start = frame(HEADERS, 0, 1, &REQUEST);
        std::iter::once(start).chain((0..200_000).map(|_| frame(CONTINUATION, 0, 1, part)))
    };
    let floods = || {
        flood(
            &service,
            streams().flat_map(|stream| {
                let start = frame(HEADERS, END_HEADERS, stream, &REQUEST);
                [start, frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])]
            }),
        );
        flood(&service, endless(&HEADER));
        flood(&service, endless(&[]));
        flood(&service, (0..200_000).map(|_| frame(PING, 0, 0, &[0; 8])));
        flood(&service, (0..200_000).map(|_| frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100])));
        flood(&service, streams().map(|stream| frame(HEADERS, END_HEADERS, stream, &REQUEST)));
        // A message of gRPC that is said to have 4 GiB.
        let large = frame(0, 0, 1, &[0, 0xff, 0xff, 0xff, 0xff]);
        flood(&service, [frame(HEADERS, END_HEADERS, 1, &REQUEST), large].into_iter());
        processes::memory(service.pid())
    };
    // What one of each needs at a time is kept for the next.
    let first = tokio::task::block_in_place(floods);
    let second = tokio::task::block_in_place(floods);
    assert!(service.session(&granted).await.is_ok(), "{}", service.log());
    assert!(first < 200 << 20, "{first}");
    assert!(second < first + (16 << 20), "{first} {second}");
}
