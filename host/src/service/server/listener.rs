//! Listening sockets for clients and operators: those that systemd passes, or the service's own.
//!
//! They are opened while the service still has the rights that it was started with, before an
//! async runtime exists.

use listenfd::ListenFd;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use crate::connector::{Failure, Reason};
use crate::service::config::{Settings, wrong};

/// Mode of the clients' socket: all users may connect, and are identified by their credentials.
const MODE_ALL: u32 = 0o666;
/// Mode of the operators' socket: only the user who started the service may connect.
const MODE_OWNER: u32 = 0o600;

/// All listening sockets of a service.
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
    /// The file of the service's own socket. The file of a passed socket is kept.
    pub file: Option<SocketFile>,
}

/// The file of a Unix socket, which is removed when this is dropped.
#[derive(Debug)]
pub struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // The next service replaces a file that can't be removed.
        let _ = fs::remove_file(&self.0);
    }
}

impl Sockets {
    /// Opens the configured sockets, or takes those that systemd passed instead.
    ///
    /// # Errors
    ///
    /// A path or an address can't be used, or a passed socket is invalid.
    pub fn open(settings: &Settings) -> Result<Self, Failure> {
        let (passed_socket, passed_address) = take_passed().map_err(|error| {
            wrong(format!("the passed sockets can't be used: {error}"))
                .with_help("check LISTEN_FDS")
        })?;
        let (listen, admin) = (&settings.listen, &settings.admin);
        let mut clients = Listeners { socket: None, address: passed_address, file: None };
        match (passed_socket, &listen.socket) {
            (Some(socket), Some(_)) => clients.socket = Some(socket),
            (_, path) => clients.bind_socket(path.as_deref(), MODE_ALL)?,
        }
        match listen.address {
            Some(address) if clients.address.is_none() => {
                clients.address = Some(bind_tcp(address)?)
            }
            Some(_) => {}
            None => clients.address = None,
        }
        let mut operators = Listeners { socket: None, address: None, file: None };
        operators.bind_socket(admin.socket.as_deref(), MODE_OWNER)?;
        operators.address = admin.address.map(bind_tcp).transpose()?;
        Ok(Self { clients, operators })
    }
}

impl Listeners {
    /// Opens a Unix socket at `path`, if one is configured.
    fn bind_socket(&mut self, path: Option<&Path>, mode: u32) -> Result<(), Failure> {
        if let Some(path) = path {
            self.socket = Some(bind_unix(path, mode)?);
            self.file = Some(SocketFile(path.to_owned()));
        }
        Ok(())
    }
}

/// Takes the sockets that systemd passed (sd_listen_fds(3)), by their kind.
fn take_passed() -> io::Result<(Option<UnixListener>, Option<TcpListener>)> {
    let mut passed = ListenFd::from_env();
    let (mut socket, mut address) = (None, None);
    for index in 0..passed.len() {
        if let Ok(Some(listener)) = passed.take_unix_listener(index) {
            listener.set_nonblocking(true)?;
            socket = Some(listener);
        } else if let Some(listener) = passed.take_tcp_listener(index)? {
            listener.set_nonblocking(true)?;
            address = Some(listener);
        }
    }
    Ok((socket, address))
}

/// Opens a Unix socket at `path`. Replaces a socket that no service listens on any more.
fn bind_unix(path: &Path, mode: u32) -> Result<UnixListener, Failure> {
    let failed = |error: io::Error| {
        let message = format!("cannot listen on `{}`: {error}", path.display());
        Failure::new(Reason::Unavailable, message)
            .with_help("set a different `socket`, or create its directory")
    };
    if fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket()) {
        if UnixStream::connect(path).is_ok() {
            return Err(wrong(format!("another service listens on `{}`", path.display()))
                .with_help("stop it, or set a different `socket`"));
        }
        fs::remove_file(path).map_err(failed)?;
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    let permissions = fs::Permissions::from_mode(mode);
    fs::set_permissions(path, permissions).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    Ok(listener)
}

/// Opens a TCP listener at `address`.
fn bind_tcp(address: SocketAddr) -> Result<TcpListener, Failure> {
    let failed = |error: io::Error| {
        let message = format!("cannot listen on {address}: {error}");
        Failure::new(Reason::Unavailable, message).with_help("set a different `address`")
    };
    let listener = TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unused_socket_is_replaced_and_one_in_use_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let first = bind_unix(&path, MODE_OWNER).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE_OWNER);
        assert!(bind_unix(&path, MODE_OWNER).unwrap_err().message.contains("another service"));
        drop(first);
        assert!(bind_unix(&path, MODE_ALL).is_ok());
        let file = directory.path().join("file");
        fs::write(&file, "mine").unwrap();
        assert!(bind_unix(&file, MODE_OWNER).is_err());
        assert_eq!(fs::read(&file).unwrap(), b"mine");
    }
}
