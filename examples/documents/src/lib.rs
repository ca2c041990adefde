//! A connector that backs up the documents of a remote and ignores all other files. It restores
//! the files of any snapshot. docs/write-a-connector.md explains it step by step.

wit_bindgen::generate!({ path: "../../wit", world: "connector", generate_all });

use exports::plakar::connector::{exporter, importer, importer::ScanEvent};
use plakar::connector::rclone::{self, ListError, ListOptions};
use plakar::connector::types::*;
use siphasher::sip::SipHasher13;
use std::collections::BTreeMap;
use tokio::sync::{Mutex, Semaphore};
use wit_bindgen::{FutureReader, StreamReader, StreamWriter, spawn_local};

/// File name extensions of documents.
const ENDINGS: &str = ".csv .doc .docx .md .odp .ods .odt .pdf .ppt .pptx .rtf .txt .xls .xlsx";
/// Path of the remote's root in a snapshot: `/`, or `/a/b`.
static ROOT: Mutex<String> = Mutex::const_new(String::new());
/// Documents that the scan found, and their sizes if rclone knows them.
static FOUND: Mutex<BTreeMap<String, Option<u64>>> = Mutex::const_new(BTreeMap::new());
/// Permits for uploads: eight files at the same time.
static UPLOADS: Semaphore = Semaphore::const_new(8);
struct Documents;
type Fate = Result<(), Failure>;

fn failure(reason: Reason, message: impl Into<String>) -> Failure {
    Failure { reason, message: message.into(), help: None }
}

/// Lists the remote: returns rclone's output and the paths that it could not list.
async fn list(recursive: bool) -> Result<(Vec<u8>, Vec<ListError>), Failure> {
    let (directory, hashes, server_times, files, excluded) = Default::default();
    let selection = ListOptions { directory, recursive, hashes, server_times, files, excluded };
    let (lines, troubles, end) = rclone::list(selection).await?;
    let listed = futures::join!(lines.collect(), troubles.collect());
    end.await.map(|()| listed)
}

/// An object of the listing, as rclone prints it.
#[derive(Default, serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    path: String,
    size: i64,
    mod_time: String,
    is_dir: bool,
    #[serde(default, rename = "ID")]
    id: String,
}

fn is_wanted(item: &Item) -> bool {
    let name = item.path.to_lowercase();
    item.is_dir || ENDINGS.split(' ').any(|ending| name.ends_with(ending))
}

fn entry(path: String, item: &Item) -> Entry {
    let time = item.mod_time.parse().unwrap_or(jiff::Timestamp::UNIX_EPOCH).as_nanosecond();
    let seconds = time.div_euclid(1_000_000_000) as i64;
    let modified = Timestamp { seconds, nanoseconds: time.rem_euclid(1_000_000_000) as u32 };
    let identity = (!item.id.is_empty()).then(|| SipHasher13::new().hash(item.id.as_bytes()));
    let (kind, size, permissions) = match item.is_dir {
        true => (Kind::Directory, Some(0), 0o755),
        false => (Kind::File, u64::try_from(item.size).ok(), 0o644), // -1: unknown
    };
    let metadata = Metadata { kind, size, permissions, modified, identity };
    Entry { path, metadata, link_target: None }
}

async fn scan(mut found: StreamWriter<ScanEvent>) -> Fate {
    let (mut text, troubles) = list(true).await?;
    if !troubles.is_empty() && !text.trim_ascii_end().ends_with(b"]") {
        text.push(b']'); // rclone omits it after an error
    }
    let items: Vec<Item> = serde_json::from_slice(&text)
        .map_err(|error| failure(Reason::Corrupted, format!("rclone's listing: {error}")))?;
    let root = ROOT.lock().await.clone();
    let at = |path: &str| format!("{}/{path}", root.trim_end_matches('/'));
    let top = Item { is_dir: true, ..Item::default() };
    let mut told = vec![ScanEvent::Entry(entry(root.clone(), &top))];
    told.extend(troubles.into_iter().map(|it| ScanEvent::Error((at(&it.path), it.failure))));
    for item in items.iter().filter(|item| is_wanted(item)) {
        let entry = entry(at(&item.path), item);
        let twice = "another object has the same path: rename one of them at the remote";
        told.push(match FOUND.lock().await.insert(entry.path.clone(), entry.metadata.size) {
            None => ScanEvent::Entry(entry),
            Some(_) => ScanEvent::Error((entry.path, failure(Reason::Unsupported, twice))),
        });
    }
    found.write_all(told).await;
    Ok(())
}

impl importer::Guest for Documents {
    async fn open(remote: Remote) -> Result<Location, Failure> {
        if let Some((name, _)) = remote.options.first() {
            let message = format!("the documents connector has no option `{name}`: remove it");
            return Err(failure(Reason::InvalidConfiguration, message));
        }
        let names = remote.root.split('/').filter(|name| !matches!(*name, "" | "."));
        let root = format!("/{}", names.collect::<Vec<_>>().join("/"));
        ROOT.lock().await.clone_from(&root);
        Ok(Location { root })
    }

    async fn ping() -> Fate {
        list(false).await.map(drop)
    }

    async fn scan(_: StreamReader<String>) -> (StreamReader<ScanEvent>, FutureReader<Fate>) {
        let (found, events) = wit_stream::new();
        let (ended, end) = wit_future::new(|| Err(failure(Reason::Cancelled, "given up")));
        spawn_local(async move { drop(ended.write(scan(found).await).await) });
        (events, end)
    }

    async fn read(path: String) -> Result<Content, Failure> {
        let size = FOUND.lock().await.get(&path).copied().flatten();
        let below = path.get(ROOT.lock().await.len()..).unwrap_or_default();
        rclone::cat(below.trim_start_matches('/').to_owned(), size).await
    }
}

impl exporter::Guest for Documents {
    async fn open(remote: Remote) -> Result<Location, Failure> {
        <Self as importer::Guest>::open(remote).await
    }

    async fn ping() -> Fate {
        list(false).await.map(drop)
    }

    async fn write(entry: Entry, content: Option<Content>) -> Fate {
        let (path, Metadata { kind, size, modified, .. }) = (entry.path, entry.metadata);
        match (kind, size, content) {
            (Kind::Directory, ..) => Ok(()), // its files create it
            (Kind::File, Some(size), Some(content)) => {
                let _turn = UPLOADS.acquire().await;
                rclone::upload(path[1..].to_owned(), size, modified, content).await
            }
            _ => Err(failure(Reason::Unsupported, "only files can be restored to a remote")),
        }
    }

    async fn finish() -> Fate {
        let _all = UPLOADS.acquire_many(8).await; // when no upload is running
        Ok(())
    }
}

export!(Documents);
