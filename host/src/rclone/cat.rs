//! The verb `cat`: the bytes of one large file through a process of its own.

use tokio::sync::mpsc;

use super::list::pump;
use super::process::Process;
use super::{BEGINNING, Rclone, reader};
use crate::contract::{Content, Failure, Reason};

pub async fn cat(rclone: &Rclone, path: &str, size: Option<u64>) -> Result<Content, Failure> {
    let process = rclone.reading_verb("cat").arg(rclone.target(path)).start(false, None).await?;
    let (bytes, end, content) = Content::channel(4);
    tokio::spawn(async move {
        let _ = end.send(run(process, bytes, size).await);
    });
    content.begun(BEGINNING).await
}

async fn run(
    mut process: Process,
    bytes: mpsc::Sender<bytes::Bytes>,
    size: Option<u64>,
) -> Result<(), Failure> {
    let count = pump(process.stdout.take(), &bytes).await?;
    // The end of the bytes is told after how they ended is known: whoever reads
    // them never takes a broken transfer for a short file.
    let ended = process.end().await;
    drop(bytes);
    ended.map_err(|failure| match failure.reason {
        // rclone says the same of its directory.
        Reason::NotFound => Failure::new(
            Reason::NotFound,
            "file not found: check the path, or whether it was removed meanwhile",
        ),
        _ => failure,
    })?;
    reader::counted(count, size)
}
