//! The sockets at which clients and operators connect: those that systemd has opened already, or
//! our own.
//!
//! They are opened while the service still has the rights that it was started with, and before
//! there is a runtime.

use listenfd::ListenFd;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use crate::connector::{Failure, Reason};
use crate::service::config::{Settings, wrong};

/// Mode of a socket that all users may connect to: who it is decides what is allowed.
const MODE_ALL: u32 = 0o666;
/// Mode of a socket for the user alone that the service was started as.
const MODE_OWNER: u32 = 0o600;

/// The sockets of a service.
#[derive(Debug)]
pub struct Sockets {
    pub clients: Listeners,
    pub operators: Listeners,
}

/// A Unix socket, an address, or both.
#[derive(Debug)]
pub struct Listeners {
    pub socket: Option<UnixListener>,
    pub address: Option<TcpListener>,
    /// The file of the socket if it is ours: one that was passed stays.
    pub file: Option<SocketFile>,
}

/// The file of a Unix socket, which is removed with it.
#[derive(Debug)]
pub struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // One that can't be removed is replaced by the next service.
        let _ = fs::remove_file(&self.0);
    }
}

impl Sockets {
    /// Opens the sockets that were set, unless systemd has passed one of that kind.
    ///
    /// # Errors
    ///
    /// A path or an address can't be listened at.
    pub fn open(settings: &Settings) -> Result<Self, Failure> {
        let (passed_socket, passed_address) = passed().map_err(|error| {
            wrong(format!("the sockets that were passed can't be used: {error}: see LISTEN_FDS"))
        })?;
        let (listen, admin) = (&settings.listen, &settings.admin);
        let mut clients = Listeners { socket: None, address: passed_address, file: None };
        match (passed_socket, &listen.socket) {
            (Some(socket), Some(_)) => clients.socket = Some(socket),
            (_, path) => clients.listen(path.as_deref(), MODE_ALL)?,
        }
        match listen.address {
            Some(address) if clients.address.is_none() => clients.address = Some(tcp(address)?),
            Some(_) => {}
            None => clients.address = None,
        }
        let mut operators = Listeners { socket: None, address: None, file: None };
        operators.listen(admin.socket.as_deref(), MODE_OWNER)?;
        operators.address = admin.address.map(tcp).transpose()?;
        Ok(Self { clients, operators })
    }
}

impl Listeners {
    fn listen(&mut self, path: Option<&Path>, mode: u32) -> Result<(), Failure> {
        if let Some(path) = path {
            self.socket = Some(unix(path, mode)?);
            self.file = Some(SocketFile(path.to_owned()));
        }
        Ok(())
    }
}

/// The sockets that systemd has opened (sd_listen_fds(3)), by their kind.
fn passed() -> io::Result<(Option<UnixListener>, Option<TcpListener>)> {
    let mut passed = ListenFd::from_env();
    let (mut socket, mut address) = (None, None);
    for at in 0..passed.len() {
        if let Ok(Some(listener)) = passed.take_unix_listener(at) {
            listener.set_nonblocking(true)?;
            socket = Some(listener);
        } else if let Some(listener) = passed.take_tcp_listener(at)? {
            listener.set_nonblocking(true)?;
            address = Some(listener);
        }
    }
    Ok((socket, address))
}

/// A Unix socket at this path, in the place of one at which no service listens any more.
fn unix(path: &Path, mode: u32) -> Result<UnixListener, Failure> {
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
    let listener = UnixListener::bind(path).map_err(failed)?;
    let permissions = fs::Permissions::from_mode(mode);
    fs::set_permissions(path, permissions).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    Ok(listener)
}

/// A listener at this address.
fn tcp(address: SocketAddr) -> Result<TcpListener, Failure> {
    let listen = || {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    listen().map_err(|error: io::Error| {
        let message = format!("nobody can come in at {address}: {error}: set another `address`");
        Failure::new(Reason::Unavailable, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_that_nobody_listens_at_is_replaced_and_another_service_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let first = unix(&path, MODE_OWNER).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE_OWNER);
        assert!(unix(&path, MODE_OWNER).unwrap_err().message.contains("another service"));
        drop(first);
        assert!(unix(&path, MODE_ALL).is_ok());
        let file = directory.path().join("file");
        fs::write(&file, "mine").unwrap();
        assert!(unix(&file, MODE_OWNER).is_err());
        assert_eq!(fs::read(&file).unwrap(), b"mine");
    }
}
