//! A client's connection, local or over the network.

use rustix::net::sockopt;
use std::io;
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

use super::handshake::{self, Hello, Reply};
use crate::plugin::Connection;

/// Enables keepalive probes, so that the system detects a vanished peer within two minutes.
///
/// # Errors
///
/// The system refuses an option.
pub fn enable_keepalive(socket: &TcpStream) -> io::Result<()> {
    sockopt::set_socket_keepalive(socket, true)?;
    sockopt::set_tcp_keepidle(socket, Duration::from_secs(60))?;
    sockopt::set_tcp_keepintvl(socket, Duration::from_secs(15))?;
    sockopt::set_tcp_keepcnt(socket, 4)?;
    // The same limit for data that the peer doesn't acknowledge.
    #[cfg(target_os = "linux")]
    sockopt::set_tcp_user_timeout(socket, 120_000)?;
    Ok(())
}

/// The connection of an identified client.
pub enum ClientStream {
    Local(UnixStream),
    Remote(Box<TlsStream<TcpStream>>),
}

impl ClientStream {
    /// Receives the client's request.
    ///
    /// # Errors
    ///
    /// See [`handshake::receive`].
    pub async fn receive(&mut self) -> io::Result<Hello> {
        match self {
            Self::Local(socket) => handshake::receive(socket).await,
            Self::Remote(stream) => handshake::receive(stream).await,
        }
    }

    /// Sends the service's response.
    ///
    /// # Errors
    ///
    /// See [`handshake::send`].
    pub async fn send(&mut self, reply: &Reply) -> io::Result<()> {
        match self {
            Self::Local(socket) => handshake::send(socket, reply).await,
            Self::Remote(stream) => handshake::send(stream, reply).await,
        }
    }

    /// Prepares the connection for use on the tenant's runtime, which is not the one that accepted
    /// it.
    ///
    /// # Errors
    ///
    /// The socket can't be registered with the runtime.
    pub fn into_connection(self) -> io::Result<Box<dyn Connection>> {
        Ok(match self {
            Self::Local(socket) => Box::new(UnixStream::from_std(socket.into_std()?)?),
            // Bytes that are decrypted already can't be moved, so the accepting runtime keeps
            // driving the socket and wakes the tenant's.
            Self::Remote(stream) => stream,
        })
    }
}
