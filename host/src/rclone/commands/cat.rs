//! `rclone cat`: reads one large file through a process of its own.

use bytes::Bytes;
use tokio::sync::mpsc;

use super::transfer::{INITIAL_BUFFER_BYTES, Pumped, check_length, pump};
use super::{growth, serve_restic};
use crate::connector::{Content, Failure, Reason};
use crate::rclone::google_photos;
use crate::rclone::process::Process;
use crate::rclone::remote_path::RemotePath;
use crate::rclone::session::RcloneSession;

/// Number of chunks that may wait for the reader.
const MAX_QUEUED_CHUNKS: usize = 4;

/// Starts to read a file of `size` bytes.
///
/// # Errors
///
/// rclone can't be started, or fails before the first bytes.
pub async fn cat(
    session: &RcloneSession,
    path: &RemotePath,
    size: Option<u64>,
) -> Result<Content, Failure> {
    // The size that a component passes may be wrong.
    let reserved = session.buffers().reserve(serve_restic::max_buffered_bytes(None)).await?;
    let command = session.reading_command("cat");
    let command = match google_photos::split_photo_path(session.remote(), path) {
        // Such a photo isn't among what rclone lists of its directory. Named by its path,
        // rclone would print nothing at all and succeed.
        Some((parent, name)) => {
            let names = session.write_path_list(&[name.to_owned()])?;
            let command = command.arg("--no-traverse").arg("--files-from-raw").arg(names);
            command.arg(session.target(parent))
        }
        None => command.arg(session.target(path)),
    };
    let process = command.spawn().await?;
    let (session, path) = (session.clone(), path.clone());
    let (writer, content) = Content::channel(MAX_QUEUED_CHUNKS);
    tokio::spawn(async move {
        let result = stream(&session, &path, process, writer.bytes(), size).await;
        match &result {
            Ok(()) => session.activity().record_answer(),
            Err(failure) => session.activity().record_failure(failure),
        }
        writer.finish(result);
    });
    Ok(content.buffered(INITIAL_BUFFER_BYTES).await?.with_reservation(reserved))
}

async fn stream(
    session: &RcloneSession,
    path: &str,
    mut process: Process,
    bytes: &mpsc::Sender<Bytes>,
    size: Option<u64>,
) -> Result<(), Failure> {
    let limit = size.filter(|_| growth::may_truncate(session.remote()));
    let Pumped { mut count, is_cut } = pump(&mut process, bytes, limit).await?;
    if let (true, Some(size)) = (is_cut, size) {
        growth::warn_truncated(path, size);
        return Ok(());
    }
    // The bytes end after it is known how the process ended, so that the reader never takes a
    // broken transfer for a short file.
    let mut ended = process.wait().await;
    if let (Err(failure), Some(size)) = (&ended, size)
        && growth::is_growth_error(failure)
    {
        growth::warn_truncated(path, size);
        let mut rest = growth::read_rest(session, path, count).await?;
        let Pumped { count: more, is_cut } =
            pump(&mut rest, bytes, Some(size.saturating_sub(count))).await?;
        count += more;
        ended = if is_cut { Ok(()) } else { rest.wait().await };
    }
    ended.map_err(|failure| match failure.reason {
        // rclone says this of the file's directory.
        Reason::NotFound if failure.message.contains("directory not found") => {
            Failure::new(Reason::NotFound, "file not found")
                .with_help("check the path, or whether it was removed meanwhile")
        }
        _ => failure,
    })?;
    check_length(count, size)
}
