//! `plakbox sessions`: what runs in a service, and how to end it, for its operator.

use anyhow::{Context, bail};
use bytesize::ByteSize;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use std::io::{Write, stdout};
use std::path::Path;
use std::time::Duration;
use tokio::net::UnixStream;

use crate::service::admin::sessions::Shown;
use crate::terminal::escape;

/// The longest answer that is taken.
const LONGEST: usize = 64 << 20;

/// Prints a line for each session.
pub async fn list(socket: &Path) -> anyhow::Result<()> {
    let text = ask(socket, Method::GET, "/sessions").await?;
    let sessions: Vec<Shown> = serde_json::from_str(&text)
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
pub async fn cancel(socket: &Path, session: &str) -> anyhow::Result<()> {
    let sound = |char: char| char.is_ascii_alphanumeric() || char == '-';
    if !session.chars().all(sound) {
        bail!("`{}` is no session: see `plakbox sessions`", session.escape_debug());
    }
    let answer = ask(socket, Method::DELETE, &format!("/sessions/{session}")).await?;
    Ok(writeln!(stdout(), "{}", escape(answer.trim_end()))?)
}

async fn ask(socket: &Path, method: Method, path: &str) -> anyhow::Result<String> {
    let unreachable = || {
        format!(
            "no service answers at `{}`: name the `socket` in its [operations] with --socket, as whoever runs it",
            socket.display()
        )
    };
    let stream = UnixStream::connect(socket).await.with_context(unreachable)?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.with_context(unreachable)?;
    tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "localhost")
        .body(Empty::<Bytes>::new())?;
    let answer = tokio::time::timeout(Duration::from_secs(10), sender.send_request(request));
    let answer = answer.await.with_context(unreachable)?.with_context(unreachable)?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), LONGEST).collect().await;
    let body = body.map_err(|error| anyhow::anyhow!("the answer broke off: {error}"))?.to_bytes();
    let text = String::from_utf8_lossy(&body).into_owned();
    if status.is_success() {
        return Ok(text);
    }
    match status {
        StatusCode::NOT_FOUND => bail!("{}", text.trim()),
        _ => bail!("the service said {status}: {}", text.trim()),
    }
}
