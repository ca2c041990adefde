//! The verb `receive`: one large file, uploaded as it comes.

use serde::Deserialize;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;
use tokio::io::AsyncWriteExt;

use super::obstacles::{self, Planned};
use super::serve_restic;
use crate::connector::{Content, Failure, Timestamp};
use crate::quota::counters::Count;
use crate::rclone::process::Process;
use crate::rclone::{Rclone, google_photos};

/// rclone's way to say that a backend keeps no modification times: a precision of
/// a hundred years, in nanoseconds (`fs.ModTimeNotSupported`).
const NO_TIMES: i64 = 100 * 365 * 24 * 3600 * 1_000_000_000;

/// What rclone says where a time can't be set afterwards (`fs.ErrorCantSetModTime`).
const CANNOT_SET_TIMES: &str = "can't set modified time";

/// What is said where it doesn't say itself why it takes no more.
const TOOK_A_PART: &str = "rclone took only a part";

/// How long it may take to end after it has closed its input.
const GRACE: Duration = Duration::from_secs(60);

/// What a backend can do, as `rclone backend features` prints it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Backend {
    precision: i64,
    features: Features,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Features {
    /// Objects appear whole or not at all.
    #[serde(default)]
    bucket_based: bool,
    /// Files can be renamed.
    #[serde(rename = "Move", default)]
    renames: bool,
    /// Names that differ in case alone are one.
    #[serde(default)]
    case_insensitive: bool,
}

impl Backend {
    /// Whether names that differ in case alone are one there.
    pub fn is_case_insensitive(&self) -> bool {
        self.features.case_insensitive
    }
}

/// What a name gets while its file isn't whole, after a dot and a number.
const PARTIAL: &str = "partial";

/// The path under which a file is uploaded until it is whole: in its directory, its own for
/// each upload, and with a name that isn't longer than the file's or 32 bytes, so that what
/// takes the one takes the other.
fn partial(path: &str) -> String {
    let (directory, name) = path.rsplit_once('/').map_or(("", path), |(up, name)| (up, name));
    // Each state of this kind is made of other random bits.
    let random = RandomState::new().build_hasher().finish() as u32;
    let suffix = format!(".{random:08x}.{PARTIAL}");
    let room = name.len().max(32).saturating_sub(suffix.len()).min(name.len());
    let kept = &name[..name.floor_char_boundary(room)];
    match directory {
        "" => format!("{kept}{suffix}"),
        directory => format!("{directory}/{kept}{suffix}"),
    }
}

pub async fn receive(
    rclone: &Rclone,
    path: &str,
    size: u64,
    modified: Timestamp,
    content: Content,
) -> Result<(), Failure> {
    let backend = rclone.features().await?;
    if rclone.folds_case().await? {
        let planned = Planned { files: [path.to_owned()].into(), ..Planned::default() };
        if let Some(obstacle) = obstacles::find(rclone, &planned).await?.into_iter().next() {
            return Err(obstacle.failure);
        }
    }
    // There, what may be under the same name is another photo, which must stay.
    let whole = backend.features.bucket_based || google_photos::is(&rclone.inner.remote);
    // Elsewhere a broken upload could leave a short file under the file's name.
    let under = if whole || !backend.features.renames { path.to_owned() } else { partial(path) };
    let uploaded = upload(rclone, &under, size, content).await;
    if let Err(failure) = uploaded {
        if !whole {
            // What isn't there needn't be removed.
            let _ = rclone.run("deletefile", &[&rclone.target(&under)]).await;
        }
        return Err(failure);
    }
    if under != path {
        rclone
            .run("moveto", &["--ignore-times", &rclone.target(&under), &rclone.target(path)])
            .await?;
    }
    if backend.precision < NO_TIMES {
        let time = format!("{}.{:09}", rfc3339(modified.seconds), modified.nanoseconds);
        let touched =
            rclone.run("touch", &["--no-create", "--timestamp", &time, &rclone.target(path)]).await;
        match touched {
            // Some backends, WebDAV among them, take a time with an upload and never after.
            Err(failure) if failure.message.contains(CANNOT_SET_TIMES) => {
                tracing::info!("`{path}` keeps the time of its upload: {failure}");
            }
            touched => touched?,
        }
    }
    Ok(())
}

pub async fn features(rclone: &Rclone) -> Result<Backend, Failure> {
    let mut process =
        rclone.verb("backend").arg("features").arg(rclone.target("")).start(false, None).await?;
    let mut text = Vec::new();
    if let Some(mut stdout) = process.stdout.take() {
        use tokio::io::AsyncReadExt;
        let read = (&mut stdout).take(1 << 20).read_to_end(&mut text).await;
        read.map_err(|error| Failure::internal(format!("rclone's output can't be read: {error}")))?;
    }
    process.end().await?;
    serde_json::from_slice(&text)
        .map_err(|error| Failure::internal(format!("rclone's features make no sense: {error}")))
}

async fn upload(rclone: &Rclone, path: &str, size: u64, content: Content) -> Result<(), Failure> {
    let verb = rclone.verb("rcat").arg("--size").arg(size.to_string());
    let mut process = verb.arg(rclone.target(path)).start(true, None).await?;
    match feed(&mut process, size, content).await {
        Ok(()) => process.end().await,
        Err(failure) if failure.message.starts_with(TOOK_A_PART) => {
            // It is about to end by itself, and knows why.
            match tokio::time::timeout(GRACE, process.end()).await {
                Ok(Err(own)) => Err(own),
                _ => Err(failure),
            }
        }
        Err(failure) => {
            // Its input must not end before it does, or it would take it for whole.
            let stdin = process.stdin.take();
            let status = process.stop().await;
            drop(stdin);
            match status {
                // It had ended by itself: it knows why.
                Some(own) => Err(own),
                None => Err(failure),
            }
        }
    }
}

/// Gives the process the content; an error if it isn't whole or isn't wanted.
async fn feed(process: &mut Process, size: u64, mut content: Content) -> Result<(), Failure> {
    let mut stdin = process.stdin.take();
    let mut count = 0;
    let mut result = Ok(());
    if let Some(stdin) = &mut stdin {
        while let Some(piece) = content.bytes.recv().await {
            count += piece.len() as u64;
            if count > size {
                break;
            }
            process.passed(Count::BytesIn, piece.len()).await;
            let waiting = process.watchdog().wait();
            let written = stdin.write_all(&piece).await;
            drop(waiting);
            if let Err(error) = written {
                result = Err(Failure::internal(format!("{TOOK_A_PART}: {error}")));
                break;
            }
        }
    }
    if result.is_ok() {
        content.bytes.close();
        result = match content.join().await {
            Ok(()) => serve_restic::counted(count, Some(size)),
            failed => failed,
        };
    }
    if result.is_err() {
        process.stdin = stdin;
    }
    result
}

/// A Unix time as rclone's `--timestamp` takes it, in UTC.
fn rfc3339(seconds: i64) -> String {
    let time = jiff::Timestamp::from_second(seconds).unwrap_or_default();
    time.strftime("%Y-%m-%dT%H:%M:%S").to_string()
}
