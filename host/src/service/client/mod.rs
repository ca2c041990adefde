//! The client of a service: relays Plakar's bytes to it and back, or reports why it can't.

pub mod tls_errors;

use serde::Deserialize;
use std::env;
use std::io;
use std::path::{Path, PathBuf};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::config::{self, Tls, wrong};
use super::server::connection;
use super::server::handshake::{self, Hello, Reply, VERSION};
use super::server::tls;
use crate::connector::{Failure, Reason};
use crate::direction::Direction;
use crate::plugin::{self, Connection, stdio};

/// File that names the service for the packages of this machine. A build can set a different
/// path.
const SYSTEM_FILE: &str = match option_env!("PLAKBOX_SYSTEM_CONNECT") {
    Some(path) => path,
    None => "/etc/plakbox/connect.toml",
};

/// Environment variable with a different path of that file.
const CONNECT_ENV: &str = "PLAKBOX_CONNECT";

/// Size of the relay's buffers.
const BUFFER_BYTES: usize = 256 << 10;

/// The address of a service, as its file contains it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ServiceAddress {
    /// Path of a Unix socket. Excludes `address`.
    socket: Option<PathBuf>,
    /// Host and port. Needs `tls`.
    address: Option<String>,
    tls: Option<Tls>,
    /// Name in the service's certificate, if it isn't the host's.
    name: Option<String>,
}

/// Returns the service that is configured on this machine, if any.
///
/// # Errors
///
/// The file of its address is unreadable or invalid.
pub fn configured() -> Result<Option<ServiceAddress>, Failure> {
    match env::var_os(CONNECT_ENV).map(PathBuf::from) {
        Some(file) => ServiceAddress::read(&file).map(Some),
        None if Path::new(SYSTEM_FILE).symlink_metadata().is_ok() => {
            ServiceAddress::read(Path::new(SYSTEM_FILE)).map(Some)
        }
        None => Ok(None),
    }
}

impl ServiceAddress {
    /// Reads the address of a service. Relative paths are relative to the file's directory.
    ///
    /// # Errors
    ///
    /// The file is unreadable or invalid.
    pub fn read(file: &Path) -> Result<Self, Failure> {
        let mut target: Self = config::read(file)?;
        let directory = file.parent().unwrap_or(Path::new("/"));
        let files = target.tls.iter_mut().flat_map(|tls| tls.paths_mut());
        files.chain(target.socket.iter_mut()).for_each(|path| *path = directory.join(&*path));
        match (&target.socket, &target.address, &target.tls) {
            (Some(_), None, None) | (None, Some(_), Some(_)) => Ok(target),
            _ => Err(wrong(format!("`{}` doesn't name a service", file.display()))
                .with_help("set `socket`, or `address` and [tls]")),
        }
    }

    /// Connects to the service, and requests a session.
    async fn connect(&self, role: Direction) -> Result<Box<dyn Connection>, Failure> {
        let mut connection: Box<dyn Connection> = match (&self.socket, &self.address, &self.tls) {
            (Some(path), ..) => {
                let socket = UnixStream::connect(path).await;
                Box::new(socket.map_err(|error| unreachable(path.display(), &error))?)
            }
            (None, Some(address), Some(tls)) => Box::new(self.connect_tls(address, tls).await?),
            _ => return Err(wrong("no service is named")),
        };
        let exchange = async {
            handshake::send(&mut connection, &Hello { version: VERSION, role }).await?;
            handshake::receive::<Reply>(&mut connection).await
        };
        exchange.await.map_err(|error| self.no_reply(&error))?.into_result()?;
        Ok(connection)
    }

    async fn connect_tls(&self, address: &str, files: &Tls) -> Result<impl Connection, Failure> {
        let name = self.name();
        let server = ServerName::try_from(name.to_owned()).map_err(|_| {
            wrong(format!("`{name}` is not a valid host name")).with_help("correct `name`")
        })?;
        let connector = TlsConnector::from(tls::client(files)?);
        let handshake = async {
            let socket = TcpStream::connect(address).await?;
            socket.set_nodelay(true)?;
            connection::enable_keepalive(&socket)?;
            connector.connect(server, socket).await
        };
        let stream = tokio::time::timeout(handshake::HANDSHAKE_TIMEOUT, handshake).await;
        stream
            .unwrap_or(Err(io::ErrorKind::TimedOut.into()))
            .map_err(|error| self.tls_error(&error).unwrap_or_else(|| unreachable(address, &error)))
    }

    /// Explains why a service doesn't reply. It verifies the client's certificate only after the
    /// client has finished its part of the handshake (RFC 8446, section 4.4.2.4).
    fn no_reply(&self, error: &io::Error) -> Failure {
        self.tls_error(error).unwrap_or_else(|| {
            let location = self.location();
            let message = format!(
                "the service at `{location}` closed the connection without a reply ({error})"
            );
            Failure::denied(message).with_help("see its log, or it isn't plakbox")
        })
    }

    fn tls_error(&self, error: &io::Error) -> Option<Failure> {
        tls_errors::explain(error, self.tls.as_ref()?, self.name(), &self.location())
    }

    /// Returns the name that the service's certificate has to have.
    fn name(&self) -> &str {
        let address = self.address.as_deref().unwrap_or_default();
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        self.name.as_deref().unwrap_or(host.trim_matches(['[', ']']))
    }

    /// Checks that the service grants a session, which ends at once.
    ///
    /// # Errors
    ///
    /// The service can't be reached, or refuses.
    pub async fn check(&self) -> Result<(), Failure> {
        self.connect(Direction::Backup).await.map(drop)
    }

    /// Returns the socket or the address of the service, for messages.
    pub fn location(&self) -> String {
        let socket = self.socket.as_ref().map(|path| path.display().to_string());
        socket.or_else(|| self.address.clone()).unwrap_or_default()
    }
}

fn unreachable(location: impl std::fmt::Display, error: &io::Error) -> Failure {
    Failure::new(
        Reason::Unavailable,
        format!("the service at `{location}` can't be reached: {error}"),
    )
    .with_help("ask its operator")
}

/// Relays Plakar's plugin protocol to a service. If the service grants no session, Plakar receives
/// the reason, as from any plugin. A broken session is not restarted.
///
/// # Errors
///
/// The connection to the service breaks, or Plakar's can't be used.
pub async fn relay(role: Direction, target: Result<ServiceAddress, Failure>) -> anyhow::Result<()> {
    let connected = match &target {
        Ok(target) => target.connect(role).await.map(|connection| (connection, target.location())),
        Err(failure) => Err(failure.clone()),
    };
    let (connection, location) = match connected {
        Ok(connected) => connected,
        Err(failure) => return plugin::refuse_stdio(role, failure).await,
    };
    let (from_plakar, mut to_plakar) = stdio::pipes()?;
    let broken =
        |message: String| Failure::new(Reason::Unavailable, message).with_help("run it again");
    let gone = |error| broken(format!("the service at `{location}` is gone: {error}"));
    let (from_service, mut to_service) = tokio::io::split(connection);
    let up = async {
        let mut from_plakar = BufReader::with_capacity(BUFFER_BYTES, from_plakar);
        tokio::io::copy_buf(&mut from_plakar, &mut to_service).await?;
        to_service.shutdown().await
    };
    let mut from_service = BufReader::with_capacity(BUFFER_BYTES, from_service);
    let down = tokio::io::copy_buf(&mut from_service, &mut to_plakar);
    tokio::pin!(down);
    tokio::select! {
        // Plakar has closed its side, so the service ends the session as well.
        sent = up => match sent {
            Ok(()) => {
                let _ = tokio::time::timeout(handshake::HANDSHAKE_TIMEOUT, down).await;
                Ok(())
            }
            Err(error) => Err(gone(error).into()),
        },
        received = &mut down => match received {
            Ok(_) => {
                let message = format!("the service at `{location}` ended the session too early");
                Err(broken(message).into())
            }
            Err(error) => Err(gone(error).into()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Result<ServiceAddress, String> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("connect.toml");
        std::fs::write(&file, text).unwrap();
        ServiceAddress::read(&file).map_err(|failure| failure.message)
    }

    #[test]
    fn a_service_is_named_by_a_socket_or_by_an_address_with_certificates() {
        assert!(target("socket = \"s\"").unwrap().socket.unwrap().is_absolute());
        let tls = "[tls]\ncertificate = \"a\"\nkey = \"b\"\nca = \"c\"\n";
        assert!(target(&format!("address = \"h:1\"\n{tls}")).is_ok());
        for (text, part) in [
            ("", "doesn't name a service"),
            ("address = \"h:1\"\n", "doesn't name a service"),
            ("socket = \"s\"\naddress = \"h:1\"\n", "doesn't name a service"),
            ("sokcet = \"s\"\n", ":1:1: unknown field `sokcet`"),
        ] {
            let message = target(text).unwrap_err();
            assert!(message.contains(part), "{part}: {message}");
        }
    }
}
