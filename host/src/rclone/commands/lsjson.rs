//! `rclone lsjson`: lists a remote, line by line.

use bytes::Bytes;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{mpsc, oneshot};

use super::transfer::{CHUNK_BYTES, pump};
use super::{concurrency, upstreams};
use crate::connector::{Chunks, Failure, ListError, ListOptions, Reason};
use crate::rclone::process::Process;
use crate::rclone::process::command::RcloneCommand;
use crate::rclone::process::errors::reported::ReportedErrors;
use crate::rclone::process::omissions::{self, Omission};
use crate::rclone::process::stderr_log::{LOG_CHANNEL_CAPACITY, LogRecord};
use crate::rclone::remote_path::RemotePath;
use crate::rclone::session::RcloneSession;

/// Number of chunks that may wait for the reader of a listing.
const MAX_QUEUED_CHUNKS: usize = 4;

/// Number of bytes that a listing holds in this program: of the waiting chunks, and of the one
/// that is read.
const HOST_BUFFER_BYTES: u64 = (MAX_QUEUED_CHUNKS as u64 + 1) * CHUNK_BYTES as u64;

/// Number of list errors that may wait for the component.
const MAX_QUEUED_ERRORS: usize = 64;

/// Number of lookups per second once the server has refused some: few enough for the usual
/// limits of web servers.
const LOOKUPS_PER_SECOND: &str = "10";

/// A listing that is being read.
pub struct Listing {
    pub lines: Chunks,
    /// The entries that could not be listed.
    pub errors: mpsc::Receiver<ListError>,
    pub end: oneshot::Receiver<Result<(), Failure>>,
}

/// Starts a listing.
///
/// # Errors
///
/// A path isn't below the root, an upstream doesn't answer, or rclone can't be started.
pub async fn list(session: &RcloneSession, options: ListOptions) -> Result<Listing, Failure> {
    let reserved = session.buffers().reserve(HOST_BUFFER_BYTES).await?;
    let names = options.files.as_deref().map(|files| session.write_path_list(files)).transpose()?;
    let command = list_command(session, &options, names.as_ref())?;
    let directory = RemotePath::parse_or_root(&options.directory)?;
    let is_filtered = !options.excluded.is_empty() || names.is_some();
    let (sink, records) = mpsc::channel(LOG_CHANNEL_CAPACITY);
    if names.is_none() && session.is_lookup_refused() {
        // Reads fall back to fewer streams meanwhile.
        tokio::time::sleep(concurrency::retry_delay(1)).await;
    }
    let upstreams = upstreams::find(session.remote());
    upstreams::check(session, &upstreams).await?;
    // The root may be that of a file: whether it is, rclone finds out.
    let target = if directory.is_empty() {
        session.target("")
    } else {
        session.directory_target(&directory)
    };
    let process = command.arg(target).log_to(sink).spawn().await?;
    let session = session.clone();
    let (lines_in, lines) = mpsc::channel(MAX_QUEUED_CHUNKS);
    let (error_sender, errors) = mpsc::channel(MAX_QUEUED_ERRORS);
    let (end_in, end) = oneshot::channel();
    tokio::spawn(async move {
        let is_refused = session.lookup_refused_flag();
        let reporting = report_records(records, error_sender, is_refused, is_filtered);
        let mut result = stream(process, lines_in, reporting).await;
        if result.is_ok() {
            // An upstream that went away meanwhile is missing from the listing.
            result = upstreams::check(&session, &upstreams).await;
        }
        if let Some(names) = names {
            // A file that stays is removed with the session.
            let _ = std::fs::remove_file(names);
        }
        let _ = end_in.send(result);
    });
    Ok(Listing { lines: Chunks::from(lines).with_reservation(reserved), errors, end })
}

/// The command of a listing; `names` has its files.
fn list_command<'a>(
    session: &'a RcloneSession,
    options: &ListOptions,
    names: Option<&PathBuf>,
) -> Result<RcloneCommand<'a>, Failure> {
    let remote = session.remote();
    let mut command = session.command("lsjson").arg("--no-mimetype");
    if omissions::need_debug_log(remote.backends()) {
        command = command.with_debug_log();
    }
    if options.recursive {
        command = command.arg("--recursive");
    } else if !remote.is_google_photos() {
        // This only finds out whether the remote answers.
        command = command.args(["--contimeout", "15s", "--timeout", "30s"]);
        if !session.is_lookup_refused() {
            command = command.args(["--low-level-retries", "3"]);
        }
    }
    if remote.backends().any(|backend| backend == "swift") {
        // A server may send fewer entries than it was asked for before the end.
        command = command.arg("--swift-fetch-until-empty-page");
    }
    if options.hashes {
        command = command.arg("--hash");
    }
    if options.server_times {
        command = command.arg("--use-server-modtime");
    }
    let concurrency = session.concurrency();
    if let Some(names) = names {
        command = command.arg("--files-from-raw").arg(names).arg("--no-traverse");
        command = if session.is_lookup_refused() {
            command.args(["--checkers", "1", "--tpslimit", LOOKUPS_PER_SECOND])
        } else {
            command.args(["--checkers", &concurrency.current().to_string()])
        };
    } else if session.is_lookup_refused() {
        command = command.args(["--checkers", "1"]);
    } else {
        command = command.args(["--checkers", &concurrency.checkers()]);
    }
    for directory in &options.excluded {
        let pattern = escape_pattern(&RemotePath::parse(directory)?);
        command = command.arg("--filter").arg(format!("- /{pattern}/**"));
    }
    Ok(command)
}

/// The path as a pattern of rclone's filters that matches only that path.
///
/// Source: rclone's documentation of filters, "Pattern syntax".
pub fn escape_pattern(path: &str) -> String {
    path.chars().fold(String::new(), |pattern, char| match char {
        '*' | '?' | '[' | ']' | '{' | '}' | '\\' => pattern + "\\" + char.encode_utf8(&mut [0; 4]),
        _ => pattern + char.encode_utf8(&mut [0; 4]),
    })
}

/// Streams the listing and waits for its end.
async fn stream(
    mut process: Process,
    lines: mpsc::Sender<Bytes>,
    reporting: impl Future<Output = (ReportedErrors, Option<Failure>)> + Send + 'static,
) -> Result<(), Failure> {
    let reporter = tokio::spawn(reporting);
    pump(&mut process, &lines, None).await?;
    drop(lines);
    let mut run_failure = None;
    let reported = async {
        let (reported, failure) = reporter.await.unwrap_or_default();
        run_failure = failure;
        reported
    };
    process.wait_ignoring_reported(reported).await?;
    run_failure.map_or(Ok(()), Err)
}

/// Classifies everything that rclone logs of single paths, and sends what it leaves out. The
/// failure that is returned has no path: the listing is incomplete.
async fn report_records(
    mut records: mpsc::Receiver<LogRecord>,
    errors: mpsc::Sender<ListError>,
    is_refused: Arc<AtomicBool>,
    is_filtered: bool,
) -> (ReportedErrors, Option<Failure>) {
    let (mut reported, mut run_failure) = (ReportedErrors::default(), None);
    while let Some(record) = records.recv().await {
        match omissions::classify_record(&record, is_filtered) {
            Omission::Nothing => {}
            Omission::Run(failure) => run_failure = run_failure.or(Some(failure)),
            Omission::Path(path, failure) => {
                reported.record(&record.message);
                if matches!(failure.reason, Reason::RateLimited | Reason::Unavailable) {
                    is_refused.store(true, Ordering::Relaxed);
                }
                // Without a receiver, the end reports it.
                let _ = errors.send(ListError { path, failure }).await;
            }
        }
    }
    (reported, run_failure)
}
