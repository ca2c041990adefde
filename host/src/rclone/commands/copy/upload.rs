//! The upload of a batch, with retries of entries that failed for an overload.

use tokio::sync::mpsc;

use super::super::concurrency::{self, MAX_RETRIES};
use super::super::obstacles::{self, Obstacle};
use super::Batch;
use crate::connector::{Failure, Outcome};
use crate::rclone::process::command::RcloneCommand;
use crate::rclone::process::errors;
use crate::rclone::process::errors::overload::is_overload;
use crate::rclone::process::errors::reported::ReportedErrors;
use crate::rclone::process::stderr_log::{LOG_CHANNEL_CAPACITY, LogRecord};

/// Number of photos that are uploaded at the same time: Google Photos takes this number with
/// one call (rclone's `batch_size` there).
const PHOTO_TRANSFERS: &str = "50";

/// Number of times that rclone tries to upload a photo, and each time to add it. It waits up to
/// eight seconds between, so that this outlasts a quota of calls per minute.
const PHOTO_TRIES: &str = "4";

/// Copies the batch, and again the entries that failed for an overload.
///
/// # Errors
///
/// rclone can't be started, or fails for more than single paths.
pub async fn copy(batch: &Batch, outcomes: &mpsc::Sender<Outcome>) -> Result<(), Failure> {
    let session = batch.session();
    let concurrency = session.concurrency();
    let planned = batch.planned().clone();
    for Obstacle { path, place, failure } in obstacles::find(session, &planned).await? {
        batch.exclude(&place);
        // Without a receiver, the end reports it.
        let _ = outcomes.send(Outcome { path, outcome: Err(failure) }).await;
    }
    let mut retries = 0;
    loop {
        let transfers = concurrency.current();
        // A photo that is sent twice may be stored twice.
        let is_last = retries == MAX_RETRIES || session.remote().is_google_photos();
        let (sink, records) = mpsc::channel(LOG_CHANNEL_CAPACITY);
        let process = copy_command(batch, transfers).log_to(sink).spawn().await?;
        let reporter =
            tokio::spawn(report_outcomes(batch.clone(), records, outcomes.clone(), is_last));
        let (mut paths, mut overloads) = (Vec::new(), 0);
        let reporting = async {
            let copied = reporter.await.unwrap_or_default();
            (paths, overloads) = (copied.paths, copied.overloads);
            copied.reported
        };
        let result = process.wait_ignoring_reported(reporting).await;
        let has_not_begun = result.as_ref().is_err_and(is_overload);
        if is_last || overloads == 0 && !has_not_begun {
            return result;
        }
        concurrency.halve(transfers);
        tracing::info!(
            "the server refuses {transfers} files at once: trying again with {}",
            concurrency.current()
        );
        for path in &paths {
            batch.exclude(path);
        }
        tokio::time::sleep(concurrency::retry_delay(retries)).await;
        retries += 1;
    }
}

/// Creates the albums that were added, and reports those that fail. `copy` would create
/// their parent directories, too, which Google Photos doesn't have.
pub async fn create_albums(batch: &Batch, outcomes: &mpsc::Sender<Outcome>) {
    let session = batch.session();
    let albums = std::mem::take(&mut *batch.albums());
    for path in albums {
        if let Err(failure) = session.run("mkdir", &[&session.target(&path)]).await {
            let outcome =
                Err(failure.with_context(format_args!("the album `{path}` can't be made")));
            // Without a receiver, the end reports it.
            let _ = outcomes.send(Outcome { path, outcome }).await;
        }
    }
}

fn copy_command(batch: &Batch, transfers: usize) -> RcloneCommand<'_> {
    let session = batch.session();
    let command = session.command("copy");
    let command = if session.remote().is_google_photos() {
        // A photo of the same name in an album may be a different one. Google compares
        // their bytes.
        command.args(["--no-check-dest", "--transfers", PHOTO_TRANSFERS]).args([
            "--checkers",
            PHOTO_TRANSFERS,
            "--low-level-retries",
            PHOTO_TRIES,
        ])
    } else {
        let transfers = transfers.to_string();
        let mut command = command.args(["--ignore-times", "--create-empty-src-dirs"]);
        if session.waits_for_connections() {
            command = command.args(["--low-level-retries", "2"]);
        }
        command.args(["--transfers", &transfers, "--checkers", &transfers])
    };
    // Two spellings of a name in Unicode are two files.
    let command = command.arg("--no-unicode-normalization");
    command.arg(batch.source()).arg(session.target(""))
}

/// The result of one copy.
#[derive(Default)]
struct CopyResult {
    /// Errors of single paths.
    reported: ReportedErrors,
    /// Paths whose outcomes were sent.
    paths: Vec<String>,
    /// Number of entries that failed for an overload, and whose outcomes weren't sent.
    overloads: usize,
}

/// Sends the outcomes of single files that rclone logs. An overload doesn't count as an outcome,
/// unless there is no further retry.
async fn report_outcomes(
    batch: Batch,
    mut records: mpsc::Receiver<LogRecord>,
    outcomes: mpsc::Sender<Outcome>,
    is_last: bool,
) -> CopyResult {
    let mut copied = CopyResult::default();
    while let Some(LogRecord { level, message, object, .. }) = records.recv().await {
        let is_copied =
            message.starts_with("Copied (") || message.starts_with("Multi-thread Copied (");
        let outcome = if level.is_error() {
            Err(errors::classify(&message))
        } else if is_copied {
            Ok(())
        } else {
            continue;
        };
        let Some(path) = object.filter(|path| !path.is_empty()) else { continue };
        let path = batch.batch_path(path);
        match &outcome {
            Ok(()) => batch.session().activity().record_answer(),
            Err(failure) => {
                copied.reported.record(&message);
                batch.session().activity().record_failure(failure);
            }
        }
        if !is_last && outcome.as_ref().is_err_and(is_overload) {
            copied.overloads += 1;
            continue;
        }
        copied.paths.push(path.clone());
        // Without a receiver, the end reports it.
        let _ = outcomes.send(Outcome { path, outcome }).await;
    }
    copied
}
