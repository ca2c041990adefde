//! The connection to Plakar: our stdin and stdout as one socket.

use futures::{Stream, StreamExt, stream};
use rustix::stdio::{stdin, stdout};
use rustix::termios::isatty;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::sync::oneshot;
use tonic::transport::server::Connected;

use crate::pipe;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    #[error(
        "this is a plugin that plakar starts by itself: install the package with `plakar pkg add`, \
         or try `plakbox ls NAME:path` (see `plakbox --help`)"
    )]
    Terminal,
    #[error("stdin and stdout must be pipes, as plakar makes them: {0}")]
    NoPipe(#[from] io::Error),
}

/// One connection that never comes twice. The stream ends when it is closed.
pub fn connection() -> Result<impl Stream<Item = io::Result<Stdio>>, Unusable> {
    if isatty(stdin()) || isatty(stdout()) {
        return Err(Unusable::Terminal);
    }
    let input = Receiver::from_owned_fd(stdin().try_clone_to_owned()?)?;
    let output = Sender::from_owned_fd(stdout().try_clone_to_owned()?)?;
    for pipe in [stdin(), stdout()] {
        pipe::widen(pipe);
    }
    let (open, closed) = oneshot::channel::<()>();
    let stdio = Stdio { input, output, _open: open };
    let end = stream::once(closed).filter_map(async |_| None);
    Ok(stream::once(async { Ok(stdio) }).chain(end))
}

/// Both ends of the connection.
pub struct Stdio {
    input: Receiver,
    output: Sender,
    /// Dropped with the connection.
    _open: oneshot::Sender<()>,
}

impl Connected for Stdio {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Stdio {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Stdio {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.output).poll_write(cx, buffer)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.output).poll_write_vectored(cx, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.output.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.output).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.output).poll_shutdown(cx)
    }
}
