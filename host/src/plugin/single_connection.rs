//! Serves exactly one connection, and can abort it.

use futures::{Stream, StreamExt, stream};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::Connected;

/// Returns a stream of incoming connections that has only this one, and ends when it is closed
/// or aborted.
pub fn serve_once<C>(
    connection: C,
    abort: Option<CancellationToken>,
) -> impl Stream<Item = io::Result<SingleConnection<C>>> {
    let (open, closed) = oneshot::channel::<()>();
    let abort = abort.map(|abort| Box::pin(abort.cancelled_owned()));
    let single = SingleConnection { connection, abort, _open: open };
    let end = stream::once(closed).filter_map(async |_| None);
    stream::once(async { Ok(single) }).chain(end)
}

/// A connection that notifies its stream when it is dropped.
pub struct SingleConnection<C> {
    connection: C,
    abort: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    /// Dropped with the connection.
    _open: oneshot::Sender<()>,
}

impl<C> SingleConnection<C> {
    /// Fails once the connection is aborted.
    fn poll_abort(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.abort.as_mut().map(|abort| abort.as_mut().poll(context)) {
            Some(Poll::Ready(())) => Err(io::ErrorKind::ConnectionAborted.into()),
            Some(Poll::Pending) | None => Ok(()),
        }
    }
}

impl<C> Connected for SingleConnection<C> {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl<C: AsyncRead + Unpin> AsyncRead for SingleConnection<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_abort(context)?;
        Pin::new(&mut self.connection).poll_read(context, buffer)
    }
}

impl<C: AsyncWrite + Unpin> AsyncWrite for SingleConnection<C> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_abort(context)?;
        Pin::new(&mut self.connection).poll_write(context, buffer)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_abort(context)?;
        Pin::new(&mut self.connection).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(context)
    }
}
