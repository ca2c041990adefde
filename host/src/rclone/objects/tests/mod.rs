//! Objects on a local remote by the real rclone.
//!
//! - [`servers`]: objects on servers of rclone

mod servers;

use bytes::Bytes;
use std::collections::{BTreeSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::audit::{AuditLog, Subject};
use crate::connector::Content;
use crate::direction::Direction;
use crate::policy::{Grant, Policies};
use crate::quota::SessionQuota;
use crate::rclone::binary::Binary;
use crate::rclone::remote::{Remote, RemoteSpec};
use crate::rclone::state::State;

/// A store in a directory, and its state directory.
pub struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("store")).unwrap();
        Self { directory }
    }

    pub fn store(&self) -> PathBuf {
        self.directory.path().join("store")
    }

    /// Starts a session of a store.
    async fn objects(&self, append_only: bool) -> Objects {
        let location = format!("rclone://{}", self.store().display());
        let config = [("location", location.as_str()), ("rclone_type", "local")];
        self.start(&config, |grant| grant.append_only = append_only).await
    }

    /// Starts a session of a store on any remote.
    async fn start(&self, config: &[(&str, &str)], narrow: impl FnOnce(&mut Grant)) -> Objects {
        Objects::new(self.session(config, narrow).await)
    }

    /// Starts a session on the directory.
    pub async fn local_session(&self) -> RcloneSession {
        let location = format!("rclone://{}", self.store().display());
        let config = [("location", location.as_str()), ("rclone_type", "local")];
        self.session(&config, |_| ()).await
    }

    /// Starts a session on any remote.
    async fn session(
        &self,
        config: &[(&str, &str)],
        narrow: impl FnOnce(&mut Grant),
    ) -> RcloneSession {
        let state = State::open_at(self.directory.path().join("state"), None).unwrap();
        let backend = config.iter().find(|(key, _)| *key == "rclone_type").unwrap().1;
        let config =
            config.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let spec = RemoteSpec { config, hostname: String::new(), directory: String::new() };
        let (remote, _) = Remote::from_plakar(spec).unwrap();
        let policies = Policies::load(None).unwrap();
        let mut grant = policies.decide(&remote.request(Direction::Store)).unwrap();
        narrow(&mut grant);
        let trail = AuditLog::open(&BTreeSet::new(), Subject::local()).unwrap();
        let binary = Binary::find(&state, backend, &grant.program, grant.enforcement, &trail).await;
        let quota = SessionQuota::default();
        RcloneSession::new(binary.unwrap(), remote, &state, grant, trail, quota, 8).unwrap()
    }
}

fn content(bytes: &[u8]) -> Content {
    let chunks = bytes.chunks(100_000).map(Bytes::copy_from_slice);
    Content::complete(chunks.collect::<VecDeque<_>>())
}

pub async fn bytes_of(mut content: Content) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(chunk) = content.bytes.recv().await {
        bytes.extend_from_slice(&chunk);
    }
    content.join().await.unwrap();
    bytes
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => found.extend(files(&path)),
            path => found.push(path),
        }
    }
    found
}

#[tokio::test]
async fn an_object_is_put_and_read_and_removed() {
    let place = Place::new();
    let objects = place.objects(false).await;
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|number| (number / 7) as u8).collect();
    let path = "packfiles/0a";
    let parcel = objects.receive(content(&bytes)).await.unwrap();
    assert_eq!(parcel.size(), 3_000_000);
    assert_eq!(parcel.put(path).await.unwrap(), PutOutcome::Stored);
    assert_eq!(fs::read(place.store().join(path)).unwrap(), bytes);
    assert_eq!(files(&place.store()), [place.store().join(path)], "nothing else is there");
    assert_eq!(bytes_of(parcel.read()).await, bytes);
    assert_eq!(objects.stat(path).await.unwrap(), Some(3_000_000));
    assert_eq!(objects.stat("packfiles/0b").await.unwrap(), None);
    assert_eq!(bytes_of(objects.read(path, Some(3_000_000)).await.unwrap()).await, bytes);
    let one = objects.fetch(path, 10, 1_000_000).await.unwrap();
    let two = objects.fetch(path, 2_999_000, 5_000).await.unwrap();
    assert_eq!((one.size(), two.size()), (1_000_000, 1_000));
    assert_eq!(objects.fetch(path, 3_000_000, 1).await.unwrap().size(), 0);
    assert_eq!(objects.fetch(path, u64::MAX - 9, 9).await.unwrap().size(), 0);
    let joined = Extent::join(&[(one.clone(), 999_000, 1_000), (two, 1, 999)]).unwrap();
    let expected = [&bytes[999_010..1_000_010], &bytes[2_999_001..]].concat();
    assert_eq!(bytes_of(joined).await, expected);
    assert!(Extent::join(&[(one, 999_000, 1_001)]).is_err());
    objects.delete(path).await.unwrap();
    objects.delete(path).await.unwrap();
    assert!(files(&place.store()).is_empty());
    let missing = objects.fetch(path, 0, 1).await.err().unwrap();
    assert_eq!(missing.reason, Reason::NotFound);
}

#[tokio::test]
async fn a_content_that_fails_leaves_nothing() {
    let place = Place::new();
    let objects = place.objects(false).await;
    let (writer, content) = Content::channel(4);
    writer.bytes().send(Bytes::from_static(b"half")).await.unwrap();
    writer.finish(Err(Failure::cancelled()));
    assert!(objects.receive(content).await.is_err());
    drop(objects);
    assert!(files(&place.store()).is_empty());
}

#[tokio::test]
async fn a_server_that_is_killed_is_replaced_and_an_upload_leaves_nothing_short() {
    let place = Place::new();
    let objects = place.objects(false).await;
    let bytes = vec![7; 40 << 20];
    let parcel = objects.receive(content(&bytes)).await.unwrap();
    let upload = tokio::spawn({
        let parcel = parcel.clone();
        async move { parcel.put("packfiles/0a").await }
    });
    tokio::time::sleep(std::time::Duration::from_millis(150)).await;
    objects.session().activity().kill_all();
    let first = upload.await.unwrap();
    let is_short = |path: &PathBuf| fs::metadata(path).unwrap().len() < 40 << 20;
    let short = files(&place.store().join("packfiles"));
    assert!(!short.iter().any(is_short), "{short:?} after {first:?}");
    parcel.put("packfiles/0a").await.unwrap();
    assert_eq!(fs::read(place.store().join("packfiles/0a")).unwrap(), bytes);
}

#[tokio::test]
async fn an_append_only_store_keeps_what_it_has() {
    let place = Place::new();
    let objects = place.objects(true).await;
    let (path, lock) = ("packfiles/0a", format!("locks/{}", "0a".repeat(32)));
    let put = async |bytes: &[u8], path: &str| {
        objects.receive(content(bytes)).await.unwrap().put(path).await
    };
    assert_eq!(put(b"first", path).await.unwrap(), PutOutcome::Stored);
    assert_eq!(put(b"other", path).await.unwrap(), PutOutcome::Present);
    assert_eq!(put(b"longer", path).await.err().unwrap().reason, Reason::Denied);
    assert_eq!(objects.delete(path).await.err().unwrap().reason, Reason::Denied);
    assert_eq!(fs::read(place.store().join(path)).unwrap(), b"first");
    assert_eq!(put(b"one", &lock).await.unwrap(), PutOutcome::Stored);
    assert_eq!(put(b"another", &lock).await.unwrap(), PutOutcome::Stored);
    assert_eq!(fs::read(place.store().join(&lock)).unwrap(), b"another");
    objects.delete(&lock).await.unwrap();
    assert!(!place.store().join(&lock).exists());
}

#[tokio::test]
async fn the_lock_of_a_session_that_ended_without_removing_it_is_removed_and_no_other() {
    let place = Place::new();
    let [killed, running, foreign] =
        ["0a", "0b", "0c"].map(|byte| format!("locks/{}", byte.repeat(32)));
    let put = async |objects: &Objects, path: &str| {
        objects.receive(content(b"lock")).await.unwrap().put(path).await.unwrap();
    };
    let first = place.objects(false).await;
    put(&first, &killed).await;
    drop(first);
    let second = place.objects(false).await;
    put(&second, &running).await;
    fs::write(place.store().join(&foreign), "lock").unwrap();
    place.objects(false).await.remove_abandoned_locks().await;
    assert!(!place.store().join(&killed).exists());
    assert!(place.store().join(&running).exists() && place.store().join(&foreign).exists());
    second.delete(&running).await.unwrap();
    assert!(files(&place.directory.path().join("state/store-locks")).is_empty());
}

#[tokio::test]
async fn a_session_holds_as_many_extents_as_its_memory_allows() {
    let place = Place::new();
    let objects = place.objects(false).await;
    let path = format!("packfiles/{}", "0a".repeat(32));
    objects.receive(content(&[7; 1000])).await.unwrap().put(&path).await.unwrap();
    let start = std::time::Instant::now();
    let mut held = Vec::new();
    for offset in 0..600 {
        held.push(objects.fetch(&path, offset, 100).await.unwrap());
    }
    assert!(start.elapsed() < std::time::Duration::from_secs(10), "{:?}", start.elapsed());
    let parcel = objects.receive(content(b"beside them")).await.unwrap();
    assert_eq!(bytes_of(parcel.read()).await, b"beside them");
    assert_eq!(bytes_of(objects.read(&path, None).await.unwrap()).await.len(), 1000);
    let ranges: Vec<_> = held.into_iter().map(|extent| (extent, 0, 100)).collect();
    assert_eq!(bytes_of(Extent::join(&ranges).unwrap()).await, [7; 60_000]);
}

#[tokio::test]
async fn what_another_client_replaced_is_read_as_it_is_now() {
    let place = Place::new();
    let objects = place.objects(false).await;
    let lock = format!("locks/{}", "0a".repeat(32));
    for (path, before, after) in [("CONFIG", "mine", "theirs"), (&lock, "long ago", "now")] {
        objects.receive(content(before.as_bytes())).await.unwrap().put(path).await.unwrap();
        for bytes in [before, after] {
            fs::write(place.store().join(path), bytes).unwrap();
            let extent = objects.fetch(path, 0, 1000).await.unwrap();
            let read = Extent::join(&[(extent.clone(), 0, extent.size())]).unwrap();
            assert_eq!(bytes_of(read).await, bytes.as_bytes());
            let whole = objects.read(path, Some(bytes.len() as u64)).await.unwrap();
            assert_eq!(bytes_of(whole).await, bytes.as_bytes());
        }
        fs::remove_file(place.store().join(path)).unwrap();
        assert_eq!(objects.fetch(path, 0, 1).await.err().unwrap().reason, Reason::NotFound);
        objects.delete(path).await.unwrap();
    }
}

#[tokio::test]
async fn parcels_wait_for_room_and_one_that_never_fits_is_refused() {
    let place = Place::new();
    let location = format!("rclone://{}", place.store().display());
    let config = [("location", location.as_str()), ("rclone_type", "local")];
    let objects = place
        .start(&config, |grant| {
            grant.limits.temporary_disk = Some(bytesize::ByteSize::mib(200));
        })
        .await;
    let mib = |count: usize| vec![1; count << 20];
    let too_large = objects.receive(content(&mib(201))).await.err().unwrap();
    assert_eq!(too_large.reason, Reason::RateLimited, "{too_large}");
    let first = objects.receive(content(&mib(150))).await.unwrap();
    let waiting = tokio::spawn({
        let objects = objects.clone();
        async move { objects.receive(content(&mib(100))).await }
    });
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert!(!waiting.is_finished());
    drop(first);
    let second = waiting.await.unwrap().unwrap();
    assert_eq!(second.size(), 100 << 20);
    // Two that can't both get what they need don't wait for each other for ever.
    drop(second);
    let both = [(); 2].map(|()| objects.receive(content(&mib(150))));
    let [one, other] = both;
    let (one, other) = tokio::join!(one, other);
    assert!(one.is_ok() != other.is_ok());
}

#[tokio::test]
async fn notes_of_locks_belong_to_one_store_of_a_remote() {
    let place = Place::new();
    let lock = format!("locks/{}", "0a".repeat(32));
    let first = place.objects(false).await;
    first.receive(content(b"lock")).await.unwrap().put(&lock).await.unwrap();
    drop(first);
    let other = place.directory.path().join("other");
    fs::create_dir_all(other.join("locks")).unwrap();
    fs::write(other.join(&lock), "lock").unwrap();
    let location = format!("rclone://{}", other.display());
    let config = [("location", location.as_str()), ("rclone_type", "local")];
    place.start(&config, |_| ()).await.remove_abandoned_locks().await;
    assert!(other.join(&lock).exists() && place.store().join(&lock).exists());
    place.objects(false).await.remove_abandoned_locks().await;
    assert!(other.join(&lock).exists() && !place.store().join(&lock).exists());
}

#[tokio::test]
async fn directories_are_created_where_there_are_any_and_reserved_paths_refused() {
    let place = Place::new();
    let objects = place.objects(false).await;
    let directories = ["packfiles", "locks"].map(str::to_owned);
    objects.create_directories(&directories).await.unwrap();
    assert!(directories.iter().all(|name| place.store().join(name).is_dir()));
    assert_eq!(objects.stat("locks").await.unwrap_or(None), None);
    let parcel = objects.receive(content(b"x")).await.unwrap();
    assert_eq!(parcel.put("data/abc").await.unwrap_err().reason, Reason::Unsupported);
    assert_eq!(parcel.put("tmp/abc").await.unwrap_err().reason, Reason::Denied);
    assert!(files(&place.store()).is_empty());
}

#[tokio::test]
async fn a_server_that_can_t_use_its_remote_says_why() {
    let place = Place::new();
    let config = [
        ("location", "rclone://x"),
        ("rclone_type", "sftp"),
        ("rclone_host", "127.0.0.1"),
        ("rclone_port", "1"),
        ("rclone_user", "u"),
    ];
    let objects = place.start(&config, |_| ()).await;
    let failure = objects.stat("CONFIG").await.unwrap_err();
    assert_eq!(failure.reason, Reason::InvalidConfiguration, "{failure}");
    assert!(failure.message.contains("ssh-agent"), "{failure}");
}

#[tokio::test]
async fn many_uploads_and_a_lock_go_on_at_the_same_time() {
    let place = Place::new();
    let objects = place.objects(false).await;
    let put = async |path: String, size: usize| {
        let parcel = objects.receive(content(&vec![7; size])).await.unwrap();
        assert_eq!(parcel.put(&path).await.unwrap(), PutOutcome::Stored, "{path}");
    };
    let uploads = (0..16).map(|number| put(format!("packfiles/{number:064x}"), 3 << 20));
    let lock = put(format!("locks/{:064x}", 1), 200);
    tokio::join!(futures::future::join_all(uploads), lock);
    let names = files(&place.store());
    assert_eq!(names.len(), 17);
    assert!(!names.iter().any(|name| name.starts_with(place.store().join("tmp"))));
}

#[tokio::test]
async fn what_interrupted_uploads_left_is_removed_after_a_day() {
    let place = Place::new();
    let directory = place.store().join("tmp");
    fs::create_dir(&directory).unwrap();
    let [old, new, foreign] = ["0123456789abcdef", "0123456789abcde0", "notes.txt"];
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(25 * 3600);
    for name in [old, new, foreign] {
        let file = fs::File::create(directory.join(name)).unwrap();
        if name != new {
            file.set_modified(long_ago).unwrap();
        }
    }
    let objects = place.objects(false).await;
    objects.receive(content(b"x")).await.unwrap().put("CONFIG").await.unwrap();
    while directory.join(old).exists() {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(directory.join(new).exists() && directory.join(foreign).exists());
}
