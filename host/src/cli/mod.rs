//! What plakbox does for a person: list and read a remote without Plakar, look into
//! a component, say what is wrong with a remote ([`doctor`]), bring a reconnected one into Plakar
//! ([`renew`]), explain itself ([`help`]), and say what a policy allows ([`policy`]) and what an audit log tells ([`audit`]).

pub mod audit;
pub mod doctor;
pub mod help;
pub mod invocation;
mod notices;
pub mod policy;
pub mod renew;
pub mod sessions;
mod target;

use anyhow::{Context, anyhow, bail};
use std::io::{Write, stdout};
use std::path::Path;

use crate::connector::bindings::exports::plakar::connector::importer::Discovery;
use crate::connector::{Content, Entry, Failure, Kind};
use crate::rclone::google_photos::Aim;
use crate::rclone::remote::Said;
use crate::sandbox::{self, Session};
use crate::session::open::{self, Opened, Setting};
use crate::terminal::escape;

fn said(failure: Failure) -> anyhow::Error {
    anyhow!(failure.shown())
}

/// Prints lines, in which others' words may be; whatever reads them may go away.
fn print_lines(lines: &[String]) -> anyhow::Result<()> {
    let mut output = stdout().lock();
    Ok(lines.iter().try_for_each(|line| writeln!(output, "{}", escape(line)))?)
}

/// Lists what a component imports and exports, and says whether it would be run.
pub fn inspect(path: &Path) -> anyhow::Result<()> {
    let inspection = sandbox::inspect(path).map_err(said)?;
    print_lines(&inspection.to_string().lines().map(str::to_owned).collect::<Vec<_>>())?;
    match inspection.verdict() {
        Ok(()) => Ok(writeln!(stdout(), "it would be run")?),
        Err(why) => bail!("it would not be run: {why}"),
    }
}

/// Compiles a component ahead.
pub fn compile(path: &Path, output: &Path) -> anyhow::Result<()> {
    let code = sandbox::compile(path).map_err(said)?;
    std::fs::write(output, code).with_context(|| format!("`{}` can't be written", output.display()))
}

/// Lists a remote of the user's rclone.conf: `NAME:path`.
pub async fn list(remote: &str, setting: &Setting) -> anyhow::Result<()> {
    let session = open(remote, setting).await?;
    let mut scan = session.scan().await.map_err(said)?;
    let mut output = stdout().lock();
    let mut failures = 0;
    while let Some(some) = scan.found.recv().await {
        for discovery in some {
            match discovery {
                Discovery::Found(entry) => {
                    let path = entry.path.clone();
                    writeln!(output, "{}", line(&entry))?;
                    let _ = scan.settled.send(path).await;
                }
                Discovery::Failed((path, failure)) => {
                    failures += 1;
                    eprintln!("{}: {}", escape(&path), failure.shown());
                }
            }
        }
    }
    match scan.end.await {
        Ok(end) => end.map_err(said)?,
        Err(_) => return Err(said(session.fault().await)),
    }
    if failures > 0 {
        bail!("{failures} paths could not be listed");
    }
    Ok(())
}

fn line(entry: &Entry) -> String {
    let Entry { path, metadata, .. } = entry;
    let time = jiff::Timestamp::from_second(metadata.modified.seconds).unwrap_or_default();
    let size = match (metadata.kind, metadata.size) {
        (Kind::Directory, _) => "-".to_owned(),
        (_, Some(size)) => size.to_string(),
        (_, None) => "?".to_owned(),
    };
    format!("{size:>14}  {}  {}", time.strftime("%Y-%m-%d %H:%M:%S"), escape(path))
}

/// Prints a file of a remote of the user's rclone.conf: `NAME:path/file`.
pub async fn print(file: &str, setting: &Setting) -> anyhow::Result<()> {
    let Some((name, path)) = file.split_once(':') else {
        bail!("`{file}` names no remote: say NAME:path/file")
    };
    let (directory, leaf) = path.rsplit_once('/').unwrap_or(("", path));
    // The root of a path that starts with a slash is that slash.
    let directory = if directory.is_empty() && path.starts_with('/') { "/" } else { directory };
    let (session, root) = open_at(&format!("{name}:{directory}"), setting).await?;
    let path = format!("{}/{leaf}", root.trim_end_matches('/'));
    let Content { mut bytes, end } = session.read(path).await.map_err(said)?;
    let mut output = stdout().lock();
    while let Some(piece) = bytes.recv().await {
        output.write_all(&piece)?;
    }
    match end.await {
        Ok(end) => end.map_err(said)?,
        Err(_) => return Err(said(session.fault().await)),
    }
    Ok(output.flush()?)
}

async fn open(remote: &str, setting: &Setting) -> anyhow::Result<Session> {
    open_at(remote, setting).await.map(|(session, _)| session)
}

async fn open_at(remote: &str, setting: &Setting) -> anyhow::Result<(Session, String)> {
    let config = [("location".to_owned(), format!("rclone://{remote}"))].into();
    let directory = std::env::current_dir().unwrap_or_default().to_string_lossy().into_owned();
    let said_of_it = Said { config, hostname: String::new(), directory };
    let Opened { session, remote, .. } =
        open::open(said_of_it, setting, Aim::Look).await.map_err(said)?;
    let location = session.open_importer(remote).await.map_err(said)?;
    Ok((session, location.root))
}
