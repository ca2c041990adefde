//! One connection to Plakar, which never comes twice and can be cut off.

use futures::{Stream, StreamExt, stream};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::Connected;

/// A stream of this one connection, which ends when it is closed, or `cut` by somebody.
pub fn only<C>(
    connection: C,
    cut: Option<CancellationToken>,
) -> impl Stream<Item = io::Result<Single<C>>> {
    let (open, closed) = oneshot::channel::<()>();
    let cut = cut.map(|cut| Box::pin(cut.cancelled_owned()));
    let single = Single { connection, cut, _open: open };
    let end = stream::once(closed).filter_map(async |_| None);
    stream::once(async { Ok(single) }).chain(end)
}

/// A connection that tells when it is dropped.
pub struct Single<C> {
    connection: C,
    cut: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    /// Dropped with the connection.
    _open: oneshot::Sender<()>,
}

impl<C> Single<C> {
    /// An error once the connection is cut.
    fn poll_cut(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.cut.as_mut().map(|cut| cut.as_mut().poll(context)) {
            Some(Poll::Ready(())) => Err(io::ErrorKind::ConnectionAborted.into()),
            Some(Poll::Pending) | None => Ok(()),
        }
    }
}

impl<C> Connected for Single<C> {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl<C: AsyncRead + Unpin> AsyncRead for Single<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_cut(context)?;
        Pin::new(&mut self.connection).poll_read(context, buffer)
    }
}

impl<C: AsyncWrite + Unpin> AsyncWrite for Single<C> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_cut(context)?;
        Pin::new(&mut self.connection).poll_write(context, buffer)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_cut(context)?;
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
