//! The connection to an `rclone serve restic --stdio`: HTTP/2 over the process's pipes.

use bytes::Bytes;
use hyper::body::Body;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::error::Error;
use tokio::io::BufReader;
use tokio_util::io::InspectReader;

use crate::connector::Failure;
use crate::quota::counters::Count;
use crate::rclone::process::Process;

/// The characters of a path that are escaped in a URL.
const URL_ESCAPES: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'~');

/// HTTP/2 window of one file: the bytes that rclone may send before they are read.
pub const STREAM_WINDOW_BYTES: u32 = 1 << 20;

/// HTTP/2 window of all files of a connection. It is larger than the sum of the windows of
/// single files, so that files that aren't read yet don't hold up others.
const CONNECTION_WINDOW_BYTES: u32 = 256 << 20;

/// The largest HTTP/2 frame: one Plakar chunk.
pub const MAX_FRAME_BYTES: u32 = 1 << 20;

/// Number of bytes that are read from the pipe at a time.
const PIPE_BUFFER_BYTES: usize = 256 << 10;

/// Takes the pipes of a server, and connects to it.
///
/// # Errors
///
/// The server doesn't speak HTTP/2.
pub async fn connect<B>(process: &mut Process) -> Result<http2::SendRequest<B>, Failure>
where
    B: Body<Data = Bytes> + Unpin + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let pipes = process.stdout.take().zip(process.stdin.take());
    let (stdout, stdin) = pipes.ok_or_else(|| Failure::internal("rclone has no pipes"))?;
    // One system call reads many small files.
    let account = process.account.clone();
    let count = move |bytes: &[u8]| account.add(Count::BytesOut, bytes.len() as u64);
    let stdout = InspectReader::new(stdout, count);
    let stdout = BufReader::with_capacity(PIPE_BUFFER_BYTES, stdout);
    let io = TokioIo::new(tokio::io::join(stdout, stdin));
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_frame_size(MAX_FRAME_BYTES)
        .handshake(io)
        .await
        .map_err(|error| Failure::internal(format!("rclone serve doesn't answer: {error}")))?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            // Each request that this ends returns an error.
            tracing::debug!("the connection to rclone serve ended: {error}");
        }
    });
    Ok(sender)
}

/// The URL of a path below the server's root.
pub fn uri(path: &str) -> String {
    format!("http://localhost/{}", utf8_percent_encode(path, URL_ESCAPES))
}

/// Whether the server would redirect the path to a different one: it redirects `data/name` to
/// `data/na/name`, wherever `data` is.
///
/// Source: `matchData` in rclone's cmd/serve/restic/restic.go.
pub fn is_redirected(path: &str) -> bool {
    let mut names = path.rsplit('/');
    let name = names.next().unwrap_or_default();
    names.next() == Some("data") && name.len() >= 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_paths_that_rclone_redirects_are_known() {
        assert!(is_redirected("a/data/xy") && is_redirected("data/xy"));
        assert!(!is_redirected("data/x") && !is_redirected("data/xy/z") && !is_redirected("data"));
    }
}
