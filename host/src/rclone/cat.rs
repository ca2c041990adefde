//! The verb `cat`: the bytes of one large file through a process of its own.

use tokio::sync::mpsc;

use super::list::pump;
use super::process::Process;
use super::{BEGINNING, Rclone, photos, reader};
use crate::contract::{Content, Failure, Reason};

pub async fn cat(rclone: &Rclone, path: &str, size: Option<u64>) -> Result<Content, Failure> {
    let verb = rclone.reading_verb("cat");
    let verb = match photos::by_id(&rclone.inner.remote, path) {
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
    let count = pump(&mut process, &bytes).await?;
    // The end of the bytes is told after how they ended is known: whoever reads
    // them never takes a broken transfer for a short file.
    let ended = process.end().await;
    drop(bytes);
    ended.map_err(|failure| match failure.reason {
        // rclone says this of the file's directory.
        Reason::NotFound if failure.message.contains("directory not found") => Failure::new(
            Reason::NotFound,
            "file not found: check the path, or whether it was removed meanwhile",
        ),
        _ => failure,
    })?;
    reader::counted(count, size)
}
