//! Objects on servers of rclone, whose objects appear whole.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::{Place, bytes_of, content, files};
use crate::rclone::objects::{Extent, PutOutcome};

/// A server of rclone, until it is dropped.
struct RcloneServer {
    process: Child,
    address: SocketAddr,
}

impl RcloneServer {
    /// Starts a server of a directory.
    async fn start(args: &[&str], directory: &Path) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let process = Command::new("rclone")
            .arg("serve")
            .args(args)
            .args(["--config", "/dev/null", "--addr", &address.to_string()])
            .arg(directory)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { process, address };
        while TcpStream::connect(address).is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        server
    }
}

impl Drop for RcloneServer {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// Puts, reads, replaces and removes objects of a store whose backend needs no temporary names.
async fn use_atomic_store(place: &Place, config: &[(&str, &str)], directory: &str) {
    let objects = place.start(config, |_| ()).await;
    let other = place.start(config, |_| ()).await;
    let directory = place.directory.path().join(directory);
    objects.create_directories(&["packfiles".to_owned(), "locks".to_owned()]).await.unwrap();
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|number| (number / 7) as u8).collect();
    let path = format!("packfiles/{}", "0a".repeat(32));
    let lock = format!("locks/{}", "0b".repeat(32));
    let parcel = objects.receive(content(&bytes)).await.unwrap();
    assert_eq!(objects.stat(&path).await.unwrap(), None);
    assert_eq!(parcel.put(&path).await.unwrap(), PutOutcome::Stored);
    assert_eq!(files(&directory), [directory.join(&path)]);
    assert_eq!(objects.stat(&path).await.unwrap(), Some(3_000_000));
    let part = other.fetch(&path, 1_000_000, 1_000).await.unwrap();
    let part = Extent::join(&[(part, 0, 1_000)]).unwrap();
    assert_eq!(bytes_of(part).await, &bytes[1_000_000..1_001_000]);
    assert_eq!(other.fetch(&path, 2_999_999, 1_000).await.unwrap().size(), 1);
    assert_eq!(bytes_of(other.read(&path, Some(3_000_000)).await.unwrap()).await, bytes);
    for refreshed in ["one", "two", "three"] {
        let parcel = objects.receive(content(refreshed.as_bytes())).await.unwrap();
        assert_eq!(parcel.put(&lock).await.unwrap(), PutOutcome::Stored);
        let read = other.read(&lock, None).await.unwrap();
        assert_eq!(bytes_of(read).await, refreshed.as_bytes());
    }
    let large = objects.receive(content(&vec![7; 40 << 20])).await.unwrap();
    let large_path = format!("packfiles/{}", "0c".repeat(32));
    let upload = tokio::spawn({
        let (large, path) = (large.clone(), large_path.clone());
        async move { large.put(&path).await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    objects.session().activity().kill_all();
    let _ = upload.await.unwrap();
    large.put(&large_path).await.unwrap();
    assert_eq!(other.stat(&large_path).await.unwrap(), Some(40 << 20));
    for path in [&path, &lock, &large_path] {
        objects.delete(path).await.unwrap();
        assert_eq!(other.stat(path).await.unwrap(), None);
    }
    assert!(files(&directory).is_empty());
}

#[tokio::test]
async fn a_store_on_webdav_needs_no_temporary_names() {
    let place = Place::new();
    let server = RcloneServer::start(&["webdav"], &place.store()).await;
    let url = format!("http://{}", server.address);
    let config = [
        ("location", "rclone://kloset"),
        ("rclone_type", "webdav"),
        ("rclone_url", url.as_str()),
        ("rclone_vendor", "rclone"),
    ];
    use_atomic_store(&place, &config, "store/kloset").await;
}

#[tokio::test]
async fn a_store_on_s3_needs_no_temporary_names() {
    let place = Place::new();
    fs::create_dir(place.store().join("bucket")).unwrap();
    let server = RcloneServer::start(&["s3", "--auth-key", "key,secret12"], &place.store()).await;
    let endpoint = format!("http://{}", server.address);
    let config = [
        ("location", "rclone://bucket/kloset"),
        ("rclone_type", "s3"),
        ("rclone_provider", "Rclone"),
        ("rclone_endpoint", endpoint.as_str()),
        ("rclone_access_key_id", "key"),
        ("rclone_secret_access_key", "secret12"),
        ("rclone_force_path_style", "true"),
    ];
    use_atomic_store(&place, &config, "store/bucket/kloset").await;
}
