//! The real rclone keeps the promises of the scenarios, as the fake one does: on a disk,
//! on the web where it breaks, and in Google Photos.

use futures::future::join_all;
use plakbox_tests::TestEnv;
use plakbox_tests::faulty_http_server::{Page, Web};
use plakbox_tests::photos::{Photos, Settings};
use plakbox_tests::plugin::{Exporter, FileInfo, Importer, Packets, Record, Results, piece};
use prost_types::Timestamp;
use scenarios::backup::{self, Backup, Reading, Seen};
use scenarios::fault::Fault;
use scenarios::restore::{self, Kind, Restore};
use scenarios::tree::{self, Node};
use scenarios::{Act, Check, Failure, Reason, Scenario, list};
use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};
use tonic::{Code, Status};

/// Go's bits of a file's mode for what isn't a plain file.
const DIRECTORY: u32 = 1 << 31;
const SYMLINK: u32 = 1 << 27;
const PIPE: u32 = 1 << 25;

/// rclone's time of a directory on the web: 2000-01-01.
const NO_TIME: tree::Time = (946_684_800, 0);

/// Time after which a scenario counts as hanging.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The real scenarios of one kind, each kept.
fn all(kind: impl Fn(&Scenario) -> bool, keep: impl Fn(&Scenario) -> Vec<Check>) {
    let (mut count, mut broken) = (0, Vec::new());
    for (name, scenario) in list::all() {
        let scenario = scenario();
        if !scenario.real || !kind(&scenario) {
            continue;
        }
        count += 1;
        println!("{name}");
        for Check { promise, broken: why } in keep(&scenario) {
            broken.extend(why.map(|why| format!("{name}: {promise}: {why}")));
        }
    }
    assert!(count > 0, "there is no such scenario");
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// Waits for what is done with a scenario.
fn done<T>(doing: impl Future<Output = T>) -> T {
    let limited = async { tokio::time::timeout(TIMEOUT, doing).await };
    tokio::runtime::Runtime::new().unwrap().block_on(limited).expect("it hangs")
}

fn is_backup(scenario: &Scenario) -> bool {
    matches!(scenario.act, Act::Backup(_)) && !scenario.is_photos()
}

#[test]
fn trees_are_backed_up_from_a_disk_as_from_the_fake() {
    let on_disk = |scenario: &Scenario| is_backup(scenario) && scenario.faults.is_empty();
    all(on_disk, |scenario| {
        let place = TestEnv::bare();
        let target = place.path("target");
        scenario.lay(&target).unwrap();
        let remote = [("rclone_type", "alias"), ("rclone_remote", target.to_str().unwrap())];
        done(back_up(&place, scenario, &remote, Vec::new()))
    });
}

#[test]
fn what_breaks_on_the_web_breaks_as_with_the_fake() {
    let on_web = |scenario: &Scenario| is_backup(scenario) && !scenario.faults.is_empty();
    all(on_web, |scenario| {
        let web = Web::new();
        let scenario = published(scenario, &web);
        let remote = [("rclone_type", "http"), ("rclone_url", &web.url)];
        done(back_up(&TestEnv::bare(), &scenario, &remote, Vec::new()))
    });
}

#[test]
fn photos_are_backed_up_as_from_the_fake() {
    all(Scenario::is_photos, |scenario| {
        let photos = Photos::with(Settings::default());
        let scenario = uploaded(scenario, &photos);
        let config = photos.config("photos");
        let keys = config.lines().filter_map(|line| line.split_once(" = "));
        let keys: Vec<_> = keys.map(|(key, value)| (format!("rclone_{key}"), value)).collect();
        let remote: Vec<_> = keys.iter().map(|(key, value)| (key.as_str(), *value)).collect();
        done(back_up(&TestEnv::bare(), &scenario, &remote, photos.environment()))
    });
}

#[test]
fn trees_are_restored_to_a_disk_as_to_the_fake() {
    all(
        |scenario| matches!(scenario.act, Act::Restore(_)),
        |scenario| {
            let Act::Restore(restore) = &scenario.act else { unreachable!() };
            let place = TestEnv::bare();
            let target = place.path("target");
            std::fs::create_dir(&target).unwrap();
            let location = format!("rclone://{}", scenario.root);
            let config = [
                ("location", location.as_str()),
                ("rclone_type", "alias"),
                ("rclone_remote", target.to_str().unwrap()),
            ];
            let (outcomes, ()) = done(async {
                let exporter = Exporter::start(&place, &config).await.unwrap();
                let (packets, results) = exporter.split();
                tokio::join!(outcomes(restore, results), send(restore, packets))
            });
            let left = tree::show(&target).unwrap();
            let seen = restore::Observed { opened: Ok(()), outcomes, finished: None, left };
            restore::judge(scenario, restore, &seen)
        },
    );
}

/// Puts a scenario's files on the web, where times have whole seconds and directories
/// are what lies in them.
fn published(scenario: &Scenario, web: &Web) -> Scenario {
    for node in &scenario.remote {
        let Some(bytes) = &node.bytes else { continue };
        let modified =
            time::OffsetDateTime::from(UNIX_EPOCH + Duration::from_secs(node.modified.0));
        let format = &time::format_description::well_known::Rfc2822;
        let mut page = Page::new(bytes.clone());
        page.modified = modified.format(format).unwrap().replace("+0000", "GMT");
        for fault in &scenario.faults {
            page = match fault {
                Fault::NoSizes => page.chunked(),
                Fault::Breaks { path, at, times, .. } if *path == node.path => {
                    match u32::try_from(*times) {
                        Ok(times) => page.breaking_first(*at, times),
                        Err(_) => page.breaking(*at),
                    }
                }
                _ => page,
            };
        }
        web.put(&node.path, page);
    }
    scenario.clone().backing_up(|backup| {
        let tree = backup.tree.clone();
        backup.tree.retain(|node| {
            let inside = format!("{}/", node.path);
            node.bytes.is_some() || tree.iter().any(|other| other.path.starts_with(&inside))
        });
        for node in &mut backup.tree {
            node.modified = match node.bytes {
                Some(_) => (node.modified.0, 0),
                None => NO_TIME,
            };
        }
    })
}

/// Puts a scenario's photos into an account, which has times of its own.
fn uploaded(scenario: &Scenario, account: &Photos) -> Scenario {
    let mut albums = BTreeMap::<&str, Vec<String>>::new();
    for photo in &scenario.photos {
        let id = account.add(&photo.name, photo.bytes.clone());
        for shown in &photo.shown {
            match shown.strip_prefix("album/") {
                Some(title) => albums.entry(title).or_default().push(id.clone()),
                None => account.favourite(&id),
            }
        }
    }
    for (title, ids) in albums {
        account.album(title, &ids);
    }
    let items = account.items();
    scenario.clone().backing_up(|backup| {
        for Node { bytes, modified, .. } in &mut backup.tree {
            let item = items.iter().find(|item| Some(item.bytes.as_ref()) == bytes.as_deref());
            if let Some(item) = item {
                *modified = (item.created.unix_timestamp().try_into().unwrap(), 0);
            }
        }
    })
}

async fn back_up(
    place: &TestEnv,
    scenario: &Scenario,
    remote: &[(&str, &str)],
    environment: Vec<(String, String)>,
) -> Vec<Check> {
    let Act::Backup(plan) = &scenario.act else { unreachable!() };
    let location = format!("rclone://{}", scenario.root);
    let mut config = vec![("location", location.as_str())];
    config.extend_from_slice(remote);
    config.extend_from_slice(&scenario.options);
    let importer = Importer::start_in(place, &config, environment).await;
    let mut seen = backup::Observed { records: Vec::new(), end: Ok(()) };
    match importer {
        Ok(mut importer) => scan(&mut importer, plan, &mut seen).await,
        Err(status) => seen.end = Err(failure(&status)),
    }
    backup::judge(scenario, plan, 0, &seen)
}

/// Scans, and reads what is found, as the driver does.
async fn scan(importer: &mut Importer, plan: &Backup, seen: &mut backup::Observed) {
    let mut scan = importer.scan().await.unwrap();
    loop {
        let record = match scan.next().await {
            Ok(Some(record)) => record,
            Ok(None) => break,
            Err(status) => {
                seen.end = Err(failure(&status));
                break;
            }
        };
        let path = record.pathname.clone();
        let mut known = known(&record);
        if plan.reading == Reading::InTurn {
            read(importer, &path, &mut known).await;
        }
        if matches!(plan.reading, Reading::InTurn | Reading::Nothing) {
            scan.acknowledge(record).await;
        }
        seen.records.push((path, known));
    }
    let records = &mut seen.records;
    match plan.reading {
        Reading::AtOnce => {
            join_all(records.iter_mut().map(|(path, known)| read(importer, path, known))).await;
        }
        Reading::Backwards => {
            for (path, known) in records.iter_mut().rev() {
                read(importer, path, known).await;
            }
        }
        Reading::InTurn | Reading::Nothing => {}
    }
}

fn known(record: &Record) -> backup::Record {
    let Some(info) = &record.file_info else {
        // Plakar is told no reason of a path: no scenario that is real has such a one.
        let message = record.error.clone();
        return backup::Record::Failed(Failure::new(Reason::Internal, message));
    };
    let modified = info.mod_time.unwrap_or_default();
    backup::Record::Found(Seen {
        directory: info.mode & DIRECTORY != 0,
        size: u64::try_from(info.size).ok(),
        modified: (modified.seconds.try_into().unwrap(), modified.nanos.try_into().unwrap()),
        identity: Some(info.ino).filter(|number| *number != 0),
        read: None,
    })
}

async fn read(importer: &Importer, path: &str, known: &mut backup::Record) {
    let backup::Record::Found(seen) = known else { return };
    if seen.directory {
        return;
    }
    let mut bytes = Vec::new();
    let end = async {
        let mut content = importer.open(path).await?;
        while let Some(piece) = piece(&mut content).await? {
            bytes.extend_from_slice(&piece);
        }
        Ok(())
    };
    let end = end.await.map_err(|status: Status| failure(&status));
    seen.read = Some((bytes, end));
}

/// A failure as gRPC tells it.
fn failure(status: &Status) -> Failure {
    let reason = match status.code() {
        Code::InvalidArgument => Reason::InvalidConfiguration,
        Code::Unauthenticated => Reason::Unauthenticated,
        Code::PermissionDenied => Reason::Denied,
        Code::NotFound => Reason::NotFound,
        Code::Unimplemented => Reason::Unsupported,
        Code::ResourceExhausted => Reason::RateLimited,
        Code::Aborted => Reason::Unavailable,
        Code::DataLoss => Reason::Corrupted,
        _ => Reason::Internal,
    };
    Failure::new(reason, status.message())
}

/// Sends all records and their contents.
async fn send(restore: &Restore, packets: Packets) {
    const CHUNK: usize = 1 << 20;
    for restore::Entry { node, kind, .. } in &restore.entries {
        let (mode, size) = match (kind, &node.bytes) {
            (Kind::Symlink, _) => (SYMLINK | 0o777, 0),
            (Kind::Other, _) => (PIPE | 0o644, 0),
            (Kind::Node, None) => (DIRECTORY | 0o755, 0),
            (Kind::Node, Some(bytes)) => (0o644, bytes.len()),
        };
        let (seconds, nanos) = node.modified;
        let mod_time = Some(Timestamp {
            seconds: seconds.try_into().unwrap(),
            nanos: nanos.try_into().unwrap(),
        });
        let name = node.path.rsplit('/').next().unwrap().to_owned();
        let size = size.try_into().unwrap();
        let info = FileInfo { name, size, mode, mod_time, ..FileInfo::default() };
        let record = Record {
            pathname: format!("/{}", node.path),
            target: if *kind == Kind::Symlink { "elsewhere".to_owned() } else { String::new() },
            has_reader: node.bytes.is_some(),
            file_info: Some(info),
            ..Record::default()
        };
        packets.record(record).await;
        if let Some(bytes) = &node.bytes {
            for chunk in bytes.chunks(CHUNK) {
                packets.chunk(bytes::Bytes::copy_from_slice(chunk)).await;
            }
            packets.chunk(bytes::Bytes::new()).await;
        }
    }
}

/// Outcome of each record. Plakar receives no reasons for single paths, so those that
/// fail have the reason that was promised.
async fn outcomes(restore: &Restore, mut results: Results) -> Vec<(String, Result<(), Failure>)> {
    let mut outcomes = Vec::new();
    // A restore with failures ends as one, after all results.
    while let Ok(Some(result)) = results.next().await {
        let path = result.header.unwrap().pathname[1..].to_owned();
        let outcome = match result.error {
            error if error.is_empty() => Ok(()),
            message => {
                let reason = restore.fails.get(&path).copied().unwrap_or(Reason::Internal);
                Err(Failure::new(reason, message))
            }
        };
        outcomes.push((path, outcome));
    }
    outcomes
}
