//! A client's connection, of whatever kind.

use rustix::net::sockopt;
use std::io;
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

use super::handshake::{self, Answer, Hello};
use crate::plugin::Connection;

/// Lets the system notice within two minutes that the other end is gone without a word.
pub fn enable_keepalive(socket: &TcpStream) -> io::Result<()> {
    sockopt::set_socket_keepalive(socket, true)?;
    sockopt::set_tcp_keepidle(socket, Duration::from_secs(60))?;
    sockopt::set_tcp_keepintvl(socket, Duration::from_secs(15))?;
    sockopt::set_tcp_keepcnt(socket, 4)?;
    // The same for what is sent and never acknowledged.
    #[cfg(target_os = "linux")]
    sockopt::set_tcp_user_timeout(socket, 120_000)?;
    Ok(())
}

/// A connection of somebody who was identified.
pub enum ClientStream {
    Local(UnixStream),
    Remote(Box<TlsStream<TcpStream>>),
}

impl ClientStream {
    pub async fn receive(&mut self) -> io::Result<Hello> {
        match self {
            Self::Local(socket) => handshake::receive(socket).await,
            Self::Remote(stream) => handshake::receive(stream).await,
        }
    }

    pub async fn send(&mut self, answer: &Answer) -> io::Result<()> {
        match self {
            Self::Local(socket) => handshake::send(socket, answer).await,
            Self::Remote(stream) => handshake::send(stream, answer).await,
        }
    }

    /// The connection for a runtime that isn't the one that took it.
    pub fn into_connection(self) -> io::Result<Box<dyn Connection>> {
        Ok(match self {
            Self::Local(socket) => Box::new(UnixStream::from_std(socket.into_std()?)?),
            // What it has deciphered already can't be moved: the other runtime wakes this one.
            Self::Remote(stream) => stream,
        })
    }
}
