//! The verb `cat`: the bytes of one large file through a process of its own.

use tokio::sync::mpsc;

use super::lsjson::{Pumped, pump};
use super::{growth, serve_restic};
use crate::connector::{Content, Failure, Reason};
use crate::rclone::process::Process;
use crate::rclone::{BEGINNING, Rclone, google_photos};

pub async fn cat(rclone: &Rclone, path: &str, size: Option<u64>) -> Result<Content, Failure> {
    // What a component says of the size may be wrong.
    let aside = rclone.buffers().reserve(serve_restic::at_most(None)).await?;
    let verb = rclone.reading_verb("cat");
    let verb = match google_photos::by_id(&rclone.inner.remote, path) {
        // Named by the path, it isn't among what rclone lists of its directory, and then
        // rclone prints nothing at all and ends well.
        Some((parent, name)) => {
            let names = rclone.file_of_lines(&[name.to_owned()])?;
            let verb = verb.arg("--no-traverse").arg("--files-from-raw").arg(names);
            verb.arg(rclone.target(parent))
        }
        None => verb.arg(rclone.target(path)),
    };
    let process = verb.start(false, None).await?;
    let watchdog = rclone.inner.watchdog.clone();
    let (rclone, path) = (rclone.clone(), path.to_owned());
    let (writer, content) = Content::channel(4);
    tokio::spawn(async move {
        let result = run(&rclone, &path, process, writer.bytes(), size).await;
        result.iter().for_each(|()| watchdog.answered());
        result.as_ref().err().into_iter().for_each(|failure| watchdog.failed(failure));
        writer.finish(result);
    });
    Ok(content.buffered(BEGINNING).await?.with_reservation(aside))
}

async fn run(
    rclone: &Rclone,
    path: &str,
    mut process: Process,
    bytes: &mpsc::Sender<bytes::Bytes>,
    size: Option<u64>,
) -> Result<(), Failure> {
    let most = size.filter(|_| growth::is_possible(&rclone.inner.remote));
    let Pumped { mut count, is_cut } = pump(&mut process, bytes, most).await?;
    if let (true, Some(size)) = (is_cut, size) {
        growth::warn(path, size);
        return Ok(());
    }
    // The end of the bytes is told after how they ended is known: whoever reads
    // them never takes a broken transfer for a short file.
    let mut ended = process.end().await;
    if let (Err(failure), Some(size)) = (&ended, size)
        && growth::is(failure)
    {
        growth::warn(path, size);
        let mut rest = growth::rest(rclone, path, count).await?;
        let Pumped { count: more, is_cut } =
            pump(&mut rest, bytes, Some(size.saturating_sub(count))).await?;
        count += more;
        ended = if is_cut { Ok(()) } else { rest.end().await };
    }
    ended.map_err(|failure| match failure.reason {
        // rclone says this of the file's directory.
        Reason::NotFound if failure.message.contains("directory not found") => Failure::new(
            Reason::NotFound,
            "file not found: check the path, or whether it was removed meanwhile",
        ),
        _ => failure,
    })?;
    serve_restic::counted(count, size)
}
