//! A component that does what no connector should. The remote's path says what.

mod bindings {
    wit_bindgen::generate!({ path: "../../wit", world: "storage", generate_all });
}
mod store;

use bindings::exports::plakar::connector::{exporter, importer};
use bindings::plakar::connector::cache;
use bindings::plakar::connector::rclone::{self, Batch, ListOptions, Reader};
use bindings::plakar::connector::types::{
    Content, Entry, Failure, Kind, Location, Metadata, Reason, Remote, Timestamp,
};
use bindings::{wit_future, wit_stream};
use importer::ScanEvent;
use std::sync::OnceLock;
use wit_bindgen::{FutureReader, StreamReader, spawn_local};

struct Rogue;

/// The action that an option selects.
static HOW: OnceLock<String> = OnceLock::new();

fn how() -> &'static str {
    HOW.get().map_or("", String::as_str)
}

fn told(remote: Remote) -> Location {
    let _ = HOW.set(remote.root.trim_start_matches('/').to_owned());
    Location { root: "/".into() }
}

fn trap() -> ! {
    core::arch::wasm32::unreachable()
}

const ALL: ListOptions = ListOptions {
    directory: String::new(),
    recursive: true,
    hashes: false,
    server_times: false,
    files: None,
    excluded: Vec::new(),
};

/// Never is.
async fn forever() {
    let (_writer, mut nothing) = wit_stream::new::<u8>();
    nothing.read(Vec::with_capacity(1)).await;
}

/// Bytes without end.
fn flood() -> Content {
    let (mut bytes, stream) = wit_stream::new();
    let (end, ended) = wit_future::new(|| Ok(()));
    spawn_local(async move {
        while bytes.write_all(vec![7; 1 << 20]).await.is_empty() {}
        let _ = end.write(Ok(())).await;
    });
    (stream, ended)
}

/// These bytes, complete.
fn content(bytes: Vec<u8>) -> Content {
    let (mut writer, stream) = wit_stream::new();
    let (end, ended) = wit_future::new(|| Ok(()));
    spawn_local(async move {
        writer.write_all(bytes).await;
        drop(writer);
        let _ = end.write(Ok(())).await;
    });
    (stream, ended)
}

fn entry(path: &str) -> Entry {
    let modified = Timestamp { seconds: 1_000_000_000, nanoseconds: 0 };
    let metadata =
        Metadata { kind: Kind::File, size: Some(1), permissions: 0o644, modified, identity: None };
    Entry { path: path.to_owned(), metadata, link_target: None }
}

/// An entry that is wrong in the way it was told.
fn wrong(what: &str) -> ScanEvent {
    let mut wrong = entry("/file");
    match what {
        "up" => wrong.path = "/../../etc/passwd".into(),
        "relative" => wrong.path = "etc/passwd".into(),
        "nothing" => wrong.path = String::new(),
        "zero" => wrong.path = "/a\0b".into(),
        "long" => wrong.path = format!("/{}", "x".repeat(1 << 20)),
        "failed" => return ScanEvent::Error(("../x".into(), failure("no"))),
        "size" => wrong.metadata.size = Some(u64::MAX),
        "time" => wrong.metadata.modified = Timestamp { seconds: i64::MIN, nanoseconds: u32::MAX },
        "mode" => wrong.metadata.permissions = u16::MAX,
        _ => return ScanEvent::Error(("/file".into(), failure("\x1b[2J\nwiped\r"))),
    }
    ScanEvent::Entry(wrong)
}

fn failure(message: &str) -> Failure {
    Failure { reason: Reason::Internal, message: message.into(), help: None }
}

/// Uses of the capability in a session that only reads.
async fn misuse(how: &str) -> Result<Location, Failure> {
    match how {
        "spawn" => loop {
            // Their listings aren't read.
            std::mem::forget(rclone::list(ALL).await?);
        },
        "hold" => loop {
            std::mem::forget(Reader::start(String::new()).await?);
        },
        // Contents that aren't read: `unread-SIZE-FILE`, where the size need not be true.
        how if how.starts_with("unread-") => {
            let (size, file) = how["unread-".len()..].split_once('-').unwrap_or_default();
            let reader = Reader::start(String::new()).await?;
            loop {
                std::mem::forget(reader.read(file.into(), size.parse().ok()).await?);
            }
        }
        // The same by processes of their own.
        how if how.starts_with("uncut-") => loop {
            std::mem::forget(rclone::cat(how["uncut-".len()..].into(), None).await?);
        },
        "deaf" => {
            std::mem::forget(rclone::list(ALL).await?);
            forever().await;
        }
        // More than may be kept for later sessions: in one piece, in many, or small ones.
        "keep-flood" => cache::remember("key".into(), flood()).await?,
        how if how.starts_with("keep-") => {
            let size = how["keep-".len()..].parse().unwrap_or_default();
            for number in 0.. {
                cache::remember(format!("{number}"), content(vec![7; size])).await?;
            }
        }
        // Kept contents that are never read.
        "recall" => {
            cache::remember("key".into(), content(vec![7; 1 << 20])).await?;
            while let Some(content) = cache::recall("key".into()).await {
                std::mem::forget(content);
            }
            return Err(failure("what is kept isn't returned any more"));
        }
        how if how.starts_with("range-") => {
            let reader = Reader::start(String::new()).await?;
            let path = how["range-".len()..].replace('!', "/");
            drop(reader.read_range(path, 0, 1).await?);
        }
        "batch" => drop(Batch::create().await?),
        "receive" => {
            let modified = Timestamp { seconds: 0, nanoseconds: 0 };
            rclone::upload("stolen".into(), 1, modified, flood()).await?;
        }
        "start" => drop(Reader::start("../x".into()).await?),
        "files" => {
            let files = Some(vec!["a\n../b".into()]);
            drop(rclone::list(ListOptions { files, ..ALL }).await?);
        }
        "listed" => {
            let directory = "../x".into();
            drop(rclone::list(ListOptions { directory, ..ALL }).await?);
        }
        "excluded" => {
            let excluded = vec!["../x".into()];
            drop(rclone::list(ListOptions { excluded, ..ALL }).await?);
        }
        // What lies outside the remote, by whatever words.
        path => drop(rclone::cat(path.replace('!', "/"), None).await?),
    }
    Ok(Location { root: "/".into() })
}

impl importer::Guest for Rogue {
    async fn open(remote: Remote) -> Result<Location, Failure> {
        let location = told(remote);
        match how() {
            "trap" => trap(),
            "loop" => loop {
                std::hint::black_box(0);
            },
            "allocate" => {
                let mut hoard = Vec::new();
                loop {
                    hoard.push(vec![1_u8; 1 << 20]);
                    std::hint::black_box(&hoard);
                }
            }
            how if how.starts_with("scan-") || how.starts_with("read-") || how == "ping-trap" => {
                Ok(location)
            }
            how => misuse(how).await,
        }
    }

    async fn ping() -> Result<(), Failure> {
        if how() == "ping-trap" { trap() } else { Ok(()) }
    }

    async fn scan(
        _: StreamReader<String>,
    ) -> (StreamReader<ScanEvent>, FutureReader<Result<(), Failure>>) {
        let (mut found, stream) = wit_stream::new();
        let (end, ended) = wit_future::new(|| Ok(()));
        let what = how().trim_start_matches("scan-");
        if what == "trap" {
            trap();
        }
        spawn_local(async move {
            match what {
                "halfway" => {
                    found.write_all(vec![ScanEvent::Entry(entry("/file"))]).await;
                    trap();
                }
                "never" => forever().await,
                "without-end" => {
                    let mut number = 0_u64;
                    loop {
                        let name = format!("/{number}");
                        if !found.write_all(vec![ScanEvent::Entry(entry(&name))]).await.is_empty() {
                            break;
                        }
                        number += 1;
                    }
                }
                _ if how().starts_with("read-") => {
                    found.write_all(vec![ScanEvent::Entry(entry("/file"))]).await;
                }
                what => {
                    found.write_all(vec![wrong(what)]).await;
                }
            }
            drop(found);
            let _ = end.write(Ok(())).await;
        });
        (stream, ended)
    }

    async fn read(_: String) -> Result<Content, Failure> {
        match how() {
            "read-trap" => trap(),
            "read-never" => {
                forever().await;
                trap()
            }
            _ => Ok(flood()),
        }
    }
}

impl exporter::Guest for Rogue {
    async fn open(remote: Remote) -> Result<Location, Failure> {
        let location = told(remote);
        if how() == "out-open" { trap() } else { Ok(location) }
    }

    async fn ping() -> Result<(), Failure> {
        if how() == "out-ping" { trap() } else { Ok(()) }
    }

    async fn write(mut entry: Entry, content: Option<Content>) -> Result<(), Failure> {
        if how() == "out-hoard" {
            std::mem::forget(content);
            forever().await;
            return Ok(());
        }
        drop(content);
        let batch = || Batch::create();
        match how() {
            "out-write" => trap(),
            "out-never" => forever().await,
            // Batches that are never sent.
            "out-batches" => loop {
                std::mem::forget(batch().await?);
            },
            // A file that grows until its reader stops.
            "out-flood" => {
                entry.path = "flood".into();
                entry.metadata.size = None;
                batch().await?.add(entry, Some(flood())).await?;
            }
            "out-up" => {
                entry.path = "../../stolen".into();
                batch().await?.add(entry, Some(flood())).await?;
            }
            "out-absolute" => {
                let modified = entry.metadata.modified;
                rclone::upload("/etc/stolen".into(), 1, modified, flood()).await?;
            }
            "out-link" => {
                entry.path = "link".into();
                entry.metadata.kind = Kind::Symlink;
                entry.link_target = Some("/etc".into());
                batch().await?.add(entry, None).await?;
            }
            // Everything went well, though nothing was written.
            _ => {}
        }
        Ok(())
    }

    async fn finish() -> Result<(), Failure> {
        if how() == "out-finish" { trap() } else { Ok(()) }
    }
}

bindings::export!(Rogue with_types_in bindings);
