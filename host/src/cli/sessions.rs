//! `plakbox sessions`: lists and cancels the sessions of a service, for its operator.

use anyhow::{Context, bail};
use bytesize::ByteSize;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use std::fmt::Display;
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixStream;

use crate::connector::{Failure, Reason};
use crate::service::admin::sessions::SessionInfo;
use crate::terminal::escape;

/// The largest reply that is accepted, in bytes.
const MAX_REPLY_BYTES: usize = 64 << 20;

/// Time limit of a reply.
const REPLY_TIMEOUT: Duration = Duration::from_secs(10);

/// Lists the sessions of a service, or ends one
#[derive(clap::Args)]
pub struct Args {
    /// The socket that its file names for operations
    #[arg(long, default_value = "/run/plakbox/admin.sock")]
    socket: PathBuf,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(clap::Subcommand)]
enum Command {
    /// A line for each session
    List,
    /// Ends a session
    Cancel { session: String },
}

impl Args {
    /// Lists the sessions, or cancels one.
    ///
    /// # Errors
    ///
    /// Fails if the service can't be reached, or has no such session.
    pub async fn exec(self) -> anyhow::Result<()> {
        match self.command {
            None | Some(Command::List) => list(&self.socket).await,
            Some(Command::Cancel { session }) => cancel(&self.socket, &session).await,
        }
    }
}

/// Prints a line for each session.
async fn list(socket: &Path) -> anyhow::Result<()> {
    let text = request(socket, Method::GET, "/sessions").await?;
    let sessions: Vec<SessionInfo> = serde_json::from_str(&text)
        .with_context(|| format!("`{}` is the socket of something else", socket.display()))?;
    let mut output = stdout().lock();
    writeln!(
        output,
        "{:<24} {:<16} {:<8} {:>8} {:>9} {:>10} {:>10} {:>9} {:>10}  who",
        "session", "tenant", "role", "seconds", "entries", "read", "written", "processes", "memory"
    )?;
    for it in sessions {
        let size = |bytes| ByteSize(bytes).display().iec().to_string();
        let line = format!(
            "{:<24} {:<16} {:<8} {:>8} {:>9} {:>10} {:>10} {:>9} {:>10}  {}",
            it.id,
            it.tenant,
            it.role.name(),
            it.seconds,
            it.entries,
            size(it.bytes_out),
            size(it.bytes_in),
            it.processes,
            size(it.memory),
            it.who
        );
        writeln!(output, "{}", escape(&line))?;
    }
    Ok(())
}

/// Ends a session.
async fn cancel(socket: &Path, session: &str) -> anyhow::Result<()> {
    let is_valid = |char: char| char.is_ascii_alphanumeric() || char == '-';
    if !session.chars().all(is_valid) {
        bail!("`{}` is not a session; help: see `plakbox sessions`", session.escape_debug());
    }
    let reply = request(socket, Method::DELETE, &format!("/sessions/{session}")).await?;
    Ok(writeln!(stdout(), "{}", escape(reply.trim_end()))?)
}

/// Sends a request to the service's socket, and returns the text of its reply.
async fn request(socket: &Path, method: Method, path: &str) -> anyhow::Result<String> {
    let unreachable = |error: &dyn Display| {
        Failure::new(
            Reason::Unavailable,
            format!("no service answers at `{}`: {error}", socket.display()),
        )
        .with_help(
            "name the `socket` in its [admin] with --socket, and run this as the user that \
             started the service",
        )
    };
    let stream = UnixStream::connect(socket).await.map_err(|error| unreachable(&error))?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| unreachable(&error))?;
    tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "localhost")
        .body(Empty::<Bytes>::new())?;
    let reply = tokio::time::timeout(REPLY_TIMEOUT, sender.send_request(request));
    let reply = reply.await.map_err(|error| unreachable(&error))?;
    let reply = reply.map_err(|error| unreachable(&error))?;
    let status = reply.status();
    let body = Limited::new(reply.into_body(), MAX_REPLY_BYTES).collect().await;
    let body = body.map_err(|error| anyhow::anyhow!("the reply broke off: {error}"))?.to_bytes();
    let text = String::from_utf8_lossy(&body).into_owned();
    if status.is_success() {
        return Ok(text);
    }
    match status {
        StatusCode::NOT_FOUND => bail!("{}", text.trim()),
        _ => bail!("the service replied {status}: {}", text.trim()),
    }
}
