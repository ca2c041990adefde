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
/// The entries of a scan, and its result.
type ScanStreams = (StreamReader<ScanEvent>, FutureReader<Result<(), Failure>>);

fn failure(reason: Reason, message: &str, help: &str) -> Failure {
    Failure { reason, message: message.to_owned(), help: Some(help.to_owned()) }
}

/// Lists the remote: returns rclone's output and the paths that it could not list.
async fn list(recursive: bool) -> Result<(Vec<u8>, Vec<ListError>), Failure> {
    let options = ListOptions {
        directory: String::new(),
        recursive,
        hashes: false,
        server_times: false,
        files: None,
        excluded: Vec::new(),
    };
    let (lines, errors, end) = rclone::list(options).await?;
    let listed = futures::join!(lines.collect(), errors.collect());
    end.await?;
    Ok(listed)
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
    let identity = match item.id.as_str() {
        "" => None,
        id => Some(SipHasher13::new().hash(id.as_bytes())),
    };
    let (kind, size, permissions) = if item.is_dir {
        (Kind::Directory, Some(0), 0o755)
    } else {
        (Kind::File, u64::try_from(item.size).ok(), 0o644) // -1: unknown
    };
    let metadata = Metadata { kind, size, permissions, modified, identity };
    Entry { path, metadata, link_target: None }
}

async fn scan(mut found: StreamWriter<ScanEvent>) -> Result<(), Failure> {
    let (mut text, errors) = list(true).await?;
    if !errors.is_empty() && !text.trim_ascii_end().ends_with(b"]") {
        text.push(b']'); // rclone omits it after an error
    }
    let items: Vec<Item> = serde_json::from_slice(&text).map_err(|error| {
        let message = format!("rclone's listing can't be parsed: {error}");
        failure(Reason::Corrupted, &message, "run it again")
    })?;
    let root = ROOT.lock().await.clone();
    let absolute = |path: &str| format!("{}/{path}", root.trim_end_matches('/'));
    let top = Item { is_dir: true, ..Item::default() };
    let mut events = vec![ScanEvent::Entry(entry(root.clone(), &top))];
    for error in errors {
        events.push(ScanEvent::Error((absolute(&error.path), error.failure)));
    }
    let mut sizes = FOUND.lock().await;
    for item in items.iter().filter(|item| is_wanted(item)) {
        let entry = entry(absolute(&item.path), item);
        if sizes.insert(entry.path.clone(), entry.metadata.size).is_none() {
            events.push(ScanEvent::Entry(entry));
        } else {
            let message = "another object has the same path";
            let help = "rename one of them at the remote";
            let failure = failure(Reason::Unsupported, message, help);
            events.push(ScanEvent::Error((entry.path, failure)));
        }
    }
    drop(sizes);
    found.write_all(events).await;
    Ok(())
}

impl importer::Guest for Documents {
    async fn open(remote: Remote) -> Result<Location, Failure> {
        if let Some((name, _)) = remote.options.first() {
            let message = format!("the documents connector has no option `{name}`");
            return Err(failure(Reason::InvalidConfiguration, &message, "remove it"));
        }
        let names = remote.root.split('/').filter(|name| !matches!(*name, "" | "."));
        let root = format!("/{}", names.collect::<Vec<_>>().join("/"));
        ROOT.lock().await.clone_from(&root);
        Ok(Location { root })
    }

    async fn ping() -> Result<(), Failure> {
        list(false).await?;
        Ok(())
    }

    async fn scan(_acknowledged: StreamReader<String>) -> ScanStreams {
        let (found, events) = wit_stream::new();
        let unfinished = || Err(failure(Reason::Cancelled, "the scan was stopped", "run it again"));
        let (result, end) = wit_future::new(unfinished);
        spawn_local(async move {
            let _ = result.write(scan(found).await).await; // the host may have dropped the future
        });
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

    async fn ping() -> Result<(), Failure> {
        <Self as importer::Guest>::ping().await
    }

    async fn write(entry: Entry, content: Option<Content>) -> Result<(), Failure> {
        let (path, Metadata { kind, size, modified, .. }) = (entry.path, entry.metadata);
        match (kind, size, content) {
            (Kind::Directory, ..) => Ok(()), // its files create it
            (Kind::File, Some(size), Some(content)) => {
                let _permit = UPLOADS.acquire().await;
                rclone::upload(path[1..].to_owned(), size, modified, content).await
            }
            _ => {
                let message = "only files can be restored to a remote";
                Err(failure(Reason::Unsupported, message, "leave it out of the restore"))
            }
        }
    }

    async fn finish() -> Result<(), Failure> {
        let _permits = UPLOADS.acquire_many(8).await; // all of them: no upload is running
        Ok(())
    }
}

export!(Documents);
