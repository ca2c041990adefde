//! `rclone rcat`: uploads one large file as it arrives.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;
use tokio::io::AsyncWriteExt;

use super::obstacles::{self, BatchPaths};
use super::{collision, features, transfer};
use crate::connector::{self, Content, Failure, Timestamp};
use crate::quota::counters::Count;
use crate::rclone::process::Process;
use crate::rclone::remote_path::RemotePath;
use crate::rclone::session::RcloneSession;

/// rclone's error where a time can't be set after an upload (`fs.ErrorCantSetModTime`).
const CANNOT_SET_MOD_TIME: &str = "can't set modified time";

/// The error where rclone doesn't say itself why it takes no more.
const PARTIAL_UPLOAD_MESSAGE: &str = "rclone took only a part";

/// Time limit for rclone's end after it has closed its input.
const EXIT_TIMEOUT: Duration = Duration::from_secs(60);

/// The end of the name of an incomplete file, after a dot and a number.
const PARTIAL_SUFFIX: &str = "partial";

/// The path of a file while it is uploaded. It is in the same directory, is different for each
/// upload, and has a name that isn't longer than the file's or 32 bytes, so that a backend that
/// takes the one takes the other.
fn partial_path(path: &str) -> String {
    let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
    // Each `RandomState` has different random bits.
    let random = RandomState::new().build_hasher().finish() as u32;
    let suffix = format!(".{random:08x}.{PARTIAL_SUFFIX}");
    let room = name.len().max(32).saturating_sub(suffix.len()).min(name.len());
    let kept = &name[..name.floor_char_boundary(room)];
    match directory {
        "" => format!("{kept}{suffix}"),
        directory => format!("{directory}/{kept}{suffix}"),
    }
}

/// Uploads a file of `size` bytes.
///
/// # Errors
///
/// Something is in the way at the path, the content isn't complete, or rclone fails.
pub async fn upload(
    session: &RcloneSession,
    path: &RemotePath,
    size: u64,
    modified: Timestamp,
    content: Content,
) -> Result<(), Failure> {
    let features = features::query(session).await?;
    if collision::folds_case(session).await? {
        let planned = BatchPaths { files: [path.to_string()].into(), ..BatchPaths::default() };
        if let Some(obstacle) = obstacles::find(session, &planned).await?.into_iter().next() {
            return Err(obstacle.failure);
        }
    }
    // In Google Photos a file of the same name may be a different photo, which must stay.
    let is_atomic = features.is_bucket_based() || session.remote().is_google_photos();
    // Elsewhere a broken upload could leave a short file of this name.
    let upload_path =
        if is_atomic || !features.renames() { path.to_string() } else { partial_path(path) };
    if let Err(failure) = run_rcat(session, &upload_path, size, content).await {
        if !is_atomic {
            // There may be no file to remove.
            let _ = session.run("deletefile", &[&session.target(&upload_path)]).await;
        }
        return Err(failure);
    }
    if upload_path != **path {
        let (from, to) = (session.target(&upload_path), session.target(path));
        session.run("moveto", &["--ignore-times", &from, &to]).await?;
    }
    if features.stores_mod_times() {
        set_mod_time(session, path, modified).await?;
    }
    Ok(())
}

async fn set_mod_time(
    session: &RcloneSession,
    path: &RemotePath,
    modified: Timestamp,
) -> Result<(), Failure> {
    let time = format!("{}.{:09}", rfc3339(modified.seconds), modified.nanoseconds);
    let args = ["--no-create", "--timestamp", &time, &session.target(path)];
    match session.run("touch", &args).await {
        // Some backends, WebDAV among them, take a time with an upload and never after.
        Err(failure) if failure.message.contains(CANNOT_SET_MOD_TIME) => {
            tracing::info!("`{path}` keeps the time of its upload: {}", failure.message);
            Ok(())
        }
        touched => touched,
    }
}

async fn run_rcat(
    session: &RcloneSession,
    path: &str,
    size: u64,
    content: Content,
) -> Result<(), Failure> {
    let command = session.command("rcat").arg("--size").arg(size.to_string());
    let mut process = command.arg(session.target(path)).with_stdin().spawn().await?;
    match write_content(&mut process, size, content).await {
        Ok(()) => process.wait().await,
        Err(failure) if failure.message.starts_with(PARTIAL_UPLOAD_MESSAGE) => {
            // rclone is about to end by itself, with the cause.
            match tokio::time::timeout(EXIT_TIMEOUT, process.wait()).await {
                Ok(Err(cause)) => Err(cause),
                _ => Err(failure),
            }
        }
        Err(failure) => {
            // If its input ended before it, rclone would take the file for complete.
            let stdin = process.stdin.take();
            let cause = process.stop().await;
            drop(stdin);
            Err(cause.unwrap_or(failure))
        }
    }
}

/// Writes the content to the process's input, which stays open if the content isn't complete or
/// isn't taken.
async fn write_content(
    process: &mut Process,
    size: u64,
    mut content: Content,
) -> Result<(), Failure> {
    let mut stdin = process.stdin.take();
    let mut count = 0;
    let mut result = Ok(());
    if let Some(stdin) = &mut stdin {
        while let Some(chunk) = content.bytes.recv().await {
            count += chunk.len() as u64;
            if count > size {
                break;
            }
            process.record_transfer(Count::BytesIn, chunk.len()).await;
            let waiting = process.activity().begin_wait();
            let written = stdin.write_all(&chunk).await;
            drop(waiting);
            if let Err(error) = written {
                result = Err(Failure::internal(format!("{PARTIAL_UPLOAD_MESSAGE}: {error}")));
                break;
            }
        }
    }
    if result.is_ok() {
        content.bytes.close();
        result = match connector::wait_end(content.end).await {
            Ok(()) => transfer::check_length(count, Some(size)),
            failed => failed,
        };
    }
    if result.is_err() {
        process.stdin = stdin;
    }
    result
}

/// A Unix time as rclone's `--timestamp` takes it, in UTC.
fn rfc3339(seconds: i64) -> String {
    let time = jiff::Timestamp::from_second(seconds).unwrap_or_default();
    time.strftime("%Y-%m-%dT%H:%M:%S").to_string()
}
