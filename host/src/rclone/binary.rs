//! Which rclone is run, and whether it is recent enough.

use semver::Version;
use sha2::{Digest, Sha256};
use std::env;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tokio::process::Command;

use super::google_photos;
use super::process::spawner;
use super::state::State;
use crate::audit::{AuditLog, Event};
use crate::confinement::{Confinement, Granted, Standing};
use crate::connector::{Failure, Reason};
use crate::kernel::RunAs;
use crate::policy::{self, Enforcement, Limits, Program};

/// Earlier ones ask Google Photos for scopes that it doesn't grant any more.
const OLDEST: Version = Version::new(1, 70, 0);

/// How long it may take to say its version, and how much it says.
const PATIENCE: Duration = Duration::from_secs(10);
const LONGEST: u64 = 64 << 10;

/// Where to find rclone, if it isn't to be looked for in `PATH`.
const VARIABLE: &str = "PLAKBOX_RCLONE";

/// An rclone that was found recent enough.
#[derive(Debug, Clone)]
pub struct Binary {
    path: PathBuf,
    pub version: Version,
}

impl Binary {
    /// Finds rclone and asks its version, unless this very file was asked before.
    /// `backend` is what it is wanted for; the policy may have a say in which it is, and
    /// whether it is asked where it can't be confined.
    pub async fn find(
        state: &State,
        backend: &str,
        policy: &Program,
        level: Enforcement,
        trail: &AuditLog,
    ) -> Result<Self, Failure> {
        let named = policy.path.clone().or_else(|| env::var_os(VARIABLE).map(PathBuf::from));
        let path = match named {
            Some(path) if path.is_file() => Some(path),
            Some(path) => return Err(not_there(&path, policy.path.is_some())),
            None => env::split_paths(&env::var_os("PATH").unwrap_or_default())
                .map(|directory| directory.join("rclone"))
                .find(|path| path.is_absolute() && is_executable(path)),
        };
        let path = path.ok_or_else(|| {
            Failure::new(
                Reason::InvalidConfiguration,
                format!("rclone was not found: install rclone {OLDEST} or later (https://rclone.org/install), or set {VARIABLE} to its path"),
            )
        })?;
        // One that isn't the right one isn't even asked.
        if let Some(wanted) = &policy.sha256 {
            is_the_one(&path, wanted)?;
        }
        let version = state.known_version(&path, ask(&path, level, state.owner(), trail)).await?;
        if version < OLDEST {
            return Err(too_old(&version, &path, backend));
        }
        if let Some(least) = policy.minimum_version.as_ref().filter(|least| version < **least) {
            return Err(Failure::new(
                Reason::Denied,
                format!(
                    "rclone {version} at `{}` is older than the policy allows: install rclone {least} or later",
                    path.display()
                ),
            ));
        }
        Ok(Self { path, version })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn not_there(path: &Path, by_policy: bool) -> Failure {
    let (shown, who) = (path.display(), if by_policy { "the policy" } else { VARIABLE });
    Failure::new(
        Reason::InvalidConfiguration,
        format!(
            "{who} names `{shown}` as rclone, which isn't a file: correct it, or install rclone {OLDEST} or later there"
        ),
    )
}

/// Whether the file is the one that a policy names by its digest.
fn is_the_one(path: &Path, wanted: &policy::Digest) -> Result<(), Failure> {
    let refused =
        |why: String| Failure::new(Reason::Denied, format!("rclone at `{}` {why}", path.display()));
    let mut digest = Sha256::new();
    File::open(path)
        .and_then(|mut file| io::copy(&mut file, &mut digest))
        .map_err(|error| refused(format!("can't be read: {error}")))?;
    let found: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    if found == wanted.0 {
        return Ok(());
    }
    Err(refused(format!(
        "has the SHA-256 {found}, and the policy allows only the one with {}: install that one",
        wanted.0
    )))
}

fn too_old(version: &Version, path: &Path, backend: &str) -> Failure {
    let (why, then) = match backend == google_photos::BACKEND {
        true => (
            " for Google Photos, which since 2025-03-31 refuses the permissions that it asks for",
            ", run `rclone config reconnect NAME:`, and `plakbox renew NAME` if it was imported",
        ),
        false => ("", ""),
    };
    let message = format!(
        "rclone {version} at `{}` is too old{why}: install rclone {OLDEST} or later (https://rclone.org/install){then}",
        path.display()
    );
    Failure::new(Reason::InvalidConfiguration, message)
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// Runs `rclone version`, which may do nothing else.
async fn ask(
    path: &Path,
    level: Enforcement,
    owner: Option<RunAs>,
    trail: &AuditLog,
) -> Result<Version, Failure> {
    let unusable = |why: String| {
        let message =
            format!("`{} version` doesn't work ({why}): install rclone anew", path.display());
        Failure::new(Reason::InvalidConfiguration, message)
    };
    let granted = Granted { limits: Limits::built_in(), level, owner, ..Granted::default() };
    let confinement = Confinement::prepare(path, &granted)?;
    let started = Instant::now();
    let mut command = Command::new(path);
    command.arg("version").env_clear().env("HOME", "/").current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let child = spawner::spawn(command, &confinement, Standing::default()).await;
    let mut child = child.map_err(|error| unusable(error.to_string()))?;
    let mut text = Vec::new();
    let said = async {
        if let Some(stdout) = child.stdout.take() {
            stdout.take(LONGEST).read_to_end(&mut text).await?;
        }
        child.wait().await
    };
    let ended = tokio::time::timeout(PATIENCE, said).await;
    trail.record(Event::Process {
        remote: String::new(),
        argv: vec![path.display().to_string(), "version".to_owned()],
        outcome: match &ended {
            Ok(Ok(status)) => status.to_string(),
            _ => "stopped".to_owned(),
        },
        bytes_in: 0,
        bytes_out: text.len() as u64,
        milliseconds: started.elapsed().as_millis().try_into().unwrap_or(u64::MAX),
    })?;
    match ended {
        Ok(ended) => ended.map_err(|error| unusable(error.to_string()))?,
        Err(_) => return Err(unusable("it doesn't end".to_owned())),
    };
    let text = String::from_utf8_lossy(&text);
    let first = text.lines().next().unwrap_or_default();
    parse(first).ok_or_else(|| unusable(format!("it says `{first}`")))
}

/// The version in `rclone v1.75.1` or `rclone v1.60.1-DEV`.
fn parse(line: &str) -> Option<Version> {
    let text = line.strip_prefix("rclone v")?;
    let numbers = text.split(|char: char| !char.is_ascii_digit() && char != '.').next()?;
    let version = Version::parse(numbers);
    version.or_else(|_| Version::parse(&format!("{numbers}.0"))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_releases_and_of_development_are_read() {
        assert_eq!(parse("rclone v1.75.1"), Some(Version::new(1, 75, 1)));
        assert_eq!(parse("rclone v1.60.1-DEV"), Some(Version::new(1, 60, 1)));
        assert_eq!(parse("rclone v1.71-beta.1234"), Some(Version::new(1, 71, 0)));
        assert_eq!(parse("bash: no"), None);
    }
}
