//! The client: relays Plakar's bytes to a service and back, and says why where it can't.

pub mod tls_errors;

use anyhow::bail;
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
use super::server::handshake::{self, Answer, Hello, VERSION};
use super::server::tls;
use crate::connector::{Failure, Reason};
use crate::direction::Direction;
use crate::plugin::{self, Connection, stdio};

/// Where an operator says which service the packages of this machine use. Another place is
/// chosen when plakbox is built.
const SYSTEM_FILE: &str = match option_env!("PLAKBOX_SYSTEM_CONNECT") {
    Some(path) => path,
    None => "/etc/plakbox/connect.toml",
};

/// Where to look for that file instead.
const CONNECT_ENV: &str = "PLAKBOX_CONNECT";

/// How much goes by at once.
const BUFFER_BYTES: usize = 256 << 10;

/// The file that names a service.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ServiceAddress {
    /// A Unix socket,
    socket: Option<PathBuf>,
    /// or a host and a port.
    address: Option<String>,
    tls: Option<Tls>,
    /// The name in the service's certificate, if not the host's.
    name: Option<String>,
}

/// The service that the operator of this machine has named, if any.
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
    /// Reads the file that names a service. Relative paths are relative to it.
    pub fn read(file: &Path) -> Result<Self, Failure> {
        let mut target: Self = config::read(file)?;
        let directory = file.parent().unwrap_or(Path::new("/"));
        let files = target.tls.iter_mut().flat_map(|tls| tls.files());
        files.chain(target.socket.iter_mut()).for_each(|path| *path = directory.join(&*path));
        match (&target.socket, &target.address, &target.tls) {
            (Some(_), None, None) | (None, Some(_), Some(_)) => Ok(target),
            _ => Err(wrong(format!(
                "`{}` names no service: set `socket`, or `address` and [tls]",
                file.display()
            ))),
        }
    }

    /// Comes as whoever we are, and asks for a session.
    async fn ask(&self, role: Direction) -> Result<Box<dyn Connection>, Failure> {
        let mut connection: Box<dyn Connection> = match (&self.socket, &self.address, &self.tls) {
            (Some(path), ..) => {
                let socket = UnixStream::connect(path).await;
                Box::new(socket.map_err(|error| unreachable(path.display(), &error))?)
            }
            (None, Some(address), Some(tls)) => Box::new(self.connect_tls(address, tls).await?),
            _ => return Err(wrong("no service is named".to_owned())),
        };
        let asked = async {
            handshake::send(&mut connection, &Hello { version: VERSION, role }).await?;
            handshake::receive::<Answer>(&mut connection).await
        };
        asked.await.map_err(|error| self.not_answered(&error))?.into_result()?;
        Ok(connection)
    }

    async fn connect_tls(&self, address: &str, files: &Tls) -> Result<impl Connection, Failure> {
        let name = self.name();
        let server = ServerName::try_from(name.to_owned())
            .map_err(|_| wrong(format!("`{name}` is no name of a host: correct `name`")))?;
        let connector = TlsConnector::from(tls::client(files)?);
        let shaken = async {
            let socket = TcpStream::connect(address).await?;
            socket.set_nodelay(true)?;
            connection::enable_keepalive(&socket)?;
            connector.connect(server, socket).await
        };
        let shaken = tokio::time::timeout(handshake::HANDSHAKE_TIMEOUT, shaken).await;
        shaken
            .unwrap_or(Err(io::ErrorKind::TimedOut.into()))
            .map_err(|error| self.tls_error(&error).unwrap_or_else(|| unreachable(address, &error)))
    }

    /// Why a service that was reached doesn't answer. It looks at our certificate only when
    /// we take the hands for shaken (RFC 8446, section 4.4.2.4).
    fn not_answered(&self, error: &io::Error) -> Failure {
        self.tls_error(error).unwrap_or_else(|| {
            let place = self.place();
            let message = format!(
                "the service at `{place}` ended the connection without a word ({error}): see its log, or it isn't plakbox"
            );
            Failure::new(Reason::Denied, message)
        })
    }

    fn tls_error(&self, error: &io::Error) -> Option<Failure> {
        tls_errors::explain(error, self.tls.as_ref()?, self.name(), &self.place())
    }

    /// The name that the service's certificate has to have.
    fn name(&self) -> &str {
        let address = self.address.as_deref().unwrap_or_default();
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        self.name.as_deref().unwrap_or(host.trim_matches(['[', ']']))
    }

    /// Whether the service lets us have a session, which ends at once.
    pub async fn admits(&self) -> Result<(), Failure> {
        self.ask(Direction::Backup).await.map(drop)
    }

    /// Where the service is.
    pub fn place(&self) -> String {
        let socket = self.socket.as_ref().map(|path| path.display().to_string());
        socket.or_else(|| self.address.clone()).unwrap_or_default()
    }
}

fn unreachable(place: impl std::fmt::Display, error: &io::Error) -> Failure {
    Failure::new(
        Reason::Unavailable,
        format!("the service at `{place}` can't be reached: {error}: ask its operator"),
    )
}

/// Lets a service be Plakar's plugin. Where there is no session, Plakar is told why, as by
/// any plugin. A session that breaks is not begun again.
pub async fn relay(role: Direction, target: Result<ServiceAddress, Failure>) -> anyhow::Result<()> {
    let asked = match &target {
        Ok(target) => target.ask(role).await.map(|connection| (connection, target.place())),
        Err(failure) => Err(failure.clone()),
    };
    let (connection, place) = match asked {
        Ok(asked) => asked,
        Err(failure) => return plugin::refuse_stdio(role, failure).await,
    };
    let (from_plakar, mut to_plakar) = stdio::pipes()?;
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
        // Plakar has nothing more to say: the service ends then, too.
        said = up => match said {
            Ok(()) => {
                let _ = tokio::time::timeout(handshake::HANDSHAKE_TIMEOUT, down).await;
                Ok(())
            }
            Err(error) => bail!("the service at `{place}` is gone: {error}: run it again"),
        },
        ended = &mut down => match ended {
            Ok(_) => bail!("the service at `{place}` ended the session before its time: run it again"),
            Err(error) => bail!("the service at `{place}` is gone: {error}: run it again"),
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
            ("", "names no service"),
            ("address = \"h:1\"\n", "names no service"),
            ("socket = \"s\"\naddress = \"h:1\"\n", "names no service"),
            ("sokcet = \"s\"\n", ":1:1: unknown field `sokcet`"),
        ] {
            let message = target(text).unwrap_err();
            assert!(message.contains(part), "{part}: {message}");
        }
    }
}
