//! Where clients and operators come in: sockets that systemd has opened already, or our own.

use listenfd::ListenFd;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener as StdTcpListener};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener as StdUnixListener, UnixStream};
use std::path::{Path, PathBuf};
use tokio::net::{TcpListener, UnixListener};

use crate::connector::{Failure, Reason};
use crate::service::config::{Listen, wrong};

/// Everybody may connect: who it is decides what is allowed.
pub const EVERYBODY: u32 = 0o666;
/// Only whom the service runs as.
pub const OURSELVES: u32 = 0o600;

/// Where clients come in.
pub struct Listeners {
    pub socket: Option<UnixListener>,
    pub address: Option<TcpListener>,
    /// The socket that we made, and that goes with us: one that was passed stays.
    pub made: Option<PathBuf>,
}

impl Listeners {
    /// Opens what was set, unless systemd has passed a socket of that kind.
    pub fn open(listen: &Listen) -> Result<Self, Failure> {
        let (passed_socket, passed_address) = passed().map_err(|error| {
            wrong(format!("the sockets that were passed can't be used: {error}: see LISTEN_FDS"))
        })?;
        let (socket, made) = match (passed_socket, &listen.socket) {
            (Some(socket), Some(_)) => (Some(socket), None),
            (_, Some(path)) => (Some(unix(path, EVERYBODY)?), Some(path.clone())),
            (_, None) => (None, None),
        };
        let address = match (passed_address, listen.address) {
            (Some(listener), Some(_)) => Some(listener),
            (_, Some(address)) => Some(tcp(address)?),
            (_, None) => None,
        };
        Ok(Self { socket, address, made })
    }
}

/// The sockets that systemd has opened (sd_listen_fds(3)), by their kind.
fn passed() -> io::Result<(Option<UnixListener>, Option<TcpListener>)> {
    let mut passed = ListenFd::from_env();
    let (mut socket, mut address) = (None, None);
    for at in 0..passed.len() {
        if let Ok(Some(listener)) = passed.take_unix_listener(at) {
            listener.set_nonblocking(true)?;
            socket = Some(UnixListener::from_std(listener)?);
        } else if let Some(listener) = passed.take_tcp_listener(at)? {
            listener.set_nonblocking(true)?;
            address = Some(TcpListener::from_std(listener)?);
        }
    }
    Ok((socket, address))
}

/// A Unix socket at this path, in the place of one at which nobody listens any more.
pub fn unix(path: &Path, mode: u32) -> Result<UnixListener, Failure> {
    let failed = |error: io::Error| {
        let message = format!(
            "nobody can come in at `{}`: {error}: set another `socket`, or make its directory",
            path.display()
        );
        Failure::new(Reason::Unavailable, message)
    };
    if fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket()) {
        if UnixStream::connect(path).is_ok() {
            return Err(wrong(format!(
                "another service is at `{}`: stop it, or set another `socket`",
                path.display()
            )));
        }
        fs::remove_file(path).map_err(failed)?;
    }
    let listener = StdUnixListener::bind(path).map_err(failed)?;
    let permissions = fs::Permissions::from_mode(mode);
    fs::set_permissions(path, permissions).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    UnixListener::from_std(listener).map_err(failed)
}

/// A listener at this address.
pub fn tcp(address: SocketAddr) -> Result<TcpListener, Failure> {
    let listen = || {
        let listener = StdTcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener)
    };
    listen().map_err(|error| {
        let message = format!("nobody can come in at {address}: {error}: set another `address`");
        Failure::new(Reason::Unavailable, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_that_nobody_listens_at_is_replaced_and_another_service_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let first = unix(&path, OURSELVES).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, OURSELVES);
        assert!(unix(&path, OURSELVES).unwrap_err().message.contains("another service"));
        drop(first);
        assert!(unix(&path, EVERYBODY).is_ok());
        let file = directory.path().join("file");
        fs::write(&file, "mine").unwrap();
        assert!(unix(&file, OURSELVES).is_err());
        assert_eq!(fs::read(&file).unwrap(), b"mine");
    }
}
