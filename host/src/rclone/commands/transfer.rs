//! Transfers of bytes from rclone: how they are buffered, sent and checked.

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;

use super::growth;
use crate::connector::{Failure, Reason};
use crate::quota::counters::Count;
use crate::rclone::process::Process;

/// Number of bytes that are read from a pipe at a time.
pub const CHUNK_BYTES: usize = 256 << 10;

/// Number of bytes of a file that are buffered before its content is returned: a smaller file
/// is complete or has failed by then, and of a larger one a prefetch holds no more than this.
pub const INITIAL_BUFFER_BYTES: usize = 1 << 20;

/// The result of [`pump`].
pub struct Pumped {
    /// Number of bytes that were sent.
    pub count: u64,
    /// Whether there were more than the limit.
    pub is_cut: bool,
}

/// Sends a process's output until it ends or `limit` bytes are sent.
///
/// # Errors
///
/// The output can't be read, or the receiver is dropped.
pub async fn pump(
    process: &mut Process,
    bytes: &mpsc::Sender<Bytes>,
    limit: Option<u64>,
) -> Result<Pumped, Failure> {
    let stdout = process.stdout.take();
    let mut stdout = stdout.ok_or_else(|| Failure::internal("rclone has no output"))?;
    let mut count = 0;
    loop {
        let mut chunk = BytesMut::with_capacity(CHUNK_BYTES);
        let read = tokio::select! {
            read = async {
                let _waiting = process.activity().begin_wait();
                stdout.read_buf(&mut chunk).await
            } => read,
            () = bytes.closed() => return Err(Failure::cancelled()),
        };
        match read {
            Ok(0) => return Ok(Pumped { count, is_cut: false }),
            Ok(read) => {
                count += read as u64;
                process.activity().record_answer();
                process.record_transfer(Count::BytesOut, read).await;
            }
            Err(error) => {
                return Err(Failure::internal(format!("rclone's output can't be read: {error}")));
            }
        }
        let surplus =
            limit.and_then(|limit| count.checked_sub(limit)).filter(|surplus| *surplus > 0);
        let chunk = match surplus {
            Some(surplus) => growth::truncate(&chunk.freeze(), surplus),
            None => chunk.freeze(),
        };
        if bytes.send(chunk).await.is_err() {
            return Err(Failure::cancelled());
        }
        if let Some(surplus) = surplus {
            return Ok(Pumped { count: count - surplus, is_cut: true });
        }
    }
}

/// Compares the number of bytes that came with the listed size.
///
/// # Errors
///
/// They differ.
pub fn check_length(count: u64, size: Option<u64>) -> Result<(), Failure> {
    match size {
        Some(size) if size != count => Err(Failure::new(
            Reason::Corrupted,
            format!(
                "{count} bytes came where {size} were listed: the file changed while it was read, \
                 or its transfer broke"
            ),
        )
        .with_help("run the backup again")),
        _ => Ok(()),
    }
}
