//! A client's connection, of whatever kind, which can be cut off.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::greeting::{self, Answer, Hello};
use crate::plakar::Connection;

/// A connection of somebody who was identified.
pub enum Line {
    Local(UnixStream),
    Remote(Box<TlsStream<TcpStream>>),
}

impl Line {
    pub async fn hear(&mut self) -> io::Result<Hello> {
        match self {
            Self::Local(socket) => greeting::hear(socket).await,
            Self::Remote(stream) => greeting::hear(stream).await,
        }
    }

    pub async fn say(&mut self, answer: &Answer) -> io::Result<()> {
        match self {
            Self::Local(socket) => greeting::say(socket, answer).await,
            Self::Remote(stream) => greeting::say(stream, answer).await,
        }
    }

    /// The connection for a runtime that isn't the one that took it.
    pub fn moved(self) -> io::Result<Box<dyn Connection>> {
        Ok(match self {
            Self::Local(socket) => Box::new(UnixStream::from_std(socket.into_std()?)?),
            // What it has deciphered already can't be moved: the other runtime wakes this one.
            Self::Remote(stream) => stream,
        })
    }
}

/// A connection that ends when somebody says so.
pub struct Cut<C> {
    connection: C,
    told: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl<C> Cut<C> {
    pub fn new(connection: C, token: CancellationToken) -> Self {
        Self { connection, told: Box::pin(token.cancelled_owned()) }
    }

    fn poll_told(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.told.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::ErrorKind::ConnectionAborted.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl<C: AsyncRead + Unpin> AsyncRead for Cut<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_told(context)?;
        Pin::new(&mut self.connection).poll_read(context, buffer)
    }
}

impl<C: AsyncWrite + Unpin> AsyncWrite for Cut<C> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_told(context)?;
        Pin::new(&mut self.connection).poll_write(context, buffer)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_told(context)?;
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
