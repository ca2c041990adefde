//! A server that breaks uploads, refuses them, stores less than it was sent or loses its answers
//! doesn't make a store lose anything.

use fastrand::Rng;
use plakbox_tests::repository::Repository;
use plakbox_tests::upload_faults::{Fault, Proxy};
use plakbox_tests::{TestEnv, servers, tree};
use std::fs;

/// Backs up some files to a store behind a proxy, which breaks uploads, and checks the store.
/// Returns the paths of the uploads.
fn back_up(choose: fn(usize, &str) -> Option<Fault>) -> Vec<String> {
    let place = TestEnv::new();
    let served = place.path("served");
    fs::create_dir(&served).unwrap();
    let server = servers::serve(&place, "webdav", &served);
    let proxy = Proxy::start(&server.address, choose);
    servers::remote(&place, "remote", "webdav", &proxy.address);
    servers::remote(&place, "sound", "webdav", &server.address);
    Repository::created(&place, "rclone://sound:kloset");
    let store = Repository::at(&place, "rclone://remote:kloset");
    let source = place.path("source");
    for round in 0..3 {
        for number in 0..6 {
            let bytes = tree::random_bytes(&mut Rng::with_seed(round * 10 + number), 400_000);
            tree::file(&source.join(format!("file {round} {number}")), &bytes, tree::time(round));
        }
        store.backup(&source).good();
        store.assert_restored(&source, &format!("restored {round}"));
    }
    store.assert_sound();
    proxy.uploads()
}

/// Whether an upload is one of a packfile or a state.
fn is_object(path: &str) -> bool {
    path.contains("/packfiles/") || path.contains("/states/")
}

#[test]
fn uploads_that_are_cut_or_refused_are_made_again() {
    back_up(|number, path| match number {
        _ if !is_object(path) => None,
        _ if number % 5 == 0 => Some(Fault::Cut),
        _ if number % 7 == 0 => Some(Fault::Refuse(500)),
        _ if number % 8 == 0 => Some(Fault::Refuse(429)),
        _ => None,
    });
}

#[test]
fn an_object_that_the_server_stored_without_its_last_bytes_is_sent_again() {
    let uploads =
        back_up(|number, path| (is_object(path) && number % 3 == 0).then_some(Fault::Shorten(3)));
    let count = |path: &str| uploads.iter().filter(|upload| *upload == path).count();
    assert!(uploads.iter().any(|path| is_object(path) && count(path) > 1), "{uploads:?}");
}

#[test]
fn an_upload_whose_answer_was_lost_leaves_a_whole_object() {
    // rclone removes such an upload on WebDAV, and it is made again.
    back_up(|number, path| (is_object(path) && number % 3 == 0).then_some(Fault::LoseAnswer));
}
